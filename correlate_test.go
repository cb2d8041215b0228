package microeventstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestCorrelatePutsAnEventUnderAnotherKeyAsItIs(t *testing.T) {
	table := newSpy()
	s := newTestStore(t, table, WithTTL(ExpireAfter(100*365*24*time.Hour)))
	require.NoError(t, s.Save(t.Context(), testEvent(t, "1", "a", "p", 1), testEvent(t, "2", "a", "p", 2)))
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, m.Events[0].Timestamp.Add(100*365*24*time.Hour).Unix()+1, m.Events[0].Expires.Unix())

	for range 2 {
		require.NoError(t, s.Correlate(t.Context(), "other", m.Events...))
	}
	want := table.items(t, "p")
	for i := range want {
		want[i].HashKey = "other"
	}
	require.Equal(t, want, table.items(t, "other"))
	require.NoError(t, s.Correlate(t.Context(), "other"))
}

func TestCorrelateNamesWhatItCannotStore(t *testing.T) {
	table := newSpy()
	s := newTestStore(t, table)
	good := testEvent(t, "1", "a", "p", 1)
	good.RangeKey = "1"
	marker := good
	marker.RangeKey = driver.MarkerPrefix + "m"
	unread := testEvent(t, "2", "a", "p", 2)
	err := s.Correlate(t.Context(), "other", unread, good, marker)
	require.Equal(t, []int{0, 2}, failedIndexes(t, err))
	require.True(t, IsPermanent(err))
	require.Len(t, table.items(t, "other"), 1)

	err = s.Correlate(t.Context(), "", good)
	require.ErrorIs(t, err, ErrInvalidItem)
}

func TestSuffix(t *testing.T) {
	e := testEvent(t, "1", "a", "p", 1)
	key, err := Suffix(".x", PartitionKey())(e)
	require.NoError(t, err)
	require.Equal(t, "p.x", key)
	key, err = Suffix(".x", Tag("none"))(e)
	require.NoError(t, err)
	require.Empty(t, key)
	_, err = Suffix(".x", nil)(e)
	require.ErrorContains(t, err, "nil")
	_, err = Suffix(".x", Field(""))(e)
	require.Error(t, err)
}

func TestGuardsAgainstEchoesAndTests(t *testing.T) {
	for raw, want := range map[string][2]bool{ // NotFrom("me", "myself"), NotSkipped()
		`{"id":"1","type":"t"}`: {true, true},
		`{"id":"1","type":"t","tags":{"source":"you","skip":false}}`:    {true, true},
		`{"id":"1","type":"t","tags":{"source":"me","skip":true}}`:      {false, false},
		`{"id":"1","type":"t","tags":{"source":"myself","skip":"yes"}}`: {false, false},
		`{"id":"1","type":"t","tags":{"source":"ME","skip":0}}`:         {true, true},
		`{"id":"1","type":"t","tags":{"source":"","skip":""}}`:          {true, true},
		`{"id":"1","type":"t","tags":{"skip":null}}`:                    {true, true},
	} {
		e, err := Parse([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, want[0], NotFrom("me", "myself")(e), raw)
		require.Equal(t, want[1], NotSkipped()(e), raw)
	}
}

func TestCorrelateIsRefusedWhereAnEventHasOneHashKey(t *testing.T) {
	table := &indexTable{spyTable: newSpy()}
	s := newTestStore(t, table)
	require.NoError(t, s.Save(t.Context(), testEvent(t, "a", "t", "p", 1)))
	for e, err := range s.Events(t.Context(), "p") {
		require.NoError(t, err)
		err = s.Correlate(t.Context(), "q", e)
		require.True(t, IsPermanent(err), "%v", err)
		require.ErrorContains(t, err, "one hash key alone")
	}
	q, err := s.GetMicroEventStore(t.Context(), "q")
	require.NoError(t, err)
	require.Empty(t, q.Events)
}
