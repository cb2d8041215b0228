package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// A seenCall is what a handler was given.
type seenCall struct {
	hashKey, current string
	fired, events    []string
	room             int // for appending in place, which there must not be
}

type calls struct {
	mu   sync.Mutex
	list []seenCall
	do   func(ctx context.Context, m *MicroEventStore) error
}

func (c *calls) handle(ctx context.Context, m *MicroEventStore) error {
	c.mu.Lock()
	room := cap(m.New) - len(m.New) + cap(m.Events) - len(m.Events)
	c.list = append(c.list, seenCall{m.HashKey, m.Current.ID, ids(m.New), ids(m.Events), room})
	c.mu.Unlock()
	if c.do != nil {
		return c.do(ctx, m)
	}
	return nil
}

// of returns the calls for a hash key, in order.
func (c *calls) of(hashKey string) (list []seenCall) {
	for _, call := range c.list {
		if call.hashKey == hashKey {
			list = append(list, call)
		}
	}
	return list
}

func inserted(t testing.TB, s *Store, events ...Event) []Change {
	t.Helper()
	var changes []Change
	for i := range events {
		items, err := s.collate(nil, &events[i], time.Now(), true, new(collateRoom))
		require.NoError(t, err)
		for _, item := range items {
			changes = append(changes, Change{
				Kind: Inserted, HashKey: item.HashKey, RangeKey: item.RangeKey,
				Meta: Meta{Shard: "0", SequenceNumber: fmt.Sprint(len(changes) + 1)},
			})
		}
	}
	return changes
}

func TestPromise06EachCallGetsTheCompleteHistoryFromOneRead(t *testing.T) {
	spy := newSpy()
	seen := new(observation)
	s := newTestStore(t, spy, WithObserver(seen))
	events := []Event{testEvent(t, "c", "t", "p", 3), testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2), testEvent(t, "x", "t", "q", 2)}
	require.NoError(t, s.Save(t.Context(), events...))
	handler := new(calls)
	require.NoError(t, NewTrigger(s, handler.handle).Handle(t.Context(), inserted(t, s, events...)))
	require.Equal(t, []seenCall{
		{"p", "c", []string{"c"}, []string{"a", "b", "c"}, 0},
		{"p", "a", []string{"a"}, []string{"a", "b", "c"}, 0},
		{"p", "b", []string{"b"}, []string{"a", "b", "c"}, 0},
	}, handler.of("p"))
	require.Equal(t, []seenCall{{"q", "x", []string{"x"}, []string{"x"}, 0}}, handler.of("q"))
	require.Equal(t, 2, spy.countQueries(), "one for each hash key")
	for _, query := range spy.queries {
		require.True(t, query.Consistent)
	}
	require.Equal(t, BatchStats{Operation: OperationTrigger, Read: 4, Handled: 4, Calls: 4}, seen.last(t))
}

func TestNothingIsKeptBetweenTwoBatches(t *testing.T) {
	s := newTestStore(t, newSpy())
	handler := new(calls)
	trigger := NewTrigger(s, handler.handle)
	first, second := testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2)
	require.NoError(t, s.Save(t.Context(), first))
	require.NoError(t, trigger.Handle(t.Context(), inserted(t, s, first)))
	require.NoError(t, s.Save(t.Context(), second))
	require.NoError(t, trigger.Handle(t.Context(), inserted(t, s, first)))
	require.Equal(t, []string{"a", "b"}, handler.list[1].events)
}

func TestPromise06AStaleReadIsNotBelieved(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	e := testEvent(t, "a", "t", "p", 1)
	changes := inserted(t, s, e)
	handler := new(calls)
	sink := new(faultSink)
	trigger := NewTrigger(s, handler.handle, WithFaultHandler(sink.handle))
	spy.afterQuery = func(_ driver.Query, page *driver.Page) { page.Consistent = false }
	err := trigger.Handle(t.Context(), changes)
	require.Equal(t, []int{0}, failedIndexes(t, err))
	require.ErrorIs(t, err, errNotVisible)
	require.Empty(t, sink.faults)
	require.Empty(t, handler.list)

	require.NoError(t, s.Save(t.Context(), e))
	require.NoError(t, trigger.Handle(t.Context(), changes), "what it shows is there")
	require.Len(t, handler.list, 1)
}

