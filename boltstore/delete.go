package boltstore

import (
	"bytes"
	"context"
	"fmt"

	"github.com/microeventstore/microeventstore/driver"
)

// The most that one transaction removes, so that a Put never waits long for it.
const (
	maxRemovals     = 1000
	maxRemovedBytes = 4 << 20
)

// Delete removes every item of a hash key, as [driver.Deleter] says, in
// transactions of at most 1,000 items. Each is durable by itself: when the
// context ends in between, the items that were counted are gone.
//
// The removed events stay in the change feed, as the Old of each change, until
// the retention has passed and every live consumer has acknowledged them.
func (t *Table) Delete(ctx context.Context, hashKey string) (int, error) {
	leave, err := t.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if err := driver.CheckKey("hash key", hashKey, driver.MaxHashKeySize); err != nil {
		return 0, fmt.Errorf("%w: %w", driver.ErrInvalidQuery, err)
	}
	prefix := appendItemKey(nil, hashKey, "")
	for removed := 0; ; {
		n, more := 0, false
		err := t.submit(ctx, maxRemovedBytes, func(w *writer) (err error) {
			n, more, err = w.removeAll(prefix)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += n
		if !more {
			return removed, nil
		}
		if err := ctx.Err(); err != nil {
			return removed, err
		}
	}
}

// removal is an item that is about to be removed. Removals are collected before
// the first is done, because a cursor does not survive a change of its bucket;
// what it returned holds until the transaction ends.
type removal struct {
	key, value []byte
	ttl        int64
}

// removeAll removes the first items whose keys have a prefix.
func (w *writer) removeAll(prefix []byte) (removed int, more bool, err error) {
	var removals []removal
	cursor, size := w.items.Cursor(), 0
	key, value := cursor.Seek(prefix)
	for ; bytes.HasPrefix(key, prefix); key, value = cursor.Next() {
		if len(removals) == maxRemovals || size >= maxRemovedBytes {
			more = true
			break
		}
		item, err := w.table.readItem(key, value)
		if err != nil {
			return 0, false, err
		}
		removals = append(removals, removal{key, value, item.ttl})
		size += len(value)
	}
	for _, r := range removals {
		if err := w.remove(kindRemove, r.key, r.value, r.ttl); err != nil {
			return 0, false, err
		}
	}
	return len(removals), more, nil
}
