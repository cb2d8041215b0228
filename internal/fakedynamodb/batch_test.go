package fakedynamodb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func putRequests(items ...attributes) []types.WriteRequest {
	var out []types.WriteRequest
	for _, it := range items {
		out = append(out, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	return out
}

func rows(n int, more ...attributes) []attributes {
	var out []attributes
	for i := range n {
		out = append(out, row("p", fmt.Sprintf("%04d", i), more...))
	}
	return out
}

func (h *harness) batch(w []types.WriteRequest) (*dynamodb.BatchWriteItemOutput, error) {
	return h.client.BatchWriteItem(h.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{tableName: w},
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
}

func TestBatchWrite(t *testing.T) {
	h := start(t)
	out, err := h.batch(putRequests(rows(25)...))
	require.NoError(t, err)
	assert.Empty(t, out.UnprocessedItems)
	assert.Equal(t, 25.0, *out.ConsumedCapacity[0].CapacityUnits)
	assert.Len(t, h.server.Items(tableName), 25)
	var w []types.WriteRequest
	for _, it := range rows(24) {
		w = append(w, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: it}})
	}
	_, err = h.batch(append(w, putRequests(row("p", "new"))...))
	require.NoError(t, err)
	assert.Equal(t, []string{`{"pk":{"S":"p"},"sk":{"S":"0024"}}`, `{"pk":{"S":"p"},"sk":{"S":"new"}}`}, h.server.Items(tableName))
}

// One bad item rejects all.
func TestBatchWritesThatAreRefused(t *testing.T) {
	h := start(t)
	refuse := func(part string, items ...attributes) {
		t.Helper()
		_, err := h.batch(putRequests(items...))
		invalid(t, err, part)
	}
	refuse("Member must have length less than or equal to 25", rows(26)...)
	refuse("Provided list of item keys contains duplicates", append(rows(3), row("p", "0001", attributes{"v": num("1")}))...)
	refuse("Item size has exceeded", append(rows(3), row("p", "x", attributes{"v": text(strings.Repeat("x", 409600))}))...)
	refuse("cannot contain an empty string value. Key: sk", append(rows(3), row("p", ""))...)
	refuse("Missing the key sk", append(rows(3), attributes{"pk": text("p")})...)
	_, err := h.batch(append(putRequests(rows(1)...), types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: row("p", "0000")}}))
	invalid(t, err, "contains duplicates")
	_, err = h.client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		tableName: putRequests(rows(1)...), "other": putRequests(rows(1)...)}})
	refused(t, err, "ResourceNotFoundException", "")
	assert.Empty(t, h.server.Writes())
	big := attributes{"v": binary(strings.Repeat("x", 300<<10))} // 400 KB each in base64, 300 KB as items
	for i := range 25 {
		big[fmt.Sprintf("n%d", i)] = num("1")
	}
	_, err = h.batch(putRequests(rows(25, big)...))
	require.NoError(t, err)
	_, err = h.batch(putRequests(rows(25, attributes{"v": text(strings.Repeat("\"", 390<<10))})...))
	require.Error(t, err, "over 16 MB as sent")
}

func TestUnprocessedWrites(t *testing.T) {
	h := start(t)
	h.server.Inject(func(fakedynamodb.Call) fakedynamodb.Fault {
		return fakedynamodb.Unprocessed(func(i int) bool { return i%2 == 1 })
	})
	out, err := h.batch(putRequests(rows(5, attributes{"v": text("ä")})...))
	require.NoError(t, err)
	assert.Equal(t, putRequests(rows(5, attributes{"v": text("ä")})[1], rows(5, attributes{"v": text("ä")})[3]), out.UnprocessedItems[tableName])
	assert.Len(t, h.server.Items(tableName), 3)
	h.server.Inject(func(fakedynamodb.Call) fakedynamodb.Fault { return fakedynamodb.Unprocessed(nil) })
	_, err = h.batch(putRequests(rows(2)...))
	refused(t, err, "ProvisionedThroughputExceededException", "")
	h.server.Inject(func(fakedynamodb.Call) fakedynamodb.Fault { return fakedynamodb.UnprocessedSilently(nil) })
	out, err = h.batch(putRequests(rows(2)...))
	require.NoError(t, err)
	assert.Len(t, out.UnprocessedItems[tableName], 2)
}

func TestBatchGet(t *testing.T) {
	h := start(t)
	_, err := h.batch(putRequests(rows(10, attributes{"v": num("1"), "w": num("2")})...))
	require.NoError(t, err)
	get := func(keys []attributes) (*dynamodb.BatchGetItemOutput, error) {
		return h.client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			RequestItems: map[string]types.KeysAndAttributes{tableName: {Keys: keys, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("sk, v")}}})
	}
	out, err := get(append(rows(2), row("p", "none")))
	require.NoError(t, err)
	assert.Equal(t, []map[string]types.AttributeValue{{"sk": text("0000"), "v": num("1")}, {"sk": text("0001"), "v": num("1")}}, out.Responses[tableName])
	assert.Equal(t, 3.0, *out.ConsumedCapacity[0].CapacityUnits)
	_, err = get(rows(101))
	invalid(t, err, "Too many items requested for the BatchGetItem call")
	_, err = get(append(rows(1), rows(1)...))
	invalid(t, err, "contains duplicates")
	h.server.Inject(func(fakedynamodb.Call) fakedynamodb.Fault {
		return fakedynamodb.Unprocessed(func(i int) bool { return i == 1 })
	})
	out, err = get(rows(3))
	require.NoError(t, err)
	assert.Len(t, out.Responses[tableName], 2)
	again := out.UnprocessedKeys[tableName]
	assert.Equal(t, []map[string]types.AttributeValue{row("p", "0001")}, again.Keys)
	assert.Equal(t, "sk, v", *again.ProjectionExpression)
	assert.True(t, *again.ConsistentRead)
}
