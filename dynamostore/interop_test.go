package dynamostore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/lambdahandler"
	"github.com/microeventstore/microeventstore/runner"
)

// These tests share a table with programs in JavaScript that use what is in the
// field: the AWS SDK's DocumentClient, and the npm package aws-lambda-stream. The
// programs are in .ci/servers/javascript.

// javascript runs one of the programs. input and output are their JSON.
func javascript(t *testing.T, program, command, table string, input, output any) {
	t.Helper()
	text, err := json.Marshal(input)
	require.NoError(t, err)
	node := exec.CommandContext(t.Context(), "node", program+".js", command, table)
	node.Dir = os.Getenv("MES_JAVASCRIPT")
	node.Env = os.Environ()
	if endpoint := os.Getenv("MES_DYNAMODB_ENDPOINT"); endpoint != "aws" {
		node.Env = append(node.Env, "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=SECRET")
	}
	node.Stdin = bytes.NewReader(text)
	var stderr bytes.Buffer
	node.Stderr = &stderr
	printed, err := node.Output()
	require.NoError(t, err, "%s %s: %s", program, command, &stderr)
	require.NoError(t, json.Unmarshal(printed, output), "%s %s: %s", program, command, printed)
}

// newInteropServer skips a test where there is nothing to share a table with.
func newInteropServer(t *testing.T) server {
	t.Helper()
	if os.Getenv("MES_DYNAMODB_ENDPOINT") == "" || os.Getenv("MES_JAVASCRIPT") == "" {
		t.Skip("it needs a server and Node: make integration")
	}
	_, err := os.Stat(filepath.Join(os.Getenv("MES_JAVASCRIPT"), "node_modules"))
	require.NoError(t, err)
	return newServer(t)
}

// rows returns all items that are in a table under some keys.
func rows(t testing.TB, s server, table, name string, keys ...string) (list []attributes) {
	for _, key := range keys {
		output, err := s.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &table, KeyConditionExpression: aws.String("#k = :k"),
			ExpressionAttributeNames: map[string]string{"#k": name}, ExpressionAttributeValues: attributes{":k": text(key)},
		})
		require.NoError(t, err)
		list = append(list, output.Items...)
	}
	return list
}

// A streamRow is a record of a table's stream, as Lambda delivers it.
type streamRow map[string]any

// streamOf makes the records that a table's stream has of new items.
func streamOf(t testing.TB, hash, rng string, items []attributes) map[string]any {
	records := []streamRow{}
	for i, item := range items {
		records = append(records, streamRow{
			"eventID": fmt.Sprintf("change-%d", i), "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
			"dynamodb": map[string]any{
				"ApproximateCreationDateTime": time.Now().Unix(), "SequenceNumber": fmt.Sprint(i + 1), "StreamViewType": "NEW_AND_OLD_IMAGES",
				"Keys":     json.RawMessage(imageOf(t, attributes{hash: item[hash], rng: item[rng]})),
				"NewImage": json.RawMessage(imageOf(t, item)),
			},
		})
	}
	return map[string]any{"Records": records}
}

// histories collects what a trigger is given, by hash key: first in Lambda, then,
// where the server has streams, in a container that reads the table's own.
func (s server) histories(t testing.TB, store *mes.Store, table string, stream map[string]any) map[string][]string {
	var mu sync.Mutex
	got := make(map[string][]string)
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		mu.Lock()
		defer mu.Unlock()
		got[m.HashKey] = ids(m.Events)
		return nil
	})
	payload, err := json.Marshal(stream)
	require.NoError(t, err)
	response, err := lambdahandler.DynamoDB(trigger).Invoke(t.Context(), payload)
	require.NoError(t, err)
	require.JSONEq(t, `{"batchItemFailures":[]}`, string(response))
	if s.dynalite {
		return got
	}
	lambda := got
	got = make(map[string][]string)
	streams := dynamodbstreams.New(dynamodbstreams.Options{
		Region: s.Options().Region, BaseEndpoint: s.Options().BaseEndpoint, Credentials: s.Options().Credentials, HTTPClient: s.Options().HTTPClient,
	})
	require.NoError(t, runner.Trigger(t.Context(), runner.DynamoDBStream(streams, table), trigger, runner.UntilCaughtUp()))
	for key, want := range lambda {
		require.Equal(t, want, got[key])
	}
	return lambda
}

