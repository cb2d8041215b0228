package drivertest

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// itemMutants store something else than what they were given.
func itemMutants() []mutation {
	return []mutation{
		{name: "loses the TTL", breaks: onItem(func(i *driver.Item) { i.TTL = 0 }), failing: "TTL Fields ExpiredItems"},
		{name: "keeps the TTL as a float", breaks: onItem(func(i *driver.Item) { i.TTL = int64(float64(i.TTL)) & math.MaxInt64 }), failing: "TTL"},
		{name: "keeps the TTL in 32 bits", breaks: onItem(func(i *driver.Item) { i.TTL = int64(uint32(i.TTL)) }), failing: "TTL"},
		{name: "keeps seconds", breaks: onItem(func(i *driver.Item) {
			if !i.Timestamp.IsZero() {
				i.Timestamp = i.Timestamp.Truncate(time.Second)
			}
		}), failing: "Timestamps Fields"},
		{name: "rounds negative times toward zero", breaks: onItem(func(i *driver.Item) {
			if ns := i.Timestamp.Nanosecond(); i.Timestamp.Unix() < 0 && ns%1e6 != 0 {
				i.Timestamp = i.Timestamp.Add(time.Millisecond)
			}
		}), failing: "Timestamps"},
		{name: "refuses times before 1970", breaks: onItem(func(i *driver.Item) {
			if !i.Timestamp.IsZero() && i.Timestamp.UnixMilli() < 0 {
				i.Timestamp = time.UnixMilli(-i.Timestamp.UnixMilli())
			}
		}), failing: "Timestamps"},
		{name: "keeps no time as 1970", breaks: onItem(func(i *driver.Item) {
			if i.Timestamp.IsZero() {
				i.Timestamp = time.UnixMilli(0)
			}
		}), failing: "ZeroTimestamp"},
		{name: "keeps 1970 as no time", breaks: onItem(func(i *driver.Item) {
			if i.Timestamp.UnixMilli() == 0 {
				i.Timestamp = time.Time{}
			}
		}), failing: "ZeroTimestamp"},
		{name: "compacts the JSON", breaks: onItem(func(i *driver.Item) {
			var b bytes.Buffer
			if json.Compact(&b, i.Event) == nil {
				i.Event = b.Bytes()
			}
		}), failing: "EventBytes"},
		{name: "marshals the JSON again", breaks: onItem(func(i *driver.Item) {
			var v any
			if json.Unmarshal(i.Event, &v) == nil {
				i.Event, _ = json.Marshal(v)
			}
		}), failing: "EventBytes"},
		{name: "repairs UTF-8 in events", breaks: onItem(func(i *driver.Item) { i.Event = []byte(strings.ToValidUTF8(string(i.Event), "\ufffd")) }), failing: "OddPayloads"},
		{name: "drops the type", breaks: onItem(func(i *driver.Item) { i.Type = "" }), failing: "Fields"},

		{name: "says Complete and is not", breaks: onRead(func(i *driver.Item) { i.Complete = true }), failing: "Complete Fields"},
		{name: "guesses the partition key", breaks: onRead(func(i *driver.Item) { i.PartitionKey = i.HashKey }), opts: memorytable.Options{KeepComplete: true}, failing: "Complete"},
		{name: "says not Complete and sets the ID", breaks: onRead(func(i *driver.Item) { i.ID = "x" }), failing: "Complete"},

		{name: "repairs UTF-8 in keys", breaks: onItem(func(i *driver.Item) {
			i.HashKey, i.RangeKey = strings.ToValidUTF8(i.HashKey, "\ufffd"), strings.ToValidUTF8(i.RangeKey, "\ufffd")
		}), failing: "KeysNotUTF8"},
		{name: "cuts keys that are too long", breaks: onItem(func(i *driver.Item) {
			i.HashKey, i.RangeKey = i.HashKey[:min(len(i.HashKey), 2048)], i.RangeKey[:min(len(i.RangeKey), 1024)]
		}), failing: "KeysTooLong"},
		{name: "takes empty keys", breaks: onItem(func(i *driver.Item) {
			if i.HashKey == "" {
				i.HashKey = "-"
			}
			if i.RangeKey == "" {
				i.RangeKey = "-"
			}
		}), failing: "EmptyKeys PutErrorNamesItems"},
		{name: "takes a negative TTL", breaks: onItem(func(i *driver.Item) { i.TTL = max(i.TTL, 0) }), failing: "NegativeTTL"},
		{name: "cuts items that are too large", breaks: onItem(func(i *driver.Item) {
			if over := i.Size() - driver.MaxItemSize; over > 0 {
				i.Event = i.Event[:len(i.Event)-over]
			}
		}), failing: "ItemOneByteTooLarge ItemFarTooLarge PutErrorNamesItems"},
		{name: "refuses the largest item", breaks: refusing(func(i *driver.Item) bool { return i.Size() >= driver.MaxItemSize }), failing: "LargestItem LargeItemsPage"},
		{name: "counts characters of keys in UTF-16", breaks: refusing(func(i *driver.Item) bool {
			return len(utf16.Encode([]rune(i.HashKey))) > 2000
		}), failing: "LongestKeys"},

		{name: "folds case of hash keys", breaks: mangled(strings.ToLower), failing: "OddHashKeys DeleteOnlyItsKey"},
		{name: "trims hash keys", breaks: mangled(strings.TrimSpace), failing: "OddHashKeys"},
		{name: "cuts hash keys at NUL", breaks: mangled(func(s string) string { before, _, _ := strings.Cut(s[1:], "\x00"); return s[:1] + before }), failing: "OddHashKeys HashKeyPrefixes KeyBoundaries"},
		{name: "folds case of range keys", breaks: onItem(func(i *driver.Item) { i.RangeKey = strings.ToLower(i.RangeKey) }), failing: "OddRangeKeys"},
		{name: "drops NUL from range keys", breaks: onItem(func(i *driver.Item) {
			if s := strings.ReplaceAll(i.RangeKey, "\x00", ""); s != "" {
				i.RangeKey = s
			}
		}), failing: "OddRangeKeys"},
		{name: "finds items by the two keys joined", breaks: joined, failing: "KeyBoundaries"},
		{name: "finds hash keys by prefix", breaks: func(m *mutant) {
			shadow := memorytable.New()
			m.put = func(ctx context.Context, items []driver.Item) error {
				for _, i := range items { // the last byte of a hash key counts for nothing
					if n := len(i.HashKey); n > 1 && i.HashKey[n-1] < 0x80 {
						i.HashKey = i.HashKey[:n-1]
						_ = shadow.Put(ctx, []driver.Item{i})
					}
				}
				return m.Table.Put(ctx, items)
			}
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				if more, _ := shadow.Query(ctx, q); err == nil && len(page.Items) == 0 {
					page.Items = more.Items
				}
				return page, err
			}
		}, failing: "UnknownHashKey"},
		{name: "leaves markers out", breaks: onPage(func(_ driver.Query, page *driver.Page) {
			var kept []driver.Item
			for _, i := range page.Items {
				if !strings.HasPrefix(i.RangeKey, driver.MarkerPrefix) {
					kept = append(kept, i)
				}
			}
			page.Items = kept
		}), failing: "Markers"},
	}
}

