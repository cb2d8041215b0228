package microeventstore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

const cacheEpoch = 1_700_000_000_000

func cacheEvent(t require.TestingT, hashKey string, ms int64, id string, size int) Event {
	e, err := Parse(fmt.Appendf(nil, `{"id":%q,"type":"t","timestamp":%d,"partitionKey":%q,"text":%q}`, id, cacheEpoch+ms, hashKey, strings.Repeat("x", size)))
	require.NoError(t, err)
	return e
}

// changesSince makes changes of what has happened in a table since the n-th one.
func changesSince(table *memorytable.Table, n int) []Change {
	all := table.Changes()
	changes := make([]Change, 0, len(all)-n)
	for _, c := range all[n:] {
		kind := map[memorytable.Kind]ChangeKind{memorytable.Insert: Inserted, memorytable.Modify: Modified, memorytable.Remove: Removed}[c.Kind]
		changes = append(changes, Change{Kind: kind, HashKey: c.HashKey, RangeKey: c.RangeKey})
	}
	return changes
}

func keysIn(events []Event) []string {
	keys := make([]string, len(events))
	for i := range events {
		keys[i] = events[i].RangeKey + " " + string(events[i].Raw)
	}
	return keys
}

// Whatever happens, the handler is given what a full read gives, if all changes come
// to the trigger that keeps the histories.
func TestPromise06CachedHistoriesAreThoseOfAFullRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		table := memorytable.New()
		s, err := New(table, WithTTL(NeverExpire()))
		require.NoError(t, err)
		var kept [][]Event
		var copies [][]string
		trigger := NewTrigger(s, func(ctx context.Context, m *MicroEventStore) error {
			full, err := s.GetMicroEventStore(ctx, m.HashKey)
			require.NoError(t, err)
			require.Equal(t, keysIn(full.Events), keysIn(m.Events))
			kept, copies = append(kept, m.Events), append(copies, keysIn(m.Events))
			return nil
		}, WithHistoryCache(rapid.SampledFrom([]int64{1, 3000, 1 << 20}).Draw(t, "maxBytes"), time.Second),
			WithConcurrency(1), OnKinds(rapid.SampledFrom([][]ChangeKind{{Inserted}, {Inserted, Modified, Removed}}).Draw(t, "kinds")...))
		newest, seen := int64(0), 0
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
			switch rapid.SampledFrom([]string{"new", "new", "late", "late within", "same id", "delete", "fire"}).Draw(t, "step") {
			case "new":
				newest += rapid.Int64Range(0, 1500).Draw(t, "later")
				require.NoError(t, s.Save(ctx, cacheEvent(t, key, newest, fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "id")), 1)))
			case "late within":
				require.NoError(t, s.Save(ctx, cacheEvent(t, key, max(0, newest-rapid.Int64Range(0, 900).Draw(t, "late")), "w", 2)))
			case "late":
				require.NoError(t, s.Save(ctx, cacheEvent(t, key, rapid.Int64Range(0, newest).Draw(t, "when"), "l", 3)))
			case "same id":
				require.NoError(t, s.Save(ctx, cacheEvent(t, key, newest, "0", rapid.IntRange(0, 5).Draw(t, "size"))))
			case "delete":
				require.NoError(t, s.Delete(ctx, key))
			case "fire":
				changes := changesSince(table, seen)
				seen += len(changes)
				require.NoError(t, trigger.Handle(ctx, changes))
			}
		}
		for i := range kept {
			require.Equal(t, copies[i], keysIn(kept[i]), "a history that was handed over has changed")
		}
	})
}

// A countingTable counts the events that are read.
type countingTable struct {
	driver.Table
	items, bytes, queries int
}

func (c *countingTable) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	page, err := c.Table.Query(ctx, query)
	c.queries++
	c.items += len(page.Items)
	for i := range page.Items {
		c.bytes += len(page.Items[i].Event)
	}
	return page, err
}

// n triggers on one growing history: with the cache what is read grows as n does. Each
// call reads what is new and what lies in the window of lateness, here the newest
// event alone.
func TestCachedHistoriesCostWhatIsNew(t *testing.T) {
	const size = 1024
	cost := func(n, step int, opts ...TriggerOption) *countingTable {
		table := &countingTable{Table: memorytable.New()}
		s, err := New(table, WithTTL(NeverExpire()))
		require.NoError(t, err)
		handled := 0
		trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
			handled = len(m.Events)
			return nil
		}, opts...)
		for at := 0; at < n; at += step {
			changes := make([]Change, step)
			for i := range changes {
				e := cacheEvent(t, "p", int64(at+i)*10_000, "1", 0)
				e = cacheEvent(t, "p", int64(at+i)*10_000, "1", size-len(e.Raw))
				require.Len(t, e.Raw, size)
				require.NoError(t, s.Save(t.Context(), e))
				key, err := s.rangeKeyOf(&e)
				require.NoError(t, err)
				changes[i] = Change{Kind: Inserted, HashKey: "p", RangeKey: key}
			}
			require.NoError(t, trigger.Handle(t.Context(), changes))
			require.Equal(t, at+step, handled)
		}
		require.Equal(t, table.items*size, table.bytes)
		return table
	}
	for _, n := range []int{10, 100, 1000, 10_000} {
		for _, step := range []int{1, 10, 100} {
			if step > n {
				continue
			}
			calls := n / step
			got := cost(n, step, WithHistoryCache(64<<20, time.Second))
			require.Equal(t, n+calls-1, got.items, "%d events, %d at a time", n, step)
			require.Equal(t, calls, got.queries)
		}
	}
	require.Equal(t, 100*101/2, cost(100, 1).items, "without the cache it grows as n squared")
}

