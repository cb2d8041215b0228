package fakedynamodb_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// "DynamoDB item sizes and formats", by finding how much text still fits.
func TestItemSizes(t *testing.T) {
	h := start(t)
	const limit = 409600
	base := len("pk") + 1 + len("sk") + 1 + len("x")
	for name, c := range map[string]struct {
		value types.AttributeValue
		size  int
	}{
		"none":                {nil, -1},
		"text in UTF-8":       {text("äö€"), 7},
		"binary raw":          {binary("abc"), 3},
		"null":                {&types.AttributeValueMemberNULL{Value: true}, 1},
		"boolean":             {&types.AttributeValueMemberBOOL{Value: false}, 1},
		"zero":                {num("0"), 1},
		"one digit":           {num("7"), 2},
		"two digits":          {num("27"), 2},
		"three digits":        {num("127"), 3},
		"a sign":              {num("-27"), 3},
		"zeroes do not count": {num("2700000000"), 2},
		"an empty map":        {&types.AttributeValueMemberM{Value: attributes{}}, 3},
		"a map":               {&types.AttributeValueMemberM{Value: attributes{"ab": text("cd")}}, 3 + 1 + 4},
		"a list":              {&types.AttributeValueMemberL{Value: []types.AttributeValue{text("cd"), num("1")}}, 3 + 1 + 2 + 1 + 2},
		"a set":               {&types.AttributeValueMemberSS{Value: []string{"a", "bc"}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			more := attributes{}
			if c.value != nil {
				more["v"] = c.value
			}
			fill := limit - base - 1 - c.size
			more["x"] = text(strings.Repeat("x", fill))
			require.NoError(t, h.tryPut(row("p", "s", more)))
			more["x"] = text(strings.Repeat("x", fill+1))
			invalid(t, h.tryPut(row("p", "s", more)), "Item size has exceeded the maximum allowed size")
		})
	}
}

// "DynamoDB read and write operations".
func TestConsumedCapacity(t *testing.T) {
	h := start(t)
	put := func(size int, more ...attributes) *types.ConsumedCapacity {
		it := row("p", "s", append(more, attributes{"x": text(strings.Repeat("x", size-7))})...)
		out, err := h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: it, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
		require.NoError(t, err)
		return out.ConsumedCapacity
	}
	assert.Equal(t, 1.0, *put(1024).CapacityUnits)
	assert.Equal(t, 2.0, *put(1025).CapacityUnits)
	assert.Equal(t, 2.0, *put(100).CapacityUnits, "the larger of before and after counts")
	group := attributes{"group": text("g")}
	c := put(1000, group)
	assert.Equal(t, 1.0, *c.Table.CapacityUnits)
	assert.Equal(t, 1.0, *c.GlobalSecondaryIndexes["by-group"].CapacityUnits)
	assert.Equal(t, 2.0, *c.CapacityUnits)
	assert.Equal(t, 3.0, *put(1000, attributes{"group": text("h")}).CapacityUnits, "an index key that changes is two writes")
	put(4096)
	for consistent, want := range map[bool]float64{true: 1, false: .5} {
		get, err := h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: row("p", "s"),
			ConsistentRead: aws.Bool(consistent), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
		require.NoError(t, err)
		assert.Equal(t, want, *get.ConsumedCapacity.CapacityUnits)
		assert.Equal(t, tableName, *get.ConsumedCapacity.TableName)
		get, err = h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: row("p", "none"),
			ConsistentRead: aws.Bool(consistent), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
		require.NoError(t, err)
		assert.Equal(t, want, *get.ConsumedCapacity.CapacityUnits)
	}
	_, err := h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s"), ReturnConsumedCapacity: "ALL"})
	invalid(t, err, "returnConsumedCapacity")
}