// refusing makes a mutant that refuses more than it may.
func refusing(which func(i *driver.Item) bool) func(m *mutant) {
	return onItem(func(i *driver.Item) {
		if which(i) {
			i.TTL = -1
		}
	})
}

// mangled makes a mutant that takes some hash keys for others.
func mangled(mangle func(string) string) func(m *mutant) {
	return func(m *mutant) {
		safe := func(key string) string {
			if key != "" && mangle(key) != "" {
				return mangle(key)
			}
			return key
		}
		onItem(func(i *driver.Item) { i.HashKey = safe(i.HashKey) })(m)
		m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
			asked := q.HashKey
			q.HashKey = safe(asked)
			page, err := m.Table.Query(ctx, q)
			for i := range page.Items {
				page.Items[i].HashKey = asked
			}
			return page, err
		}
		m.del = func(ctx context.Context, hashKey string) (int, error) { return m.Table.Delete(ctx, safe(hashKey)) }
	}
}

// joined makes a mutant in which the newest item of two with the same keys, when
// they are written one behind the other, is the only one.
func joined(m *mutant) {
	var mu sync.Mutex
	owner := make(map[string]string)
	m.put = func(ctx context.Context, items []driver.Item) error {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range items {
			owner[i.HashKey+i.RangeKey] = i.HashKey
		}
		return m.Table.Put(ctx, items)
	}
	m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
		mu.Lock()
		defer mu.Unlock()
		page, err := m.Table.Query(ctx, q)
		var kept []driver.Item
		for _, i := range page.Items {
			if owner[i.HashKey+i.RangeKey] == i.HashKey {
				kept = append(kept, i)
			}
		}
		page.Items = kept
		return page, err
	}
}
