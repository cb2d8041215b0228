package microeventstore

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

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

// What a table has found out on its way counts for the bytes that it was found in,
// and not where a decoder of the user's has the say.
func TestOutlinesAreOfTheEventAlone(t *testing.T) {
	const text = `{"id":"1","type":"t","partitionKey":"p","timestamp":1700000000123}`
	item := outlined(t, "h", "r", "", time.Time{}, text)
	want, err := Parse([]byte(text))
	require.NoError(t, err)
	want.RangeKey = "r"
	store := newTestStore(t, newSpy())
	got, err := store.DecodeItem(item)
	require.NoError(t, err)
	require.Equal(t, want, got)

	other := item
	other.Event = []byte(`{"id":"2","type":"u"}`)
	got, err = store.DecodeItem(other)
	require.NoError(t, err)
	require.Equal(t, "2", got.ID)

	store = newTestStore(t, newSpy(), WithDecoder(func([]byte) (Event, error) { return Event{ID: "decoded"}, nil }))
	got, err = store.DecodeItem(item)
	require.NoError(t, err)
	require.Equal(t, "decoded", got.ID)
}

// outlined makes an item of an event as a table does that has looked at all of it.
func outlined(t *testing.T, hashKey, rangeKey, eventType string, at time.Time, text string) driver.Item {
	t.Helper()
	event := []byte(text)
	var places []jsonscan.Place
	members := jsonscan.Members(event)
	for {
		place, ok := members.Where()
		if !ok {
			break
		}
		places = append(places, jsonscan.Place{Name: uint32(place.Name), NameEnd: uint32(place.NameEnd), Value: uint32(place.Value), End: uint32(place.End)})
	}
	require.NoError(t, members.Err())
	outline := jsonscan.NewOutline(event, places)
	return driver.Item{HashKey: hashKey, RangeKey: rangeKey, Type: eventType, Timestamp: at, Event: event, Outline: &outline}
}

// An event is made of its item's strings where they are what the event says. Whatever
// they are, it is the event that Parse makes.
func TestAnEventIsWhatItSaysWhateverItsItemSays(t *testing.T) {
	store := newTestStore(t, newSpy())
	const usual = `{"id":"1","type":"t","partitionKey":"p","timestamp":1700000000123}`
	for _, text := range []string{
		usual, `{"id":"21","type":"t","partitionKey":"p"}`, `{"id":"1","type":"","partitionKey":""}`, `{"id":"1"}`, `{"type":"t","partitionKey":"p"}`, `{}`,
		`{"id":"","type":"t","partitionKey":"p"}`, `{"id":null,"type":null,"partitionKey":null}`, `{"id":"1","id":"2","type":"t","partitionKey":"p"}`,
		`{"id":"\u0031","type":"t","partitionKey":"p"}`, `{"id":"1","type":"\u0074","partitionKey":"p"}`, `{"id":"1","type":"t","partitionKey":"\u0070"}`,
		`{"id":"\\1","type":"\\t","partitionKey":"\\p"}`, `{"id":"1","type":"t","partitionKey":"p","timestamp":"2024-01-01T00:00:00Z"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","partitionkey":"p","partitionKey":"other","time":"2024-01-01T00:00:00Z"}`,
		`{"detail-type":"t","source":"s","detail":{"partitionKey":"p"},"id":"1"}`, `{"id":"é","type":"é","partitionKey":"é"}`,
	} {
		want, err := Parse([]byte(text))
		require.NoError(t, err)
		for _, hashKey := range []string{"p", "other", `\u0070`, `\p`, `\\p`, "é"} {
			for _, rangeKey := range []string{"1", "0#1", "0#21", "0#2", "s 1", `0#\u0031`, `0#\1`, `0#\\1`, "0#é", want.ID, "x" + want.ID} {
				for _, eventType := range []string{"t", "", "other", `\u0074`, `\t`, `\\t`, "é"} {
					for _, at := range []time.Time{want.Timestamp, {}, time.UnixMilli(1).UTC()} {
						got, err := store.DecodeItem(outlined(t, hashKey, rangeKey, eventType, at, text))
						require.NoError(t, err)
						require.Equal(t, rangeKey, got.RangeKey)
						if text == usual && hashKey == "p" && rangeKey == "0#1" && eventType == "t" && at.Equal(want.Timestamp) {
							require.Same(t, unsafe.StringData(got.RangeKey[2:]), unsafe.StringData(got.ID), "it is made of its item's strings")
						}
						got.RangeKey = ""
						require.Equal(t, want, got, "%s under %s/%s/%s", text, hashKey, rangeKey, eventType)
					}
				}
			}
		}
	}
	for _, text := range []string{`{"id":"1","type":"t","partitionKey":"p","timestamp":"soon"}`, `{"id":1,"type":"t","partitionKey":"p"}`, `{"id":"1","type":7,"partitionKey":"p"}`} {
		_, err := store.DecodeItem(outlined(t, "p", "0#1", "t", time.Time{}, text))
		require.ErrorIs(t, err, ErrCorrupt)
	}
}
