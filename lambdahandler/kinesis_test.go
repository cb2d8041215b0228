package lambdahandler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// The values are what lambda.Start takes.
var (
	_ lambda.Handler = (*KinesisHandler)(nil)
	_ lambda.Handler = (*DynamoDBHandler)(nil)
	_ lambda.Handler = (*SQSHandler)(nil)
	_ lambda.Handler = (*SNSHandler)(nil)
	_ lambda.Handler = (*EventBridgeHandler)(nil)
)

// both invokes both ways and sees to it that they say the same.
func both(t testing.TB, make func() *KinesisHandler, event events.KinesisEvent) ([]string, error) {
	t.Helper()
	response, err := make().Invoke(t.Context(), encode(t, event))
	typed, typedErr := make().Handle(t.Context(), event)
	if err != nil {
		require.Error(t, typedErr)
		require.Equal(t, err.Error(), typedErr.Error())
		return nil, err
	}
	require.NoError(t, typedErr)
	require.JSONEq(t, string(encode(t, typed)), string(response))
	return identifiers(t, response), nil
}

func TestKinesisSaves(t *testing.T) {
	store := newStore(t, memorytable.New())
	var seen []mes.Meta
	filter := func(e mes.Event) bool {
		seen = append(seen, e.Meta)
		return e.Type != "other"
	}
	response, err := Kinesis(mes.NewListener(store, filter)).Invoke(t.Context(), encode(t, kinesisEvent(event("1", "thing", "k"), event("2", "other", "k"), event("3", "thing", "k"))))
	require.NoError(t, err)
	require.Equal(t, `{"batchItemFailures":[]}`, string(response))
	require.Equal(t, []string{"1", "3"}, saved(t, store, "k"))
	require.Equal(t, mes.Meta{
		Stream: streamARN, Shard: "shardId-000000000006", SequenceNumber: sequence(1),
		Arrived: time.UnixMilli(1545084650987).UTC(), PartitionKey: "1", Region: "eu-west-1",
	}, roundedArrival(seen[0]))
}

// roundedArrival takes away what a float64 of seconds adds to a time.
func roundedArrival(meta mes.Meta) mes.Meta {
	meta.Arrived = meta.Arrived.Round(time.Millisecond)
	return meta
}

func TestPromise08TheLowestUnfinishedDecides(t *testing.T) {
	for name, test := range map[string]struct {
		sequences []string
		failing   []int
		want      string
	}{
		"none":                      {[]string{"1", "2"}, nil, ""},
		"the first":                 {[]string{"1", "2"}, []int{0}, "1"},
		"two":                       {[]string{"1", "2", "3"}, []int{1, 2}, "2"},
		"numbers, not strings":      {[]string{"9", "10", "11"}, []int{0, 1}, "9"},
		"numbers, the other way":    {[]string{"100", "20", "3"}, []int{0, 1}, "20"},
		"leading zeros":             {[]string{"0010", "9"}, []int{0, 1}, "9"},
		"not in order":              {[]string{"5", "1", "3"}, []int{0, 2}, "3"},
		"56 digits":                 {[]string{sequence(2), sequence(1), sequence(3)}, []int{0, 2}, sequence(2)},
		"longer than 128 bits even": {[]string{"1" + sequence(0) + sequence(0), sequence(0)}, []int{0, 1}, sequence(0)},
	} {
		t.Run(name, func(t *testing.T) {
			var event events.KinesisEvent
			keys := make([]string, len(test.sequences))
			for i, number := range test.sequences {
				keys[i] = "key" + number
				event.Records = append(event.Records, kinesisRecord(number, []byte(eventJSON(number, keys[i]))))
			}
			var bad []string
			for _, i := range test.failing {
				bad = append(bad, keys[i])
			}
			got, err := both(t, func() *KinesisHandler {
				return Kinesis(mes.NewListener(newStore(t, memorytable.NewWith(failing(bad...))), nil))
			}, event)
			require.NoError(t, err)
			want := []string{}
			if test.want != "" {
				want = append(want, test.want)
			}
			require.Equal(t, want, got)
		})
	}
}

func eventJSON(id, key string) string { return event(id, "thing", key) }

