package fakedynamodb_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPutGetDelete(t *testing.T) {
	h := start(t)
	assert.Nil(t, h.get("p", "s"))
	h.put(row("p", "s", attributes{"v": text("1")}))
	put, err := h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s"), ReturnValues: types.ReturnValueAllOld})
	require.NoError(t, err)
	assert.Equal(t, row("p", "s", attributes{"v": text("1")}), put.Attributes)
	assert.Equal(t, row("p", "s"), h.get("p", "s"), "a put replaces the whole item")
	for _, want := range []attributes{row("p", "s"), nil} {
		gone, err := h.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(tableName), Key: row("p", "s"), ReturnValues: types.ReturnValueAllOld})
		require.NoError(t, err, "removing what is not there is no error")
		assert.Equal(t, want, gone.Attributes)
	}
	_, err = h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s"), ReturnValues: types.ReturnValueAllNew})
	invalid(t, err, "Return values set to invalid value")
	_, err = h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("other"), Item: row("p", "s")})
	refused(t, err, "ResourceNotFoundException", "Requested resource not found")
}

func TestTheFirstPutWins(t *testing.T) {
	h := start(t)
	in := &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s", attributes{"v": text("1")}),
		ConditionExpression:                 aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
	_, err := h.client.PutItem(t.Context(), in)
	require.NoError(t, err)
	first := in.Item
	in.Item = row("p", "s", attributes{"v": text("2")})
	_, err = h.client.PutItem(t.Context(), in)
	refused(t, err, "ConditionalCheckFailedException", "The conditional request failed")
	var failed *types.ConditionalCheckFailedException
	require.True(t, errors.As(err, &failed))
	assert.Equal(t, first, failed.Item)
	assert.Equal(t, first, h.get("p", "s"))
	in.ReturnValuesOnConditionCheckFailure = ""
	_, err = h.client.PutItem(t.Context(), in)
	require.True(t, errors.As(err, &failed))
	assert.Nil(t, failed.Item)
}

func TestConditionalDelete(t *testing.T) {
	h := start(t)
	h.put(row("p", "s", attributes{"v": text("1")}))
	in := &dynamodb.DeleteItemInput{TableName: aws.String(tableName), Key: row("p", "s"), ConditionExpression: aws.String("v = :v"),
		ExpressionAttributeValues: attributes{":v": text("2")}}
	_, err := h.client.DeleteItem(t.Context(), in)
	refused(t, err, "ConditionalCheckFailedException", "")
	in.ExpressionAttributeValues[":v"] = text("1")
	_, err = h.client.DeleteItem(t.Context(), in)
	require.NoError(t, err)
	assert.Nil(t, h.get("p", "s"))
}

func TestProjection(t *testing.T) {
	h := start(t)
	h.put(row("p", "s", attributes{"a": text("1"), "type": text("t"),
		"m": &types.AttributeValueMemberM{Value: attributes{"x": num("1"), "y": num("2")}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{num("0"), num("1"), num("2")}}}))
	get := func(expr string, names map[string]string) (attributes, error) {
		out, err := h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: row("p", "s"),
			ProjectionExpression: aws.String(expr), ExpressionAttributeNames: names})
		if err != nil {
			return nil, err
		}
		return out.Item, nil
	}
	got, err := get("a, #t, m.y, l[2], l[0], nothing", map[string]string{"#t": "type"})
	require.NoError(t, err)
	assert.Equal(t, attributes{"a": text("1"), "type": text("t"),
		"m": &types.AttributeValueMemberM{Value: attributes{"y": num("2")}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{num("0"), num("2")}}}, got)
	for expr, part := range map[string]string{"type": "reserved keyword: type", "m, m.x": "overlap", "a,": "Syntax error", "a b": "Syntax error",
		"": "can not be empty", "a[x]": "Syntax error", ":v": "Syntax error"} {
		_, err := get(expr, nil)
		invalid(t, err, part)
	}
}

func TestLaggingReads(t *testing.T) {
	h := start(t)
	h.put(row("p", "1", attributes{"v": text("old"), "group": text("g")}))
	h.put(row("p", "1", attributes{"v": text("new"), "group": text("g")}))
	h.put(row("p", "2", attributes{"group": text("g")}))
	h.server.SetLag(2)
	read := func(consistent bool) attributes {
		out, err := h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: row("p", "1"), ConsistentRead: aws.Bool(consistent)})
		require.NoError(t, err)
		return out.Item
	}
	assert.Equal(t, text("old"), read(false)["v"])
	assert.Equal(t, text("new"), read(true)["v"])
	late := func(in *dynamodb.QueryInput) { in.ConsistentRead = nil }
	sks, _ := h.queryAll(t.Context(), "p", late)
	assert.Equal(t, []string{"1"}, sks)
	byGroup := func(in *dynamodb.QueryInput) {
		late(in)
		in.IndexName, in.KeyConditionExpression = aws.String("by-group"), aws.String("#g = :pk")
		in.ExpressionAttributeNames = map[string]string{"#g": "group"}
	}
	sks, _ = h.queryAll(t.Context(), "g", byGroup)
	assert.Equal(t, []string{"1"}, sks)
	h.server.SetLag(0)
	sks, _ = h.queryAll(t.Context(), "g", byGroup)
	assert.Equal(t, []string{"1", "2"}, sks)
}