func TestCachedHistoriesExpire(t *testing.T) {
	table := memorytable.New()
	s, err := New(table, WithTTL(ExpireAfter(time.Hour)))
	require.NoError(t, err)
	now := time.Now().UnixMilli() - cacheEpoch
	old := cacheEvent(t, "p", now-time.Hour.Milliseconds()+1200, "old", 1)
	require.NoError(t, s.Save(t.Context(), old, cacheEvent(t, "p", now, "1", 1)))
	var got []string
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		got = nil
		for _, e := range m.Events {
			got = append(got, e.ID)
		}
		return nil
	}, WithHistoryCache(1<<20, time.Second))
	require.NoError(t, trigger.Handle(t.Context(), changesSince(table, 1)))
	held, _ := trigger.cache.begin("p")
	require.NotNil(t, held)
	later := held.without(held.expires)
	require.Len(t, later.events, len(held.events)-1)
	require.NotContains(t, keysIn(later.events), "old")
	require.Equal(t, "1", later.events[len(later.events)-1].ID)
	require.NotEmpty(t, got)
}

func TestTheCacheIsBoundedAndWantsTime(t *testing.T) {
	s, err := New(memorytable.New(), WithRangeKey(EventID()))
	require.NoError(t, err)
	handler := func(context.Context, *MicroEventStore) error { return nil }
	require.ErrorContains(t, NewTrigger(s, handler, WithHistoryCache(1, time.Second)).Handle(t.Context(), []Change{{}}), "TimeAndID")
	require.ErrorContains(t, NewTrigger(s, handler, WithHistoryCache(0, time.Second)).Handle(t.Context(), []Change{{}}), "more than zero")

	table := memorytable.New()
	s, err = New(table, WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, handler, WithHistoryCache(5000, time.Second))
	for i := range 20 {
		require.NoError(t, s.Save(t.Context(), cacheEvent(t, fmt.Sprint("p", i), 0, "1", 1000)))
	}
	require.NoError(t, trigger.Handle(t.Context(), changesSince(table, 0)))
	require.LessOrEqual(t, trigger.cache.bytes, int64(5000))
	require.Equal(t, len(trigger.cache.entries), trigger.cache.order.Len())
	require.NotEmpty(t, trigger.cache.entries)
	require.Empty(t, trigger.cache.reads)
}

// Two batches of one key at once share what is held, and must not write into it.
func TestCachedHistoriesAtOnce(t *testing.T) {
	table := memorytable.New()
	s, err := New(table, WithTTL(NeverExpire()))
	require.NoError(t, err)
	trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
		for i := 1; i < len(m.Events); i++ {
			if m.Events[i-1].RangeKey >= m.Events[i].RangeKey {
				return fmt.Errorf("out of order")
			}
		}
		return nil
	}, WithHistoryCache(1<<20, time.Second))
	failed := make(chan error, 4)
	for worker := range 4 {
		go func() {
			var err error
			for i := range 50 {
				e := cacheEvent(t, "p", int64(i)*100, fmt.Sprint(worker), 10)
				if err = s.Save(context.Background(), e); err != nil {
					break
				}
				key, _ := s.rangeKeyOf(&e)
				if err = trigger.Handle(context.Background(), []Change{{Kind: Inserted, HashKey: "p", RangeKey: key}}); err != nil {
					break
				}
			}
			failed <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-failed)
	}
}

// An afterQuery does something between a read and its answer.
type afterQuery struct {
	driver.Table
	do func()
}

// Query implements driver.Table.
func (a *afterQuery) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	page, err := a.Table.Query(ctx, query)
	if do := a.do; do != nil {
		a.do = nil
		do()
	}
	return page, err
}

// What another batch brings while a history is read is not in that one, which must
// not be kept then.
func TestPromise06ALateChangeDuringAReadIsNotForgotten(t *testing.T) {
	for _, held := range []bool{false, true} {
		table := &afterQuery{Table: memorytable.New()}
		s, err := New(table, WithTTL(NeverExpire()))
		require.NoError(t, err)
		var last []string
		trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
			last = keysIn(m.Events)
			return nil
		}, WithHistoryCache(1<<20, time.Second), WithConcurrency(1))
		fire := func(ms int64, id string) {
			e := cacheEvent(t, "k", ms, id, 1)
			require.NoError(t, s.Save(t.Context(), e))
			key, err := TimeAndID().AppendRangeKey(nil, &e)
			require.NoError(t, err)
			require.NoError(t, trigger.Handle(t.Context(), []Change{{Kind: Inserted, HashKey: "k", RangeKey: string(key)}}))
		}
		if held {
			fire(5_000, "first")
		}
		table.do = func() { fire(0, "late") }
		fire(10_000, "second")
		if held { // only a part was read
			full, err := s.GetMicroEventStore(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, keysIn(full.Events), last)
		}
		fire(20_000, "third")
		full, err := s.GetMicroEventStore(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, keysIn(full.Events), last, "held before: %v", held)
	}
}
