package lambdahandler

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func mustEncode(v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encoded
}

func sorted(texts []string) []string {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return texts
}

// aggregate makes an aggregate of the Kinesis Producer Library.
func aggregate(parts ...string) []byte {
	message := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "p")
	for _, part := range parts {
		record := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		record = protowire.AppendString(protowire.AppendTag(record, 3, protowire.BytesType), part)
		message = protowire.AppendBytes(protowire.AppendTag(message, 3, protowire.BytesType), record)
	}
	sum := md5.Sum(message)
	return slices.Concat([]byte("\xf3\x89\x9a\xc2"), message, sum[:])
}

// samples are the payloads that aws-lambda-go tests itself with: see
// testdata/README.md.
func samples(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	found := make(map[string][]byte)
	for _, name := range names {
		payload, err := os.ReadFile(name)
		require.NoError(t, err)
		found[filepath.Base(name)] = payload
	}
	return found
}

// Those of Kinesis are in internal/lambdaways.
func TestBothWaysAgreeOnTheSamples(t *testing.T) {
	for name, payload := range samples(t, "dynamodb-*.json") {
		var typed events.DynamoDBEvent
		var untyped, other calls
		got, err := DynamoDB(mes.NewTrigger(stored(t, "1"), untyped.handle)).Invoke(t.Context(), payload)
		if json.Unmarshal(payload, &typed) != nil { // one is malformed on purpose
			require.Error(t, err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Len(t, identifiers(t, got), 1, "%s has other keys", name)
		response, err := DynamoDB(mes.NewTrigger(stored(t, "1"), other.handle)).Handle(t.Context(), typed)
		require.NoError(t, err)
		require.JSONEq(t, string(stateless(got)), string(mustEncode(response)))
	}
}

// stateless takes the state of a tumbling window out of a response, which only Invoke
// knows of.
func stateless(response []byte) []byte {
	if _, is := jsonscan.Member(response, "state"); !is {
		return response
	}
	failures, _ := jsonscan.Member(response, "batchItemFailures")
	return fmt.Appendf(nil, `{"batchItemFailures":%s}`, failures)
}

func FuzzDynamoDB(f *testing.F) {
	for _, payload := range samples(f, "dynamodb-*.json") {
		f.Add(payload)
	}
	f.Add([]byte(dynamoPayload(inserted(f, "k", "1"), row{name: "REMOVE", keys: image(f, "k", "1", ""), old: image(f, "k", "1", eventJSON("1", "k")), identity: `{"type":"Service","principalId":"dynamodb.amazonaws.com"}`})))
	f.Add(mustEncode(kinesisOfTable(inserted(f, "k", "1"), row{name: "MODIFY", keys: image(f, "j", "1", "")})))
	store := stored(f, "1")
	f.Add([]byte(dynamoPayload(row{name: "INSERT", keys: image(f, "k", "1", ""), new: `{"partitionKey":{"S":"k"},"eventId":{"S":"1"},"event":{"M":{"id":{"S":"1"}}}}`, old: `null`},
		row{name: "MODIFY", keys: image(f, "k", "2", ""), new: `{"partitionKey":{"S":"k"}}`, old: `{"partitionKey":{"S":"k"},"eventId":{"S":"1"},"event":{"B":"AAEC"}}`})))
	f.Fuzz(func(t *testing.T, payload []byte) {
		agreeOnChanges(t, store, payload)
		var c calls
		h := DynamoDB(mes.NewTrigger(store, c.handle, mes.OnKinds(mes.Inserted, mes.Modified, mes.Removed)), OnlyThisRegion())
		response, err := h.Invoke(t.Context(), payload)
		checkAnswer(t, payload, response, err)

		// What package events makes of it may be odder still.
		var typed events.DynamoDBEvent
		if json.Unmarshal(payload, &typed) == nil {
			answer, err := h.Handle(t.Context(), typed)
			checkAnswer(t, payload, mustEncode(answer), err)
		}
	})
}

// agreeOnChanges holds what is made of images on the way through a payload to what is
// made of each by itself, and what is made of records with a mould to what is made of
// them without one. It returns how many have fitted it.
func agreeOnChanges(t testing.TB, store *mes.Store, payload []byte) (fitted int) {
	t.Helper()
	images, ok := store.Table().(driver.ImageScanner)
	require.True(t, ok)
	type result struct {
		change    mes.Change
		err, text string
	}
	var results [4][]result
	var errs [4]error
	var windows [4]window
	for way := range 4 {
		c := newChanger(store, images, 0)
		if way&1 != 0 {
			c.scan = images.NewImageScanner()
		}
		r := newDynamoReader(payload, c)
		if way&2 != 0 {
			r.mould = misfit()
		}
		var s stream
		if s, errs[way] = r.read(&windows[way]); errs[way] != nil {
			continue
		}
		if n, _ := r.mould.Counts(); way == 1 {
			fitted = n
		}
		records := s.records
		for i, change := range s.changes {
			var err error
			if len(records) > 0 && records[0].change == i {
				if err = records[0].err; !records[0].complete {
					err = c.complete(&change, &records[0], [2]*decodedImage{})
				}
				records = records[1:]
			} else {
				require.NotZero(t, way&1, "nothing was scanned")
			}
			r := result{change: change, err: fmt.Sprint(err), text: fmt.Sprint(change.Err)}
			r.change.Err = nil
			results[way] = append(results[way], r)
		}
		require.Empty(t, records)
	}
	for way := range 4 {
		require.Equal(t, errs[0], errs[way])
		require.Equal(t, results[0], results[way])
		require.Equal(t, windows[0], windows[way])
	}
	return fitted
}

// checkAnswer sees that an answer is one that Lambda takes.
func checkAnswer(t testing.TB, payload, response []byte, err error) {
	if err != nil {
		return
	}
	if !json.Valid(payload) {
		t.Fatal("what is no JSON was acknowledged")
	}
	if ids := identifiers(t, response); len(ids) > 1 {
		t.Fatalf("%d identifiers", len(ids))
	}
}

// The payloads of all services, in all handlers: none panics.
func TestPromise10AnyPayloadAnyHandler(t *testing.T) {
	listener := mes.NewListener(newStore(t, memorytable.New()), nil)
	payloads := samples(t, "*.json")
	payloads["nothing"] = nil
	for name, payload := range payloads {
		for _, h := range []interface {
			Invoke(context.Context, []byte) ([]byte, error)
		}{Kinesis(listener), SQS(listener), SNS(listener), EventBridge(listener), DynamoDB(mes.NewTrigger(stored(t, "1"), new(calls).handle))} {
			_, err := h.Invoke(t.Context(), payload)
			if payload == nil {
				require.Error(t, err, name)
			}
		}
	}
}
