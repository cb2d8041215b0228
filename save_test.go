package microeventstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestPromise03TheSameEventIsTheSameItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEvent(t, "1", "thing-created", "p", 1)
		e.Timestamp = time.Now().UTC().Truncate(time.Millisecond)
		e, err := NewEvent(map[string]any{"id": "1", "type": "thing-created", "partitionKey": "p", "timestamp": e.Timestamp.UnixMilli()})
		require.NoError(t, err)
		var items []driver.Item
		for i := range 3 {
			spy := newSpy()
			s, err := New(spy)
			require.NoError(t, err)
			again := e
			again.Meta = Meta{SequenceNumber: fmt.Sprint(i), Arrived: time.Now()}
			require.NoError(t, s.Save(t.Context(), again))
			items = append(items, spy.items(t, "p")...)
			time.Sleep(17 * time.Hour)
		}
		require.Len(t, items, 3)
		require.Equal(t, items[0], items[1])
		require.Equal(t, items[0], items[2])
		require.Equal(t, []byte(e.Raw), items[0].Event)
		require.NotZero(t, items[0].TTL)
	})
}

func TestPromise04DuplicateKeysAreOneWriteAndTheLastWins(t *testing.T) {
	spy := newSpy()
	seen := new(observation)
	s := newTestStore(t, spy, WithRangeKey(EventID()), WithObserver(seen))
	events := []Event{
		testEvent(t, "a", "first", "p", 1),
		testEvent(t, "b", "other", "p", 2),
		testEvent(t, "a", "second", "p", 3),
		testEvent(t, "a", "third", "p", 4),
	}
	require.NoError(t, s.Save(t.Context(), events...))
	require.Len(t, spy.puts, 1)
	require.Len(t, spy.puts[0], 2)
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.True(t, m.Has("third", "other"))
	require.Len(t, m.Events, 2)
	require.Equal(t, BatchStats{Operation: OperationSave, Read: 4, Saved: 2, Duplicates: 2, Items: 2}, seen.last(t))

	spy.beforePut = func(context.Context, []driver.Item) error { return errThrottled }
	err = s.Save(t.Context(), events...)
	require.Equal(t, []int{0, 1, 2, 3}, failedIndexes(t, err), "none of them is stored, the first is named first")
	require.ErrorIs(t, err, errThrottled)
	require.False(t, IsPermanent(err))
}

func TestPromise04AnInvalidDuplicateDoesNotTakeAGoodOneWithIt(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithRangeKey(EventID()))
	large := func(id string) Event {
		e, err := Parse([]byte(strings.Replace(eventJSON(id, "large", "p", 9), "{", `{"x":"`+strings.Repeat("x", driver.MaxItemSize)+`",`, 1)))
		require.NoError(t, err)
		return e
	}
	err := s.Save(t.Context(),
		testEvent(t, "a", "first", "p", 1), testEvent(t, "a", "second", "p", 2), large("a"), large("a"),
		testEvent(t, "b", "good", "p", 3))
	require.Equal(t, []int{2, 3}, failedIndexes(t, err))
	require.True(t, IsPermanent(err))
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.True(t, m.Has("second", "good"))
	require.Len(t, m.Events, 2)
}