// interopEvents has what JavaScript and JSON have.
func interopEvents(t testing.TB) []mes.Event {
	var events []mes.Event
	for i := range 6 {
		e, err := mes.Parse([]byte(fmt.Sprintf(`{ "id":"e%d","type":"thing-created","timestamp":%d,"partitionKey":"order-%d","tags":{"group":"g%d"},
			"thing":{"n":[0,-1.5,1e-7,9007199254740991],"t":true,"f":false,"z":null,"s":"é😀\n\"\\ <&>","empty":"","list":[],"map":{},"deep":[[{"a":[{}]}]]}}`,
			i, time.Now().UnixMilli()+int64(i), i%2, i%3)))
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

func raws(events []mes.Event) (list []json.RawMessage) {
	for _, e := range events {
		list = append(list, e.Raw)
	}
	return list
}

// sameValues compares events by value: maps keep no more.
func sameValues(t testing.TB, want, got []json.RawMessage) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.JSONEq(t, string(want[i]), string(got[i]))
	}
}

func TestIntegrationInteropWithTheRecipe(t *testing.T) {
	s := newInteropServer(t)
	table, name := s.table(t, AsMap())
	store := newStore(t, table, mes.WithRangeKey(mes.EventID())) // the recipe's
	events := interopEvents(t)
	pick := func(numbers ...int) (list []mes.Event) {
		for _, n := range numbers {
			list = append(list, events[n])
		}
		return list
	}

	// JavaScript writes: Go reads and triggers, and with text as its own form, too.
	var saved int
	javascript(t, "recipe", "listener", name, raws(pick(0, 1, 2)), &saved)
	require.Equal(t, 3, saved)
	for _, store := range []*mes.Store{store, newStore(t, New(s.Client, name), mes.WithRangeKey(mes.EventID()))} {
		m, err := store.GetMicroEventStore(t.Context(), "order-0")
		require.NoError(t, err)
		sameValues(t, raws(pick(0, 2)), raws(m.Events))
		require.Equal(t, events[2].Timestamp, m.Events[1].Timestamp)
		stream := streamOf(t, "partitionKey", "eventId", rows(t, s, name, "partitionKey", "order-0", "order-1"))
		require.Equal(t, map[string][]string{"order-0": {"e0", "e2"}, "order-1": {"e1"}}, s.histories(t, store, name, stream))
	}

	// Go writes: JavaScript reads and triggers.
	require.NoError(t, store.Save(t.Context(), pick(3, 4, 5)...))
	var stores [][]json.RawMessage
	stream := streamOf(t, "partitionKey", "eventId", rows(t, s, name, "partitionKey", "order-0", "order-1"))
	javascript(t, "recipe", "trigger", name, stream, &stores)
	require.Len(t, stores, 6)
	for i := range stores {
		want := pick(0, 2, 4)
		if i >= 3 {
			want = pick(1, 3, 5)
		}
		sameValues(t, raws(want), stores[i])
	}

	// Whichever of the two writes an event again, nothing changes but the copies
	// that stand beside it.
	before := rows(t, s, name, "partitionKey", "order-0")
	require.NoError(t, store.Save(t.Context(), pick(4)...))
	require.Equal(t, before, rows(t, s, name, "partitionKey", "order-0"))
}

