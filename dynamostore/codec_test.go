package dynamostore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/schemas"
	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// sdkReads has the SDK read an answer.
func sdkReads(t testing.TB, body []byte) (*dynamodb.QueryOutput, error) {
	t.Helper()
	client := new(stub).client()
	output := new(dynamodb.QueryOutput)
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}}}
	schema := smithy.NewOperationSchema(schemas.Query, schemas.QueryInput, schemas.QueryOutput)
	err := client.Options().Protocol.DeserializeResponse(context.Background(), schema, dynamodb.TypeRegistry, response, output)
	return output, err
}

// agreeOnAnswer holds the codec's reading of an answer to the SDK's. It reports
// whether the codec has read it.
func agreeOnAnswer(t testing.TB, table *Table, body []byte) bool {
	t.Helper()
	query := driver.Query{HashKey: "h"}
	codec := queryCodec{layout: &table.layout, hashKey: query.HashKey}
	output := new(dynamodb.QueryOutput)
	before := bytes.Clone(body)
	codec.room = usedRoom()
	read := table.layout.readAnswerPage(body, query.HashKey, codec.room, output)
	require.Equal(t, before, body, "the answer must stay as it is")
	if !read {
		require.Equal(t, new(dynamodb.QueryOutput), output)
		return false
	}
	want, err := sdkReads(t, body)
	require.NoError(t, err, "the SDK refuses what the codec has read:\n%q", body)
	require.Equal(t, want.Count, output.Count)
	require.Equal(t, want.ScannedCount, output.ScannedCount)
	require.Equal(t, want.ConsumedCapacity, output.ConsumedCapacity)
	require.Equal(t, want.LastEvaluatedKey, output.LastEvaluatedKey)
	require.EqualValues(t, want.Count, len(want.Items))
	got, gotErr := table.page(&query, "", output, &codec)
	wantPage, wantErr := table.page(&query, "", want, nil)
	if wantErr != nil {
		require.Error(t, gotErr, "the codec has read what the SDK's way refuses with %v:\n%q", wantErr, body)
		return true
	}
	require.NoError(t, gotErr)
	require.Len(t, got.Items, len(wantPage.Items))
	for i := range got.Items {
		got.Items[i] = withoutOutline(t, table, got.Items[i])
		require.Equal(t, wantPage.Items[i].Event == nil, got.Items[i].Event == nil)
		require.Equal(t, string(wantPage.Items[i].Event), string(got.Items[i].Event), "%q", body)
		wantPage.Items[i].Event, got.Items[i].Event = nil, nil
	}
	wantPage.Room, got.Room = nil, nil
	require.Equal(t, wantPage, got, "%q", body)
	return true
}

// An answerOf has items, and what else is in an answer.
func answerOf(items ...string) []byte {
	return fmt.Appendf(nil, `{"ConsumedCapacity":{"CapacityUnits":1.5,"TableName":"events"},"Count":%d,"Items":[%s],"ScannedCount":%d}`,
		len(items), strings.Join(items, ","), len(items))
}

func packedEvent(event string) string {
	c := newCompressor()
	packed, err := c.pack([]byte(event))
	if err != nil {
		return err.Error()
	}
	return base64.StdEncoding.EncodeToString(packed)
}

func itemOf(event string) string {
	return `{"partitionKey":{"S":"h"},"eventId":{"S":"r"},"event":` + event + `,"type":{"S":"t"},"timestamp":{"N":"1700000000123"},"ttl":{"N":"1800000000"}}`
}