func TestPromise05OneWritePerKeyIsInFlight(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithRangeKey(EventID()))
	var mu sync.Mutex
	writing := make(map[itemKey]bool)
	latest := make(map[itemKey]string)
	spy.beforePut = func(_ context.Context, items []driver.Item) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range items {
			key := keyOf(&items[i])
			if writing[key] {
				return errors.New("two writes of one key are in flight")
			}
			writing[key] = true
		}
		return nil
	}
	spy.afterPut = func(_ context.Context, items []driver.Item) error {
		time.Sleep(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		for i := range items {
			delete(writing, keyOf(&items[i]))
			latest[keyOf(&items[i])] = string(items[i].Event)
		}
		return nil
	}
	var running sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		running.Go(func() {
			for j := range 10 {
				err := s.Save(t.Context(),
					testEvent(t, fmt.Sprint(j%3), "x", "p", i*100+j),
					testEvent(t, fmt.Sprint((i+j)%5), "x", "p", i*100+j))
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	running.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Zero(t, s.writes.Len(), "nothing is held on to")
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	for _, e := range m.Events {
		require.Equal(t, latest[itemKey{"p", e.ID}], string(e.Raw))
	}
}

func TestSaveWaitingForItsKeyHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spy := newSpy()
		s := newTestStore(t, spy)
		release := make(chan struct{})
		spy.beforePut = func(context.Context, []driver.Item) error { <-release; return nil }
		first := make(chan error)
		go func() { first <- s.Save(t.Context(), testEvent(t, "a", "x", "p", 1)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Save(ctx, testEvent(t, "a", "x", "p", 1))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []int{0}, failedIndexes(t, err))
		close(release)
		require.NoError(t, <-first)
		require.Equal(t, 1, spy.countPuts())
	})
}

func TestSaveUnderSeveralKeys(t *testing.T) {
	spy := newSpy()
	seen := new(observation)
	s := newTestStore(t, spy, WithObserver(seen),
		WithHashKey(Prefix("order#", PartitionKey()), Prefix("user#", Tag("user")), Prefix("user#", Tag("user"))))
	e, err := Parse([]byte(`{"id":"1","type":"t","timestamp":1,"partitionKey":"42","tags":{"user":"ann"}}`))
	require.NoError(t, err)
	noUser := testEvent(t, "2", "t", "42", 1)
	noKey, err := Parse([]byte(`{"id":"3","type":"t","timestamp":1}`))
	require.NoError(t, err)
	err = s.Save(t.Context(), e, noUser, noKey)
	require.Equal(t, []int{2}, failedIndexes(t, err))
	require.ErrorIs(t, err, ErrNotCollated)
	require.True(t, IsPermanent(err))
	require.Len(t, spy.items(t, "order#42"), 2)
	require.Len(t, spy.items(t, "user#ann"), 1, "the same key twice is one item")
	require.Equal(t, BatchStats{Operation: OperationSave, Read: 3, Saved: 2, Failed: 1, Items: 3}, seen.last(t))
}

func TestPromise02And09WhatATableLeavesIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		err       error
		failed    []int
		permanent bool
	}{
		"one item":          {&driver.PutError{Failures: []driver.PutFailure{{Index: 1, Err: errThrottled}}}, []int{1}, false},
		"wrapped":           {fmt.Errorf("x: %w", &driver.PutError{Failures: []driver.PutFailure{{Index: 0, Err: errThrottled}}}), []int{0}, false},
		"everything":        {errThrottled, []int{0, 1, 2}, false},
		"an invalid one":    {&driver.PutError{Failures: []driver.PutFailure{{Index: 1, Err: fmt.Errorf("%w: large", driver.ErrInvalidItem)}}}, []int{1}, true},
		"no item named":     {&driver.PutError{}, []int{0, 1, 2}, false},
		"an unknown index":  {&driver.PutError{Failures: []driver.PutFailure{{Index: 7, Err: errThrottled}}}, []int{0, 1, 2}, false},
		"one past the end":  {&driver.PutError{Failures: []driver.PutFailure{{Index: 3, Err: errThrottled}}}, []int{0, 1, 2}, false},
		"a negative index":  {&driver.PutError{Failures: []driver.PutFailure{{Index: -1, Err: errThrottled}}}, []int{0, 1, 2}, false},
		"no error":          {&driver.PutError{Failures: []driver.PutFailure{{Index: 1}}}, []int{0, 1, 2}, false},
		"invalid, but whom": {driver.ErrInvalidItem, []int{0, 1, 2}, false},
		"taken, but whose":  {driver.ErrConflict, []int{0, 1, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpy()
			s := newTestStore(t, spy)
			spy.beforePut = func(context.Context, []driver.Item) error { return test.err }
			err := s.Save(t.Context(), testEvent(t, "0", "t", "p", 0), testEvent(t, "1", "t", "p", 1), testEvent(t, "2", "t", "p", 2))
			require.Equal(t, test.failed, failedIndexes(t, err))
			require.Equal(t, test.permanent, IsPermanent(err))
		})
	}
}