// Where no answer can be right the invocation fails, and everything comes again.
func TestPromise08NoAnswerIsBetterThanAWrongOne(t *testing.T) {
	good := kinesisEvent(eventJSON("1", "good"), eventJSON("2", "bad"))
	noSequence := kinesisEvent(eventJSON("1", "good"), eventJSON("2", "good"))
	noSequence.Records[1].Kinesis.SequenceNumber = ""
	notDecimal := kinesisEvent(eventJSON("1", "good"), eventJSON("2", "bad"))
	notDecimal.Records[1].Kinesis.SequenceNumber = "LATEST"
	mixed := kinesisEvent(eventJSON("1", "good"), eventJSON("2", "bad"))
	mixed.Records[0].EventID = "shardId-000000000007:1"
	streams := kinesisEvent(eventJSON("1", "good"), eventJSON("2", "bad"))
	streams.Records[0].EventSourceArn += "2"
	for name, test := range map[string]struct {
		event events.KinesisEvent
		opts  []ListenerOption
		says  string
	}{
		"the whole batch":    {good, []ListenerOption{WholeBatch()}, "1 of 2 records"},
		"no sequence number": {noSequence, nil, "no sequence number"},
		"no decimal number":  {notDecimal, nil, "no answer"},
		"two shards":         {mixed, nil, "several shards"},
		"two streams":        {streams, nil, "several shards"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t, memorytable.NewWith(failing("bad")))
			_, err := both(t, func() *KinesisHandler { return Kinesis(mes.NewListener(store, nil), test.opts...) }, test.event)
			require.ErrorContains(t, err, test.says)
			require.Equal(t, []string{"1"}, saved(t, store, "good"), "what can be done is done")
		})
	}
	t.Run("mixed shards that are done", func(t *testing.T) {
		got, err := both(t, func() *KinesisHandler { return Kinesis(mes.NewListener(newStore(t, memorytable.New()), nil)) }, mixed)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}

func TestTheWrongPayloadIsAnError(t *testing.T) {
	h := Kinesis(mes.NewListener(newStore(t, memorytable.New()), nil))
	for _, payload := range []string{``, `{`, `null`, `[]`, `"x"`, `{}`, `{"Records":null}`, `{"Records":{}}`, `{"Records":[]`, `{"Records":[]} x`, `{"Records":[null]}`, `{"Records":[1]}`, `{"Records":[{}]}`, `{"Records":[{"dynamodb":{"SequenceNumber":"1"}}]}`, `{"Records":[{"Sns":{"Message":"{}"}}]}`} {
		_, err := h.Invoke(t.Context(), []byte(payload))
		require.Error(t, err, payload)
	}
	_, err := h.Handle(t.Context(), events.KinesisEvent{})
	require.Error(t, err)
	got, err := h.Invoke(t.Context(), []byte(` {"Records":[], "isFinalInvokeForWindow":true} `))
	require.NoError(t, err)
	require.Equal(t, `{"batchItemFailures":[]}`, string(got))
}

func TestPromise09APoisonRecordHarmsNobody(t *testing.T) {
	payload := string(encode(t, kinesisEvent(eventJSON("1", "k"), "POISON", eventJSON("3", "k"))))
	field := `"data":"UE9JU09O"`
	require.Contains(t, payload, field)
	for name, poison := range map[string]string{
		"no JSON":      field,
		"no base64":    `"data":"%%%"`,
		"cut base64":   `"data":"e30"`,
		"no string":    `"data":{"a":[1]}`,
		"a number":     `"data":5`,
		"null":         `"data":null`,
		"missing":      `"date":"e30="`,
		"empty":        `"data":""`,
		"no key":       `"data":"eyJpZCI6IjEiLCJ0eXBlIjoidCJ9"`,
		"KPL, cut":     `"data":"84maww=="`,
		"gzip, cut":    `"data":"H4sIAA=="`,
		"zstd, cut":    `"data":"KLUv/QA="`,
		"wrong values": `"data":"%","partitionKey":7,"approximateArrivalTimestamp":"x","encryptionType":[]`,
	} {
		t.Run(name, func(t *testing.T) {
			payload := strings.Replace(payload, field, poison, 1)
			store := newStore(t, memorytable.New())
			got, err := Kinesis(mes.NewListener(store, nil)).Invoke(t.Context(), []byte(payload))
			require.NoError(t, err)
			require.Equal(t, []string{sequence(2)}, identifiers(t, got), "without a fault handler it is not dropped")
			require.Equal(t, []string{"1", "3"}, saved(t, store, "k"))

			var set faultSink
			store = newStore(t, memorytable.New())
			got, err = Kinesis(mes.NewListener(store, nil, mes.WithFaultHandler(set.handle))).Invoke(t.Context(), []byte(payload))
			require.NoError(t, err)
			require.Empty(t, identifiers(t, got))
			require.Equal(t, []string{"1", "3"}, saved(t, store, "k"))
			require.Len(t, set.all, 1)
			require.Equal(t, sequence(2), set.all[0].Record.Meta.SequenceNumber)
		})
	}
}

func TestPromise09WhatTheRecordHasNotCausedIsNoFault(t *testing.T) {
	var set faultSink
	store := newStore(t, memorytable.NewWith(memorytable.Options{OnPut: func(context.Context, []driver.Item) error { return errTransient }}))
	got, err := Kinesis(mes.NewListener(store, nil, mes.WithFaultHandler(set.handle))).Invoke(t.Context(), encode(t, kinesisEvent(eventJSON("1", "k"), eventJSON("2", "k"))))
	require.NoError(t, err)
	require.Equal(t, []string{sequence(1)}, identifiers(t, got))
	require.Empty(t, set.all)
}

// A record is acknowledged once it is stored, filtered out, too old to be kept, or
// accepted by the fault handler; and for no other reason.
func TestPromise01WhatIsAcknowledged(t *testing.T) {
	const at = `{"id":"1","type":"thing","timestamp":%d,"partitionKey":"k"}`
	accept := func(context.Context, mes.Fault) error { return nil }
	refuse := func(context.Context, mes.Fault) error { return errTransient }
	for name, test := range map[string]struct {
		data  string
		fault mes.FaultHandler
		put   error
		done  bool
	}{
		"stored":              {fmt.Sprintf(at, time.Now().UnixMilli()), nil, nil, true},
		"not stored":          {fmt.Sprintf(at, time.Now().UnixMilli()), accept, errTransient, false},
		"filtered out":        {`{"id":"1","type":"other"}`, nil, errTransient, true},
		"too old to be kept":  {fmt.Sprintf(at, 1), nil, errTransient, true},
		"a fault, accepted":   {"poison", accept, nil, true},
		"a fault, refused":    {"poison", refuse, nil, false},
		"a fault, no handler": {"poison", nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			table := memorytable.NewWith(memorytable.Options{OnPut: func(context.Context, []driver.Item) error { return test.put }})
			store, err := mes.New(table)
			require.NoError(t, err)
			got, err := Kinesis(mes.NewListener(store, mes.Types("thing"), mes.WithFaultHandler(test.fault))).Invoke(t.Context(), encode(t, kinesisEvent(test.data)))
			require.NoError(t, err)
			require.Equal(t, test.done, len(identifiers(t, got)) == 0)
			require.Equal(t, name == "stored", table.Len() == 1)
		})
	}
}

