package microeventstore

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// onceTable is a table that can put items only if they are absent.
type onceTable struct{ *spyTable }

func (o onceTable) PutIfAbsent(ctx context.Context, items []driver.Item) error {
	var absent []driver.Item
	var failures []driver.PutFailure
	for i, item := range items {
		page, err := o.Query(ctx, driver.Query{HashKey: item.HashKey, From: item.RangeKey, To: item.RangeKey, Consistent: true})
		switch {
		case err != nil:
			return err
		case item.Check() != nil:
			failures = append(failures, driver.PutFailure{Index: i, Err: item.Check()})
		case len(page.Items) == 0:
			absent = append(absent, item)
		case !bytes.Equal(page.Items[0].Event, item.Event):
			failures = append(failures, driver.PutFailure{Index: i, Err: driver.ErrConflict})
		}
	}
	if err := o.Put(ctx, absent); err != nil {
		return err
	}
	if failures != nil {
		return &driver.PutError{Failures: failures}
	}
	return nil
}

func TestPromise04WithInsertOnceTheFirstWins(t *testing.T) {
	table := onceTable{newSpy()}
	seen := new(observation)
	s := newTestStore(t, table, WithRangeKey(EventID()), InsertOnce(), WithObserver(seen))
	first, second := testEvent(t, "a", "first", "p", 1), testEvent(t, "a", "second", "p", 2)
	err := s.Save(t.Context(), first, first, second, testEvent(t, "b", "t", "p", 3), first)
	require.Equal(t, []int{2}, failedIndexes(t, err))
	require.ErrorIs(t, err, ErrConflict)
	require.True(t, IsPermanent(err))
	require.Equal(t, BatchStats{Operation: OperationSave, Read: 5, Saved: 2, Duplicates: 2, Failed: 1, Items: 2}, seen.last(t))

	require.NoError(t, s.Save(t.Context(), first), "the same event is no conflict")
	err = s.Save(t.Context(), testEvent(t, "c", "first", "p", 1), testEvent(t, "c", "second", "p", 2))
	require.Equal(t, []int{1}, failedIndexes(t, err), "the first of a batch, where none is stored")
	require.Contains(t, string(table.items(t, "p")[2].Event), "first")
	err = s.Save(t.Context(), second, first, second)
	require.Equal(t, []int{0, 2}, failedIndexes(t, err), "what is stored decides, not what comes first in a batch")
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.True(t, m.Has("first", "t"))
	require.Len(t, m.Events, 3)
}

func TestPromise04WithInsertOnceAnInvalidFirstGivesWay(t *testing.T) {
	s := newTestStore(t, onceTable{newSpy()}, WithRangeKey(EventID()), InsertOnce())
	large, err := Parse([]byte(strings.Replace(eventJSON("a", "large", "p", 9), "{", `{"x":"`+strings.Repeat("x", driver.MaxItemSize)+`",`, 1)))
	require.NoError(t, err)
	err = s.Save(t.Context(), large, testEvent(t, "a", "good", "p", 1), large)
	require.Equal(t, []int{0, 2}, failedIndexes(t, err))
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.True(t, m.Has("good"))
}

func TestInsertOnceNeedsATableThatCan(t *testing.T) {
	_, err := New(struct{ driver.Table }{newSpy()}, InsertOnce())
	require.ErrorContains(t, err, "InsertOnce")
}

// Producers can give two events one ID, by way of two forms or by naming the hash of
// another. With InsertOnce the second is a fault and does not take the first one's place.
func TestEventsThatShareAnIDByTheirForms(t *testing.T) {
	const unnamed = `{"type":"t","timestamp":1767225600000,"partitionKey":"p"}`
	for name, pair := range map[string][2]string{
		"two forms": {
			`{"specversion":"1.0","source":"a","id":"b","type":"t","time":"2026-01-01T00:00:00Z","partitionkey":"p"}`,
			`{"id":"a b","type":"t","timestamp":"2026-01-01T00:00:00Z","partitionKey":"p"}`,
		},
		"a hash": {unnamed, `{"id":"` + sha256ID(unnamed) + `","type":"t","timestamp":1767225600000,"partitionKey":"p"}`},
	} {
		t.Run(name, func(t *testing.T) {
			first, err := Parse([]byte(pair[0]))
			require.NoError(t, err)
			second, err := Parse([]byte(pair[1]))
			require.NoError(t, err)
			require.Equal(t, first.ID, second.ID)

			table := onceTable{newSpy()}
			s := newTestStore(t, table, WithTTL(NeverExpire()), InsertOnce())
			require.ErrorIs(t, s.Save(t.Context(), first, second), ErrConflict)
			require.Len(t, table.items(t, "p"), 1)
		})
	}
}
