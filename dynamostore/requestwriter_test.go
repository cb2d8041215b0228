package dynamostore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// written has a writer write items, as Put does; an item without keys is the SDK's.
func written(table *Table, items []driver.Item) []write {
	w := table.newRequestWriter(items)
	var writes []write
	for i := range items {
		to := write{index: i}
		w.put(&items[i], &to)
		writes = append(writes, to)
		w.added(writes)
	}
	w.finish(writes)
	table.grown(w)
	return writes
}

func eventItems(n int, event string) []driver.Item {
	list := make([]driver.Item, n)
	for i := range list {
		list[i] = driver.Item{HashKey: "h", RangeKey: fmt.Sprint(i), Event: []byte(event)}
	}
	return list
}

// copied is the request of a chunk that nobody has written as a whole.
func copied(table *Table, chunk []write) string {
	parts := make([]write, len(chunk))
	copy(parts, chunk)
	parts[0].whole = 0
	return string(table.requestOf(parts))
}

// A request is sent from where it was written, and is the same as one that is put
// together of its parts.
func TestWholeRequests(t *testing.T) {
	table := new(stub).table()
	for _, n := range []int{1, 2, 24, 25, 26, 50, 51} {
		writes := written(table, eventItems(n, `{"a":"b"}`))
		for _, chunk := range chunksOf(writes) {
			got := table.requestOf(chunk)
			require.Equal(t, copied(table, chunk), string(got))
			require.Same(t, &chunk[0].writer.text[chunk[0].wholeBegin], &got[0], "it is not copied")
			require.Equal(t, len(got), cap(got), "what is appended to it goes elsewhere")
			require.Equal(t, len(chunk), strings.Count(string(got), "PutRequest"))
			if len(chunk) > 2 {
				require.Equal(t, copied(table, chunk[1:]), string(table.requestOf(chunk[1:])))
				require.Equal(t, copied(table, chunk[:2]), string(table.requestOf(chunk[:2])), "the rest comes back unprocessed")
				others := []write{chunk[0], chunk[2]}
				require.Equal(t, copied(table, others), string(table.requestOf(others)))
			}
		}
	}
}

// What the SDK has to write it writes, with all that is in one request with it.
func TestRequestsThatTheSDKWrites(t *testing.T) {
	table := new(stub).table()
	items := eventItems(60, `{}`)
	items[30].Event = []byte("\xff")
	writes := written(table, items)
	chunks := chunksOf(writes)
	require.Nil(t, table.requestOf(chunks[1]))
	for _, i := range []int{0, 2} {
		require.Equal(t, copied(table, chunks[i]), string(table.requestOf(chunks[i])))
	}
	items[0].Event = []byte("\xff") // the first one of all
	require.Nil(t, table.requestOf(chunksOf(written(table, items))[0]))
}

// The room for a Put follows from the ones before: what is written need not be moved.
func TestRoomForRequests(t *testing.T) {
	table := new(stub).table(AsMap())
	items := eventItems(25, `{"a":[`+strings.Repeat(`"abc",`, 100)+`1],"b":{"c":1,"d":[true,false,null]}}`)
	written(table, items)
	require.Greater(t, table.growth.Load(), int64(usualGrowth), "a map is far longer than its text")
	w := table.newRequestWriter(items)
	room := cap(w.text)
	var writes []write
	for i := range items {
		var to write
		require.True(t, w.put(&items[i], &to))
		writes = append(writes, to)
		w.added(writes)
	}
	w.finish(writes)
	require.Equal(t, room, cap(w.text))
	require.Positive(t, cap(table.newRequestWriter(nil).text))
}

// What was put before decides only what is put the same way: a little of it says nothing,
// and no room is many times what is put.
func TestRoomIsBounded(t *testing.T) {
	large := eventItems(100, `{"a":"`+strings.Repeat("b", 10_000)+`"}`)
	room := func(table *Table) int { return cap(table.newRequestWriter(large).text) }
	for _, first := range []string{``, `{}`, `{"a":"b"}`} {
		table := new(stub).table()
		want := room(table)
		written(table, eventItems(1, first))
		require.Equal(t, want, room(table), "after an event %q", first)
	}
	table := new(stub).table()
	written(table, eventItems(25, `{"a":"`+strings.Repeat("\\\"", 5_000)+`"}`))
	require.LessOrEqual(t, room(table), 35*100*1_000, "after events that are nothing but quotes")
	table = new(stub).table(WithCompression(1_000))
	written(table, large)
	require.Less(t, room(table), 100*1_000, "a tenth of what is compressed to less")
}
