package lambdahandler

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/kinesisrecord"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// large makes an event that fills a part, compressed.
func large(t testing.TB, id string) string {
	return gzipped(t, strings.Replace(eventJSON(id, "k"), "{", `{"x":"`+strings.Repeat("x", maxPart)+`",`, 1))
}

// compressedValue makes an event that fills a part of text, which a queue can hold.
func compressedValue(t testing.TB, id string) string {
	value := string(encode(t, []byte(gzipped(t, `"`+strings.Repeat("x", maxPart)+`"`))))
	return strings.Replace(eventJSON(id, "k"), "{", `{"x":"COMPRESSED`+strings.Trim(value, `"`)+`",`, 1)
}

// bomb is what costs as much as it may and cannot be opened, at little size.
func bomb(t testing.TB) string {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, kinesisrecord.MaxOpened+1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// When the time is up nothing more is opened, and it is left over. Here it is up as
// soon as the listener sees something.
func TestPromise12NothingIsOpenedBehindTheDeadline(t *testing.T) {
	var cancel context.CancelFunc
	seen := 0
	begin := func() (ctx context.Context) {
		ctx, cancel = context.WithCancel(t.Context())
		seen = 0
		return ctx
	}
	filter := func(mes.Event) bool { seen++; cancel(); return false }
	set := func(context.Context, mes.Fault) error { seen++; cancel(); return nil }
	listener := mes.NewListener(newStore(t, memorytable.New()), filter, mes.WithFaultHandler(set))
	for name, test := range map[string]struct {
		event events.KinesisEvent
		want  string
	}{
		"records":         {kinesisEvent(large(t, "1"), large(t, "2"), large(t, "3")), sequence(2)},
		"of an aggregate": {kinesisEvent(string(aggregate(large(t, "1"), large(t, "2"), large(t, "3")))), sequence(1)},
		"bombs":           {kinesisEvent(bomb(t), bomb(t), bomb(t)), sequence(2)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := begin()
			response, err := Kinesis(listener).Invoke(ctx, encode(t, test.event))
			require.NoError(t, err)
			require.Equal(t, []string{test.want}, identifiers(t, response))
			require.Equal(t, 1, seen)
			typed, err := Kinesis(listener).Handle(ctx, test.event) // it is up from the beginning on
			require.NoError(t, err)
			require.Equal(t, sequence(1), typed.BatchItemFailures[0].ItemIdentifier)
			require.Equal(t, 1, seen)
		})
	}
	t.Run("messages", func(t *testing.T) {
		ctx := begin()
		event := sqsEvent(queueARN, compressedValue(t, "1"), compressedValue(t, "2"), compressedValue(t, "3"))
		response, err := SQS(listener).Invoke(ctx, encode(t, event))
		require.NoError(t, err)
		require.Equal(t, []string{"message-2", "message-3"}, identifiers(t, response))
		require.Equal(t, 1, seen)
	})
}

// An aggregate may hold more than is opened at once: none of its events is another
// one's fault, and no more of them than a part are in memory at once.
func TestPromise16AnAggregateIsHandledInParts(t *testing.T) {
	var parts []string
	for i := range 50 {
		parts = append(parts, gzipped(t, strings.Replace(eventJSON(fmt.Sprint(i), "k"), "{", `{"x":"`+strings.Repeat("x", 390_000)+`",`, 1)))
	}
	most := 0
	table := memorytable.NewWith(memorytable.Options{OnPut: func(_ context.Context, items []driver.Item) error {
		size := 0
		for i := range items {
			size += len(items[i].Event)
		}
		most = max(most, size)
		return nil
	}})
	store := newStore(t, table)
	response, err := Kinesis(mes.NewListener(store, nil)).Invoke(t.Context(), encode(t, kinesisEvent(string(aggregate(parts...)))))
	require.NoError(t, err)
	require.Empty(t, identifiers(t, response))
	require.Len(t, saved(t, store, "k"), 50)
	require.Less(t, most, 2*maxPart)

	// All of its records are done or none.
	parts[0] = gzipped(t, eventJSON("0", "bad"))
	got, err := both(t, func() *KinesisHandler {
		return Kinesis(mes.NewListener(newStore(t, memorytable.NewWith(failing("bad"))), nil))
	}, kinesisEvent(eventJSON("a", "k"), string(aggregate(parts...))))
	require.NoError(t, err)
	require.Equal(t, []string{sequence(2)}, got)
}

