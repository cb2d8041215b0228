package microeventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func record(data string, sequenceNumber string) Record {
	return Record{Data: []byte(data), Meta: Meta{Shard: "shard-1", SequenceNumber: sequenceNumber}}
}

// faultSink accepts faults and remembers them.
type faultSink struct {
	faults []Fault
	err    error
}

func (s *faultSink) handle(_ context.Context, fault Fault) error {
	s.faults = append(s.faults, fault)
	return s.err
}

func (s *faultSink) sequenceNumbers() (numbers []string) {
	for _, fault := range s.faults {
		numbers = append(numbers, fault.Record.Meta.SequenceNumber)
	}
	return numbers
}

// mixedRecords are one of each: 0 and 6 are the same event.
func mixedRecords() []Record {
	return []Record{
		record(eventJSON("1", "thing-created", "p", 1), "10"),
		record(eventJSON("2", "other", "p", 2), "11"),
		record(`{"id":`, "12"),
		record(`null`, "13"),
		{Err: errors.New("not base64"), Meta: Meta{SequenceNumber: "14"}},
		record(eventJSON("3", "thing-moved", "", 3), "15"),
		record(eventJSON("1", "thing-created", "p", 1), "16"),
		record(`{"id":"untyped","partitionKey":"p","timestamp":1}`, "17"),
		record(eventJSON("4", "thing-large", strings.Repeat("k", 3000), 4), "18"),
		record(eventJSON("5", "thing-deleted", "q", 5), "19"),
	}
}

func TestPromise09PoisonDoesNotKeepItsNeighboursFromBeingSaved(t *testing.T) {
	filter := TypeMatches(regexp.MustCompile(`^thing-`))
	poison := []int{2, 3, 4, 5, 7, 8}

	t.Run("without a fault handler it is reported", func(t *testing.T) {
		spy := newSpy()
		seen := new(observation)
		l := NewListener(newTestStore(t, spy, WithObserver(seen)), filter)
		err := l.Handle(t.Context(), mixedRecords())
		require.Equal(t, poison, failedIndexes(t, err))
		require.True(t, IsPermanent(err))
		require.ErrorContains(t, err, "sequence number 12")
		require.Len(t, spy.items(t, "p"), 1)
		require.Len(t, spy.items(t, "q"), 1)
		require.Equal(t, BatchStats{Operation: OperationListen, Read: 10, Filtered: 1, Saved: 2, Duplicates: 1, Failed: 6, Items: 2}, seen.last(t))
	})
	t.Run("with one it is set aside", func(t *testing.T) {
		spy := newSpy()
		seen := new(observation)
		sink := new(faultSink)
		l := NewListener(newTestStore(t, spy, WithObserver(seen)), filter, WithFaultHandler(sink.handle))
		require.NoError(t, l.Handle(t.Context(), mixedRecords()))
		require.Equal(t, []string{"12", "13", "14", "15", "17", "18"}, sink.sequenceNumbers())
		for _, fault := range sink.faults {
			require.Error(t, fault.Err)
			require.Nil(t, fault.Change)
		}
		require.Equal(t, BatchStats{Operation: OperationListen, Read: 10, Filtered: 1, Saved: 2, Duplicates: 1, Faults: 6, Items: 2}, seen.last(t))
	})
	for name, handler := range map[string]FaultHandler{
		"which does not accept it": func(context.Context, Fault) error { return errors.New("the queue is full") },
		"which panics":             func(context.Context, Fault) error { panic("boom") },
		"which ends its goroutine": func(context.Context, Fault) error { runtime.Goexit(); return nil },
	} {
		t.Run("with one "+name, func(t *testing.T) {
			spy := newSpy()
			l := NewListener(newTestStore(t, spy), filter, WithFaultHandler(handler))
			require.Equal(t, poison, failedIndexes(t, l.Handle(t.Context(), mixedRecords())))
			require.Len(t, spy.items(t, "q"), 1)
		})
	}
}

