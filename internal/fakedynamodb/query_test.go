package fakedynamodb_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func where(condition string, values attributes) func(*dynamodb.QueryInput) {
	return func(in *dynamodb.QueryInput) {
		in.KeyConditionExpression = aws.String(condition)
		maps.Copy(in.ExpressionAttributeValues, values)
	}
}

func backwards(in *dynamodb.QueryInput) { in.ScanIndexForward = aws.Bool(false) }

func limit(n int32) func(*dynamodb.QueryInput) {
	return func(in *dynamodb.QueryInput) { in.Limit = aws.Int32(n) }
}

func TestKeyConditions(t *testing.T) {
	h := start(t)
	for _, sk := range []string{"B", "a", "b", "ba", "bb", "c", "ä"} {
		h.put(row("p", sk))
		h.put(row("other", sk))
	}
	values := attributes{":a": text("b"), ":b": text("c")}
	for condition, want := range map[string]string{
		"pk = :pk": "B a b ba bb c ä", "pk = :pk AND sk = :a": "b", ":pk = pk AND :a = sk": "b", "sk > :a AND pk = :pk": "ba bb c ä",
		"pk = :pk AND sk >= :a": "b ba bb c ä", "pk = :pk AND sk < :a": "B a", "pk = :pk AND sk <= :a": "B a b",
		"(pk = :pk) AND (sk BETWEEN :a AND :b)": "b ba bb c", "pk = :pk AND begins_with(sk, :a)": "b ba bb",
	} {
		t.Run(condition, func(t *testing.T) {
			used := attributes{}
			for k, v := range values {
				if strings.Contains(condition, k) {
					used[k] = v
				}
			}
			for _, n := range []int32{1, 2, 100} {
				got, _ := h.queryAll(t.Context(), "p", where(condition, used), limit(n))
				assert.Equal(t, strings.Fields(want), got)
				got, _ = h.queryAll(t.Context(), "p", where(condition, used), limit(n), backwards)
				slices.Reverse(got)
				assert.Equal(t, strings.Fields(want), got)
			}
		})
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	h := start(t)
	h.put(row("p", "s"))
	run := func(change ...func(*dynamodb.QueryInput)) error {
		in := &dynamodb.QueryInput{TableName: aws.String(tableName), KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: attributes{":pk": text("p")}}
		for _, c := range change {
			c(in)
		}
		_, err := h.client.Query(t.Context(), in)
		return err
	}
	require.NoError(t, run())
	a := attributes{":a": text("x")}
	for condition, part := range map[string]string{
		"sk = :pk": "Query condition missed key schema element: pk", "pk = :pk AND x = :a": "Query condition missed key schema element: sk",
		"pk > :pk": "Query key condition not supported", "pk = :pk OR sk = :a": "Invalid operator used in KeyConditionExpression: OR",
		"pk = :pk AND sk <> :a": "Invalid operator used in KeyConditionExpression: <>", "pk = :pk AND NOT sk = :a": "Invalid operator used in KeyConditionExpression: NOT",
		"pk = :pk AND sk > :a AND sk < :pk": "Conditions can be of length 1 or 2 only", "pk = :pk AND pk = :a": "number of conditions on the keys is invalid",
		"pk = :pk AND sk = pk": "Operands of a condition", "pk = :pk AND contains(sk, :a)": "Invalid operator used in KeyConditionExpression: contains",
		"": "can not be empty", "pk = :pk AND timestamp = :a": "reserved keyword: timestamp",
	} {
		used := attributes{}
		if strings.Contains(condition, ":a") {
			used = a
		}
		invalid(t, run(where(condition, used)), part)
	}
	invalid(t, run(where("pk = :pk AND sk = :a", attributes{":a": num("1")})), "Condition parameter type does not match schema type")
	invalid(t, run(where("pk = :pk AND sk = :a", attributes{":a": text("")})), "cannot contain an empty string value. Key: sk")
	invalid(t, run(func(in *dynamodb.QueryInput) { in.ExpressionAttributeValues[":pk"] = text("") }), "cannot contain an empty string value. Key: pk")
	invalid(t, run(where("pk = :pk AND sk = :a", attributes{":a": text(strings.Repeat("x", 1025))})), "1024 bytes")
	invalid(t, run(limit(0)), "greater than or equal to 1")
	filter := func(f string) func(*dynamodb.QueryInput) {
		return func(in *dynamodb.QueryInput) { in.FilterExpression = aws.String(f) }
	}
	invalid(t, run(filter("sk = :pk")), "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk")
	invalid(t, run(func(in *dynamodb.QueryInput) { in.KeyConditionExpression, in.ExpressionAttributeValues = nil, nil }), "must be specified")
	invalid(t, run(func(in *dynamodb.QueryInput) { in.Select = "SOME" }), "enum value set")
	invalid(t, run(func(in *dynamodb.QueryInput) { in.IndexName = aws.String("none") }), "does not have the specified index: none")
	from := func(k attributes) func(*dynamodb.QueryInput) {
		return func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = k }
	}
	invalid(t, run(from(attributes{"pk": text("p")})), "The provided starting key is invalid")
	invalid(t, run(from(row("p", "s", attributes{"sk": num("1")}))), "The provided starting key is invalid")
	invalid(t, run(from(row("other", "s"))), "outside query boundaries")
	invalid(t, run(where("pk = :pk AND sk > :a", a), from(row("p", "a"))), "does not match the range key predicate")
}

