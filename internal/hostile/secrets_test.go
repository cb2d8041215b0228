package hostile

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/kinesispublisher"
	"github.com/microeventstore/microeventstore/lambdahandler"
	"github.com/microeventstore/microeventstore/rules"
	"github.com/microeventstore/microeventstore/runner"
)

// canary stands in every payload, key, id, tag and credential of this file, and in
// nothing else.
const canary = "CANARY"

// An aviary listens for canaries in all that is said.
type aviary struct {
	t    *testing.T
	log  *slog.Logger
	mu   sync.Mutex
	said int
}

func newAviary(t *testing.T) *aviary {
	a := &aviary{t: t}
	a.log = slog.New(slog.NewTextHandler(a, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return a
}

// Write implements io.Writer, of a log.
func (a *aviary) Write(line []byte) (int, error) {
	a.hear("a log", string(line))
	return len(line), nil
}

// Logf is the SDK's way to log.
func (a *aviary) Logf(_ logging.Classification, format string, args ...any) {
	a.hear("the SDK's log", fmt.Sprintf(format, args...))
}

func (a *aviary) hear(where, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said++
	if strings.Contains(text, canary) {
		a.t.Errorf("in %s: %s", where, text)
	}
}

// err looks at an error, and at what it is made of as %+v shows it.
func (a *aviary) err(where string, err error) {
	if err != nil {
		a.hear(where, err.Error())
		a.hear(where, fmt.Sprintf("%+v", err))
	}
}

// badPayloads are wrong in every way, and one is right.
func badPayloads() [][]byte {
	long := strings.Repeat(canary, 400)
	texts := []string{
		`{"id":"CANARY-1","type":"t","timestamp":1700000000000,"partitionKey":"CANARY","tags":{"user":"CANARY"},"text":"CANARY"}`,
		`{"id":"CANARY-1","type":"t","timestamp":1700000000000,"partitionKey":"CANARY`,
		`CANARY`, `"CANARY"`, `["CANARY"]`, `{"CANARY":CANARY}`, `{"id":"\uCANARY"}`, "{\"id\":\"CANARY\x00\"}",
		`{"id":{"CANARY":1},"type":"t","timestamp":1700000000000,"partitionKey":"CANARY"}`,
		`{"id":"CANARY-2","type":"t","timestamp":"CANARY","partitionKey":"CANARY"}`,
		`{"id":"CANARY-3","type":"t","partitionKey":"CANARY"}`,
		`{"id":"CANARY-4","type":"t","timestamp":1700000000000,"text":"CANARY"}`,
		`{"id":"CANARY-5","type":"t","timestamp":1700000000000,"partitionKey":["CANARY"]}`,
		"{\"id\":\"CANARY-6\",\"type\":\"t\",\"timestamp\":1700000000000,\"partitionKey\":\"CANARY\xff\"}",
		`{"id":"` + long + `","type":"t","timestamp":1700000000000,"partitionKey":"CANARY"}`,
		`{"id":"CANARY-7","type":"t","timestamp":1700000000000,"partitionKey":"` + long + `"}`,
		`{"id":"CANARY-8","type":"t","timestamp":1700000000000,"partitionKey":"CANARY","text":"` + strings.Repeat(canary, 70_000) + `"}`,
		`{"specversion":"1.0","id":"CANARY","source":"","type":"CANARY"}`,
		`{"specversion":"1.0","id":"CANARY","source":"CANARY","type":"CANARY","time":"CANARY","data_base64":"CANARY*"}`,
		"\x1f\x8b\x08CANARY", "\x28\xb5\x2f\xfdCANARY", "\xf3\x89\x9a\xc2CANARYCANARYCANARYCANARY",
		`{"a":"COMPRESSEDCANARY","id":"CANARY"}`,
	}
	payloads := make([][]byte, len(texts))
	for i, text := range texts {
		payloads[i] = []byte(text)
	}
	return payloads
}

// faultsOf are what the table makes of the calls; the first is nothing.
func faultsOf() map[string]fakedynamodb.Fault {
	return map[string]fakedynamodb.Fault{
		"none": fakedynamodb.None(), "throttled": fakedynamodb.Throttle(), "denied": fakedynamodb.AccessDenied(),
		"internal error": fakedynamodb.InternalError(), "reset": fakedynamodb.ResetAfter(), "cut": fakedynamodb.CutBody(150),
		"altered": fakedynamodb.AlterBody(nil, fakedynamodb.CRCOfOriginal), "hangs": fakedynamodb.Hang(), "empty": fakedynamodb.EmptyBody(),
		"another body": fakedynamodb.AlterBody(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"S"`), []byte(`"CANARY"`)) }, fakedynamodb.CRCOfAltered),
		"unprocessed":  fakedynamodb.Unprocessed(func(int) bool { return true }),
	}
}

// Whatever goes wrong, wherever: no payload, no key and no credential is in what the
// library says about it.
func TestPromise20NothingIsTold(t *testing.T) {
	for name, fault := range faultsOf() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAviary(t)
				server := fakedynamodb.New()
				require.NoError(t, dynamostore.Provision(t.Context(), server.Client(), "events"))
				require.NoError(t, runner.ProvisionLeases(t.Context(), server.Client(), "leases"))
				client := dynamodb.New(dynamodb.Options{
					HTTPClient: server.HTTPClient(), Region: "eu-west-1", Logger: a,
					Credentials: credentials.NewStaticCredentialsProvider("CANARYKEY", "CANARY-SECRET", "CANARY-TOKEN"),
				})
				calls := 0
				server.Inject(func(fakedynamodb.Call) fakedynamodb.Fault {
					if calls++; calls%5 == 0 {
						return fakedynamodb.None()
					}
					return fault
				})
				a.everything(dynamostore.New(client, "events", dynamostore.WithMaxAttempts(2)), runner.WithLeases(client, "leases"))
				require.NotZero(t, a.said)
			})
		})
	}
}

func TestPromise20NothingIsToldOfAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAviary(t)
		file, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"), boltstore.WithLogger(a.log), boltstore.WithSweepInterval(0))
		require.NoError(t, err)
		a.everything(file)
		require.NoError(t, file.Close())
		a.everything(file) // closed
		require.NotZero(t, a.said)
	})
}

// everything does everything with a table that the library can do.
func (a *aviary) everything(table driver.Table, opts ...runner.Option) {
	ctx, cancel := context.WithTimeout(a.t.Context(), 10*time.Minute)
	defer cancel()
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()), mes.WithLogger(a.log), mes.WithHashKey(mes.PartitionKey(), mes.Prefix("u#", mes.Tag("user"))))
	require.NoError(a.t, err)
	a.core(ctx, store)

	set, err := faults.NewStore(table, mes.WithLogger(a.log))
	require.NoError(a.t, err)
	aside := faults.Save(set, "source")
	refuse := func(ctx context.Context, f mes.Fault) error {
		a.err("a fault", f.Err)
		err := aside(ctx, f)
		a.err("what becomes of a fault", err)
		return err
	}
	publisher := kinesispublisher.New(broken{}, "stream", kinesispublisher.WithMaxAttempts(2))
	evaluator, err := rules.New(store, publisher, []rules.Rule{{ID: "rule", Emit: rules.Copy("copied")}}, rules.WithSource("source"))
	require.NoError(a.t, err)
	for _, handler := range []*mes.Trigger{
		evaluator.Trigger(mes.WithFaultHandler(refuse)),
		mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { panic(canary) }),
		mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return mes.Permanent(errors.New("no")) }, mes.WithFaultHandler(refuse), mes.Coalesce()),
		mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return nil }, mes.WithWindow(mes.MaxEvents(1), mes.MaxBytes(10))),
	} {
		a.trigger(ctx, handler, opts)
	}
	listener := mes.NewListener(store, nil, mes.WithFaultHandler(refuse))
	a.listener(ctx, listener, opts)
	a.listener(ctx, mes.NewListener(store, func(mes.Event) bool { panic(canary) }), opts)
	list, err := set.GetMicroEventStore(ctx, faults.HashKey("source"))
	a.err("the read of faults", err)
	if err == nil {
		for _, e := range list.Events {
			text, _ := e.Field("fault.error")
			a.hear("a fault event's error", string(text))
		}
		a.err("resubmit", faults.Resubmit(ctx, listener, evaluator.Trigger(), list.Events...))
	}
}

func (a *aviary) core(ctx context.Context, store *mes.Store) {
	var events []mes.Event
	for _, payload := range badPayloads() {
		e, err := mes.Parse(payload)
		a.err("parse", err)
		_, err = mes.DecodeAs[map[string]int](e)
		a.err("decode", err)
		events = append(events, e)
		a.err("save of one", store.Save(ctx, e))
	}
	a.err("save", store.Save(ctx, events...))
	for _, key := range []string{canary, canary + "\xff", strings.Repeat(canary, 400), ""} {
		_, err := store.GetMicroEventStore(ctx, key, mes.MaxBytes(10))
		a.err("read", err)
		_, err = store.GetMicroEventStore(ctx, key, mes.After(canary+"\xff"), mes.Before(canary))
		a.err("read of a range", err)
		for _, err := range store.Events(ctx, key) {
			a.err("events", err)
		}
	}
	a.err("delete", store.Delete(ctx, "u#"+canary))
}

func (a *aviary) listener(ctx context.Context, listener *mes.Listener, opts []runner.Option) {
	var records []mes.Record
	var kinesisBatch, sqs, sns []string
	for i, payload := range badPayloads() {
		records = append(records, mes.Record{Data: payload, Meta: mes.Meta{Shard: "1", SequenceNumber: fmt.Sprint(i + 1), PartitionKey: canary}})
		quoted, err := json.Marshal(string(payload))
		require.NoError(a.t, err)
		kinesisBatch = append(kinesisBatch, fmt.Sprintf(`{"eventSource":"aws:kinesis","eventID":"shardId-000000000000:%d","kinesis":{"partitionKey":"CANARY","sequenceNumber":"%d","data":%q}}`,
			i+1, i+1, base64.StdEncoding.EncodeToString(payload)))
		sqs = append(sqs, fmt.Sprintf(`{"eventSource":"aws:sqs","messageId":"%d","body":%s}`, i+1, quoted))
		sns = append(sns, fmt.Sprintf(`{"EventSource":"aws:sns","Sns":{"MessageId":"%d","Message":%s}}`, i+1, quoted))
		a.invoke(ctx, "EventBridge", lambdahandler.EventBridge(listener, lambdahandler.WithLogger(a.log)), string(payload))
		a.invoke(ctx, "Kinesis", lambdahandler.Kinesis(listener, lambdahandler.WithLogger(a.log)), string(payload))
	}
	kinesisBatch = append(kinesisBatch, `{"eventSource":"aws:kinesis","eventID":"shardId-000000000000:99","kinesis":{"partitionKey":"CANARY","sequenceNumber":"99","data":"CANARY*"}}`)
	a.err("listener", listener.Handle(ctx, records))
	a.invoke(ctx, "Kinesis", lambdahandler.Kinesis(listener, lambdahandler.WithLogger(a.log)), `{"Records":[`+strings.Join(kinesisBatch, ",")+`]}`)
	a.invoke(ctx, "SQS", lambdahandler.SQS(listener, lambdahandler.WithLogger(a.log)), `{"Records":[`+strings.Join(sqs, ",")+`]}`)
	a.invoke(ctx, "SNS", lambdahandler.SNS(listener, lambdahandler.WithLogger(a.log)), `{"Records":[`+strings.Join(sns, ",")+`]}`)
	run, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	a.err("runner.Listen", runner.Listen(run, recordSource(records), listener, append(opts, runner.WithLogger(a.log))...))
}

func (a *aviary) trigger(ctx context.Context, trigger *mes.Trigger, opts []runner.Option) {
	const rangeKey = "0001700000000000#CANARY-1"
	var changes []mes.Change
	var records []string
	for i, image := range []string{
		`{"partitionKey":{"S":"CANARY"},"eventId":{"S":"0001700000000000#CANARY-1"},"event":{"S":"{\"id\":\"CANARY\""}}`,
		`{"partitionKey":{"S":"CANARY"},"eventId":{"S":"0001700000000000#CANARY-1"},"event":{"B":"CANARY"}}`,
		`{"partitionKey":{"N":"CANARY"},"eventId":{"S":"0001700000000000#CANARY-1"},"event":{"CANARY":"CANARY"}}`,
		`{"CANARY":CANARY}`, `"CANARY"`,
	} {
		changes = append(changes, mes.Change{Kind: mes.Inserted, HashKey: canary, RangeKey: rangeKey, Meta: mes.Meta{Shard: "1", SequenceNumber: fmt.Sprint(i + 1)}})
		records = append(records, fmt.Sprintf(`{"eventSource":"aws:dynamodb","eventName":"INSERT","dynamodb":{"SequenceNumber":"%d","Keys":{"partitionKey":{"S":"CANARY"},"eventId":{"S":%q}},"NewImage":%s}}`, i+1, rangeKey, image))
		a.invoke(ctx, "DynamoDB", lambdahandler.DynamoDB(trigger, lambdahandler.WithLogger(a.log)), `{"Records":[`+records[i]+`]}`)
	}
	changes[1].HashKey, changes[2].RangeKey = canary+"\xff", strings.Repeat(canary, 400)
	a.invoke(ctx, "DynamoDB", lambdahandler.DynamoDB(trigger, lambdahandler.WithLogger(a.log)), `{"Records":[`+strings.Join(records[:3], ",")+`]}`)
	a.err("trigger", trigger.Handle(ctx, changes))
	a.err("refire", trigger.Refire(ctx, canary, canary+"\xff"))
	run, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	a.err("runner.Trigger", runner.Trigger(run, changeSource(changes), trigger, append(opts, runner.WithLogger(a.log))...))
}

func (a *aviary) invoke(ctx context.Context, where string, handler interface {
	Invoke(context.Context, []byte) ([]byte, error)
}, payload string) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	answer, err := handler.Invoke(ctx, []byte(payload))
	a.err(where, err)
	a.hear(where+"'s answer", string(answer))
}

// broken is a Kinesis whose answers quote what it was given.
type broken struct{}

// PutRecords implements kinesispublisher.API.
func (broken) PutRecords(context.Context, *kinesis.PutRecordsInput, ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	return &kinesis.PutRecordsOutput{}, nil
}

type recordSource []mes.Record

// Shards implements mes.RecordSource.
func (recordSource) Shards(context.Context) ([]mes.Shard, error) {
	return []mes.Shard{{ID: "1"}}, nil
}

// ReadRecords implements mes.RecordSource.
func (s recordSource) ReadRecords(_ context.Context, _ string, after mes.Position, _ int) ([]mes.Record, bool, error) {
	if after.SequenceNumber != "" {
		return nil, false, nil
	}
	return s, false, nil
}

type changeSource []mes.Change

// Shards implements mes.ChangeSource.
func (changeSource) Shards(context.Context) ([]mes.Shard, error) {
	return []mes.Shard{{ID: "1"}}, nil
}

// ReadChanges implements mes.ChangeSource.
func (s changeSource) ReadChanges(_ context.Context, _ string, after mes.Position, _ int) ([]mes.Change, bool, error) {
	if after.SequenceNumber != "" {
		return nil, false, nil
	}
	return s, false, nil
}