func TestAnEventWithOneThrottledAndOneInvalidItemIsTriedAgain(t *testing.T) {
	for _, order := range [][2]error{{errThrottled, driver.ErrInvalidItem}, {driver.ErrInvalidItem, errThrottled}} {
		spy := newSpy()
		s := newTestStore(t, spy, WithHashKey(PartitionKey(), Prefix("x", PartitionKey())))
		spy.beforePut = func(context.Context, []driver.Item) error {
			return &driver.PutError{Failures: []driver.PutFailure{{Index: 0, Err: order[0]}, {Index: 1, Err: order[1]}}}
		}
		err := s.Save(t.Context(), testEvent(t, "0", "t", "p", 0))
		require.Equal(t, []int{0}, failedIndexes(t, err))
		require.False(t, IsPermanent(err))
	}
}

func TestPromise10And09BadEventsAreFaultsOfTheirOwn(t *testing.T) {
	good := testEvent(t, "good", "t", "p", 1)
	other := good
	other.ID = "changed"
	bad := errors.New("mine")
	boom := func(Event) (string, error) { panic("boom") }
	for name, test := range map[string]struct {
		event Event
		opt   Option
		says  string
	}{
		"zero event":            {Event{}, nil, "read back"},
		"no raw":                {Event{ID: "1", PartitionKey: "p", Timestamp: testTime(0)}, nil, "Parse or NewEvent"},
		"changed id":            {other, nil, "another id"},
		"key is too long":       {testEvent(t, "1", "t", strings.Repeat("k", 2049), 1), nil, "2049 bytes"},
		"range key is too long": {testEvent(t, strings.Repeat("k", 1008), "t", "p", 1), nil, "1025 bytes"},
		"reserved range key":    {testEvent(t, "\x01x", "t", "p", 1), WithRangeKey(EventID()), "reserved"},
		"hash key fails":        {good, WithHashKey(func(Event) (string, error) { return "", bad }), "mine"},
		"hash key panics":       {good, WithHashKey(PartitionKey(), boom), "hash-key function 1: panic"},
		"hash key is no UTF-8":  {good, WithHashKey(func(Event) (string, error) { return "h\xff", nil }), "UTF-8"},
		"range key is no UTF-8": {good, WithRangeKey(RangeKeyFunc(func(Event) (string, error) { return "h\xff", nil })), "UTF-8"},
		"range key is empty":    {good, WithRangeKey(RangeKeyFunc(func(Event) (string, error) { return "", nil })), "empty"},
		"range key panics":      {good, WithRangeKey(RangeKeyFunc(boom)), "range key: panic"},
		"TTL panics":            {good, WithTTL(func(Event) (time.Time, bool) { panic("boom") }), "TTL policy: panic"},
		"TTL has no time":       {good, WithTTL(func(Event) (time.Time, bool) { return time.Time{}, true }), "TTL policy"},
		"projection fails":      {good, WithProjection(func(Event) (json.RawMessage, error) { return nil, bad }), "mine"},
		"projection panics":     {good, WithProjection(func(Event) (json.RawMessage, error) { panic("boom") }), "projection: panic"},
		"projection is no JSON": {good, WithProjection(func(Event) (json.RawMessage, error) { return []byte("{"), nil }), "projection must keep"},
		"projection loses type": {good, WithProjection(func(Event) (json.RawMessage, error) {
			return []byte(`{"id":"good","partitionKey":"p","timestamp":1700000000001}`), nil
		}), "another type"},
		"projection loses time": {good, WithProjection(func(Event) (json.RawMessage, error) {
			return []byte(`{"id":"good","partitionKey":"p","type":"t"}`), nil
		}), "another timestamp"},
		"decoder disagrees": {good, WithDecoder(func(b []byte) (Event, error) {
			e, err := Parse(b)
			e.PartitionKey = "q"
			return e, err
		}), "another partition key"},
		"decoder panics": {good, WithDecoder(func([]byte) (Event, error) { panic("boom") }), "read back: panic"},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpy()
			opts := []Option{}
			if test.opt != nil {
				opts = append(opts, test.opt)
			}
			s := newTestStore(t, spy, opts...)
			events := []Event{test.event}
			if test.opt == nil {
				events = append(events, good)
			}
			err := s.Save(t.Context(), events...)
			require.Equal(t, []int{0}, failedIndexes(t, err))
			require.ErrorContains(t, err, test.says)
			require.True(t, IsPermanent(err))
			if test.opt == nil {
				require.Len(t, spy.items(t, "p"), 1, "its neighbour is saved")
			}
		})
	}
}

