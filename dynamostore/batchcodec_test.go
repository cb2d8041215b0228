package dynamostore

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/schemas"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// sdkWrites has the SDK write a batch.
func sdkWrites(t testing.TB, table string, items ...attributes) []byte {
	t.Helper()
	requests := make([]types.WriteRequest, len(items))
	for i := range items {
		requests[i].PutRequest = &types.PutRequest{Item: items[i]}
	}
	client := new(stub).client()
	request := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	schema := smithy.NewOperationSchema(schemas.BatchWriteItem, schemas.BatchWriteItemInput, schemas.BatchWriteItemOutput)
	input := &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: requests}, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal}
	require.NoError(t, client.Options().Protocol.SerializeRequest(context.Background(), schema, input, request))
	body, err := io.ReadAll(request.GetStream())
	require.NoError(t, err)
	return body
}

// The order of a map's members is the SDK's to choose; everything else is not.
type sentBatch struct {
	RequestItems map[string][]struct {
		PutRequest struct{ Item map[string]json.RawMessage }
	}
	ReturnConsumedCapacity string
}

// agreeOnItem holds the request that the codec writes for an item to the SDK's. It
// reports whether the codec has written it.
func agreeOnItem(t testing.TB, table *Table, item *driver.Item) bool {
	t.Helper()
	writer := itemWriter{layout: &table.layout}
	body, size, ok := writer.put(nil, item)
	want, _, err := table.encode(item)
	if !ok {
		return false
	}
	require.NoError(t, err, "the codec writes what is refused otherwise")
	require.Equal(t, itemSize(want), size)
	chunk := []write{{item: item, writer: &requestWriter{text: body}, end: len(body)}}
	codec := table.batchCodec(chunk)
	var got, sdk sentBatch
	strict(t, codec.body, &got)
	strict(t, sdkWrites(t, table.name, want), &sdk)
	require.Equal(t, sdk.ReturnConsumedCapacity, got.ReturnConsumedCapacity)
	require.Len(t, got.RequestItems[table.name], 1)
	ours, theirs := got.RequestItems[table.name][0].PutRequest.Item, sdk.RequestItems[table.name][0].PutRequest.Item
	require.Len(t, ours, len(theirs))
	for name, value := range theirs {
		if table.layout.asMap && name == table.layout.names.Event {
			require.JSONEq(t, string(value), string(ours[name]))
			continue
		}
		require.Equal(t, string(value), string(ours[name]), name)
	}
	return true
}

func strict(t testing.TB, body []byte, to any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(to), "%q", body)
}