// Whichever function of the user's ends its goroutine, the caller's goes on and the
// other records are saved.
func TestPromise09GoexitAnywhereIsItsOwnRecordsFault(t *testing.T) {
	exit := func(e Event) {
		if e.ID == "bad" {
			runtime.Goexit()
		}
	}
	for name, test := range map[string]struct {
		filter Filter
		opt    Option
	}{
		"filter":     {func(e Event) bool { exit(e); return true }, WithObserver(nil)},
		"hash key":   {nil, WithHashKey(func(e Event) (string, error) { exit(e); return "p", nil })},
		"range key":  {nil, WithRangeKey(RangeKeyFunc(func(e Event) (string, error) { exit(e); return e.ID, nil }))},
		"TTL":        {nil, WithTTL(func(e Event) (time.Time, bool) { exit(e); return time.Time{}, false })},
		"projection": {nil, WithProjection(func(e Event) (json.RawMessage, error) { exit(e); return e.Raw, nil })},
		"decoder": {nil, WithDecoder(func(raw []byte) (Event, error) {
			e, err := Parse(raw)
			exit(e)
			return e, err
		})},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpy()
			sink := new(faultSink)
			l := NewListener(newTestStore(t, spy, test.opt), test.filter, WithFaultHandler(sink.handle))
			var records []Record
			for i, id := range []string{"bad", "a", "bad", "b", "bad"} {
				records = append(records, Record{Data: []byte(eventJSON(id, "t", "p", i)), Meta: Meta{SequenceNumber: fmt.Sprint(i)}})
			}
			require.NoError(t, l.Handle(t.Context(), records))
			require.Equal(t, []string{"0", "2", "4"}, sink.sequenceNumbers())
			require.ErrorIs(t, sink.faults[0].Err, errGoexit)
			require.Len(t, spy.items(t, "p"), 2)
		})
	}
	l := NewListener(newTestStore(t, newSpy(), WithObserver(observerFunc(func() { runtime.Goexit() }))), nil)
	require.NoError(t, l.Handle(t.Context(), []Record{{Data: []byte(eventJSON("a", "t", "p", 1))}}))
}

type observerFunc func()

func (f observerFunc) ObserveBatch(context.Context, BatchStats) { f() }

func TestPromise10AnEmptyListenerIsAnError(t *testing.T) {
	for _, l := range []*Listener{new(Listener), NewListener(nil, nil)} {
		require.Error(t, l.Handle(t.Context(), nil))
		require.Equal(t, []int{0}, failedIndexes(t, l.Handle(t.Context(), []Record{{}})))
	}
}

func TestPromise09WhatTheRecordHasNotCausedNeverReachesTheFaultHandler(t *testing.T) {
	for name, cause := range map[string]error{
		"throttled":       errThrottled,
		"access denied":   errors.New("AccessDeniedException"),
		"missing table":   errors.New("ResourceNotFoundException"),
		"closed":          driver.ErrClosed,
		"context":         context.DeadlineExceeded,
		"whole batch bad": driver.ErrInvalidItem,
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpy()
			sink := new(faultSink)
			l := NewListener(newTestStore(t, spy), nil, WithFaultHandler(sink.handle))
			spy.beforePut = func(context.Context, []driver.Item) error { return cause }
			err := l.Handle(t.Context(), []Record{
				record(eventJSON("1", "t", "p", 1), "1"), record(`{`, "2"), record(eventJSON("2", "t", "p", 2), "3"),
			})
			require.Equal(t, []int{0, 2}, failedIndexes(t, err))
			require.Equal(t, []string{"2"}, sink.sequenceNumbers())
		})
	}
}