// What DynamoDB usually answers, which the codec must read itself.
var usualAnswers = []string{
	string(answerOf()),
	string(answerOf(itemOf(`{"M":{"id":{"S":"1"}}}`), strings.Replace(itemOf(`{"S":"{\"id\":\"2\"}"}`), `"type"`, `"owner":{"M":{"id":{"S":"3"}}},"type"`, 1))),
	string(answerOf(itemOf(`{"S":"{\"id\":\"1\",\"text\":\"\\n \\u00e9 é \\\\ \"}"}`))),
	string(answerOf(itemOf(`{"S":""}`), itemOf(`{"S":"{}"}`), `{"partitionKey":{"S":"h"},"eventId":{"S":"only"}}`)),
	string(answerOf(itemOf(`{"M":{}}`), itemOf(`{"M":{"b":{"N":"1.50"},"a":{"S":"x\"\\\/\u00e9\n\u0001"},"c":{"BOOL":true},"d":{"BOOL":false},"e":{"NULL":true},"ab":{"L":[{"S":"x"},{"L":[]},{"M":{"z":{"N":"-1E+5"},"y":{"N":"0"}}}]}}}`))),
	string(answerOf(itemOf(`{"M":{"abcdefgh2":{"N":"2"},"abcdefgh1":{"SS":["a","b"]},"s":{"NS":["1","-2.5","007"]},"r":{"BS":["AAE=",""]},"q":{"B":"AAEC"},"é":{"S":"é"},"":{"S":""}}}`))),
	string(answerOf(itemOf(`{"B":"`+packedEvent(`{}`)+`"}`), itemOf(`{"B":"`+packedEvent(`{"a":"`+strings.Repeat("b", 3000)+`"}`)+`"}`), itemOf(`{"B":"`+packedEvent(``)+`"}`))),
	string(answerOf(`{"other":{"M":{"x":{"L":[{"N":"1"}]}}},"partitionKey":{"S":"h"},"set":{"SS":["a"]},"eventId":{"S":"r\u0001é"},"event":{"S":"{}"},"bin":{"B":""},"type":{"N":"1"},"timestamp":{"S":"x"},"ttl":{"N":"1.5e3"}}`)),
	`{"Count":1,"Items":[` + itemOf(`{"S":"{}"}`) + `],"LastEvaluatedKey":{"eventId":{"S":"r"},"partitionKey":{"S":"h"}},"ConsumedCapacity":{"CapacityUnits":1}}`,
	strings.ReplaceAll(string(answerOf(itemOf(`{"M":{"a":{"L":[{"N":"1"},{"M":{"b":{"BOOL":true}}}]}}}`), `{"ttl":{"N":"1"},"event":{"S":"{}"},"eventId":{"S":"s\u00e9"},"partitionKey":{"S":"h"}}`)), ":", ": "),
	" {\n \"Items\" : [ " + strings.ReplaceAll(itemOf(`{"M":{"a":{"L":[{"N":"1"},{"S":"x"}]}}}`), ":", " : ") + " , " + itemOf(`{"S":"{}"}`) + " ] , \"Count\" : 2 , \"ConsumedCapacity\" : { } }\n",
	string(answerOf(`{"partitionKey":{"S":"other"},"eventId":{"S":"r"},"event":{"S":"{}"}}`)),
}

// What it leaves to the SDK.
var unusualAnswers = []string{
	``, ` `, `{`, `{}`, `[]`, `null`, `{"Count":0}`, `{"Items":[]}x`, `{"Items":null}`, `{"Count":1,"Items":[]}`, `{"Count":0,"Count":0,"Items":[]}`,
	`{"Items":[],"New":1}`, `{"Items":[null],"Count":1}`, `{"Items":[{}],"Count":1}`, `{"Items":[],"Count":1e0}`, `{"Items":[],"Count":01}`,
	`{"Items":[],"Count":99999999999}`, `{"Items":[],"LastEvaluatedKey":{"a":{"N":"1"}}}`, `{"Items":[],"LastEvaluatedKey":{"a":null}}`,
	`{"Items":[],"ConsumedCapacity":null}`, `{"Items":[],"ConsumedCapacity":{"CapacityUnits":"x"}}`, `{"Items":[],"ConsumedCapacity":{"Table":{}}}`,
	string(answerOf(itemOf(`{"S":"\ud800"}`))), string(answerOf(itemOf(`{"S":1}`))), string(answerOf(itemOf(`{}`))), string(answerOf(itemOf(`null`))),
	string(answerOf(itemOf("{\"S\":\"\xff\"}"))), string(answerOf(itemOf(`{"S":"a","N":"1"}`))), string(answerOf(itemOf(`{"X":"a"}`))),
	string(answerOf(itemOf(`{"N":"1"}`))), string(answerOf(itemOf(`{"B":"!"}`))), string(answerOf(itemOf(`{"B":"AAEC"}`))), string(answerOf(itemOf(`{"B":"KLUv/QQAYQAAe30="}`))),
	string(answerOf(itemOf(`{"M":{"a":{"N":"1"},"a":{"N":"2"}}}`))), string(answerOf(itemOf(`{"M":{"b":{"N":"1"},"a":{"N":"1"},"b":{"N":"2"}}}`))),
	string(answerOf(itemOf(`{"M":{"\u0061":{"N":"1"}}}`))), string(answerOf(itemOf(`{"M":{"a":{"N":"x"}}}`))), string(answerOf(itemOf(`{"M":{"a":{"NULL":false}}}`))),
	string(answerOf(itemOf(`{"M":{"a":null}}`))), string(answerOf(itemOf(`{"M":null}`))), string(answerOf(itemOf(`{"M":` + strings.Repeat(`{"a":{"M":`, 40) + `{}` + strings.Repeat(`}}`, 40) + `}`))),
	string(answerOf(`{"partitionKey":{"S":"h"},"eventId":{"N":"1"}}`)), string(answerOf(`{"partitionKey":{"S":"h"},"partitionKey":{"S":"h"},"eventId":{"S":"1"}}`)),
	string(answerOf(`{"partitionKey":{"S":"h"},"eventId":{"S":"1"},"other":{"SS":[1]}}`)), string(answerOf(`{"partitionKey":{"S":"h"}}`)),
}

