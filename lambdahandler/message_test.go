package lambdahandler

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

const queueARN = "arn:aws:sqs:eu-west-1:123456789012:queue"

func sqsEvent(arn string, bodies ...string) events.SQSEvent {
	event := events.SQSEvent{Records: []events.SQSMessage{}}
	for i, body := range bodies {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: fmt.Sprintf("message-%d", i+1), Body: body, EventSourceARN: arn, AWSRegion: "eu-west-1",
			Attributes: map[string]string{"SentTimestamp": "1545082649183", "MessageGroupId": fmt.Sprint("group-", i%2)},
		})
	}
	return event
}

func TestSQSNamesEachMessage(t *testing.T) {
	event := sqsEvent(queueARN, eventJSON("1", "k"), eventJSON("2", "bad"), "poison", eventJSON("4", "k"), eventJSON("5", "k"))
	for arn, want := range map[string][]string{
		queueARN:           {"message-2", "message-3"},
		queueARN + ".fifo": {"message-2", "message-3", "message-4", "message-5"},
	} {
		for i := range event.Records {
			event.Records[i].EventSourceARN = arn
		}
		var arrived int64
		store := newStore(t, memorytable.NewWith(failing("bad")))
		h := SQS(mes.NewListener(store, func(e mes.Event) bool { arrived = e.Meta.Arrived.UnixMilli(); return true }))
		got, err := h.Invoke(t.Context(), encode(t, event))
		require.NoError(t, err)
		require.Equal(t, want, identifiers(t, got))
		require.Equal(t, []string{"1", "4", "5"}, saved(t, store, "k"))
		require.EqualValues(t, 1545082649183, arrived)
		typed, err := h.Handle(t.Context(), event)
		require.NoError(t, err)
		require.JSONEq(t, string(got), string(encode(t, typed)))
	}
	_, err := SQS(mes.NewListener(newStore(t, memorytable.NewWith(failing("bad"))), nil), WholeBatch()).Invoke(t.Context(), encode(t, event))
	require.ErrorContains(t, err, "2 of 5")

	for i := range event.Records {
		event.Records[i].EventSourceARN = queueARN
	}
	var set faultSink
	got, err := SQS(mes.NewListener(newStore(t, memorytable.New()), nil, mes.WithFaultHandler(set.handle))).Invoke(t.Context(), encode(t, event))
	require.NoError(t, err)
	require.Equal(t, `{"batchItemFailures":[]}`, string(got))
	require.Equal(t, []string{"poison"}, set.data)
	require.Equal(t, "message-3", set.all[0].Record.Meta.MessageID)

	var log strings.Builder
	_, err = SQS(mes.NewListener(newStore(t, memorytable.New()), nil), WithLogger(slog.New(slog.NewTextHandler(&log, nil)))).Invoke(t.Context(), encode(t, event))
	require.NoError(t, err)
	require.Contains(t, log.String(), "message message-3: decode")
}

func TestSQSUnwrapsWhatSNSWraps(t *testing.T) {
	inner := eventJSON("1", "k")
	for body, want := range map[string]bool{
		string(encode(t, map[string]string{"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": inner})): true,
		string(encode(t, map[string]string{"Type": "Notification", "MessageId": "m", "Message": inner})):                  false,
		string(encode(t, map[string]any{"Type": "Notification", "MessageId": 1, "TopicArn": "t", "Message": inner})):      false,
		inner: true,
	} {
		store := newStore(t, memorytable.New())
		got, err := SQS(mes.NewListener(store, nil)).Invoke(t.Context(), encode(t, sqsEvent(queueARN, body)))
		require.NoError(t, err)
		require.Equal(t, want, len(identifiers(t, got)) == 0, body)
		require.Equal(t, want, len(saved(t, store, "k")) == 1, body)
	}
}