func TestIntegrationInteropWithLambdaStream(t *testing.T) {
	s := newInteropServer(t)
	table, name := s.table(t, LambdaStreamLayout(), WithExpire(""))
	store, err := mes.New(table, mes.WithTTL(mes.ExpireAfter(3650*24*time.Hour)))
	require.NoError(t, err)
	events := interopEvents(t)
	var javascripts, gos []mes.Event
	var records []mes.Record
	kinesis := []map[string]any{}
	for i, e := range events {
		number := fmt.Sprintf("4959033827149025660855969253836157109592157598913658%04d", i)
		if i%2 == 0 { // half of each key's
			javascripts = append(javascripts, e)
			kinesis = append(kinesis, map[string]any{"eventSource": "aws:kinesis", "eventID": "shardId-000000000000:" + number,
				"kinesis": map[string]any{"sequenceNumber": number, "data": base64.StdEncoding.EncodeToString(e.Raw)}})
			continue
		}
		gos = append(gos, e)
		records = append(records, mes.Record{Data: e.Raw, Meta: mes.Meta{SequenceNumber: number}})
	}
	all := []string{"e0", "e1", "e2", "e3", "e4", "e5"}

	// Two listeners beside each other.
	var published []json.RawMessage
	javascript(t, "stream", "listener", name, map[string]any{"Records": kinesis}, &published)
	require.Zero(t, len(published), "faults")
	require.NoError(t, mes.NewListener(store, nil).Handle(t.Context(), records))

	// Their items differ in the region alone, which only one of them writes, and in
	// how a millisecond is rounded to a second.
	items := rows(t, s, name, "pk", all...)
	require.Len(t, items, 6)
	for i, item := range items {
		delete(item, "awsregion")
		theirs, err := integerOf(item["ttl"])
		require.NoError(t, err)
		require.InDelta(t, events[i].Timestamp.Add(3650*24*time.Hour).Unix(), theirs, 1)
		ours, err := table.layout.encode(&driver.Item{
			HashKey: events[i].PartitionKey, RangeKey: streamKey(events[i].ID, events[i].Timestamp), ID: events[i].ID, Complete: true,
			Timestamp: events[i].Timestamp, Event: events[i].Raw, TTL: theirs,
			SequenceNumber: fmt.Sprintf("4959033827149025660855969253836157109592157598913658%04d", i),
		})
		require.NoError(t, err)
		require.Equal(t, len(ours), len(item))
		for attribute, value := range ours {
			require.True(t, equalValues(value, item[attribute]), "%s of %s", attribute, events[i].ID)
		}
	}

	// Go reads and triggers for all of them.
	for key, want := range map[string][]mes.Event{"order-0": javascripts, "order-1": gos} {
		m, err := store.GetMicroEventStore(t.Context(), key)
		require.NoError(t, err)
		sameValues(t, raws(want), raws(m.Events))
	}
	stream := streamOf(t, "pk", "sk", items)
	require.Equal(t, map[string][]string{"order-0": {"e0", "e2", "e4"}, "order-1": {"e1", "e3", "e5"}}, s.histories(t, store, name, stream))

	// JavaScript correlates and evaluates all of them.
	type higherOrder struct {
		ID, Type, PartitionKey string
		Read                   []string
		Fired                  json.RawMessage
	}
	var emitted []higherOrder
	javascript(t, "stream", "trigger", name, stream, &emitted)
	got := make(map[string][]string)
	for _, e := range emitted {
		require.Equal(t, "collected", e.Type, "%+v", e)
		got[e.PartitionKey] = e.Read
	}
	require.Len(t, emitted, 6)
	require.Equal(t, map[string][]string{"order-0": {"e0", "e2", "e4"}, "order-1": {"e1", "e3", "e5"}}, got)

	// What it has correlated Go reads and triggers for, and so does it.
	correlated := rows(t, s, name, "pk", "g0.grouped", "g1.grouped", "g2.grouped")
	require.Len(t, correlated, 6)
	stream = streamOf(t, "pk", "sk", correlated)
	groups := map[string][]string{"g0.grouped": {"e0", "e3"}, "g1.grouped": {"e1", "e4"}, "g2.grouped": {"e2", "e5"}}
	require.Equal(t, groups, s.histories(t, store, name, stream))
	emitted = nil
	javascript(t, "stream", "trigger", name, stream, &emitted)
	got = make(map[string][]string)
	for _, e := range emitted {
		require.Equal(t, "correlated", e.Type, "%+v", e)
		got[e.PartitionKey+".grouped"] = e.Read
	}
	require.Equal(t, groups, got)

	// What Go has marked to expire, JavaScript emits when DynamoDB deletes it.
	removal := streamOf(t, "pk", "sk", items[1:2])
	record := removal["Records"].([]streamRow)[0]["dynamodb"].(map[string]any)
	removal["Records"].([]streamRow)[0]["eventName"] = "REMOVE"
	record["OldImage"] = record["NewImage"]
	delete(record, "NewImage")
	record["ApproximateCreationDateTime"] = time.Now().Add(4000 * 24 * time.Hour).Unix()
	emitted = nil
	javascript(t, "stream", "trigger", name, removal, &emitted)
	require.Len(t, emitted, 1)
	require.Equal(t, "thing-created-expired", emitted[0].Type)

	// Erasure takes what both have written.
	require.NoError(t, store.Delete(t.Context(), "order-1"))
	require.NoError(t, store.Delete(t.Context(), "g0.grouped"))
	left := rows(t, s, name, "pk", append(slices.Clone(all), "g0.grouped", "g1.grouped")...)
	require.Len(t, left, 3+2)
	require.False(t, slices.ContainsFunc(left, func(item attributes) bool {
		pk, _ := stringOf(item["pk"])
		return strings.HasPrefix(pk, "g0") || pk == "e1"
	}))
}

func integerOf(value types.AttributeValue) (int64, error) {
	n, ok := integer(value)
	if !ok {
		return 0, fmt.Errorf("%T is no number", value)
	}
	return n, nil
}
