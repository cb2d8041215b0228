package microeventstore

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// insert saves an event and returns its change.
func insert(t *testing.T, s *Store, e Event) Change {
	t.Helper()
	require.NoError(t, s.Save(t.Context(), e))
	key, err := s.rangeKeyOf(&e)
	require.NoError(t, err)
	return Change{Kind: Inserted, HashKey: e.PartitionKey, RangeKey: key}
}

// An arenaTable returns the events of a page in one piece of memory, as a table does that
// reads them from one answer.
type arenaTable struct {
	driver.Table
	begins map[*byte]bool // of events, if it is not nil
}

// Query implements driver.Table.
func (a *arenaTable) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	page, err := a.Table.Query(ctx, query)
	var all []byte
	for i := range page.Items {
		all = append(all, page.Items[i].Event...)
	}
	for i := range page.Items {
		n := len(page.Items[i].Event)
		page.Items[i].Event, all = all[:n:n], all[n:]
		if a.begins != nil {
			a.begins[&page.Items[i].Event[0]] = true
		}
	}
	return page, err
}

// What the cache counts is what it keeps alive: of a page that brought one new event among
// many that were known nothing else stays.
func TestPromise16CachedHistoriesKeepNothingElseAlive(t *testing.T) {
	table := &arenaTable{Table: memorytable.New(), begins: make(map[*byte]bool)}
	s, err := New(table, WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error { return nil }, WithHistoryCache(1<<20, time.Hour))
	for i := range 20 {
		require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", int64(i), fmt.Sprint(i), 100))}))
	}
	// One far back in time, so that all is read again.
	require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", -time.Hour.Milliseconds(), "old", 100))}))
	require.NoError(t, s.Save(t.Context(), cacheEvent(t, "k", -2*time.Hour.Milliseconds(), "older", 100)))
	require.NoError(t, trigger.Refire(t.Context(), "k"))
	held, _ := trigger.cache.begin("k")
	require.Len(t, held.events, 22)
	kept := int64(0)
	for i := range held.events {
		e := &held.events[i]
		kept += int64(len(e.Raw) + len(e.ID) + len(e.Type) + len(e.PartitionKey) + len(e.RangeKey))
		require.False(t, table.begins[&held.events[i].Raw[0]], "event %d is in the memory of a read", i)
	}
	require.Equal(t, kept, held.kept)
	require.Equal(t, kept+int64(cap(held.events))*eventSize+int64(len("k"))+historySize, held.bytes)
	require.Equal(t, held.bytes, trigger.cache.bytes)
}

// Of a history most of which has gone the rest is copied.
func TestPromise16WhatIsLeftOfAHistoryIsCopied(t *testing.T) {
	now := time.Now()
	events := make([]Event, 100)
	for i := range events {
		events[i] = Event{RangeKey: fmt.Sprintf("%03d", i), Raw: make([]byte, 1000), Expires: now.Add(time.Duration(i) * time.Second)}
	}
	h := newCachedHistory("k", events, nil)
	require.Equal(t, now, h.expires)
	require.Same(t, h, h.without(now.Add(-1)))

	half := h.without(now.Add(49 * time.Second))
	require.Len(t, half.events, 50)
	const besides = 100*eventSize + 1 + historySize
	require.Equal(t, []int64{50_000, 100_300, 100_300 + besides}, []int64{half.raw, half.kept, half.bytes})
	require.Same(t, &events[50].Raw[0], &half.events[0].Raw[0])

	less := half.without(now.Add(50 * time.Second))
	require.Equal(t, []int64{49_000, 49_147, 49_147 + besides}, []int64{less.raw, less.kept, less.bytes})
	require.NotSame(t, &events[51].Raw[0], &less.events[0].Raw[0])
	require.Equal(t, now.Add(51*time.Second), less.expires)
}

// Two histories that continue one do not write over one another.
func TestTwoHistoriesContinueOne(t *testing.T) {
	h := newCachedHistory("k", append(make([]Event, 0, 8), Event{RangeKey: "1"}), nil)
	a, b := h.extend([]Event{{RangeKey: "a"}}), h.extend([]Event{{RangeKey: "b"}})
	require.Equal(t, []string{"1", "a"}, []string{a[0].RangeKey, a[1].RangeKey})
	require.Equal(t, []string{"1", "b"}, []string{b[0].RangeKey, b[1].RangeKey})
}

// cached returns a trigger with a cache, what its handler was given last, and how much
// was read.
func cached(t *testing.T, lateness time.Duration, opts ...Option) (s *Store, trigger *Trigger, last *[]string, table *countingTable) {
	t.Helper()
	table, last = &countingTable{Table: memorytable.New()}, new([]string)
	s, err := New(table, opts...)
	require.NoError(t, err)
	trigger = NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		*last = nil
		for _, e := range m.Events {
			*last = append(*last, e.ID)
		}
		return nil
	}, OnKinds(Inserted, Modified), WithHistoryCache(1<<20, lateness))
	return s, trigger, last, table
}

