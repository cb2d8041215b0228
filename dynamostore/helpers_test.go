package dynamostore

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// TestMain proves promise 21 for every test of the package.
func TestMain(m *testing.M) {
	// A hundred random runs take long where each step crosses the SDK.
	_ = flag.Set("rapid.checks", "20")
	goleak.VerifyTestMain(iampolicy.Suite{Tests: m, Check: allTargets.check}) // parses the flags
}

// A stub is a server without a network: it answers the requests of a real SDK
// client.
type stub struct {
	answer func(c call) (*http.Response, error)

	mu    sync.Mutex
	calls []call
}

type call struct {
	n         int // from 0
	operation string
	body      []byte
	ctx       context.Context
}

func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	allTargets.note(r)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	s.mu.Lock()
	c := call{n: len(s.calls), operation: operation, body: body, ctx: r.Context()}
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return s.answer(c)
}

func (s *stub) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *stub) client() *dynamodb.Client {
	return clientOf("http://stub.invalid", &http.Client{Transport: s})
}

// clientOf returns an SDK client of a server; client is nil for the SDK's own.
func clientOf(address string, client dynamodb.HTTPClient) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "eu-west-1",
		BaseEndpoint: &address,
		Credentials:  credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		HTTPClient:   client,
	})
}

func (s *stub) table(opts ...Option) *Table { return New(s.client(), "events", opts...) }

func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode:    status,
		Header:        http.Header{"X-Amz-Crc32": {strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10)}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

func refusal(code, message string) *http.Response {
	text, _ := json.Marshal(message)
	return answer(400, fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":%s}`, code, text))
}

// success is what DynamoDB answers when all went well and there is nothing there.
func success(c call) (*http.Response, error) {
	switch c.operation {
	case "BatchWriteItem":
		return answer(200, `{"ConsumedCapacity":[{"CapacityUnits":1,"TableName":"events"}],"UnprocessedItems":{}}`), nil
	case "PutItem":
		return answer(200, `{"ConsumedCapacity":{"CapacityUnits":1,"TableName":"events"}}`), nil
	case "Query":
		return answer(200, `{"ConsumedCapacity":{"CapacityUnits":1,"TableName":"events"},"Count":0,"Items":[],"ScannedCount":0}`), nil
	}
	return nil, fmt.Errorf("no answer to %s", c.operation)
}

// batch is the part of a BatchWriteItem that the tests look at.
type batch struct {
	RequestItems map[string][]json.RawMessage
}

// keysOf returns the range keys of the items of a BatchWriteItem.
func keysOf(t testing.TB, body []byte) (keys []string, requests map[string]json.RawMessage) {
	var b batch
	require.NoError(t, json.Unmarshal(body, &b))
	requests = map[string]json.RawMessage{}
	for _, raw := range b.RequestItems["events"] {
		var request struct {
			PutRequest struct {
				Item struct{ EventID struct{ S string } }
			}
			DeleteRequest struct {
				Key struct{ EventID struct{ S string } }
			}
		}
		require.NoError(t, json.Unmarshal(raw, &request))
		key := request.PutRequest.Item.EventID.S + request.DeleteRequest.Key.EventID.S
		keys = append(keys, key)
		requests[key] = raw
	}
	return keys, requests
}

// unprocessed answers a BatchWriteItem that left some of its requests.
func unprocessed(requests ...json.RawMessage) *http.Response {
	body, _ := json.Marshal(map[string]any{
		"ConsumedCapacity": []any{map[string]any{"CapacityUnits": 1, "TableName": "events"}},
		"UnprocessedItems": map[string]any{"events": requests},
	})
	return answer(200, string(body))
}

func items(n int) []driver.Item {
	list := make([]driver.Item, n)
	for i := range list {
		list[i] = driver.Item{HashKey: "secret-hash", RangeKey: fmt.Sprintf("secret-%04d", i), Event: []byte(`{"secret":1}`)}
	}
	return list
}

// cut is a body that breaks off.
func cut(r *http.Response) *http.Response {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	return r
}

func altered(r *http.Response) *http.Response {
	body, _ := io.ReadAll(r.Body)
	body = bytes.Replace(body, []byte("1"), []byte("2"), 1)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

// newFakeClient returns a client of a DynamoDB in this process.
func newFakeClient() *dynamodb.Client {
	server := fakedynamodb.New()
	return server.Client(func(o *dynamodb.Options) { o.HTTPClient = &http.Client{Transport: allTargets.watch(server)} })
}

// withoutOutline holds the event that a store makes by an item's outline to what it
// makes of the event's bytes, and takes the outline away.
func withoutOutline(t testing.TB, table *Table, item driver.Item) driver.Item {
	t.Helper()
	if item.Outline == nil {
		return item
	}
	store, err := mes.New(table)
	require.NoError(t, err)
	got, gotErr := store.DecodeItem(item)
	item.Outline = nil
	want, wantErr := store.DecodeItem(item)
	require.Equal(t, wantErr, gotErr, "%q", item.Event)
	require.Equal(t, want, got, "%q", item.Event)
	return item
}