// A window that leaves the event out makes it be read by itself; then it is that
// read which has to vouch for what it does not find.
func TestPromise06AStaleReadOfTheEventAloneIsNotBelieved(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	gone := inserted(t, s, testEvent(t, "a", "t", "p", 1))
	require.NoError(t, s.Save(t.Context(), testEvent(t, "b", "t", "p", 2)))
	handler := new(calls)
	trigger := NewTrigger(s, handler.handle, WithWindow(Last(1)))
	for _, alone := range []bool{true, false} {
		spy.afterQuery = func(query driver.Query, page *driver.Page) { page.Consistent = (query.From == "") == alone }
		err := trigger.Handle(t.Context(), gone)
		if alone {
			require.ErrorIs(t, err, errNotVisible)
		} else {
			require.NoError(t, err)
		}
		require.Empty(t, handler.list)
	}
}

func TestPromise06EveryPageHasToBeConsistent(t *testing.T) {
	spy := newSpy()
	spy.Table = smallPages{spy.Table, 1}
	s := newTestStore(t, spy)
	require.NoError(t, s.Save(t.Context(), testEvent(t, "b", "t", "p", 2), testEvent(t, "c", "t", "p", 3)))
	spy.afterQuery = func(query driver.Query, page *driver.Page) { page.Consistent = query.Cursor != "" }
	handler := new(calls)
	err := NewTrigger(s, handler.handle).Handle(t.Context(), inserted(t, s, testEvent(t, "a", "t", "p", 1)))
	require.ErrorIs(t, err, errNotVisible)
	require.Empty(t, handler.list)
}

func TestPromise06AnEventThatIsGoneFiresNothing(t *testing.T) {
	seen := new(observation)
	s := newTestStore(t, newSpy(), WithObserver(seen))
	kept, deleted := testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2)
	require.NoError(t, s.Save(t.Context(), kept))
	handler := new(calls)
	require.NoError(t, NewTrigger(s, handler.handle).Handle(t.Context(), inserted(t, s, deleted, kept)))
	require.Len(t, handler.list, 1)
	require.Equal(t, BatchStats{Operation: OperationTrigger, Read: 2, Handled: 1, Expired: 1, Calls: 1}, seen.last(t))
}

func TestPromise15ExpiredEventsAreNeverHandedOver(t *testing.T) {
	s := newTestStore(t, newSpy(), WithTTL(ByType(map[string]TTLPolicy{"brief": ExpireAfter(time.Hour)}, NeverExpire())))
	brief, lasting := testEvent(t, "a", "brief", "p", 1), testEvent(t, "b", "t", "p", 2)
	require.NoError(t, s.Save(t.Context(), brief, lasting))
	handler := new(calls)
	require.NoError(t, NewTrigger(s, handler.handle).Handle(t.Context(), inserted(t, s, brief, lasting)))
	require.Equal(t, []seenCall{{"p", "b", []string{"b"}, []string{"b"}, 0}}, handler.list)
}

func TestPromise16AHistoryOverTheLimitsIsPermanent(t *testing.T) {
	for name, limit := range map[string]ReadOption{"events": MaxEvents(2), "bytes": MaxBytes(100)} {
		t.Run(name, func(t *testing.T) {
			s := newTestStore(t, newSpy())
			var events []Event
			for i := range 3 {
				events = append(events, testEvent(t, fmt.Sprint(i), "t", "p", i))
			}
			require.NoError(t, s.Save(t.Context(), events...))
			changes := inserted(t, s, events...)
			handler := new(calls)
			err := NewTrigger(s, handler.handle, WithWindow(limit)).Handle(t.Context(), changes)
			require.Equal(t, []int{0, 1, 2}, failedIndexes(t, err))
			var limited *LimitError
			require.ErrorAs(t, err, &limited)
			require.Empty(t, handler.list)

			sink := new(faultSink)
			require.NoError(t, NewTrigger(s, handler.handle, WithWindow(limit), WithFaultHandler(sink.handle)).Handle(t.Context(), changes))
			require.Len(t, sink.faults, 3)
			require.Equal(t, changes[1], *sink.faults[1].Change)
		})
	}
}

func TestPromise06AWindowAlwaysHoldsTheEventThatFired(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	var events []Event
	for i := range 6 {
		events = append(events, testEvent(t, fmt.Sprint(i), "t"+fmt.Sprint(i%2), "p", i))
	}
	require.NoError(t, s.Save(t.Context(), events...))
	changes := inserted(t, s, events[5], events[1], events[4])
	for name, test := range map[string]struct {
		window []ReadOption
		want   [][]string
	}{
		"last":     {[]ReadOption{Last(2)}, [][]string{{"4", "5"}, {"1", "4", "5"}, {"4", "5"}}},
		"since":    {[]ReadOption{Since(testTime(4))}, [][]string{{"4", "5"}, {"1", "4", "5"}, {"4", "5"}}},
		"matching": {[]ReadOption{Matching(Types("t0"))}, [][]string{{"0", "2", "4", "5"}, {"0", "1", "2", "4"}, {"0", "2", "4"}}},
		"eventual": {[]ReadOption{EventuallyConsistent(), Last(1)}, [][]string{{"5"}, {"1", "5"}, {"4", "5"}}},
	} {
		t.Run(name, func(t *testing.T) {
			spy.queries = nil
			handler := new(calls)
			require.NoError(t, NewTrigger(s, handler.handle, WithWindow(test.window...)).Handle(t.Context(), changes))
			for i, want := range test.want {
				require.Equal(t, want, handler.list[i].events)
				require.Zero(t, handler.list[i].room, "appending to the history is safe")
			}
			for _, query := range spy.queries {
				require.True(t, query.Consistent)
			}
		})
	}
}