func TestPromise09APanicInAKeyFunctionIsThatOfOneEvent(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithHashKey(PartitionKey(), func(e Event) (string, error) {
		if e.ID == "b" {
			panic("boom")
		}
		return "all", nil
	}))
	err := s.Save(t.Context(), testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2), testEvent(t, "c", "t", "p", 3))
	require.Equal(t, []int{1}, failedIndexes(t, err))
	for _, key := range []string{"p", "all"} {
		require.Len(t, spy.items(t, key), 2, "its neighbours are saved under all their keys, and it under none")
	}
}

func TestPromise11LimitsAreReachedExactly(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	key := strings.Repeat("k", driver.MaxHashKeySize)
	id := strings.Repeat("i", driver.MaxRangeKeySize-17)
	require.NoError(t, s.Save(t.Context(), testEvent(t, id, "t", key, 1)))
	m, err := s.GetMicroEventStore(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, m.Events, 1)
	require.Len(t, m.Events[0].RangeKey, driver.MaxRangeKeySize)
}

func TestTTLIsInSecondsAndNeverEarly(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	for offset, want := range map[time.Duration]int64{
		0: now.Unix() + 60, time.Millisecond: now.Unix() + 61, 999 * time.Millisecond: now.Unix() + 61,
	} {
		spy := newSpy()
		s := newTestStore(t, spy, WithTTL(ExpireAfter(time.Minute)))
		e, err := NewEvent(map[string]any{"id": "1", "partitionKey": "p", "timestamp": now.Add(offset).UnixMilli()})
		require.NoError(t, err)
		require.NoError(t, s.Save(t.Context(), e))
		require.Equal(t, want, spy.items(t, "p")[0].TTL)
	}
}

func TestPromise15ExpiredEventsAreStoredButOldOnesAreNot(t *testing.T) {
	spy := newSpy()
	seen := new(observation)
	s := newTestStore(t, spy, WithTTL(ExpireAfter(time.Hour)), WithObserver(seen))
	event := func(id string, age time.Duration) Event {
		e, err := NewEvent(map[string]any{"id": id, "type": "t", "partitionKey": "p", "timestamp": time.Now().Add(-age).UnixMilli()})
		require.NoError(t, err)
		return e
	}
	const year = 365 * 24 * time.Hour
	require.NoError(t, s.Save(t.Context(), event("expired", 2*time.Hour), event("old", 6*year), event("older", 80*year), event("fresh", time.Minute)))
	require.Len(t, spy.items(t, "p"), 2)
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{"fresh"}, ids(m.Events))
	require.Equal(t, BatchStats{Operation: OperationSave, Read: 4, Saved: 2, Expired: 2, Items: 2}, seen.last(t))
}

