package fakedynamodb_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (h *harness) update(expr string, values attributes, change ...func(*dynamodb.UpdateItemInput)) (attributes, error) {
	in := &dynamodb.UpdateItemInput{TableName: aws.String(tableName), Key: row("p", "s"), UpdateExpression: aws.String(expr),
		ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllNew}
	for _, c := range change {
		c(in)
	}
	out, err := h.client.UpdateItem(h.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

func list(vs ...types.AttributeValue) types.AttributeValue {
	return &types.AttributeValueMemberL{Value: vs}
}
func set(s ...string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: s} }

func TestUpdates(t *testing.T) {
	was := attributes{"n": num("10"), "s": text("x"), "m": &types.AttributeValueMemberM{Value: attributes{"k": num("1")}},
		"l": list(num("0"), num("1"), num("2")), "ss": set("a", "b")}
	for expr, c := range map[string]struct {
		values, want attributes // want: what differs; nil = removed
	}{
		"SET s = :v":                        {attributes{":v": text("y")}, attributes{"s": text("y")}},
		"SET n = n + :v, x = :v":            {attributes{":v": num("0.5")}, attributes{"n": num("10.5"), "x": num("0.5")}},
		"SET n = n - :v":                    {attributes{":v": num("11")}, attributes{"n": num("-1")}},
		"SET x = n, n = :v":                 {attributes{":v": num("1")}, attributes{"x": num("10"), "n": num("1")}},
		"SET x = if_not_exists(x, :v)":      {attributes{":v": num("1")}, attributes{"x": num("1")}},
		"SET n = if_not_exists(n, :v)":      {attributes{":v": num("1")}, attributes{}},
		"SET x = if_not_exists(x, :v) + :v": {attributes{":v": num("1")}, attributes{"x": num("2")}},
		"SET l = list_append(l, :v)":        {attributes{":v": list(text("e"))}, attributes{"l": list(num("0"), num("1"), num("2"), text("e"))}},
		"SET l[1] = :v, l[9] = :v":          {attributes{":v": text("e")}, attributes{"l": list(num("0"), text("e"), num("2"), text("e"))}},
		"SET m.j = :v":                      {attributes{":v": text("e")}, attributes{"m": &types.AttributeValueMemberM{Value: attributes{"k": num("1"), "j": text("e")}}}},
		"REMOVE s, nothing":                 {nil, attributes{"s": nil}},
		"REMOVE l[0], l[1]":                 {nil, attributes{"l": list(num("2"))}},
		"remove m.k":                        {nil, attributes{"m": &types.AttributeValueMemberM{Value: attributes{}}}},
		"ADD n :v":                          {attributes{":v": num("5")}, attributes{"n": num("15")}},
		"ADD x :v":                          {attributes{":v": num("5")}, attributes{"x": num("5")}},
		"ADD ss :v":                         {attributes{":v": set("c", "a")}, attributes{"ss": set("a", "b", "c")}},
		"DELETE ss :v":                      {attributes{":v": set("a")}, attributes{"ss": set("b")}},
		"DELETE ss :v REMOVE s SET n = :n":  {attributes{":v": set("a", "b"), ":n": num("1")}, attributes{"ss": nil, "s": nil, "n": num("1")}},
	} {
		t.Run(expr, func(t *testing.T) {
			h := start(t)
			h.put(row("p", "s", was))
			want := row("p", "s", was, c.want)
			for k, v := range want {
				if v == nil {
					delete(want, k)
				}
			}
			got, err := h.update(expr, c.values)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, want, h.get("p", "s"))
		})
	}
}

func TestUpdatesThatAreRefused(t *testing.T) {
	h := start(t)
	h.put(row("p", "s", attributes{"s": text("x"), "n": num("1")}))
	v := attributes{":v": text("x")}
	for expr, c := range map[string]struct {
		values attributes
		part   string
	}{
		"SET sk = :v":                {v, "Cannot update attribute sk. This attribute is part of the key"},
		"SET ttl = :v":               {v, "reserved keyword: ttl"},
		"SET a = :v SET b = :v":      {v, "can only be used once"},
		"SET a = :v, a = :v":         {v, "Two document paths overlap"},
		"SET a = b":                  {nil, "does not exist in the item"},
		"SET a = s + :v":             {v, "incorrect data type"},
		"SET a.b = :v":               {v, "document path provided in the update expression is invalid"},
		"SET s.b = :v":               {v, "document path provided in the update expression is invalid"},
		"SET a :v":                   {v, "Syntax error"},
		"PUT a = :v":                 {v, "Syntax error"},
		"ADD n :v":                   {v, "Incorrect operand type"},
		"DELETE n :v":                {attributes{":v": num("1")}, "Incorrect operand type"},
		"ADD s :v":                   {attributes{":v": num("1")}, "incorrect data type"},
		"SET a = begins_with(s, :v)": {v, "Invalid function name"},
		"":                           {nil, "can not be empty"},
	} {
		t.Run(expr, func(t *testing.T) {
			_, err := h.update(expr, c.values)
			invalid(t, err, c.part)
		})
	}
	assert.Len(t, h.server.Writes(), 1)
}

// What a lease needs: take it if it is free or expired.
func TestConditionalUpdate(t *testing.T) {
	h := start(t)
	take := func(owner, now, until string) error {
		_, err := h.update("SET #o = :o, expires = :u", attributes{":o": text(owner), ":u": num(until), ":now": num(now)}, func(in *dynamodb.UpdateItemInput) {
			in.ConditionExpression = aws.String("attribute_not_exists(#o) OR #o = :o OR expires < :now")
			in.ExpressionAttributeNames = map[string]string{"#o": "owner"}
		})
		return err
	}
	require.NoError(t, take("a", "0", "10"))
	refused(t, take("b", "5", "15"), "ConditionalCheckFailedException", "")
	require.NoError(t, take("a", "6", "16"))
	require.NoError(t, take("b", "17", "27"))
	assert.Equal(t, text("b"), h.get("p", "s")["owner"])
}

func TestReturnValuesOfUpdate(t *testing.T) {
	h := start(t)
	h.put(row("p", "s", attributes{"a": num("1"), "b": num("2")}))
	for mode, want := range map[types.ReturnValue]attributes{
		types.ReturnValueNone: nil, types.ReturnValueAllOld: row("p", "s", attributes{"a": num("1"), "b": num("2")}),
		types.ReturnValueUpdatedOld: {"a": num("1")}, types.ReturnValueUpdatedNew: {"a": num("9")},
	} {
		h.put(row("p", "s", attributes{"a": num("1"), "b": num("2")}))
		got, err := h.update("SET a = :v", attributes{":v": num("9")}, func(in *dynamodb.UpdateItemInput) { in.ReturnValues = mode })
		require.NoError(t, err)
		assert.Equal(t, want, got, mode)
	}
}