func TestPromise07AfterAFailureNoLaterChangeOfTheKeyIsHandled(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		s := newTestStore(t, newSpy())
		var events []Event
		for i := range 12 {
			events = append(events, testEvent(t, fmt.Sprint(i), "t", fmt.Sprint("key-", i%3), i))
		}
		require.NoError(t, s.Save(t.Context(), events...))
		handler := &calls{do: func(_ context.Context, m *MicroEventStore) error {
			if m.Current.ID == "4" { // the second of key-1
				return errors.New("not now")
			}
			return nil
		}}
		err := NewTrigger(s, handler.handle, WithConcurrency(concurrency)).Handle(t.Context(), inserted(t, s, events...))
		require.Equal(t, []int{4, 7, 10}, failedIndexes(t, err))
		require.ErrorContains(t, err, "not now")
		order := func(key string) (list []string) {
			for _, call := range handler.of(key) {
				list = append(list, call.current)
			}
			return list
		}
		require.Equal(t, []string{"0", "3", "6", "9"}, order("key-0"))
		require.Equal(t, []string{"1", "4"}, order("key-1"))
		require.Equal(t, []string{"2", "5", "8", "11"}, order("key-2"))
	}
}

func TestPermanentGoesToTheFaultHandlerAndTheKeyGoesOn(t *testing.T) {
	s := newTestStore(t, newSpy())
	events := []Event{testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2)}
	require.NoError(t, s.Save(t.Context(), events...))
	cause := errors.New("never")
	handler := &calls{do: func(_ context.Context, m *MicroEventStore) error {
		if m.Current.ID == "a" {
			return fmt.Errorf("wrapped: %w", Permanent(cause))
		}
		return nil
	}}
	changes := inserted(t, s, events...)
	require.Equal(t, []int{0, 1}, failedIndexes(t, NewTrigger(s, handler.handle).Handle(t.Context(), changes)))
	require.Len(t, handler.list, 1)

	handler.list = nil
	sink := new(faultSink)
	require.NoError(t, NewTrigger(s, handler.handle, WithFaultHandler(sink.handle)).Handle(t.Context(), changes))
	require.Len(t, handler.list, 2)
	require.Len(t, sink.faults, 1)
	require.ErrorIs(t, sink.faults[0].Err, cause)
	require.Equal(t, changes[0], *sink.faults[0].Change)
	require.Nil(t, sink.faults[0].Record)
}

func TestPromise09OnlyPermanentErrorsAreFaults(t *testing.T) {
	s := newTestStore(t, newSpy())
	e := testEvent(t, "a", "t", "p", 1)
	require.NoError(t, s.Save(t.Context(), e))
	for name, err := range map[string]error{
		"an ordinary one":            errThrottled,
		"a panic":                    nil,
		"some of several":            errors.Join(Permanent(errThrottled), errThrottled),
		"a SaveError with some":      &SaveError{Failures: []Failure{{0, Permanent(errThrottled)}, {1, errThrottled}}},
		"a SaveError of all":         fmt.Errorf("emit: %w", &SaveError{Failures: []Failure{{0, Permanent(errThrottled)}}}),
		"a BatchError of all":        &BatchError{Failures: []Failure{{0, Permanent(errThrottled)}}},
		"a panic with Permanent":     &PanicError{Value: Permanent(errThrottled)},
		"one from elsewhere":         fmt.Errorf("%w: %w", driver.ErrInvalidItem, errThrottled),
		"the context of the handler": context.Canceled,
	} {
		t.Run(name, func(t *testing.T) {
			sink := new(faultSink)
			trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error {
				if err == nil {
					panic("boom")
				}
				return err
			}, WithFaultHandler(sink.handle))
			require.Equal(t, []int{0}, failedIndexes(t, trigger.Handle(t.Context(), inserted(t, s, e))))
			require.Empty(t, sink.faults)
		})
	}
	t.Run("one that a newer version can read", func(t *testing.T) {
		sink := new(faultSink)
		change := inserted(t, s, e)[0]
		change.Err = fmt.Errorf("decode the image: %w", driver.ErrUnknownEncoding)
		err := NewTrigger(s, new(calls).handle, WithFaultHandler(sink.handle)).Handle(t.Context(), []Change{change})
		require.Equal(t, []int{0}, failedIndexes(t, err))
		require.ErrorIs(t, err, driver.ErrUnknownEncoding)
		require.Empty(t, sink.faults)
	})
	t.Run("a read that fails", func(t *testing.T) {
		spy := newSpy()
		s := newTestStore(t, spy)
		spy.beforeQuery = func(context.Context, driver.Query) error { return errors.New("AccessDeniedException") }
		sink := new(faultSink)
		handler := new(calls)
		trigger := NewTrigger(s, handler.handle, WithFaultHandler(sink.handle))
		require.Equal(t, []int{0}, failedIndexes(t, trigger.Handle(t.Context(), inserted(t, s, e))))
		require.Empty(t, sink.faults)
		require.Empty(t, handler.list)
	})
}