func TestAnEventWithoutATimestampIsAFaultWhereOneIsNeeded(t *testing.T) {
	e, err := Parse([]byte(`{"id":"1","type":"t","partitionKey":"p"}`))
	require.NoError(t, err)
	spy := newSpy()
	require.True(t, IsPermanent(newTestStore(t, spy).Save(t.Context(), e)), "TimeAndID")
	require.True(t, IsPermanent(newTestStore(t, spy, WithRangeKey(EventID()), WithTTL(ExpireAfter(time.Hour))).Save(t.Context(), e)), "ExpireAfter")
	require.ErrorContains(t, newTestStore(t, spy, WithTTL(ExpireAfter(time.Hour))).Save(t.Context(), e), "the event has no timestamp, which the TTL policy needs")
	require.NoError(t, newTestStore(t, spy, WithRangeKey(EventID())).Save(t.Context(), e))
}

func TestProjectionKeepsWhatItSays(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithProjection(func(e Event) (json.RawMessage, error) {
		return json.Marshal(map[string]any{"id": e.ID, "type": e.Type, "partitionKey": e.PartitionKey, "timestamp": e.Timestamp.UnixMilli()})
	}))
	e, err := Parse([]byte(`{"id":"1","type":"t","partitionKey":"p","timestamp":1700000000000,"large":"thing"}`))
	require.NoError(t, err)
	require.NoError(t, s.Save(t.Context(), e))
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"1","type":"t","partitionKey":"p","timestamp":1700000000000}`, string(m.Events[0].Raw))
}

func TestSecondsAreWarnedOfOnceAndWithoutAPayload(t *testing.T) {
	var log bytes.Buffer
	s := newTestStore(t, newSpy(), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	e, err := Parse([]byte(`{"id":"canary-id","type":"canary-type","partitionKey":"canary-key","timestamp":1700000000}`))
	require.NoError(t, err)
	require.NoError(t, s.Save(t.Context(), e))
	require.NoError(t, s.Save(t.Context(), e))
	require.Equal(t, 1, strings.Count(log.String(), "milliseconds"))
	require.NotContains(t, log.String(), "canary")
}

func TestSecondsAreWarnedOfAlsoWhenTheEventIsTooOldToKeep(t *testing.T) {
	var log bytes.Buffer
	s, err := New(newSpy(), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	e, err := NewEvent(map[string]any{"id": "1", "type": "t", "partitionKey": "p", "timestamp": time.Now().Unix()})
	require.NoError(t, err)
	require.NoError(t, s.Save(t.Context(), e))
	require.Contains(t, log.String(), "milliseconds")
}

func TestSaveOfNothing(t *testing.T) {
	spy := newSpy()
	require.NoError(t, newTestStore(t, spy).Save(t.Context()))
	require.Zero(t, spy.countPuts())
}

func TestPromise20ErrorsOfSaveHoldNoSecrets(t *testing.T) {
	const canary = "c4n4ry"
	s := newTestStore(t, newSpy(), WithHashKey(PartitionKey(), func(e Event) (string, error) {
		if e.Type == canary+"-panic" {
			panic(canary)
		}
		return "", nil
	}))
	events := []Event{
		{ID: canary, PartitionKey: canary, Raw: json.RawMessage(`{"id":"` + canary)},
		testEvent(t, canary, canary, strings.Repeat(canary, 400), 1),
		testEvent(t, strings.Repeat(canary, 400), canary, canary, 1),
		testEvent(t, canary, canary+"-panic", canary, 1),
	}
	err := s.Save(t.Context(), events...)
	require.Equal(t, []int{0, 1, 2, 3}, failedIndexes(t, err))
	var save *SaveError
	require.ErrorAs(t, err, &save)
	for _, failure := range save.Failures {
		require.NotContains(t, failure.Err.Error(), canary)
	}
	require.NotContains(t, err.Error(), canary)
}

func TestPromise10ATableThatPanicsIsAnError(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	spy.beforePut = func(context.Context, []driver.Item) error { panic("boom") }
	spy.beforeQuery = func(context.Context, driver.Query) error { panic("boom") }
	require.ErrorContains(t, s.Save(t.Context(), testEvent(t, "1", "t", "p", 1)), "panic")
	_, err := s.GetMicroEventStore(t.Context(), "p")
	require.ErrorContains(t, err, "panic")
	require.Zero(t, s.writes.Len())
}