// What expires goes from a history that has been continued since.
func TestPromise15AContinuedHistoryExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, trigger, last, _ := cached(t, time.Millisecond, WithTTL(ByType(map[string]TTLPolicy{"short": ExpireAfter(3 * time.Second)}, ExpireAfter(time.Hour))))
		fire := func(id, typ string) {
			e, err := NewEvent(map[string]any{"id": id, "type": typ, "partitionKey": "k", "timestamp": time.Now().UnixMilli()})
			require.NoError(t, err)
			require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, e)}))
			time.Sleep(time.Second)
		}
		fire("a", "short")
		fire("b", "long")
		fire("c", "long")
		require.Equal(t, []string{"a", "b", "c"}, *last)
		time.Sleep(10 * time.Second)
		fire("d", "long")
		require.Equal(t, []string{"b", "c", "d"}, *last)
	})
}

// The newest event itself may change.
func TestPromise06AChangedEventIsReadAgain(t *testing.T) {
	table := memorytable.New()
	s, err := New(table, WithTTL(NeverExpire()))
	require.NoError(t, err)
	raw := ""
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		raw = string(m.Events[len(m.Events)-1].Raw)
		return nil
	}, OnKinds(Inserted, Modified), WithHistoryCache(1<<20, time.Second))
	for size := range 3 {
		e := cacheEvent(t, "k", 0, "1", size)
		change := insert(t, s, e)
		change.Kind = min(Inserted+ChangeKind(size), Modified)
		require.NoError(t, trigger.Handle(t.Context(), []Change{change}))
		require.Equal(t, string(e.Raw), raw)
	}
}

func TestPromise16ACachedHistoryHasTheSameLimits(t *testing.T) {
	s, err := New(memorytable.New(), WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error { return nil }, WithHistoryCache(1<<20, time.Millisecond), WithWindow(MaxBytes(1000)))
	var failed error
	for i := range 10 {
		failed = trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", int64(i)*100, fmt.Sprint(i), 100))})
		if i < 4 {
			require.NoError(t, failed)
		}
	}
	var limit *LimitError
	require.ErrorAs(t, failed, &limit)
}

// Changes that are no reason to read a history in full.
func TestAHistoryStaysCached(t *testing.T) {
	others := map[string]func(i int, change Change, at func(i int) string) []Change{
		"a marker": func(_ int, change Change, _ func(int) string) []Change {
			return []Change{{Kind: Inserted, HashKey: "k", RangeKey: driver.MarkerPrefix + "once"}, change}
		},
		"an event that had expired": func(i int, change Change, at func(int) string) []Change {
			return []Change{{Kind: Removed, Expired: true, HashKey: "k", RangeKey: at(i - 1000)}, change}
		},
	}
	for name, with := range others {
		s, trigger, last, table := cached(t, time.Millisecond, WithTTL(NeverExpire()))
		at := func(i int) string {
			e := cacheEvent(t, "k", int64(i)*100, fmt.Sprint(i), 1)
			key, err := s.rangeKeyOf(&e)
			require.NoError(t, err)
			return key
		}
		const n = 50
		for i := range n {
			change := insert(t, s, cacheEvent(t, "k", int64(i)*100, fmt.Sprint(i), 1))
			require.NoError(t, trigger.Handle(t.Context(), with(i, change, at)))
			require.Len(t, *last, i+1)
		}
		require.Equal(t, 2*n-1, table.items, name)
	}
}

// Batches of one key at once do not have it read in full.
func TestAHistoryStaysCachedBesideOtherBatches(t *testing.T) {
	counting := &countingTable{Table: memorytable.New()}
	table := &afterQuery{Table: counting}
	s, err := New(table, WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error { return nil }, WithHistoryCache(1<<20, time.Millisecond))
	fire := func(i int) {
		require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", int64(i)*100, fmt.Sprint(i), 1))}))
	}
	for i := 0; i < 100; i += 2 {
		table.do = func() { fire(i + 1) }
		fire(i)
	}
	require.LessOrEqual(t, counting.items, 4*100, "it grows as n squared")
}

// One that is there, and that the cache would still hand over, is.
func TestPromise06AnEventThatWentBeforeItsTimeIsForgotten(t *testing.T) {
	s, trigger, last, table := cached(t, time.Millisecond, WithTTL(func(e Event) (time.Time, bool) { return time.Now().Add(time.Hour), e.ID == "1" }))
	now := time.Now().UnixMilli() - cacheEpoch
	first := insert(t, s, cacheEvent(t, "k", now, "1", 1))
	require.NoError(t, trigger.Handle(t.Context(), []Change{first}))
	require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", now+1000, "2", 1))}))
	require.Equal(t, 1, table.Table.(*memorytable.Table).Expire(time.Now().Add(2*time.Hour)), "its clock is ahead")
	gone := Change{Kind: Removed, Expired: true, HashKey: "k", RangeKey: first.RangeKey}
	require.NoError(t, trigger.Handle(t.Context(), []Change{gone, insert(t, s, cacheEvent(t, "k", now+2000, "3", 1))}))
	require.Equal(t, []string{"2", "3"}, *last)
}