func write(m map[string]int) error {
	m["a"]++
	return nil
}

// A hundred keys in parallel; whatever one handler does, the others are done.
func TestPromise09AHandlerFailsOnlyItsOwnChange(t *testing.T) {
	for name, misbehave := range map[string]func(ctx context.Context) error{
		"panics":         func(context.Context) error { panic("boom") },
		"panics with it": func(context.Context) error { panic(errThrottled) },
		"exits":          func(context.Context) error { runtime.Goexit(); return nil },
		"nil map":        func(context.Context) error { return write(nil) },
		"is late":        func(ctx context.Context) error { <-ctx.Done(); return nil },
		"is late, says":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTestStore(t, newSpy())
				var events []Event
				for i := range 100 {
					events = append(events, testEvent(t, fmt.Sprint(i), "t", fmt.Sprint("key-", i), i))
				}
				require.NoError(t, s.Save(t.Context(), events...))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				handler := &calls{do: func(ctx context.Context, m *MicroEventStore) error {
					if m.Current.ID == "42" {
						return misbehave(ctx)
					}
					return nil
				}}
				err := NewTrigger(s, handler.handle, WithConcurrency(100)).Handle(ctx, inserted(t, s, events...))
				require.Equal(t, []int{42}, failedIndexes(t, err))
				require.Len(t, handler.list, 100)
				require.NotContains(t, err.Error(), "boom")
			})
		})
	}
}

// A key that is alone, too.
func TestPromise09AHandlerThatEndsItsGoroutineDoesNotEndTheCallers(t *testing.T) {
	s := newTestStore(t, newSpy())
	e := testEvent(t, "a", "t", "p", 1)
	require.NoError(t, s.Save(t.Context(), e))
	trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error { runtime.Goexit(); return nil })
	require.Equal(t, []int{0}, failedIndexes(t, trigger.Handle(t.Context(), inserted(t, s, e))))
	require.Equal(t, []int{0}, failedIndexes(t, trigger.Refire(t.Context(), "p")))
}

func TestPromise12HandleWaitsForItsHandlersAndStartsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, newSpy())
		var events []Event
		for i := range 10 {
			events = append(events, testEvent(t, fmt.Sprint(i), "t", fmt.Sprint("key-", i), i))
		}
		require.NoError(t, s.Save(t.Context(), events...))
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		running := 0
		handler := &calls{do: func(context.Context, *MicroEventStore) error {
			running++
			time.Sleep(time.Second)
			running--
			return nil
		}}
		err := NewTrigger(s, handler.handle, WithConcurrency(1)).Handle(ctx, inserted(t, s, events...))
		require.Zero(t, running)
		require.Len(t, handler.list, 3)
		require.Equal(t, []int{2, 3, 4, 5, 6, 7, 8, 9}, failedIndexes(t, err), "two are done, the third was late")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestStore(t, newSpy())
		var events []Event
		for i := range 30 {
			events = append(events, testEvent(t, fmt.Sprint(i), "t", fmt.Sprint("key-", i), i))
		}
		require.NoError(t, s.Save(t.Context(), events...))
		var mu sync.Mutex
		running, most := 0, 0
		handler := &calls{do: func(context.Context, *MicroEventStore) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}}
		require.NoError(t, NewTrigger(s, handler.handle, WithConcurrency(7)).Handle(t.Context(), inserted(t, s, events...)))
		require.Equal(t, 7, most)
	})
}

