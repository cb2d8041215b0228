package boltstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// A model is what a table ought to hold, in a map and a list.
type model struct {
	items   map[[2]string]driver.Item
	wrote   map[[2]string]int // the change that wrote an item
	changes []mes.Change      // from the first one on
	dropped int               // of them
	acked   map[string]int
}

func (m *model) record(now time.Time, kind mes.ChangeKind, key [2]string, expired bool) {
	change := mes.Change{Kind: kind, HashKey: key[0], RangeKey: key[1], Expired: expired, Meta: mes.Meta{
		Stream: StreamName, Shard: "0", SequenceNumber: fmt.Sprint(len(m.changes) + 1), Arrived: now.UTC(),
	}}
	if old, ok := m.items[key]; ok {
		change.Old = modelEvent(old)
	}
	m.changes = append(m.changes, change)
}

func modelEvent(item driver.Item) *mes.Event {
	e := &mes.Event{ID: item.ID, Type: item.Type, PartitionKey: item.PartitionKey, Timestamp: item.Timestamp, Raw: item.Event, RangeKey: item.RangeKey}
	if item.TTL != 0 {
		e.Expires = time.Unix(item.TTL, 0).UTC()
	}
	return e
}

func (m *model) put(now time.Time, items []driver.Item) {
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b driver.Item) int {
		return slices.Compare(appendItemKey(nil, a.HashKey, a.RangeKey), appendItemKey(nil, b.HashKey, b.RangeKey))
	})
	for _, item := range items {
		key := [2]string{item.HashKey, item.RangeKey}
		old, ok := m.items[key]
		switch {
		case !ok:
			m.record(now, mes.Inserted, key, false)
		case fmt.Sprint(old) != fmt.Sprint(item):
			m.record(now, mes.Modified, key, false)
		default:
			continue
		}
		m.items[key], m.wrote[key] = item, len(m.changes)
	}
}

func (m *model) remove(now time.Time, keys [][2]string, expired bool) {
	for _, key := range keys {
		m.record(now, mes.Removed, key, expired)
		delete(m.items, key)
	}
}

func (m *model) query(q driver.Query) []driver.Item {
	items := []driver.Item{}
	for key, item := range m.items {
		if key[0] == q.HashKey && key[1] >= q.From && (q.To == "" || key[1] <= q.To) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b driver.Item) int { return slices.Compare([]byte(a.RangeKey), []byte(b.RangeKey)) })
	if q.Descending {
		slices.Reverse(items)
	}
	return items
}

func (m *model) feed(after int) []mes.Change {
	changes := []mes.Change{}
	for n := max(after, m.dropped); n < len(m.changes); n++ {
		change := m.changes[n]
		key := [2]string{change.HashKey, change.RangeKey}
		if m.wrote[key] == n+1 {
			if item, ok := m.items[key]; ok {
				change.New = modelEvent(item)
			}
		}
		changes = append(changes, change)
	}
	return changes
}