// A history that is read in full lies behind what has expired, which the table has not
// deleted yet, in the memory of its page.
func TestPromise16AFirstReadKeepsNoPageAlive(t *testing.T) {
	table := memorytable.New()
	store := func(policy TTLPolicy) *Store {
		s, err := New(&arenaTable{Table: table}, WithTTL(policy))
		require.NoError(t, err)
		return s
	}
	expired := store(func(Event) (time.Time, bool) { return time.Now().Add(-time.Hour), true })
	const keys = 50
	for k := range keys {
		for i := range 200 {
			require.NoError(t, expired.Save(t.Context(), cacheEvent(t, fmt.Sprint(k), int64(i), fmt.Sprint(i), 1000)))
		}
	}
	s := store(NeverExpire())
	handled := 0
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		require.Len(t, m.Events, 1)
		handled++
		return nil
	}, WithHistoryCache(1<<20, time.Second))
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := heap()
	for k := range keys {
		require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, fmt.Sprint(k), 1000, "new", 1000))}))
	}
	require.Equal(t, keys, handled)
	require.Len(t, trigger.cache.entries, keys)
	require.Less(t, heap()-before, int64(3<<20), "with their pages they would take 10 MB")
	runtime.KeepAlive(trigger)
}

// What a handler appends to an event is its own.
func TestCachedEventsHaveNoRoomBehindThem(t *testing.T) {
	s, err := New(memorytable.New(), WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		for _, e := range m.Events {
			require.Equal(t, len(e.Raw), cap(e.Raw))
		}
		require.Equal(t, len(m.Events), cap(m.Events))
		return nil
	}, WithHistoryCache(1<<20, time.Millisecond))
	for i := range 50 {
		require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", int64(i)*100, fmt.Sprint(i), i))}))
		require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", int64(i)*90, fmt.Sprint("b", i), i))}))
	}
}

// Refire tells the trigger of events that it was not told of before.
func TestPromise06RefireSeesWhatTheCacheHasNot(t *testing.T) {
	s, err := New(memorytable.New(), WithTTL(NeverExpire()))
	require.NoError(t, err)
	var called []string
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		called = append(called, fmt.Sprintf("%s of %d", m.Current.ID, len(m.Events)))
		return nil
	}, WithHistoryCache(1<<20, time.Second))
	require.NoError(t, trigger.Handle(t.Context(), []Change{insert(t, s, cacheEvent(t, "k", 100_000, "new", 1))}))
	require.NoError(t, s.Save(t.Context(), cacheEvent(t, "k", 1000, "late", 1))) // its change went to another process
	called = nil
	require.NoError(t, trigger.Refire(t.Context(), "k"))
	require.Equal(t, []string{"late of 2", "new of 2"}, called)

	require.NoError(t, s.Delete(t.Context(), "k")) // whose changes went there, too
	require.NoError(t, s.Save(t.Context(), cacheEvent(t, "k", 100_000, "new", 1)))
	called = nil
	require.NoError(t, trigger.Refire(t.Context(), "k"))
	require.Equal(t, []string{"new of 1"}, called)
}

// A batch that brings nothing new, as a delivery again does, leaves a history as it is, with
// room for the next event.
func TestAHistoryThatDoesNotGrowIsNotCopied(t *testing.T) {
	raw := []byte("{}")
	h := newCachedHistory("k", append(make([]Event, 0, 8), Event{RangeKey: "1", ID: "1", Raw: raw}, Event{RangeKey: "2", ID: "2", Raw: raw}), nil)
	require.Same(t, h, h.append([]Event{{RangeKey: "2", ID: "2", Raw: raw}}, "2"))
	for _, other := range []Event{{ID: "2", Type: "t"}, {ID: "3"}, {ID: "2", PartitionKey: "p"}, {ID: "2", Timestamp: time.Now()}, {ID: "2", Expires: time.Now()}} {
		other.RangeKey, other.Raw = "2", raw
		require.Equal(t, []Event{h.events[0], other}, h.append([]Event{other}, "2").events)
	}
	require.Equal(t, 8, cap(h.events))
}

// The hash key of a change may be a part of the payload that it came in.
func TestPromise16ACachedHistoryKeepsNoPayloadAlive(t *testing.T) {
	s, err := New(memorytable.New(), WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, func(context.Context, *MicroEventStore) error { return nil }, WithHistoryCache(1<<20, time.Second))
	change := insert(t, s, cacheEvent(t, "key", 0, "1", 1))
	require.NoError(t, trigger.Handle(t.Context(), []Change{change}))
	for key, element := range trigger.cache.entries {
		require.NotSame(t, unsafe.StringData(change.HashKey), unsafe.StringData(key))
		require.NotSame(t, unsafe.StringData(change.HashKey), unsafe.StringData(element.Value.(*cachedHistory).hashKey))
	}
	require.Len(t, trigger.cache.entries, 1)
}