func TestCoalesce(t *testing.T) {
	spy := newSpy()
	seen := new(observation)
	s := newTestStore(t, spy, WithObserver(seen))
	events := []Event{testEvent(t, "c", "t", "p", 3), testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "q", 2)}
	gone := testEvent(t, "gone", "t", "p", 9)
	require.NoError(t, s.Save(t.Context(), append(events, testEvent(t, "old", "t", "p", 0))...))
	handler := new(calls)
	changes := inserted(t, s, events[0], gone, events[1], events[2])
	require.NoError(t, NewTrigger(s, handler.handle, Coalesce()).Handle(t.Context(), changes))
	require.Equal(t, []seenCall{{"p", "a", []string{"c", "a"}, []string{"old", "a", "c"}, 0}}, handler.of("p"))
	require.Equal(t, []seenCall{{"q", "b", []string{"b"}, []string{"b"}, 0}}, handler.of("q"))
	require.Equal(t, BatchStats{Operation: OperationTrigger, Read: 4, Handled: 3, Expired: 1, Calls: 2}, seen.last(t))

	t.Run("a failure is that of all", func(t *testing.T) {
		handler := &calls{do: func(_ context.Context, m *MicroEventStore) error {
			if m.HashKey == "p" {
				return errThrottled
			}
			return nil
		}}
		require.Equal(t, []int{0, 2}, failedIndexes(t, NewTrigger(s, handler.handle, Coalesce()).Handle(t.Context(), changes)))
	})
	t.Run("appending to what is new is safe", func(t *testing.T) {
		more := testEvent(t, "d", "t", "p", 4)
		require.NoError(t, s.Save(t.Context(), more))
		handler := new(calls)
		three := append(slices.Clone(changes[:3]), inserted(t, s, more)...)
		require.NoError(t, NewTrigger(s, handler.handle, Coalesce()).Handle(t.Context(), three))
		require.Len(t, handler.list[0].fired, 3)
		require.Zero(t, handler.list[0].room)
	})
	t.Run("poison keeps its place in the order", func(t *testing.T) {
		handler := new(calls)
		poison := Change{HashKey: "p", Err: errors.New("undecodable")}
		err := NewTrigger(s, handler.handle, Coalesce()).Handle(t.Context(), []Change{changes[0], poison, changes[2]})
		require.Equal(t, []int{1, 2}, failedIndexes(t, err))
		require.Equal(t, [][]string{{"c"}}, [][]string{handler.list[0].fired})
		sink := new(faultSink)
		handler = new(calls)
		require.NoError(t, NewTrigger(s, handler.handle, Coalesce(), WithFaultHandler(sink.handle)).Handle(t.Context(), []Change{changes[0], poison, changes[2]}))
		require.Len(t, handler.list, 2)
	})
}

func TestWhatDoesNotFire(t *testing.T) {
	seen := new(observation)
	s := newTestStore(t, newSpy(), WithObserver(seen), WithHashKey(Prefix("order#", PartitionKey()), Prefix("user#", PartitionKey())))
	e := testEvent(t, "a", "t", "p", 1)
	require.NoError(t, s.Save(t.Context(), e))
	changes := inserted(t, s, e)
	require.Len(t, changes, 2)
	modified, removed, marker := changes[0], changes[0], changes[0]
	modified.Kind, removed.Kind = Modified, Removed
	marker.RangeKey = driver.MarkerPrefix + "rule"
	modified.Err = errors.New("undecodable") // it would not fire anyway
	changes = append(changes, modified, removed, marker)

	handler := new(calls)
	onlyOrders := OnlyHashKeys(func(hashKey string) bool { return strings.HasPrefix(hashKey, "order#") })
	require.NoError(t, NewTrigger(s, handler.handle, onlyOrders).Handle(t.Context(), changes))
	require.Equal(t, []seenCall{{"order#p", "a", []string{"a"}, []string{"a"}, 0}}, handler.list)
	require.Equal(t, BatchStats{Operation: OperationTrigger, Read: 5, Handled: 1, Skipped: 4, Calls: 1}, seen.last(t))

	handler = new(calls)
	changes[2].Err = nil
	require.NoError(t, NewTrigger(s, handler.handle, OnKinds(Modified, Removed)).Handle(t.Context(), changes))
	require.Len(t, handler.list, 2)

	panics := OnlyHashKeys(func(string) bool { panic("boom") })
	require.Equal(t, []int{0, 1}, failedIndexes(t, NewTrigger(s, handler.handle, panics).Handle(t.Context(), changes)))
}

