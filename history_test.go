package microeventstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
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

// A history makes its events where they are kept, Events makes each where the one
// before was: nothing of one may show in another.
func TestAnEventHoldsNothingOfOneThatWasNotSelected(t *testing.T) {
	at := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	spy := newSpy()
	spy.afterQuery = func(_ driver.Query, page *driver.Page) {
		for i := range page.Items {
			item := &page.Items[i]
			last := item.RangeKey[len(item.RangeKey)-1]
			if last%3 != 0 { // else the store parses it
				item.ID, item.PartitionKey, item.Complete = item.RangeKey[len(item.RangeKey)-2:], "p", true
			}
			if last%2 == 0 {
				item.TTL = at.Unix()
			}
		}
	}
	s := newTestStore(t, smallPages{Table: spy, size: 7})
	var want []Event
	for i := range 40 {
		e := testEvent(t, fmt.Sprint(10+i), []string{"t", "longer-type", ""}[i%5%3], "p", i)
		require.NoError(t, s.Save(t.Context(), e))
		e.RangeKey = fmt.Sprintf("%016d#%s", e.Timestamp.UnixMilli(), e.ID)
		if i%2 == 0 {
			e.Expires = at
		}
		want = append(want, e)
	}
	for _, filter := range []Filter{nil, Types("t"), Types("longer-type"), Types("none")} {
		m, err := s.GetMicroEventStore(t.Context(), "p", Matching(filter))
		require.NoError(t, err)
		var single []Event
		for e, err := range s.Events(t.Context(), "p", Matching(filter)) {
			require.NoError(t, err)
			single = append(single, e)
		}
		require.Equal(t, single, m.Events)
		require.Equal(t, (&MicroEventStore{Events: want}).Filter(filter), m.Events)
	}
}