func TestPromise01NothingIsAcknowledgedBeforeItIsStored(t *testing.T) {
	spy := newSpy()
	l := NewListener(newTestStore(t, spy), nil)
	records := []Record{record(eventJSON("1", "t", "p", 1), "1"), record(eventJSON("2", "t", "q", 2), "2"), record(eventJSON("3", "t", "p", 3), "3")}
	spy.beforePut = func(ctx context.Context, items []driver.Item) error {
		require.NoError(t, spy.Table.Put(ctx, items[:1]))
		return &driver.PutError{Failures: []driver.PutFailure{{Index: 1, Err: errThrottled}, {Index: 2, Err: errThrottled}}}
	}
	require.Equal(t, []int{1, 2}, failedIndexes(t, l.Handle(t.Context(), records)))
	spy.beforePut = nil
	require.NoError(t, l.Handle(t.Context(), records[1:]))
	require.Len(t, spy.items(t, "p"), 2)
	require.Len(t, spy.items(t, "q"), 1)
}

func TestListenerHonoursTheContext(t *testing.T) {
	spy := newSpy()
	sink := new(faultSink)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := NewListener(newTestStore(t, spy), nil, WithFaultHandler(sink.handle))
	err := l.Handle(ctx, []Record{record(eventJSON("1", "t", "p", 1), "1"), record(`{`, "2")})
	require.Equal(t, []int{0, 1}, failedIndexes(t, err))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, sink.faults, "what the fault handler would do now could be cut short")
}

func TestFilterSeesTheDeliveryAndItsPanicIsAFault(t *testing.T) {
	spy := newSpy()
	var shard string
	l := NewListener(newTestStore(t, spy), func(e Event) bool {
		shard = e.Meta.Shard
		if e.ID == "2" {
			panic("boom")
		}
		return true
	})
	err := l.Handle(t.Context(), []Record{record(eventJSON("1", "t", "p", 1), "1"), record(eventJSON("2", "t", "p", 2), "2"), record(eventJSON("3", "t", "p", 3), "3")})
	require.Equal(t, []int{1}, failedIndexes(t, err))
	require.True(t, IsPermanent(err))
	require.Equal(t, "shard-1", shard)
	require.Len(t, spy.items(t, "p"), 2)
}

func TestListenerWithWrongOptionsSaysSoInEveryCall(t *testing.T) {
	for name, l := range map[string]*Listener{
		"nil store":  NewListener(nil, nil),
		"nil option": NewListener(newTestStore(t, newSpy()), nil, nil),
	} {
		t.Run(name, func(t *testing.T) {
			err := l.Handle(t.Context(), make([]Record, 2))
			require.Equal(t, []int{0, 1}, failedIndexes(t, err))
			require.ErrorContains(t, err, "nil")
			require.ErrorContains(t, l.Handle(t.Context(), nil), "nil")
		})
	}
}

func TestListenerLeavesTheRecordsAlone(t *testing.T) {
	l := NewListener(newTestStore(t, newSpy()), nil)
	records := mixedRecords()
	_ = l.Handle(t.Context(), records)
	require.Equal(t, mixedRecords(), records)
	require.NoError(t, l.Handle(t.Context(), nil))
}

func TestADecoderThatDoesNotKnowItsOwnJSONIsFoundOut(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithDecoder(func(b []byte) (Event, error) {
		after, ok := strings.CutPrefix(string(b), "v1:")
		if !ok {
			return Event{}, errors.New("not of version 1")
		}
		return Parse([]byte(after))
	}))
	err := NewListener(s, nil).Handle(t.Context(), []Record{record("v1:"+eventJSON("1", "t", "p", 1), "1")})
	require.Equal(t, []int{0}, failedIndexes(t, err))
	require.True(t, IsPermanent(err))
	require.Empty(t, spy.items(t, "p"), "it could not be read back")
}

func TestADecoderOfTheUsersOwn(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithDecoder(func(b []byte) (Event, error) {
		if after, ok := strings.CutPrefix(string(b), "v1:"); ok {
			b = []byte(after)
		}
		return Parse(b)
	}))
	require.NoError(t, NewListener(s, nil).Handle(t.Context(), []Record{record("v1:"+eventJSON("1", "t", "p", 1), "1")}))
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.JSONEq(t, eventJSON("1", "t", "p", 1), string(m.Events[0].Raw))
}