func TestARemovedEventIsCurrentButNotInTheHistory(t *testing.T) {
	s := newTestStore(t, newSpy())
	kept, removed := testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2)
	require.NoError(t, s.Save(t.Context(), kept))
	change := inserted(t, s, removed)[0]
	change.Kind, change.Old, change.Expired = Removed, &removed, true
	handler := new(calls)
	require.NoError(t, NewTrigger(s, handler.handle, OnKinds(Removed)).Handle(t.Context(), []Change{change}))
	require.Equal(t, []seenCall{{"p", "b", []string{"b"}, []string{"a"}, 0}}, handler.list)

	change.Old = nil // as far as the change stream tells
	var current Event
	require.NoError(t, NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		current = m.Current
		return nil
	}, OnKinds(Removed)).Handle(t.Context(), []Change{change}))
	require.Equal(t, Event{RangeKey: change.RangeKey}, current)
}

func TestPromise10PoisonChanges(t *testing.T) {
	s := newTestStore(t, newSpy())
	e := testEvent(t, "a", "t", "p", 1)
	require.NoError(t, s.Save(t.Context(), e))
	good := inserted(t, s, e)[0]
	long := strings.Repeat("k", 5000)
	changes := []Change{
		{},
		{Err: errors.New("undecodable")},
		{Kind: Inserted},
		{Kind: Inserted, HashKey: "p"},
		{Kind: Inserted, RangeKey: "r"},
		{Kind: 77, HashKey: "q", RangeKey: "r"},
		{Kind: Inserted, HashKey: long, RangeKey: "r"},
		{Kind: Inserted, HashKey: "h\xff", RangeKey: "r"},
		{Kind: Inserted, HashKey: "nothing there", RangeKey: "h\xff"},
		{Kind: Inserted, HashKey: "nothing there", RangeKey: long},
		good,
	}
	handler := new(calls)
	sink := new(faultSink)
	var mu sync.Mutex
	trigger := NewTrigger(s, handler.handle, WithWindow(Last(10)), WithFaultHandler(func(ctx context.Context, fault Fault) error {
		mu.Lock()
		defer mu.Unlock()
		return sink.handle(ctx, fault)
	}))
	require.NoError(t, trigger.Handle(t.Context(), changes))
	require.Len(t, sink.faults, 10)
	require.Len(t, handler.list, 1, "a fault that was accepted does not hold up its key")

	handler = new(calls)
	err := NewTrigger(s, handler.handle, WithWindow(Last(10))).Handle(t.Context(), changes)
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, failedIndexes(t, err))
	require.Empty(t, handler.list, "the change before it, of the same key, was not accepted")
}

func TestChangesWithoutAKeyAreOnTheirOwn(t *testing.T) {
	accepted := 0
	trigger := NewTrigger(newTestStore(t, newSpy()), new(calls).handle, WithConcurrency(1), WithFaultHandler(func(_ context.Context, fault Fault) error {
		if fault.Change.Meta.SequenceNumber == "1" {
			return errors.New("the queue is full")
		}
		accepted++
		return nil
	}))
	poison := func(number string) Change {
		return Change{Err: errors.New("undecodable"), Meta: Meta{SequenceNumber: number}}
	}
	err := trigger.Handle(t.Context(), []Change{poison("1"), poison("2"), poison("3")})
	require.Equal(t, []int{0}, failedIndexes(t, err))
	require.Equal(t, 2, accepted)
}

func TestHistoryIsSharedButAppendingIsSafe(t *testing.T) {
	s := newTestStore(t, newSpy())
	events := []Event{testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2)}
	require.NoError(t, s.Save(t.Context(), events...))
	var seen []*MicroEventStore
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		_ = append(m.Events, Event{ID: "appended"})
		_ = append(m.New, Event{ID: "appended"})
		seen = append(seen, m)
		return nil
	})
	require.NoError(t, trigger.Handle(t.Context(), inserted(t, s, events...)))
	require.Same(t, &seen[0].Events[0], &seen[1].Events[0])
	require.Equal(t, len(seen[0].Events), cap(seen[0].Events))
	require.Equal(t, 1, cap(seen[0].New))
}

func TestTriggerWithWrongOptionsSaysSoInEveryCall(t *testing.T) {
	s := newTestStore(t, newSpy())
	handler := new(calls).handle
	for name, trigger := range map[string]*Trigger{
		"nil store":       NewTrigger(nil, handler),
		"nil handler":     NewTrigger(s, nil),
		"nil option":      NewTrigger(s, handler, nil),
		"concurrency":     NewTrigger(s, handler, WithConcurrency(0)),
		"no kinds":        NewTrigger(s, handler, OnKinds()),
		"unknown kind":    NewTrigger(s, handler, OnKinds(9)),
		"window":          NewTrigger(s, handler, WithWindow(Last(0), MaxEvents(-1), MaxBytes(0), After("h\xff"))),
		"nil read option": NewTrigger(s, handler, WithWindow(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []int{0, 1}, failedIndexes(t, trigger.Handle(t.Context(), make([]Change, 2))))
			require.ErrorContains(t, trigger.Handle(t.Context(), nil), "new trigger")
			require.Equal(t, []int{0}, failedIndexes(t, trigger.Refire(t.Context(), "p")))
		})
	}
}