func TestTheCodecWritesWhatTheSDKWrites(t *testing.T) {
	long := `{"text":"` + strings.Repeat("abc", 500) + `"}`
	for _, test := range []struct {
		item              driver.Item
		text, asMap, pack bool
	}{
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{}`)}, true, true, true},
		{driver.Item{HashKey: "h\"é\u2028\n\x7f<", RangeKey: "r\x01\\", Event: []byte("{\"a\":\"\u2028<>&\x7f é\"}"), Type: "t\u2029\"", Timestamp: time.UnixMilli(-5), TTL: 1_800_000_000}, true, true, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"b":[1,-2.50,1e3,"x\"\u00e9\/",true,false,null,[],{}],"a":{"b":{"c":123456789012345678901234567890}}}`)}, true, true, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(" {\n\"a\" : [ 1 , 2 ] , \"b\" : { \"c\" : \"d\" } } ")}, true, true, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(long)}, true, true, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(``)}, true, false, true},
		// What is left to the SDK.
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte("{\"a\":\"\xff\"}")}, false, false, false},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"a":1,"a":2}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"a":"\ud800"}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"":1}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"\u0061":1}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"a":1234567890123456789012345678901234567891}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"a":1e200}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33))}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`[1]`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"a":tru}`)}, true, false, true},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(`{"a":1}x`)}, true, false, true},
		{driver.Item{HashKey: "", RangeKey: "r", Event: []byte(`{}`)}, false, false, false},
		{driver.Item{HashKey: "h", RangeKey: "r", Event: make([]byte, driver.MaxItemSize)}, false, false, true},
	} {
		require.Equal(t, test.text, agreeOnItem(t, new(stub).table(), &test.item), "%.99q", test.item.Event)
		require.Equal(t, test.asMap, agreeOnItem(t, new(stub).table(AsMap()), &test.item), "%.99q", test.item.Event)
		if len(test.item.Event) < driver.MaxItemSize {
			require.Equal(t, test.pack, agreeOnItem(t, new(stub).table(WithCompression(1)), &test.item), "%.99q", test.item.Event)
		}
	}
}

func TestTheCodecWritesRealEvents(t *testing.T) {
	sample, err := os.ReadFile("../testdata/events.ndjson")
	require.NoError(t, err)
	for _, opts := range [][]Option{nil, {AsMap()}, {WithCompression(1)}} {
		for line := range bytes.Lines(sample) {
			e, err := mes.Parse(bytes.TrimSpace(line))
			require.NoError(t, err)
			item := driver.Item{HashKey: "h", RangeKey: e.ID, Event: e.Raw, Type: e.Type, Timestamp: e.Timestamp, TTL: 1}
			require.True(t, agreeOnItem(t, new(stub).table(opts...), &item))
		}
	}
}

func FuzzWriteItem(f *testing.F) {
	f.Add("h", "r", []byte(`{"b":[1,-2.50,1e3,"x\"\u00e9\/",true,false,null,[],{}],"a":{"b":{"c":1}}}`), "t", int64(5))
	f.Add("h\n", "r\"", []byte(`{"a":1,"a":2}`), "", int64(0))
	f.Add("h", "r", []byte("{\"a\":\"\u2028\x7f\"}"), "\xff", int64(-5))
	text, asMap, packed := new(stub).table(), new(stub).table(AsMap()), new(stub).table(WithCompression(1))
	f.Fuzz(func(t *testing.T, hashKey, rangeKey string, event []byte, typ string, ttl int64) {
		item := driver.Item{HashKey: hashKey, RangeKey: rangeKey, Event: event, Type: typ, TTL: ttl}
		agreeOnItem(t, text, &item)
		agreeOnItem(t, asMap, &item)
		agreeOnItem(t, packed, &item)
	})
}

// The stand-in never reaches a server: where the codec is not reached, the SDK
// writes the request.
func TestAStandInIsNeverSent(t *testing.T) {
	meddle := func(f func(*dynamodb.BatchWriteItemInput) any) func(*middleware.Stack) error {
		return func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meddle", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if input, ok := in.Parameters.(*dynamodb.BatchWriteItemInput); ok {
					in.Parameters = f(input)
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
		}
	}
	with := func(client *dynamodb.Client, option func(*middleware.Stack) error) API {
		o := client.Options()
		o.APIOptions = append(o.APIOptions, option)
		return dynamodb.New(o)
	}
	for name, client := range map[string]func(*dynamodb.Client) API{
		"deaf": func(c *dynamodb.Client) API { return deafWriter{c} },
		"another input": func(c *dynamodb.Client) API {
			return with(c, meddle(func(in *dynamodb.BatchWriteItemInput) any { other := *in; return &other }))
		},
		"a longer input": func(c *dynamodb.Client) API {
			return with(c, meddle(func(in *dynamodb.BatchWriteItemInput) any {
				for _, requests := range in.RequestItems {
					for _, request := range requests {
						request.PutRequest.Item["extra"] = text("x")
					}
				}
				return in
			}))
		},
		"another serializer": func(c *dynamodb.Client) API {
			return with(c, func(stack *middleware.Stack) error {
				_, err := stack.Serialize.Swap("OperationSerializer", plainSerializer{c})
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			s := &stub{answer: func(c call) (*http.Response, error) {
				got, _ := keysOf(t, c.body)
				if len(got) == 1 && got[0] == "" {
					return refusal("ValidationException", "The provided key element does not match the schema"), nil
				}
				keys = append(keys, got...)
				return success(c)
			}}
			table := New(client(s.client()), "events", WithCodec(CodecOwn))
			require.NoError(t, table.Put(t.Context(), items(3)))
			require.NoError(t, table.Put(t.Context(), items(1)))
			require.Equal(t, []string{"secret-0000", "secret-0001", "secret-0002", "secret-0000"}, keys)
			require.Equal(t, CodecCounts{SDKRequests: 2}, table.CodecCounts())
		})
	}
	s := &stub{answer: success}
	table := s.table()
	require.NoError(t, table.Put(t.Context(), items(60)))
	require.Equal(t, CodecCounts{OwnRequests: 3}, table.CodecCounts())
}

// deafWriter does not pass on the options it is given.
type deafWriter struct{ API }

func (d deafWriter) BatchWriteItem(ctx context.Context, input *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	return d.API.BatchWriteItem(ctx, input)
}

// plainSerializer is the SDK's, of the client's own protocol.
type plainSerializer struct{ client *dynamodb.Client }

func (plainSerializer) ID() string { return "OperationSerializer" }

func (p plainSerializer) HandleSerialize(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
	schema := smithy.NewOperationSchema(schemas.BatchWriteItem, schemas.BatchWriteItemInput, schemas.BatchWriteItemOutput)
	err := p.client.Options().Protocol.SerializeRequest(ctx, schema, in.Parameters.(smithy.Serializable), in.Request.(*smithyhttp.Request))
	if err != nil {
		return middleware.SerializeOutput{}, middleware.Metadata{}, err
	}
	return next.HandleSerialize(ctx, in)
}