func TestSQSWithoutAnIDSavesTheOthers(t *testing.T) {
	event := sqsEvent(queueARN, eventJSON("1", "k"), eventJSON("2", "k"))
	event.Records[0].MessageId = ""
	store := newStore(t, memorytable.New())
	h := SQS(mes.NewListener(store, nil))
	_, err := h.Invoke(t.Context(), encode(t, event))
	require.ErrorIs(t, err, errNoID)
	require.Equal(t, []string{"2"}, saved(t, store, "k"))
	for _, payload := range []string{`{`, `{}`, `[]`, `{"Records":[5]}`, `{"Records":[{"messageId":5,"body":"secret"}]}`, `{"Records":"secret"}`} {
		_, err := h.Invoke(t.Context(), []byte(payload))
		require.Error(t, err, payload)
		require.NotContains(t, err.Error(), "secret")
	}
}

// What nobody needs may be anything, and what is broken concerns its message alone.
func TestPromise09AnOddMessageIsOneFault(t *testing.T) {
	usual := string(encode(t, sqsEvent(queueARN, eventJSON("1", "k"), eventJSON("2", "k"), eventJSON("3", "k"))))
	for name, test := range map[string]struct{ old, with, fault string }{
		"a region":             {`"awsRegion":"eu-west-1"`, `"awsRegion":7`, ""},
		"an attribute":         {`"SentTimestamp":"1545082649183"`, `"SentTimestamp":"1545082649183","other":{"a":[1]}`, ""},
		"a numeric time":       {`"SentTimestamp":"1545082649183"`, `"SentTimestamp":1545082649183`, ""},
		"no attributes":        {`"attributes":{`, `"attributes":7,"x":{`, ""},
		"attributes of others": {`"messageAttributes":`, `"messageAttributes":7,"x":`, ""},
		"an MD5":               {`"md5OfBody":`, `"md5OfBody":7,"x":`, ""},
		"a body":               {string(encode(t, eventJSON("1", "k"))), `{"secret":7}`, `{"secret":7}`},
		"no body":              {string(encode(t, eventJSON("1", "k"))), `null`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			payload := strings.Replace(usual, test.old, test.with, 1)
			require.NotEqual(t, usual, payload)
			want := []string{"1", "2", "3"}
			var set faultSink
			if test.fault != "" || name == "no body" {
				want = want[1:]
			}
			store := newStore(t, memorytable.New())
			got, err := SQS(mes.NewListener(store, nil, mes.WithFaultHandler(set.handle))).Invoke(t.Context(), []byte(payload))
			require.NoError(t, err)
			require.Empty(t, identifiers(t, got))
			require.Equal(t, want, saved(t, store, "k"))
			require.Len(t, set.all, 3-len(want))
			got, err = SQS(mes.NewListener(store, nil)).Invoke(t.Context(), []byte(payload)) // nobody takes it
			require.NoError(t, err)
			require.Len(t, identifiers(t, got), 3-len(want))
			if len(set.all) > 0 {
				require.Equal(t, test.fault, set.data[0])
				require.Equal(t, "message-1", set.all[0].Record.Meta.MessageID)
				require.NotContains(t, set.all[0].Err.Error(), "secret")
			}
		})
	}
}