func TestPromise04DuplicatesInABatchAreOneWrite(t *testing.T) {
	table := memorytable.New()
	got, err := Kinesis(mes.NewListener(newStore(t, table), nil)).Invoke(t.Context(), encode(t, kinesisEvent(eventJSON("1", "k"), eventJSON("1", "k"), eventJSON("1", "k"))))
	require.NoError(t, err)
	require.Empty(t, identifiers(t, got))
	require.Len(t, table.Changes(), 1)

	got, err = Kinesis(mes.NewListener(newStore(t, memorytable.NewWith(failing("k"))), nil)).Invoke(t.Context(), encode(t, kinesisEvent(eventJSON("0", "j"), eventJSON("1", "k"), eventJSON("1", "k"))))
	require.NoError(t, err)
	require.Equal(t, []string{sequence(2)}, identifiers(t, got), "reported at the first")
}

// A wrong option, listener or table is said in every answer, and nothing is done.
func TestWrongOptions(t *testing.T) {
	listener := mes.NewListener(newStore(t, memorytable.New()), nil)
	for says, h := range map[string]lambda.Handler{
		"listener is nil":                     Kinesis(nil),
		"option 0 is nil":                     Kinesis(listener, nil),
		"is negative":                         Kinesis(listener, WithDeadlineMargin(-1)),
		"SQS":                                 SQS(nil),
		"SNS":                                 SNS(nil),
		"EventBridge":                         EventBridge(nil, WithDeadlineMargin(-1)),
		"trigger is nil":                      DynamoDB(nil),
		"store is nil":                        DynamoDB(mes.NewTrigger(nil, nil)),
		"1 is nil":                            Kinesis(mes.NewListener(newStore(t, memorytable.New()), nil, mes.WithFaultHandler(nil), nil)),
		"handler is nil":                      DynamoDB(mes.NewTrigger(newStore(t, newImageTable()), nil)),
		"listener is empty":                   SQS(new(mes.Listener)),
		"trigger is empty":                    DynamoDB(new(mes.Trigger)),
		"new listener":                        SNS(mes.NewListener(nil, nil)),
		"handler is empty":                    new(KinesisHandler),
		"is empty: Kinesis":                   new(DynamoDBHandler),
		"the handler is empty: K":             new(SQSHandler),
		"lambdahandler: the handler is empty": new(SNSHandler),
		"the like make one":                   new(EventBridgeHandler),
		"ImageDecoder":                        DynamoDB(mes.NewTrigger(newStore(t, memorytable.New()), func(context.Context, *mes.MicroEventStore) error { return nil })),
	} {
		_, err := h.Invoke(t.Context(), []byte(`{"Records":[]}`))
		require.ErrorContains(t, err, says)
	}
	_, err := Kinesis(nil).Handle(t.Context(), events.KinesisEvent{})
	require.Error(t, err)
	_, err = DynamoDB(nil).Handle(t.Context(), events.DynamoDBEvent{})
	require.Error(t, err)
	_, err = DynamoDB(nil).HandleKinesis(t.Context(), events.KinesisEvent{})
	require.Error(t, err)
}