// What costs too much is set aside for good, with all that is needed to look into it.
func TestPromise09AnAggregateOfBombsHoldsUpNobody(t *testing.T) {
	parts := []string{eventJSON("1", "k")}
	for bomb := bomb(t); len(parts) < 100; {
		parts = append(parts, bomb)
	}
	whole := string(aggregate(parts...))
	var set faultSink
	store := newStore(t, memorytable.New())
	h := Kinesis(mes.NewListener(store, nil, mes.WithFaultHandler(set.handle)))
	response, err := h.Invoke(t.Context(), encode(t, kinesisEvent(whole, eventJSON("2", "k"))))
	require.NoError(t, err)
	require.Empty(t, identifiers(t, response))
	require.Equal(t, []string{"1", "2"}, saved(t, store, "k"))
	require.Less(t, len(set.all), 20)
	require.Equal(t, whole, set.data[len(set.data)-1])
}

// An aggregate that takes too long again and again does not hold up its shard for ever.
func TestPromise09AnAggregateThatTakesTooLongIsSetAside(t *testing.T) {
	var set faultSink
	var seen []string
	filter := func(e mes.Event) bool { seen = append(seen, e.ID); return false }
	h := Kinesis(mes.NewListener(newStore(t, memorytable.New()), filter, mes.WithFaultHandler(set.handle)))
	whole := string(aggregate(large(t, "1"), large(t, "2"), large(t, "3")))
	records := []mes.Record{
		{Data: []byte(whole), Meta: mes.Meta{SequenceNumber: "1"}},
		{Data: []byte(large(t, "4")), Meta: mes.Meta{SequenceNumber: "2"}},
	}
	require.Empty(t, h.listenInParts(t.Context(), records, 0))
	require.Equal(t, []string{"1", "4"}, seen)
	require.Equal(t, []string{whole}, set.data)
	require.ErrorIs(t, set.all[0].Err, errSlow)
	require.EqualValues(t, 1, set.all[0].Record.Meta.SubSequence)

	require.Greater(t, patienceOf(t.Context()), time.Hour)
	synctest.Test(t, func(t *testing.T) {
		for left, want := range map[time.Duration]time.Duration{time.Minute: 30 * time.Second, time.Second: time.Second, -time.Second: time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			require.Equal(t, want, patienceOf(ctx))
			cancel()
		}
	})
}

// A slowTable takes a second for each image.
type slowTable struct {
	imageTable
	decoded *int
	err     error
}

func (s slowTable) DecodeImage(image []byte) (driver.Item, error) {
	*s.decoded++
	time.Sleep(time.Second)
	if s.err != nil {
		return driver.Item{}, s.err
	}
	return s.imageTable.DecodeImage(image)
}

func (s slowTable) NewImageDecoder() func(image []byte) (driver.Item, error) { return s.DecodeImage }

// Images that take long are not read behind the deadline, and what has been read is
// handed over before it, so that a batch gets on whatever is in it.
func TestPromise12NoImageIsReadBehindTheDeadline(t *testing.T) {
	for name, broken := range map[string]error{"good": nil, "broken": errors.New("it cannot be read")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				decoded := 0
				table := slowTable{newImageTable(), &decoded, broken}
				var set faultSink
				handled := 0
				trigger := mes.NewTrigger(newStore(t, table), func(context.Context, *mes.MicroEventStore) error { handled++; return nil },
					mes.WithFaultHandler(set.handle), mes.WithWindows(func(mes.Change) (mes.Window, bool) { return mes.Window{Alone: true}, true }))
				var rows []row
				for i := range 10 {
					r := inserted(t, "k", fmt.Sprint(i))
					r.keys = ""
					rows = append(rows, r)
				}
				var event events.DynamoDBEvent
				require.NoError(t, json.Unmarshal([]byte(dynamoPayload(rows...)), &event))
				ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
				defer cancel()
				response, err := DynamoDB(trigger, WithDeadlineMargin(0)).Handle(ctx, event)
				require.NoError(t, err)
				require.Len(t, response.BatchItemFailures, 1)
				require.Equal(t, 4, decoded)
				if broken == nil {
					require.Equal(t, 3, handled)
					require.Equal(t, "4", response.BatchItemFailures[0].ItemIdentifier)
				} else {
					require.GreaterOrEqual(t, len(set.all), 3)
				}
			})
		})
	}
}