func TestPromise09AnOddNotificationIsOneFault(t *testing.T) {
	event := events.SNSEvent{}
	for _, id := range []string{"1", "2"} {
		event.Records = append(event.Records, events.SNSEventRecord{SNS: events.SNSEntity{MessageID: "m" + id, TopicArn: "arn:topic", Message: eventJSON(id, "k"), Timestamp: time.UnixMilli(1545084650987).UTC()}})
	}
	usual := string(encode(t, event))
	for name, test := range map[string]struct{ old, with, fault string }{
		"a time":       {`"Timestamp":"2018-12-17T22:10:50.987Z"`, `"Timestamp":"yesterday"`, ""},
		"an attribute": {`"MessageAttributes":null`, `"MessageAttributes":[7]`, ""},
		"a topic":      {`"TopicArn":"arn:topic"`, `"TopicArn":7`, ""},
		"a message":    {`"Message":` + string(encode(t, eventJSON("1", "k"))), `"Message":7`, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			payload := strings.Replace(usual, test.old, test.with, 1)
			require.NotEqual(t, usual, payload)
			var arrived []time.Time
			var set faultSink
			store := newStore(t, memorytable.New())
			h := SNS(mes.NewListener(store, func(e mes.Event) bool { arrived = append(arrived, e.Meta.Arrived); return true }, mes.WithFaultHandler(set.handle)))
			_, err := h.Invoke(t.Context(), []byte(payload))
			require.NoError(t, err)
			require.EqualValues(t, 1545084650987, arrived[len(arrived)-1].UnixMilli())
			require.Equal(t, name == "a time", arrived[0].IsZero())
			if test.fault == "" {
				require.Equal(t, []string{"1", "2"}, saved(t, store, "k"))
				return
			}
			require.Equal(t, []string{"2"}, saved(t, store, "k"))
			require.Equal(t, []string{test.fault}, set.data)
		})
	}
	event.Records[0].SNS.MessageID = "" // nobody is to believe that it is done
	store := newStore(t, memorytable.New())
	require.ErrorIs(t, SNS(mes.NewListener(store, nil)).Handle(t.Context(), event), errNoID)
	require.Equal(t, []string{"2"}, saved(t, store, "k"), "the others are saved")
}

func TestSNS(t *testing.T) {
	event := events.SNSEvent{Records: []events.SNSEventRecord{{SNS: events.SNSEntity{MessageID: "m", TopicArn: "arn:topic", Message: eventJSON("1", "k")}}}}
	store := newStore(t, memorytable.NewWith(failing("bad")))
	h := SNS(mes.NewListener(store, nil))
	got, err := h.Invoke(t.Context(), encode(t, event))
	require.NoError(t, err)
	require.Equal(t, "null", string(got))
	require.Equal(t, []string{"1"}, saved(t, store, "k"))

	var set faultSink
	event.Records[0].SNS.Message = "poison"
	require.NoError(t, SNS(mes.NewListener(store, nil, mes.WithFaultHandler(set.handle))).Handle(t.Context(), event))
	require.Equal(t, mes.Meta{Stream: "arn:topic", MessageID: "m"}, set.all[0].Record.Meta)

	event.Records[0].SNS.Message = eventJSON("2", "bad")
	_, err = h.Invoke(t.Context(), encode(t, event))
	require.ErrorIs(t, err, errTransient)
	event.Records[0].SNS.MessageID = ""
	require.ErrorIs(t, h.Handle(t.Context(), event), errNoID)
	_, err = h.Invoke(t.Context(), []byte(`{"Records":null}`))
	require.ErrorIs(t, err, errNoRecords)
	_, err = h.Invoke(t.Context(), []byte(`{"Records":5}`))
	require.Error(t, err)
}

func TestEventBridge(t *testing.T) {
	envelope := `{"version":"0","id":"1","detail-type":"thing","source":"shop","account":"1","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{"partitionKey":"k"}}`
	store := newStore(t, memorytable.NewWith(failing("bad")))
	h := EventBridge(mes.NewListener(store, mes.Types("thing")))
	got, err := h.Invoke(t.Context(), []byte(envelope+"\n"))
	require.NoError(t, err)
	require.Equal(t, "null", string(got))
	history, err := store.GetMicroEventStore(t.Context(), "k")
	require.NoError(t, err)
	require.Len(t, history.Events, 1)
	require.Equal(t, envelope, string(history.Events[0].Raw))

	_, err = h.Invoke(t.Context(), []byte(strings.Replace(envelope, `"k"`, `"bad"`, 1)))
	require.ErrorIs(t, err, errTransient)
	_, err = h.Invoke(t.Context(), []byte(`{`))
	require.Error(t, err)
}