// Whoever calls a handler by hand may forget the context.
func TestPromise10NoContextIsAnError(t *testing.T) {
	listener := mes.NewListener(newStore(t, memorytable.New()), nil)
	for _, h := range []lambda.Handler{Kinesis(listener), SQS(listener), SNS(listener), EventBridge(listener), DynamoDB(mes.NewTrigger(stored(t), new(calls).handle))} {
		_, err := h.Invoke(nil, []byte(`{"Records":[]}`)) //nolint:staticcheck // that is what is tested
		require.ErrorContains(t, err, "context")
	}
}

func TestPromise12ItReturnsBeforeTheDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		timeout time.Duration
		opts    []ListenerOption
		want    time.Duration
	}{
		"a tenth":           {60 * time.Second, nil, 54 * time.Second},
		"at least 500 ms":   {2 * time.Second, nil, 1500 * time.Millisecond},
		"at most the half":  {600 * time.Millisecond, nil, 300 * time.Millisecond},
		"as it is set":      {10 * time.Second, []ListenerOption{WithDeadlineMargin(3 * time.Second)}, 7 * time.Second},
		"set to none":       {10 * time.Second, []ListenerOption{WithDeadlineMargin(0)}, 10 * time.Second},
		"no more than half": {10 * time.Second, []ListenerOption{WithDeadlineMargin(time.Minute)}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newStore(t, memorytable.NewWith(memorytable.Options{AfterPut: func(ctx context.Context, items []driver.Item) error {
					<-ctx.Done() // the service does not answer
					return &driver.PutError{Failures: []driver.PutFailure{{Index: len(items) - 1, Err: ctx.Err()}}}
				}}))
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				began := time.Now()
				got, err := Kinesis(mes.NewListener(store, nil), test.opts...).Invoke(ctx, encode(t, kinesisEvent(eventJSON("1", "k"), eventJSON("2", "k"))))
				require.Equal(t, test.want, time.Since(began))
				require.NoError(t, err)
				require.Equal(t, []string{sequence(2)}, identifiers(t, got), "the first is done")
				require.Contains(t, saved(t, store, "k"), "1")
			})
		})
	}
}

