package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// These tests count what a read of the store costs the table.

// fill saves n events of about a size under one hash key, and returns the store.
func fill(t *testing.T, table *Table, n, size int) *mes.Store {
	t.Helper()
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)
	events := make([]mes.Event, 0, 1000)
	for i := range n {
		e, err := mes.NewEvent(map[string]any{
			"id": fmt.Sprint(i), "type": "t", "partitionKey": "hot", "timestamp": 1_700_000_000_000 + i,
			"x": strings.Repeat("x", size),
		})
		require.NoError(t, err)
		events = append(events, e)
		if len(events) == cap(events) || i == n-1 {
			require.NoError(t, store.Save(t.Context(), events...))
			events = events[:0]
		}
	}
	return store
}

func TestPromise16ABoundedReadOfALongHistoryReadsOnlyWhatItReturns(t *testing.T) {
	table := openTable(t, tempPath(t), withoutSync())
	store := fill(t, table, 100_000, 1)
	all, err := store.GetMicroEventStore(t.Context(), "hot", mes.MaxEvents(100_000))
	require.NoError(t, err)
	middle := all.Events[50_000]
	for name, test := range map[string]struct {
		opts   []mes.ReadOption
		events int
		reads  int64
	}{
		"last 3":        {[]mes.ReadOption{mes.Last(3)}, 3, 10},
		"last 3 before": {[]mes.ReadOption{mes.Last(3), mes.Before(middle.RangeKey)}, 3, 10},
		"since":         {[]mes.ReadOption{mes.Since(all.Events[99_990].Timestamp)}, 10, 20},
		"until":         {[]mes.ReadOption{mes.Until(all.Events[9].Timestamp)}, 10, 20},
		"between":       {[]mes.ReadOption{mes.After(middle.RangeKey), mes.Before(all.Events[50_011].RangeKey)}, 10, 20},
	} {
		t.Run(name, func(t *testing.T) {
			before := table.reads.Load()
			m, err := store.GetMicroEventStore(t.Context(), "hot", test.opts...)
			require.NoError(t, err)
			require.Len(t, m.Events, test.events)
			require.LessOrEqual(t, table.reads.Load()-before, test.reads)
		})
	}
}

func TestPromise16ATriggerOnALongHistoryIsBounded(t *testing.T) {
	const size = 2000
	table := openTable(t, tempPath(t), withoutSync())
	store := fill(t, table, mes.DefaultMaxEvents, size)
	change := func(rangeKey string) []mes.Change {
		return []mes.Change{{Kind: mes.Inserted, HashKey: "hot", RangeKey: rangeKey}}
	}
	half, err := store.GetMicroEventStore(t.Context(), "hot", mes.Since(time.UnixMilli(1_700_000_005_000)), mes.Until(time.UnixMilli(1_700_000_005_000)))
	require.NoError(t, err)
	require.Len(t, half.Events, 1)
	fired := change(half.Events[0].RangeKey)

	var seen atomic.Int64
	handle := func(_ context.Context, m *mes.MicroEventStore) error {
		seen.Store(int64(len(m.Events)))
		return nil
	}
	require.NoError(t, mes.NewTrigger(store, handle).Handle(t.Context(), fired))
	require.Equal(t, int64(mes.DefaultMaxEvents), seen.Load(), "exactly the limit")

	// One event more is a fault.
	one := fill(t, table, mes.DefaultMaxEvents+1, size)
	var faults []error
	set := mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
		faults = append(faults, fault.Err)
		return nil
	})
	seen.Store(0)
	require.NoError(t, mes.NewTrigger(one, handle, set).Handle(t.Context(), fired))
	var limit *mes.LimitError
	require.ErrorAs(t, errors.Join(faults...), &limit)
	require.Zero(t, seen.Load())

	// A small limit ends the read with the page that goes over it.
	before := table.reads.Load()
	err = mes.NewTrigger(store, handle, mes.WithWindow(mes.MaxBytes(100_000))).Handle(t.Context(), fired)
	require.ErrorAs(t, err, &limit)
	require.LessOrEqual(t, table.reads.Load()-before, int64(maxQueryPage/size+1))

	// Its memory is that of a page, too, and not that of the history.
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small := mes.NewTrigger(store, handle, mes.WithWindow(mes.MaxBytes(100_000)))
	require.Less(t, allocated(func() { _ = small.Handle(t.Context(), fired) }), uint64(2*maxQueryPage))
	whole := mes.NewTrigger(store, handle, mes.WithWindow(mes.MaxEvents(2*mes.DefaultMaxEvents)))
	require.Greater(t, allocated(func() { require.NoError(t, whole.Handle(t.Context(), fired)) }), uint64(mes.DefaultMaxEvents*size))

	// And a window is a page of its own, whatever the history holds.
	before = table.reads.Load()
	require.NoError(t, mes.NewTrigger(one, handle, mes.WithWindow(mes.Last(100))).Handle(t.Context(), fired))
	require.Equal(t, int64(101), seen.Load(), "the event that fired lies before the last hundred")
	require.LessOrEqual(t, table.reads.Load()-before, int64(110))
}

func TestPromise16EventsHoldsAPageAtATime(t *testing.T) {
	const n, size = 10_000, 2000
	store := fill(t, openTable(t, tempPath(t), withoutSync()), n, size)
	inUse := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before, most, count := inUse(), int64(0), 0
	for _, err := range store.Events(t.Context(), "hot") {
		require.NoError(t, err)
		if count++; count%1000 == 500 {
			most = max(most, inUse())
		}
	}
	require.Equal(t, n, count)
	require.Less(t, most-before, int64(3*maxQueryPage), "of %d bytes", n*size)
}
