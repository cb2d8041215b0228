package fakedynamodb

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var requests = []string{
	`{"TableName":"t","KeyConditionExpression":"#h = :h AND #r > :r","ExpressionAttributeNames":{"#h":"pk","#r":"sk"},"ExpressionAttributeValues":{":h":{"S":"k\"é\\\n"},":r":{"N":"12"}},"ConsistentRead":true,"ScanIndexForward":false,"ReturnConsumedCapacity":"TOTAL"}`,
	`{"TableName":"t","IndexName":"i","FilterExpression":"a","ProjectionExpression":"b","ExclusiveStartKey":{"pk":{"S":"a"},"sk":{"S":"b"}},"Limit":3,"Select":"COUNT"}`,
	` { "TableName" : "t" , "ExpressionAttributeNames" : { } , "ConsistentRead" : false } `,
	`{"RequestItems":{"t":[{"PutRequest":{"Item":{"pk":{"S":"a"},"n":{"N":"1.5"},"event":{"S":"{\"id\":\"\\u00e9é\"}"}}}},{"DeleteRequest":{"Key":{"pk":{"S":"b"}}}}],"u":[]},"ReturnConsumedCapacity":"TOTAL"}`,
	`{"RequestItems":{"t":[{"PutRequest":{"Item":{"b":{"B":"AA=="},"m":{"M":{"x":{"BOOL":true}}},"l":{"L":[{"NULL":true}]}}}}]}}`,
	`{"TableName":"t","Item":{"pk":{"S":"a"},"ttl":{"N":"1"}},"ConditionExpression":"c","ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":a":{"S":"a"}},"ReturnValues":"NONE","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ReturnConsumedCapacity":"TOTAL"}`,
	`{"PutRequest":{"Item":{"pk":{"S":"a\tb"},"ttl":{"N":"1"}}}}`,
	`{"DeleteRequest":{"Key":{"pk":{"S":""}}}}`,
}

// What a scanner understands is what encoding/json would have understood, and what
// it does not understand it leaves alone.
func TestAScannerReadsWhatEncodingJSONReads(t *testing.T) {
	const bytesThatMatter = `{}[]":,\ntSNé01` + "\x00\x80\xff \n"
	r := rand.New(rand.NewPCG(1, 2))
	for _, request := range requests {
		for n := range 3000 {
			body := []byte(request)
			for range n % 4 {
				switch at := r.IntN(len(body)); r.IntN(4) {
				case 0:
					body[at] = bytesThatMatter[r.IntN(len(bytesThatMatter))]
				case 1:
					body = append(body[:at], body[at+1:]...)
				case 2:
					body = append(body[:at:at], append([]byte{bytesThatMatter[r.IntN(len(bytesThatMatter))]}, body[at:]...)...)
				default: // a part of it twice
					to := min(len(body), at+r.IntN(40))
					body = append(body[:to:to], body[at:]...)
				}
			}
			same[queryInput](t, body)
			same[batchWriteInput](t, body)
			same[putInput](t, body)
			sameItem(t, body)
		}
	}
}

func same[T any](t *testing.T, body []byte) {
	t.Helper()
	var quick, slow T
	if !quickly(body, &quick) {
		require.Zero(t, quick)
		return
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&slow), "%s", body)
	if requests, ok := any(slow).(batchWriteInput); ok { // where it looks at no request yet
		for table, items := range requests.RequestItems {
			for i, item := range items {
				require.JSONEq(t, string(item), string(any(quick).(batchWriteInput).RequestItems[table][i]))
			}
		}
	}
	require.Equal(t, slow, quick, "%s", body)
}

func sameItem(t *testing.T, body []byte) {
	t.Helper()
	quick, ok := quickPut(body)
	if !ok {
		return
	}
	var w writeRequest
	require.Nil(t, decode(body, &w), "%s", body)
	require.Nil(t, w.DeleteRequest)
	slow, err := checkItem(w.PutRequest.Item, 0)
	require.Nil(t, err, "%s", body)
	require.Equal(t, slow, quick, "%s", body)
}

// The requests that are made most often must not take the slow way by mistake.
func TestAScannerReadsTheUsualRequests(t *testing.T) {
	require.True(t, quickly([]byte(requests[0]), new(queryInput)))
	require.True(t, quickly([]byte(requests[2]), new(queryInput)))
	require.True(t, quickly([]byte(requests[5]), new(putInput)))
	_, ok := quickPut([]byte(requests[6]))
	require.True(t, ok)
	require.False(t, quickly([]byte(requests[1]), new(queryInput)))
}

// An answer is written as encoding/json writes it.
func TestAppendPlainWritesWhatEncodingJSONWrites(t *testing.T) {
	for _, v := range []any{
		map[string]any{}, map[string]any{"b": 1, "a": int64(-2), "c": 0.5, "d": 1e21, "e": 1e-7, "f": 0.0, "g": -1.0},
		[]any{}, []any(nil), map[string]any(nil), []json.RawMessage(nil), json.RawMessage(nil), []json.RawMessage{nil},
		map[string][]json.RawMessage{"t": {json.RawMessage(`{"a":1}`)}, "s": nil}, json.RawMessage(`{"é":"<>&"}`),
		"plain <&>", "é", "\u2028", "\"\\\b\f\x00\xff", true, false, nil, uint8(3), []any{"a", true, []any{1}},
		map[string]any{"é": "a"},
	} {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		require.NoError(t, e.Encode(v))
		got, err := marshal(v)
		require.NoError(t, err)
		require.Equal(t, want.String(), string(got)+"\n")
	}
}
