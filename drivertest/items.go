package drivertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// newItem returns an item as the store makes them: its other fields repeat what
// its Event says, and are like those of no other item. The number tells versions
// of an item apart.
func newItem(hashKey, rangeKey string, number int) driver.Item {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%q %q %d", hashKey, rangeKey, number) // never fails
	sum := h.Sum64()
	item := driver.Item{
		HashKey: hashKey, RangeKey: rangeKey, Complete: true, // ID and PartitionKey are what Event says
		ID:           fmt.Sprintf("id-%016x", sum),
		PartitionKey: fmt.Sprintf("pk-%d", sum%7), // seldom the hash key, as with several hash-key functions
		Type:         fmt.Sprintf("type-%d", sum%5),
		Timestamp:    time.UnixMilli(1_600_000_000_000 + int64(sum%100_000_000_000)).UTC(),
		TTL:          4_102_444_800 + int64(sum%1000), // from the year 2100: the suite's items never expire
	}
	item.Event = eventOf(item, fmt.Sprintf("number %d", number))
	return item
}

// eventOf returns the JSON of an event that says the same as the item's fields.
func eventOf(item driver.Item, data string) []byte {
	event, _ := json.Marshal(map[string]any{
		"id": item.ID, "type": item.Type, "timestamp": item.Timestamp.UnixMilli(),
		"partitionKey": item.PartitionKey, "data": data,
	})
	return event // strings and numbers always marshal
}

// newItems returns n items under one hash key, in range-key order.
func newItems(hashKey string, n int) []driver.Item {
	items := make([]driver.Item, n)
	for i := range items {
		items[i] = newItem(hashKey, text(i), i)
	}
	return items
}

// padded returns the item with an Event that makes its Size be size. The padding
// is random, so that a table that compresses gains little.
func padded(item driver.Item, size int, random *rand.Rand) driver.Item {
	letters := uint64(0)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	item.Event = eventOf(item, "")
	begin, end, _ := bytes.Cut(item.Event, []byte(`"data":"`))
	event := make([]byte, 0, len(item.Event)+size-item.Size())
	event = append(append(event, begin...), `"data":"`...)
	for range size - item.Size() {
		// Suites spend most of their time here: a random number does for ten letters.
		if letters < 1<<6 {
			letters = random.Uint64() | 1<<60
		}
		event = append(event, alphabet[letters%64])
		letters >>= 6
	}
	item.Event = append(event, end...)
	return item
}

// oneByteMore returns the item with one byte more of Event, still JSON.
func oneByteMore(item driver.Item) driver.Item {
	item.Event = append(bytes.Clone(item.Event), ' ')
	return item
}

func backwards(items []driver.Item) []driver.Item {
	reversed := make([]driver.Item, len(items))
	for i := range items {
		reversed[len(items)-1-i] = items[i]
	}
	return reversed
}

func rangeKeys(items []driver.Item) []string {
	keys := make([]string, len(items))
	for i := range items {
		keys[i] = items[i].RangeKey
	}
	return keys
}

// clone returns items that share no memory with those given.
func clone(items []driver.Item) []driver.Item {
	copies := make([]driver.Item, len(items))
	for i, item := range items {
		copies[i] = item
		copies[i].HashKey, copies[i].RangeKey = strings.Clone(item.HashKey), strings.Clone(item.RangeKey)
		copies[i].ID, copies[i].PartitionKey = strings.Clone(item.ID), strings.Clone(item.PartitionKey)
		copies[i].Type = strings.Clone(item.Type)
		copies[i].Event = bytes.Clone(item.Event)
	}
	return copies
}

// diff says in what way the items that a table returned differ from those that
// it should have; "" if they do not.
func diff(got, want []driver.Item) string {
	for i := range min(len(got), len(want)) {
		if got[i].RangeKey != want[i].RangeKey {
			return fmt.Sprintf("item %d has range key %s, want %s (%d items, want %d)",
				i, short(got[i].RangeKey), short(want[i].RangeKey), len(got), len(want))
		}
		if d := diffItem(got[i], want[i]); d != "" {
			return fmt.Sprintf("item %d (range key %s): %s", i, short(want[i].RangeKey), d)
		}
	}
	switch {
	case len(got) < len(want):
		return fmt.Sprintf("%d items, want %d; the first one missing is %s", len(got), len(want), short(want[len(got)].RangeKey))
	case len(got) > len(want):
		return fmt.Sprintf("%d items, want %d; the first one too many is %s", len(got), len(want), short(got[len(want)].RangeKey))
	}
	return ""
}

func diffItem(got, want driver.Item) string {
	wantTime := want.Timestamp
	if !wantTime.IsZero() {
		wantTime = time.UnixMilli(wantTime.UnixMilli())
	}
	switch {
	case got.HashKey != want.HashKey:
		return fmt.Sprintf("HashKey is %s, want %s", short(got.HashKey), short(want.HashKey))
	case got.RangeKey != want.RangeKey:
		return fmt.Sprintf("RangeKey is %s, want %s", short(got.RangeKey), short(want.RangeKey))
	case !bytes.Equal(got.Event, want.Event):
		return fmt.Sprintf("Event is %s, want %s, byte for byte", short(string(got.Event)), short(string(want.Event)))
	case got.Type != want.Type:
		return fmt.Sprintf("Type is %s, want %s", short(got.Type), short(want.Type))
	case !got.Timestamp.Equal(wantTime):
		return fmt.Sprintf("Timestamp is %v, want %v (put as %v)", got.Timestamp, wantTime, want.Timestamp)
	case got.TTL != want.TTL:
		return fmt.Sprintf("TTL is %d, want %d", got.TTL, want.TTL)
	case got.Complete && got.ID != want.ID:
		return fmt.Sprintf("it says that it is Complete, but ID is %s, want %s", short(got.ID), short(want.ID))
	case got.Complete && got.PartitionKey != want.PartitionKey:
		return fmt.Sprintf("it says that it is Complete, but PartitionKey is %s, want %s", short(got.PartitionKey), short(want.PartitionKey))
	}
	return ""
}

func describe(q driver.Query) string {
	s := "hash key " + short(q.HashKey)
	if q.From != "" {
		s += ", from " + short(q.From)
	}
	if q.To != "" {
		s += ", to " + short(q.To)
	}
	if q.Descending {
		s += ", descending"
	}
	if q.Limit != 0 {
		s += fmt.Sprintf(", limit %d", q.Limit)
	}
	return s
}

// short quotes a string so that what cannot be seen is seen, and cuts it.
func short(s string) string {
	const most = 120
	if len(s) <= most {
		return fmt.Sprintf("%+q", s)
	}
	return fmt.Sprintf("%+q… (%d bytes)", s[:most], len(s))
}