func TestRefire(t *testing.T) {
	spy := newSpy()
	seen := new(observation)
	s := newTestStore(t, spy, WithObserver(seen))
	var events []Event
	for i := range 4 {
		events = append(events, testEvent(t, fmt.Sprint(i), "t", []string{"p", "q"}[i%2], i))
	}
	require.NoError(t, s.Save(t.Context(), events...))
	t.Run("each event fires", func(t *testing.T) {
		handler := new(calls)
		require.NoError(t, NewTrigger(s, handler.handle).Refire(t.Context(), "p", "nothing there", "p", "q"))
		require.Equal(t, []seenCall{{"p", "0", []string{"0"}, []string{"0", "2"}, 0}, {"p", "2", []string{"2"}, []string{"0", "2"}, 0}}, handler.of("p"))
		require.Len(t, handler.of("q"), 2)
		require.Equal(t, BatchStats{Operation: OperationTrigger, Read: 4, Handled: 4, Calls: 4}, seen.last(t))
	})
	t.Run("coalesced", func(t *testing.T) {
		handler := new(calls)
		require.NoError(t, NewTrigger(s, handler.handle, Coalesce()).Refire(t.Context(), "q"))
		require.Equal(t, []seenCall{{"q", "3", []string{"1", "3"}, []string{"1", "3"}, 0}}, handler.list)
	})
	t.Run("windowed", func(t *testing.T) {
		handler := new(calls)
		require.NoError(t, NewTrigger(s, handler.handle, WithWindow(Last(1))).Refire(t.Context(), "p"))
		require.Equal(t, []string{"0", "2"}, handler.list[0].events)
		require.Equal(t, []string{"2"}, handler.list[1].events)
	})
	t.Run("failures name the key", func(t *testing.T) {
		handler := &calls{do: func(_ context.Context, m *MicroEventStore) error {
			if m.HashKey == "q" {
				return errThrottled
			}
			return nil
		}}
		err := NewTrigger(s, handler.handle).Refire(t.Context(), "p", "q", "", strings.Repeat("k", 3000))
		require.Equal(t, []int{1, 2, 3}, failedIndexes(t, err))
		require.ErrorIs(t, err, errThrottled)
		require.Len(t, handler.of("q"), 1)
	})
	t.Run("the trigger's own limits", func(t *testing.T) {
		large := newSpy()
		s := newTestStore(t, large)
		items := make([]driver.Item, DefaultMaxEvents+1)
		for i := range items {
			items[i] = driver.Item{HashKey: "p", RangeKey: fmt.Sprintf("%06d", i), Event: []byte(`{}`), ID: "x", Complete: true}
		}
		require.NoError(t, large.Table.Put(t.Context(), items))
		handler := new(calls)
		require.NoError(t, NewTrigger(s, handler.handle, Coalesce(), WithWindow(MaxEvents(20_000))).Refire(t.Context(), "p"))
		require.Len(t, handler.list[0].fired, len(items))
	})
	t.Run("too large", func(t *testing.T) {
		handler := new(calls)
		err := NewTrigger(s, handler.handle, WithWindow(MaxEvents(1))).Refire(t.Context(), "p")
		require.Equal(t, []int{0}, failedIndexes(t, err))
		require.ErrorContains(t, err, "hash key 0 is to be refired again")
		require.Empty(t, handler.list)
		err = NewTrigger(s, handler.handle, WithWindow(MaxEvents(1))).Handle(t.Context(), []Change{{Kind: Inserted, HashKey: "p", RangeKey: "r"}})
		require.ErrorContains(t, err, "change 0 is to be delivered again")
	})
}

