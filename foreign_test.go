package microeventstore

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// An indexTable reads collations through an index that follows behind, and can
// vouch for nothing but a single range key.
type indexTable struct {
	*spyTable
	hidden atomic.Int64 // reads that do not see anything yet
	reads  atomic.Int64
}

func (*indexTable) ForeignLayout() bool { return true }

func (i *indexTable) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	page, err := i.spyTable.Query(ctx, query)
	if query.From == "" || query.From != query.To {
		i.reads.Add(1)
		page.Consistent = false
		if i.hidden.Add(-1) >= 0 {
			page.Items = nil
		}
	}
	return page, err
}

func TestPromise06AHistoryIsReadUntilItShowsTheEventThatFired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &indexTable{spyTable: newSpy()}
		s := newTestStore(t, table)
		e := testEvent(t, "a", "t", "p", 1)
		require.NoError(t, s.Save(t.Context(), e))
		handler := new(calls)
		trigger := NewTrigger(s, handler.handle)

		table.hidden.Store(3)
		require.NoError(t, trigger.Handle(t.Context(), inserted(t, s, e)))
		require.EqualValues(t, 4, table.reads.Load())
		require.Equal(t, []seenCall{{"p", "a", []string{"a"}, []string{"a"}, 0}}, handler.of("p"))

		table.hidden.Store(1 << 30)
		require.ErrorIs(t, trigger.Handle(t.Context(), inserted(t, s, e)), errNotVisible)
		require.EqualValues(t, 4+visibleTries, table.reads.Load())
		require.Len(t, handler.list, 1, "a history without it is never handed over")

		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		err := trigger.Handle(ctx, inserted(t, s, e))
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestPromise06WhatTheTableVouchesIsGoneFiresNothing(t *testing.T) {
	table := &indexTable{spyTable: newSpy()}
	seen := new(observation)
	s := newTestStore(t, table, WithObserver(seen))
	handler := new(calls)
	require.NoError(t, NewTrigger(s, handler.handle).Handle(t.Context(), inserted(t, s, testEvent(t, "a", "t", "p", 1))))
	require.Empty(t, handler.list)
	require.Equal(t, 1, seen.last(t).Expired)
}

func TestAForeignLayoutHasRoomForOneHashKeyAndItsOwnRangeKey(t *testing.T) {
	table := &indexTable{spyTable: newSpy()}
	for _, opts := range [][]Option{
		{WithHashKey(PartitionKey(), idKey)},
		{WithRangeKey(EventID())},
	} {
		_, err := New(table, opts...)
		require.ErrorContains(t, err, "another program's")
	}
	e := testEvent(t, "a", "t", "p", 1)
	e.Meta.SequenceNumber = "42"
	require.NoError(t, newTestStore(t, table).Save(t.Context(), e))
	require.Equal(t, "42", table.puts[0][0].SequenceNumber)
	require.NoError(t, newTestStore(t, table.spyTable).Save(t.Context(), e))
	require.Empty(t, table.puts[1][0].SequenceNumber, "delivery data has no place in a layout of our own")
}

// idKey files an event under its id.
func idKey(e Event) (string, error) { return e.ID, nil }