// TestPromise18BehavesLikeAMap does whatever comes to its mind with a table, and
// the same with a model.
func TestPromise18BehavesLikeAMap(t *testing.T) {
	folder, files := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		files++
		path := filepath.Join(folder, fmt.Sprint(files))
		clock := newClock()
		open := func() *Table {
			table, err := Open(path, WithSweepInterval(0), withNow(clock.now), withoutSync())
			require.NoError(t, err)
			return table
		}
		table := open()
		defer func() { _ = table.Close(); _ = os.Remove(path) }()
		m := model{items: map[[2]string]driver.Item{}, wrote: map[[2]string]int{}, acked: map[string]int{}}
		ctx := context.Background()
		hashKey := rapid.SampledFrom([]string{"a", "ab", "a\x00", "é"})
		rangeKey := rapid.SampledFrom([]string{"\x01m", "1", "10", "2", "a", "b\x00", "\n", "ü", "\U0010FFFF"})
		bound := rapid.SampledFrom([]string{"", "", "1", "11", "a", "ü", "\x01m"})
		consumer := rapid.SampledFrom([]string{"x", "y"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				items := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) driver.Item {
					item := testItem(hashKey.Draw(t, "hash key"), rangeKey.Draw(t, "range key"))
					item.Event = fmt.Appendf(nil, "event %d %01000d", rapid.IntRange(0, 2).Draw(t, "event"), 0)
					item.Type = rapid.SampledFrom([]string{"", "t", "u"}).Draw(t, "type")
					item.ID = rapid.SampledFrom([]string{"", item.RangeKey, "other"}).Draw(t, "id")
					item.PartitionKey = rapid.SampledFrom([]string{"", item.HashKey, "other"}).Draw(t, "partition key")
					if n := rapid.IntRange(0, 3).Draw(t, "ttl"); n > 0 {
						item.TTL = clock.now().Unix() + int64(n)
					}
					if rapid.Bool().Draw(t, "no time") {
						item.Timestamp = time.Time{}
					}
					return item
				}), 1, 12, func(item driver.Item) [2]string { return [2]string{item.HashKey, item.RangeKey} }).Draw(t, "items")
				require.NoError(t, table.Put(ctx, items))
				m.put(clock.now(), items)
			},
			"query": func(t *rapid.T) {
				q := driver.Query{
					HashKey: hashKey.Draw(t, "hash key"), From: bound.Draw(t, "from"), To: bound.Draw(t, "to"),
					Descending: rapid.Bool().Draw(t, "descending"), Limit: rapid.IntRange(0, 4).Draw(t, "limit"),
				}
				items, err := readPages(table, q)
				require.NoError(t, err)
				require.Equal(t, m.query(q), append([]driver.Item{}, items...))
			},
			"delete": func(t *rapid.T) {
				key := hashKey.Draw(t, "hash key")
				removed, err := table.Delete(ctx, key)
				require.NoError(t, err)
				var keys [][2]string
				for _, item := range m.query(driver.Query{HashKey: key}) {
					keys = append(keys, [2]string{item.HashKey, item.RangeKey})
				}
				require.Equal(t, len(keys), removed)
				m.remove(clock.now(), keys, false)
			},
			"sweep": func(t *rapid.T) {
				if clock.now().Sub(newClock().now()) < ConsumerLifetime-50*time.Hour { // all consumers stay live
					clock.advance(time.Duration(rapid.SampledFrom([]int{0, 1000, 2500, 25 * 3600 * 1000}).Draw(t, "ms")) * time.Millisecond)
				}
				removed, err := table.Sweep(ctx)
				require.NoError(t, err)
				expired := []driver.Item{}
				for _, item := range m.items {
					if item.Expired(clock.now()) {
						expired = append(expired, item)
					}
				}
				slices.SortFunc(expired, func(a, b driver.Item) int {
					return slices.Compare(appendTTLKey(nil, a.TTL, appendItemKey(nil, a.HashKey, a.RangeKey)), appendTTLKey(nil, b.TTL, appendItemKey(nil, b.HashKey, b.RangeKey)))
				})
				keys := [][2]string{}
				for _, item := range expired {
					keys = append(keys, [2]string{item.HashKey, item.RangeKey})
				}
				m.remove(clock.now(), keys, true)
				require.Equal(t, len(expired), removed)
				needed := len(m.changes)
				for _, acked := range m.acked {
					needed = min(needed, acked)
				}
				for m.dropped < needed && !m.changes[m.dropped].Meta.Arrived.Add(DefaultRetention).After(clock.now()) {
					m.dropped++
				}
			},
			"read changes": func(t *rapid.T) {
				name, after := consumer.Draw(t, "consumer"), rapid.IntRange(0, len(m.changes)).Draw(t, "after")
				var position mes.Position
				if after > 0 {
					position.SequenceNumber = fmt.Sprint(after)
				}
				changes, end, err := table.Changes(name).ReadChanges(ctx, "0", position, 1000)
				require.NoError(t, err)
				require.False(t, end)
				require.Equal(t, m.feed(after), append([]mes.Change{}, changes...))
				m.acked[name] = max(m.acked[name], 0)
			},
			"acknowledge": func(t *rapid.T) {
				name, done := consumer.Draw(t, "consumer"), rapid.IntRange(0, len(m.changes)).Draw(t, "done")
				feed := table.Changes(name)
				var set mes.Position
				if done > 0 {
					set.SequenceNumber = fmt.Sprint(done)
				}
				require.NoError(t, feed.SetCheckpoint(ctx, "0", set))
				m.acked[name] = max(m.acked[name], done)
				checkpoint, err := feed.Checkpoint(ctx, "0")
				require.NoError(t, err)
				if m.acked[name] == 0 {
					require.Equal(t, mes.Position{}, checkpoint)
				} else {
					require.Equal(t, fmt.Sprint(m.acked[name]), checkpoint.SequenceNumber)
				}
			},
			"reopen": func(t *rapid.T) {
				require.NoError(t, table.Close())
				table = open() // is verified
			},
		})
	})
}
