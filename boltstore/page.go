package boltstore

import (
	"bytes"
	"context"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

// A pageBuilder copies items out of the file. It first finds their records, so
// that the page is made in its final size, and then copies events one behind the
// other into pieces of memory, and strings likewise: that makes a few dozen
// allocations a page and not several an item, and an event that a caller keeps
// keeps no more than its piece.
type pageBuilder struct {
	found []record // used again
	more  bool

	prefix []byte
	bound  []byte

	events    [][]byte // of the piece that is being filled: the file's own memory
	eventSize int
	text      strings.Builder // the rest of the piece that is being filled
	textSize  int             // of the piece
}

// A record is the file's own memory, and holds within the transaction.
type record struct{ key, value []byte }

// A piece of events is no larger than what the allocator still takes from its
// fast lists. Pieces of text begin small, for a page may hold three items or a
// thousand.
const (
	maxPieceSize  = 28 << 10
	firstTextSize = 512
	maxTextSize   = 7 << 10
)

// checkEvery is after how many items the context is looked at.
const checkEvery = 256

func (b *pageBuilder) release(t *Table) {
	const maxKept = 4096
	if cap(b.found) > maxKept {
		return
	}
	clear(b.found)
	clear(b.events)
	*b = pageBuilder{found: b.found[:0], events: b.events[:0], prefix: b.prefix[:0], bound: b.bound[:0]}
	t.pages.Put(b)
}

// page makes the page of the records that were found.
func (b *pageBuilder) page(ctx context.Context, t *Table, query *driver.Query) (driver.Page, error) {
	page := driver.Page{Consistent: true}
	if len(b.found) == 0 {
		return page, nil
	}
	t.reads.Add(int64(len(b.found)))
	page.Items = make([]driver.Item, len(b.found))
	var stored storedItem // one for all: it is large
	for i := range b.found {
		if i%checkEvery == checkEvery-1 {
			if err := ctx.Err(); err != nil {
				return driver.Page{}, err
			}
		}
		if err := stored.decode(b.found[i].key, b.found[i].value); err != nil {
			return driver.Page{}, err
		}
		b.fill(page.Items[:i+1], query, &stored)
	}
	b.copyEvents(page.Items)
	if b.more {
		page.Next = cursorPrefix(query) + page.Items[len(page.Items)-1].RangeKey
	}
	return page, nil
}

// fill makes the last item of those given, but for its event, of what is stored.
// Two things are common and cost no memory: a type that is the same as the item's
// before, and a range key that ends in the id.
func (b *pageBuilder) fill(items []driver.Item, query *driver.Query, stored *storedItem) {
	n := len(items) - 1
	if len(stored.event)+b.eventSize > maxPieceSize {
		b.copyEvents(items[:n])
	}
	b.events = append(b.events, stored.event)
	b.eventSize += len(stored.event)

	item := &items[n]
	item.HashKey = query.HashKey
	item.RangeKey = b.string(stored.rangeKey)
	item.Timestamp = stored.time()
	item.TTL = stored.ttl
	item.Complete = stored.flags&flagComplete != 0
	if bytes.HasSuffix(stored.rangeKey, stored.id) {
		item.ID = item.RangeKey[len(item.RangeKey)-len(stored.id):]
	} else {
		item.ID = b.string(stored.id)
	}
	if n > 0 && items[n-1].Type == string(stored.typ) {
		item.Type = items[n-1].Type
	} else {
		item.Type = b.string(stored.typ)
	}
	if stored.flags&flagKeyIsHashKey != 0 {
		item.PartitionKey = query.HashKey
	} else {
		item.PartitionKey = b.string(stored.partitionKey)
	}
}

// copyEvents copies the events of the piece into the last of the items given. No
// copy can be appended to in place. Join takes memory that has not been cleared.
func (b *pageBuilder) copyEvents(items []driver.Item) {
	piece := bytes.Join(b.events, nil)
	if piece == nil {
		piece = []byte{} // an event that is empty is there all the same
	}
	items = items[len(items)-len(b.events):]
	for i := range items {
		size := len(b.events[i])
		items[i].Event = piece[:size:size]
		piece = piece[size:]
	}
	clear(b.events)
	b.events, b.eventSize = b.events[:0], 0
}

func (b *pageBuilder) string(text []byte) string {
	if b.text.Cap()-b.text.Len() < len(text) {
		b.textSize = min(max(2*b.textSize, firstTextSize), maxTextSize)
		b.text = strings.Builder{}
		b.text.Grow(max(b.textSize, len(text)))
	}
	start := b.text.Len()
	b.text.Write(text)
	return b.text.String()[start:]
}
