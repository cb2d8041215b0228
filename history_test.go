package microeventstore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func testHistory(t *testing.T) *MicroEventStore {
	m := &MicroEventStore{HashKey: "p"}
	for i, eventType := range []string{"submitted", "paid", "packed", "paid"} {
		e := testEvent(t, string(rune('a'+i)), eventType, "p", i)
		e.RangeKey = e.ID
		m.Events = append(m.Events, e)
	}
	return m
}

func TestHas(t *testing.T) {
	m := testHistory(t)
	require.True(t, m.Has())
	require.True(t, m.Has("paid"))
	require.True(t, m.Has("packed", "submitted", "paid"))
	require.False(t, m.Has("paid", "shipped"))
	require.False(t, new(MicroEventStore).Has("paid"))
}

func TestFirstAndLast(t *testing.T) {
	m := testHistory(t)
	e, found := m.First(Types("paid"))
	require.True(t, found)
	require.Equal(t, "b", e.ID)
	e, found = m.Last(Types("paid"))
	require.True(t, found)
	require.Equal(t, "d", e.ID)
	e, _ = m.First(nil)
	require.Equal(t, "a", e.ID)
	e, _ = m.Last(nil)
	require.Equal(t, "d", e.ID)
	_, found = m.First(Types("shipped"))
	require.False(t, found)
	_, found = m.Last(Types("shipped"))
	require.False(t, found)
}

func TestFilterOfAHistory(t *testing.T) {
	m := testHistory(t)
	require.Equal(t, []string{"b", "d"}, ids(m.Filter(Types("paid"))))
	require.Len(t, m.Filter(nil), 4)
	require.Empty(t, m.Filter(Types("shipped")))
	m.Filter(nil)[0].ID = "changed"
	require.Equal(t, "a", m.Events[0].ID, "the slice is the caller's own")
}

func TestUpTo(t *testing.T) {
	m := testHistory(t)
	require.Equal(t, []string{"a", "b"}, ids(m.UpTo(m.Events[1])))
	require.Equal(t, 2, cap(m.UpTo(m.Events[1])))
	require.Len(t, m.UpTo(m.Events[3]), 4)
	require.Equal(t, []string{"a", "b"}, ids(m.UpTo(Event{RangeKey: "bb"})), "one that is no longer there has its place still")
	require.Empty(t, m.UpTo(Event{RangeKey: "A"}))
	require.Empty(t, m.UpTo(Event{}))
}
