package memorytable

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sort"

	"github.com/microeventstore/microeventstore/driver"
)

// maxPageBytes is DynamoDB's bound of a page.
const maxPageBytes = 1 << 20

// Query implements driver.Table.
func (t *Table) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	if err := t.enter(ctx, func(c *Counts) { c.Queries++ }); err != nil {
		return driver.Page{}, err
	}
	defer t.calls.Done()
	if t.opts.OnQuery != nil {
		if err := t.opts.OnQuery(ctx, query); err != nil {
			return driver.Page{}, err
		}
	}
	if err := query.Check(); err != nil {
		return driver.Page{}, err
	}
	at, err := parseCursor(query)
	if err != nil {
		return driver.Page{}, err
	}
	if err := ctx.Err(); err != nil {
		return driver.Page{}, fmt.Errorf("nothing was read: %w", err)
	}
	page := t.page(query, at)
	if t.opts.AfterQuery != nil {
		return t.opts.AfterQuery(ctx, query, page)
	}
	return page, nil
}

// Release implements driver.Releaser. It spoils what it is given back, so that whoever
// looks at it again is found out.
func (t *Table) Release(page driver.Page) {
	for i := range page.Items {
		page.Items[i] = driver.Item{HashKey: "released", RangeKey: "released", Event: []byte("released"), Type: "released", TTL: 1}
	}
}

func (t *Table) page(query driver.Query, at position) driver.Page {
	t.mu.Lock()
	defer t.mu.Unlock()
	page := driver.Page{Consistent: !t.opts.Eventual && (query.Consistent || t.opts.Lag == 0)}
	items := selected(t.visible(query), query, at)
	// from is the i-th item in the query's order.
	from := func(i int) *driver.Item {
		if query.Descending {
			i = len(items) - 1 - i
		}
		return &items[i]
	}
	if t.opts.EmptyPages && !at.afterEmpty {
		if len(items) > 0 || !at.begun {
			at.afterEmpty = true
			page.Next = cursor(query, at)
		}
		return page
	}
	n := t.fitting(len(items), from, query.Limit)
	page.Items = make([]driver.Item, n)
	for i := range page.Items {
		page.Items[i] = *from(i)
	}
	t.data.counts.ItemsRead += n
	if n == 0 {
		return page
	}
	if n < len(items) || t.opts.EmptyPages {
		page.Next = cursor(query, position{begun: true, rangeKey: from(n - 1).RangeKey})
	}
	return page
}

// visible returns what a query of a hash key may see, in ascending order.
func (t *Table) visible(query driver.Query) []driver.Item {
	c := t.data.collations[query.HashKey]
	if c == nil {
		return nil
	}
	if c.lag > 0 && (t.opts.Eventual || !query.Consistent) {
		c.lag--
		return c.stale
	}
	return c.items
}

// selected returns the items that are still to be read, in ascending order.
func selected(items []driver.Item, query driver.Query, at position) []driver.Item {
	first := 0
	if query.From != "" {
		first = sort.Search(len(items), func(i int) bool { return items[i].RangeKey >= query.From })
	}
	end := len(items)
	if query.To != "" {
		end = sort.Search(len(items), func(i int) bool { return items[i].RangeKey > query.To })
	}
	switch {
	case at.begun && query.Descending:
		end = min(end, sort.Search(len(items), func(i int) bool { return items[i].RangeKey >= at.rangeKey }))
	case at.begun:
		first = max(first, sort.Search(len(items), func(i int) bool { return items[i].RangeKey > at.rangeKey }))
	}
	if first >= end {
		return nil
	}
	return items[first:end]
}

// fitting returns how many of n items go on one page.
func (t *Table) fitting(n int, from func(int) *driver.Item, limit int) int {
	for _, bound := range [...]int{t.opts.PageSize, limit} {
		if bound > 0 {
			n = min(n, bound)
		}
	}
	size := 0
	for i := range n {
		size += from(i).Size()
		if i > 0 && size > maxPageBytes {
			return i
		}
	}
	return n
}

// A position is how far a query has been answered.
type position struct {
	begun      bool   // items up to rangeKey, itself included, have been read
	afterEmpty bool   // the empty page of this position has been given out
	rangeKey   string // "" before begun
}

// cursor writes a position down, with a sum over it and the query, so that a
// cursor of another query, or one that somebody made up, is told from its own.
func cursor(query driver.Query, at position) string {
	text := make([]byte, 9, 9+len(at.rangeKey))
	if at.begun {
		text[8] |= 1
	}
	if at.afterEmpty {
		text[8] |= 2
	}
	text = append(text, at.rangeKey...)
	binary.BigEndian.PutUint64(text, sum(query, text[8:]))
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(query driver.Query) (position, error) {
	if query.Cursor == "" {
		return position{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(query.Cursor)
	if err != nil || len(text) < 9 || text[8] > 3 || sum(query, text[8:]) != binary.BigEndian.Uint64(text) {
		return position{}, fmt.Errorf("%w: the cursor is not from this query", driver.ErrInvalidQuery)
	}
	return position{begun: text[8]&1 != 0, afterEmpty: text[8]&2 != 0, rangeKey: string(text[9:])}, nil
}

func sum(query driver.Query, position []byte) uint64 {
	h := fnv.New64a()
	// %q keeps neighbouring fields apart. Writing to a hash never fails.
	// The store asks for larger pages as it goes, so Limit is not part of it.
	_, _ = fmt.Fprintf(h, "%q %q %q %v %q", query.HashKey, query.From, query.To, query.Descending, position)
	return h.Sum64()
}