// Whichever function of the user's ends its goroutine, the caller's goes on and the
// others of the batch are dealt with.
func TestPromise09GoexitAnywhereIsItsOwnChangesFailure(t *testing.T) {
	exit := func(hit bool) {
		if hit {
			runtime.Goexit()
		}
	}
	for name, test := range map[string]struct {
		store   []Option
		trigger []TriggerOption
	}{
		"OnlyHashKeys": {nil, []TriggerOption{OnlyHashKeys(func(key string) bool { exit(key == "bad"); return true })}},
		"WithWindows":  {nil, []TriggerOption{WithWindows(func(c Change) (Window, bool) { exit(c.HashKey == "bad"); return Window{}, true })}},
		"Matching":     {nil, []TriggerOption{WithWindow(Matching(func(e Event) bool { exit(e.PartitionKey == "bad"); return true }))}},
		"the decoder": {[]Option{WithDecoder(func(raw []byte) (Event, error) {
			e, err := Parse(raw)
			exit(e.PartitionKey == "bad")
			return e, err
		})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpy()
			events := []Event{testEvent(t, "a", "t", "bad", 1), testEvent(t, "b", "t", "good", 2), testEvent(t, "c", "t", "fine", 3)}
			require.NoError(t, newTestStore(t, spy).Save(t.Context(), events...))
			s := newTestStore(t, spy, test.store...)
			handler := new(calls)
			trigger := NewTrigger(s, handler.handle, test.trigger...)
			changes := inserted(t, newTestStore(t, spy), events...)
			require.Equal(t, []int{0}, failedIndexes(t, trigger.Handle(t.Context(), changes)))
			require.Len(t, handler.list, 2)
			require.Equal(t, []int{0}, failedIndexes(t, trigger.Handle(t.Context(), changes[:1])))
			require.Equal(t, []int{0}, failedIndexes(t, trigger.Refire(t.Context(), "bad", "good")))
			require.Equal(t, []int{0}, failedIndexes(t, trigger.Refire(t.Context(), "bad")))
		})
	}
}

// What nobody asked for holds up nothing, be it as broken as it may.
func TestOnlyHashKeysLeavesOutWhatCannotBeDecoded(t *testing.T) {
	trigger := NewTrigger(newTestStore(t, newSpy()), new(calls).handle, OnlyHashKeys(func(key string) bool { return key == "mine" }))
	err := trigger.Handle(t.Context(), []Change{
		{Kind: Inserted, HashKey: "other", RangeKey: "1", Err: errThrottled},
		{Kind: Inserted, HashKey: "mine", RangeKey: "1", Err: errThrottled},
		{Kind: 9, HashKey: "other", RangeKey: "1"},
		{Kind: Inserted, HashKey: "other", RangeKey: "1", Err: driver.ErrUnknownEncoding},
		{Kind: Inserted, RangeKey: "1", Err: errThrottled},
	})
	require.Equal(t, []int{1, 4}, failedIndexes(t, err))
}

func TestPromise10AnEmptyTriggerIsAnError(t *testing.T) {
	for _, trigger := range []*Trigger{new(Trigger), NewTrigger(nil, nil)} {
		require.Error(t, trigger.Handle(t.Context(), nil))
		require.Equal(t, []int{0}, failedIndexes(t, trigger.Handle(t.Context(), []Change{{}})))
		require.Error(t, trigger.Refire(t.Context()))
	}
}

func TestAnEmptyBatchIsNotObserved(t *testing.T) {
	seen := new(observation)
	s := newTestStore(t, newSpy(), WithObserver(seen))
	require.NoError(t, NewTrigger(s, new(calls).handle).Handle(t.Context(), nil))
	require.NoError(t, NewListener(s, nil).Handle(t.Context(), nil))
	require.Empty(t, seen.batches)
}

func TestAFailureAlwaysHasAnError(t *testing.T) {
	s := newTestStore(t, newSpy())
	events := []Event{testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "q", 2)}
	require.NoError(t, s.Save(t.Context(), events...))
	window := WithWindow(Matching(func(Event) bool { runtime.Goexit(); return true }))
	err := NewTrigger(s, new(calls).handle, window).Handle(t.Context(), inserted(t, s, events...))
	require.Equal(t, []int{0, 1}, failedIndexes(t, err))
}

func TestPromise20ErrorsOfTheTriggerHoldNoSecrets(t *testing.T) {
	const canary = "c4n4ry"
	s := newTestStore(t, newSpy())
	e := testEvent(t, canary, canary, canary, 1)
	require.NoError(t, s.Save(t.Context(), e))
	trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error { panic(canary) })
	changes := append(inserted(t, s, e), Change{Kind: Inserted, HashKey: strings.Repeat(canary, 500), RangeKey: canary}, Change{Kind: 9, HashKey: canary + "2"})
	err := trigger.Handle(t.Context(), changes)
	require.Equal(t, []int{0, 1, 2}, failedIndexes(t, err))
	var batch *BatchError
	require.ErrorAs(t, err, &batch)
	for _, failure := range batch.Failures {
		require.NotContains(t, failure.Err.Error(), canary)
	}
	var panicked *PanicError
	require.ErrorAs(t, err, &panicked)
	require.Equal(t, canary, panicked.Value)
	require.NotEmpty(t, panicked.Stack)
}