// Each of the handlers gives up a tenth of its time before Lambda does.
func TestPromise12EveryHandlerReturnsBeforeTheDeadline(t *testing.T) {
	hang := memorytable.Options{
		OnPut:   func(ctx context.Context, _ []driver.Item) error { <-ctx.Done(); return ctx.Err() },
		OnQuery: func(ctx context.Context, _ driver.Query) error { <-ctx.Done(); return ctx.Err() },
	}
	body := eventJSON("1", "k")
	for name, test := range map[string]struct {
		handler func(*mes.Store) lambda.Handler
		payload []byte
	}{
		"Kinesis":     {func(s *mes.Store) lambda.Handler { return Kinesis(mes.NewListener(s, nil), WholeBatch()) }, encode(t, kinesisEvent(body))},
		"SQS":         {func(s *mes.Store) lambda.Handler { return SQS(mes.NewListener(s, nil), WholeBatch()) }, encode(t, sqsEvent(queueARN, body))},
		"SNS":         {func(s *mes.Store) lambda.Handler { return SNS(mes.NewListener(s, nil)) }, encode(t, events.SNSEvent{Records: []events.SNSEventRecord{{SNS: events.SNSEntity{MessageID: "m", Message: body}}}})},
		"EventBridge": {func(s *mes.Store) lambda.Handler { return EventBridge(mes.NewListener(s, nil)) }, []byte(body)},
		"DynamoDB": {func(s *mes.Store) lambda.Handler {
			return DynamoDB(mes.NewTrigger(s, new(calls).handle), WholeBatch())
		}, []byte(dynamoPayload(inserted(t, "k", "1")))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				began := time.Now()
				_, err := test.handler(newStore(t, newImageTableWith(hang))).Invoke(ctx, test.payload)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 54*time.Second, time.Since(began))
			})
		})
	}
}