// The page is cut first, then filtered: pages may be empty and not the last.
func TestPagesOfOneMegabyte(t *testing.T) {
	h := start(t)
	h.fill("p", 60, attributes{"x": text(strings.Repeat("x", 50<<10)), "v": num("1")})
	h.put(row("p", "9999", attributes{"v": num("2")}))
	sks, pages := h.queryAll(t.Context(), "p")
	assert.Len(t, sks, 61)
	assert.Equal(t, 3, pages, "20 items of 50 KB to a page; the last, small one fits too")
	filter := func(in *dynamodb.QueryInput) {
		in.FilterExpression = aws.String("v = :v")
		in.ExpressionAttributeValues[":v"] = num("2")
	}
	sks, pages = h.queryAll(t.Context(), "p", filter)
	assert.Equal(t, []string{"9999"}, sks)
	assert.Equal(t, 3, pages)
	out, err := h.client.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String(tableName), KeyConditionExpression: aws.String("pk = :pk"),
		FilterExpression: aws.String("v = :v"), ExpressionAttributeValues: attributes{":pk": text("p"), ":v": num("2")}, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	require.NoError(t, err)
	assert.Empty(t, out.Items)
	assert.Zero(t, out.Count)
	assert.Equal(t, int32(20), out.ScannedCount)
	assert.Equal(t, row("p", "0019"), out.LastEvaluatedKey)
	assert.InDelta(t, 20*50*1024/8192.0, *out.ConsumedCapacity.CapacityUnits, 1, "what was filtered out is paid for; half when eventually consistent")
}

func TestLimitAndCount(t *testing.T) {
	h := start(t)
	h.fill("p", 4)
	_, pages := h.queryAll(t.Context(), "p", limit(2))
	assert.Equal(t, 3, pages, "a page that ends at its limit has a key even where nothing follows")
	in := &dynamodb.QueryInput{TableName: aws.String(tableName), KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: attributes{":pk": text("p")}, Select: types.SelectCount}
	out, err := h.client.Query(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, int32(4), out.Count)
	assert.Nil(t, out.Items)
	in.ExpressionAttributeValues[":pk"] = text("none")
	out, err = h.client.Query(t.Context(), in)
	require.NoError(t, err)
	assert.Zero(t, out.Count)
	assert.Nil(t, out.LastEvaluatedKey)
}

func TestIndex(t *testing.T) {
	h := start(t)
	for i := range 6 {
		h.put(row(fmt.Sprint("p", i), fmt.Sprint(i/2), attributes{"group": text("g")}))
	}
	h.put(row("p9", "9"))
	byGroup := func(in *dynamodb.QueryInput) {
		in.IndexName, in.KeyConditionExpression = aws.String("by-group"), aws.String("#g = :pk")
		in.ExpressionAttributeNames, in.ConsistentRead = map[string]string{"#g": "group"}, nil
	}
	sks, pages := h.queryAll(t.Context(), "g", byGroup, limit(1))
	assert.Equal(t, []string{"0", "0", "1", "1", "2", "2"}, sks, "equal index keys do not swallow each other")
	assert.Equal(t, 7, pages)
	sks, _ = h.queryAll(t.Context(), "g", byGroup, limit(1), backwards)
	assert.Equal(t, []string{"2", "2", "1", "1", "0", "0"}, sks)
	h.put(row("p0", "0"))
	h.put(row("p1", "0", attributes{"group": text("other")}))
	_, err := h.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(tableName), Key: row("p2", "1")})
	require.NoError(t, err)
	sks, _ = h.queryAll(t.Context(), "g", byGroup)
	assert.Equal(t, []string{"1", "2", "2"}, sks)
	in := &dynamodb.QueryInput{TableName: aws.String(tableName), ExpressionAttributeValues: attributes{":pk": text("g")}}
	byGroup(in)
	in.ConsistentRead = aws.Bool(true)
	_, err = h.client.Query(t.Context(), in)
	invalid(t, err, "Consistent reads are not supported on global secondary indexes")
}

func TestPageFaults(t *testing.T) {
	for name, f := range map[string]fakedynamodb.Fault{"cut after 3": fakedynamodb.PageCut(3), "empty": fakedynamodb.EmptyPage()} {
		for _, from := range []string{"pk = :pk", "pk = :pk AND sk >= :a", "pk = :pk AND begins_with(sk, :a)"} {
			for direction, turn := range map[string]func(*dynamodb.QueryInput){"forwards": func(*dynamodb.QueryInput) {}, "backwards": backwards} {
				t.Run(name+" "+from+" "+direction, func(t *testing.T) {
					h := start(t)
					h.fill("p", 10)
					h.server.Inject(func(c fakedynamodb.Call) fakedynamodb.Fault {
						if c.Operation == "Query" && c.NOfTarget%2 == 1 {
							return f
						}
						return fakedynamodb.None()
					})
					values := attributes{}
					if strings.Contains(from, ":a") {
						values[":a"] = text("000")
					}
					sks, pages := h.queryAll(t.Context(), "p", where(from, values), limit(2), turn)
					assert.Len(t, sks, 10)
					assert.Greater(t, pages, 5)
				})
			}
		}
	}
}