func TestTheCodecReadsWhatTheSDKReads(t *testing.T) {
	table := new(stub).table()
	for _, body := range usualAnswers {
		require.True(t, agreeOnAnswer(t, table, []byte(body)), "the codec leaves this to the SDK:\n%s", body)
	}
	for _, body := range unusualAnswers {
		require.False(t, agreeOnAnswer(t, table, []byte(body)), "the codec reads this:\n%s", body)
	}
	// Cut anywhere, an answer is nobody's.
	for _, body := range usualAnswers {
		for n := range len(strings.TrimSpace(body)) {
			require.False(t, agreeOnAnswer(t, table, []byte(body[:n])), body[:n])
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, body := range append(usualAnswers, unusualAnswers...) {
		f.Add([]byte(body))
	}
	table := new(stub).table()
	f.Fuzz(func(t *testing.T, body []byte) { agreeOnAnswer(t, table, body) })
}

// Real events, in every form: none of them may be left to the SDK.
func TestTheCodecReadsRealEvents(t *testing.T) {
	sample, err := os.ReadFile("../testdata/events.ndjson")
	require.NoError(t, err)
	for name, opts := range map[string][]Option{"S": nil, "M": {AsMap()}, "B": {WithCompression(1)}} {
		t.Run(name, func(t *testing.T) {
			table := new(stub).table(opts...)
			var items []string
			for line := range bytes.Lines(sample) {
				e, err := mes.Parse(bytes.TrimSpace(line))
				require.NoError(t, err)
				stored, _, err := table.encode(&driver.Item{HashKey: "h", RangeKey: e.ID, Event: e.Raw, Type: e.Type, Timestamp: e.Timestamp, TTL: 1})
				require.NoError(t, err)
				items = append(items, wireOf(t, stored))
			}
			require.True(t, agreeOnAnswer(t, table, answerOf(items...)))
		})
	}
}

// wireOf has the SDK write an item.
func wireOf(t testing.TB, item attributes) string {
	t.Helper()
	client := new(stub).client()
	request := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	schema := smithy.NewOperationSchema(schemas.PutItem, schemas.PutItemInput, schemas.PutItemOutput)
	input := &dynamodb.PutItemInput{Item: item, TableName: aws.String("t")}
	require.NoError(t, client.Options().Protocol.SerializeRequest(context.Background(), schema, input, request))
	var sent struct{ Item json.RawMessage }
	require.NoError(t, json.NewDecoder(request.GetStream()).Decode(&sent))
	return string(sent.Item)
}

func TestCodecs(t *testing.T) {
	s := &stub{answer: func(c call) (*http.Response, error) {
		if c.operation == "Query" {
			return pageOf("", "a", "b"), nil
		}
		return success(c)
	}}
	traced := s.client().Options()
	traced.APIOptions = append(traced.APIOptions, func(*middleware.Stack) error { return nil })
	intercepted := s.client().Options()
	intercepted.Interceptors.AddBeforeExecution(idle{})
	for name, test := range map[string]struct {
		client API
		opts   []Option
		own    bool
	}{
		"by default":               {s.client(), nil, true},
		"switched off":             {s.client(), []Option{WithCodec(CodecSDK)}, false},
		"another client":           {struct{ API }{s.client()}, nil, false},
		"another client, insist":   {struct{ API }{s.client()}, []Option{WithCodec(CodecOwn)}, true},
		"middleware":               {dynamodb.New(traced), nil, false},
		"middleware, insist":       {dynamodb.New(traced), []Option{WithCodec(CodecOwn)}, true},
		"interceptors":             {dynamodb.New(intercepted), nil, false},
		"options do not get there": {deaf{s.client()}, []Option{WithCodec(CodecOwn)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			table := New(test.client, "events", test.opts...)
			page, err := table.Query(t.Context(), driver.Query{HashKey: "h"})
			require.NoError(t, err)
			require.Len(t, page.Items, 2)
			counts := table.CodecCounts()
			require.Equal(t, test.own, counts.OwnAnswers == 1)
			require.Equal(t, test.own, counts.SDKAnswers == 0)
		})
	}
	require.Error(t, s.table(WithCodec(9)).wrong)
}

type idle struct{}

func (idle) BeforeExecution(context.Context, *smithyhttp.InterceptorContext) error { return nil }

// deaf does not pass on the options it is given.
type deaf struct{ API }

func (d deaf) Query(ctx context.Context, input *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return d.API.Query(ctx, input)
}

// Whoever takes the room for an answer gives it back: only a Query that we read ourselves.
func TestOnlyQueriesTakeTheRoomForAnswers(t *testing.T) {
	table := new(stub).table()
	failed := table.caller.attempt(t.Context(), "Query", func(_ context.Context, opt func(*dynamodb.Options)) error {
		var o dynamodb.Options
		opt(&o)
		require.Nil(t, o.HTTPClient.(*link).bodies)
		codec := queryCodec{layout: &table.layout, bodies: table.caller.bodies}
		codec.install(&o)
		require.Same(t, table.caller.bodies, o.HTTPClient.(*link).bodies)
		return nil
	})
	require.Nil(t, failed)
}