func TestPromise20FailuresAreLoggedWithoutTheirContent(t *testing.T) {
	var log strings.Builder
	store := newStore(t, memorytable.NewWith(failing("secret-key")))
	h := Kinesis(mes.NewListener(store, nil), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	_, err := h.Invoke(t.Context(), encode(t, kinesisEvent(eventJSON("1", "secret-key"), "secret-payload")))
	require.NoError(t, err)
	require.Contains(t, log.String(), "failed=2")
	require.Contains(t, log.String(), errTransient.Error())
	require.NotContains(t, log.String(), "secret")
	log.Reset()
	_, err = h.Invoke(t.Context(), encode(t, kinesisEvent(eventJSON("1", "k"))))
	require.NoError(t, err)
	require.Empty(t, log.String())

	_, err = Kinesis(mes.NewListener(store, nil), WholeBatch()).Invoke(t.Context(), encode(t, kinesisEvent("secret-payload")))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestPanicsAreFailures(t *testing.T) {
	store := newStore(t, memorytable.New(), mes.WithHashKey(func(e mes.Event) (string, error) {
		if e.ID == "2" {
			panic("by the user")
		}
		return e.PartitionKey, nil
	}))
	got, err := Kinesis(mes.NewListener(store, nil)).Invoke(t.Context(), encode(t, kinesisEvent(eventJSON("1", "k"), eventJSON("2", "k"), eventJSON("3", "k"))))
	require.NoError(t, err)
	require.Equal(t, []string{sequence(2)}, identifiers(t, got))
	require.Equal(t, []string{"1", "3"}, saved(t, store, "k"))
}

// Lambda shows a failed invocation, with its error; of a partial response it shows
// nothing.
func TestAListenerThatIsWrongFailsTheInvocation(t *testing.T) {
	event := kinesisEvent(eventJSON("1", "k"), eventJSON("2", "k"))
	for _, opts := range [][]ListenerOption{nil, {WholeBatch()}} {
		_, err := both(t, func() *KinesisHandler { return Kinesis(mes.NewListener(nil, nil), opts...) }, event)
		require.ErrorContains(t, err, "lambdahandler: Kinesis: new listener: the store is nil")
	}
	var unfinished *unfinishedError
	_, err := Kinesis(mes.NewListener(newStore(t, memorytable.New()), nil), WholeBatch()).Invoke(t.Context(), encode(t, kinesisEvent("poison")))
	require.True(t, errors.As(err, &unfinished))
}

// Lambda takes a response without a state for a failure if the mapping has a tumbling
// window.
func TestTheStateOfATumblingWindowComesBack(t *testing.T) {
	h := Kinesis(mes.NewListener(newStore(t, memorytable.New()), nil))
	record := string(encode(t, kinesisRecord(sequence(7), []byte("poison"))))
	for payload, want := range map[string]string{
		`{"Records":[],"window":{"start":"a"},"state":{"1":"x"},"isFinalInvokeForWindow":true}`: `{"state":{"1":"x"},"batchItemFailures":[]}`,
		`{"State":{"1":[{}]},"Window":{},"Records":[` + record + `]}`:                           `{"state":{"1":[{}]},"batchItemFailures":[{"itemIdentifier":"` + sequence(7) + `"}]}`,
		`{"Records":[],"window":{}}`:                `{"state":{},"batchItemFailures":[]}`,
		`{"Records":[],"window":{},"state":null}`:   `{"state":{},"batchItemFailures":[]}`,
		`{"Records":[],"window":null,"state":{}}`:   `{"batchItemFailures":[]}`,
		`{"Records":[],"state":{"secret":"state"}}`: `{"batchItemFailures":[]}`,
	} {
		got, err := h.Invoke(t.Context(), []byte(payload))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	for name, payload := range samples(t, "*-time-window-*.json") {
		var sample struct{ State json.RawMessage }
		require.NoError(t, json.Unmarshal(payload, &sample))
		var h lambda.Handler = Kinesis(mes.NewListener(newStore(t, memorytable.New()), nil))
		if strings.HasPrefix(name, "dynamodb") {
			h = DynamoDB(mes.NewTrigger(stored(t, "1"), new(calls).handle))
		}
		got, err := h.Invoke(t.Context(), payload)
		require.NoError(t, err)
		var response struct{ State json.RawMessage }
		require.NoError(t, json.Unmarshal(got, &response))
		require.JSONEq(t, string(sample.State), string(response.State), name)
	}
}

// What a payload may be besides the usual.
func TestOddPayloads(t *testing.T) {
	for name, payload := range map[string]string{
		"another order": `{"x":[1,{"Records":2}],"Records":[{"eventID":"s:1","unknown":{"kinesis":1},"kinesis":{"sequenceNumber":"1","data":"DATA"},"awsRegion":null}]}`,
		"white space":   "\n{ \"Records\" : [ {\t\"kinesis\" : { \"data\" : \"DATA\" , \"sequenceNumber\" : \"1\" } } ] }\n",
		"escapes":       `{"\u0052ecords":[{"kinesi\u0073":{"sequenceNumber":"\u0031","data":"ESCAPED"}}]}`,
		"another case":  `{"records":[{"KINESIS":{"SequenceNumber":"1","Data":"DATA"}}]}`,
		"not UTF-8":     "{\"Records\":[{\"kinesis\":{\"partitionKey\":\"\xff\",\"sequenceNumber\":\"1\",\"data\":\"DATA\"}}]}",
		"surrogate":     `{"Records":[{"kinesis":{"partitionKey":"\ud800","sequenceNumber":"1","data":"DATA"}}]}`,
		"new lines":     `{"Records":[{"kinesis":{"sequenceNumber":"1","data":"DATA\r\n"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			data := encode(t, []byte(eventJSON("1", "k")))
			data = data[1 : len(data)-1]
			payload = strings.ReplaceAll(payload, "DATA", string(data))
			payload = strings.ReplaceAll(payload, "ESCAPED", `\u0065`+string(data[1:]))
			store := newStore(t, memorytable.New())
			h := Kinesis(mes.NewListener(store, nil))
			got, err := h.Invoke(t.Context(), []byte(payload))
			require.NoError(t, err)
			require.Empty(t, identifiers(t, got))
			require.Equal(t, []string{"1"}, saved(t, store, "k"))

			var typed events.KinesisEvent
			require.NoError(t, json.Unmarshal([]byte(payload), &typed), "encoding/json reads it too")
			_, err = h.Handle(t.Context(), typed)
			require.NoError(t, err)
		})
	}
}
