package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// Put stores items, as [driver.Table] says. When it returns nil they are on the
// disk. An item that is identical to the stored one is not written again.
//
// A Put whose context ends while it waits for another one's transaction stores
// nothing; one whose transaction has begun waits for its short end.
func (t *Table) Put(ctx context.Context, items []driver.Item) error {
	return t.put(ctx, items, false)
}

// PutIfAbsent stores the items whose keys are not taken, as [driver.PutIfAbsent]
// says, and as durably as Put.
func (t *Table) PutIfAbsent(ctx context.Context, items []driver.Item) error {
	return t.put(ctx, items, true)
}

func (t *Table) put(ctx context.Context, items []driver.Item, onlyAbsent bool) error {
	leave, err := t.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if len(items) == 0 {
		return t.failed()
	}
	batch, failures := t.encodeBatch(items)
	batch.onlyAbsent = onlyAbsent
	defer batch.release(t)
	if len(batch.items) > 0 {
		if err := t.submit(ctx, len(batch.memory), batch.write); err != nil {
			return err
		}
	}
	for _, index := range batch.conflicts {
		failures = append(failures, driver.PutFailure{Index: index, Err: driver.ErrConflict})
	}
	if len(failures) > 0 {
		slices.SortFunc(failures, func(x, y driver.PutFailure) int { return x.Index - y.Index })
		return &driver.PutError{Failures: failures}
	}
	return nil
}

// A batch is the items of one Put in the form in which they are stored. It is
// made before the Put is queued, so that many do it at the same time.
type batch struct {
	items  []encodedItem
	memory []byte // of all the items

	onlyAbsent bool  // items whose keys are taken stay as they are
	conflicts  []int // the items whose keys are taken by another event
}

func (t *Table) encodeBatch(items []driver.Item) (*batch, []driver.PutFailure) {
	b, _ := t.batches.Get().(*batch)
	if b == nil {
		b = new(batch)
	}
	var failures []driver.PutFailure
	size := 0
	for i := range items {
		size += encodedSize(&items[i])
	}
	b.memory = slices.Grow(b.memory[:0], size)
	b.items = slices.Grow(b.items[:0], len(items))
	sorted := true
	for i := range items {
		if err := check(&items[i]); err != nil {
			failures = append(failures, driver.PutFailure{Index: i, Err: err})
			continue
		}
		var item encodedItem
		item, b.memory = encodeItem(b.memory, &items[i])
		item.index = i
		if n := len(b.items); n > 0 && bytes.Compare(b.items[n-1].key, item.key) > 0 {
			sorted = false
		}
		b.items = append(b.items, item)
	}
	if !sorted {
		// Neighbours lie on one page. Should two have the same key, the last one
		// still comes last.
		slices.SortStableFunc(b.items, func(x, y encodedItem) int { return bytes.Compare(x.key, y.key) })
	}
	return b, failures
}

func (b *batch) release(t *Table) {
	const maxKept = 1 << 20
	if cap(b.memory) <= maxKept {
		clear(b.items)
		b.conflicts = nil
		t.batches.Put(b)
	}
}

// check adds to the contract's check what only a table that keeps the id and the
// partition key beside the event can run into.
func check(item *driver.Item) error {
	if err := item.Check(); err != nil {
		return err
	}
	if size := len(item.ID) + len(item.PartitionKey); size > driver.MaxItemSize {
		return fmt.Errorf("%w: its id and partition key are %d bytes and can be at most %d", driver.ErrInvalidItem, size, driver.MaxItemSize)
	}
	return nil
}

// write is the batch's part of a transaction.
func (b *batch) write(w *writer) error {
	b.conflicts = nil
	cursor := w.items.Cursor()
	for i := range b.items {
		if err := w.put(cursor, b, &b.items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) put(cursor *bbolt.Cursor, b *batch, item *encodedItem) error {
	kind, oldTTL := kindInsert, int64(0)
	var old []byte
	if key, value := cursor.Seek(item.key); bytes.Equal(key, item.key) {
		stored, err := w.table.readItem(key, value)
		if err != nil {
			return err
		}
		switch {
		case b.onlyAbsent && !w.expired(stored.ttl):
			if !bytes.Equal(stored.event, item.event) {
				b.conflicts = append(b.conflicts, item.index)
			}
			return nil
		case item.sameContent(value):
			return nil
		}
		kind, old, oldTTL = kindModify, value, stored.ttl
	} else {
		w.itemN++
	}
	if err := w.moveTTL(oldTTL, item.ttl, item.key); err != nil {
		return err
	}
	if err := w.record(kind, item.key, old); err != nil {
		return err
	}
	item.seal(w.sequence)
	return w.items.Put(item.key, item.value)
}

// remove takes an item out of the table, and writes the change.
func (w *writer) remove(kind byte, key, value []byte, ttl int64) error {
	if err := w.moveTTL(ttl, 0, key); err != nil {
		return err
	}
	if err := w.record(kind, key, value); err != nil {
		return err
	}
	if w.itemN == 0 { // bbolt finds an item that it does not delete
		return damaged("the number of items")
	}
	w.itemN--
	return w.items.Delete(key)
}

// record appends a change to the feed.
func (w *writer) record(kind byte, key, old []byte) error {
	w.sequence++
	w.dirty = true
	memory := w.alloc(sequenceSize + changeSize(key, old))
	sequence := appendSequence(memory[:0:sequenceSize], w.sequence)
	return w.changes.Put(sequence, encodeChange(memory[sequenceSize:sequenceSize], sequence, kind, w.now, key, old))
}

// moveTTL keeps the index of the sweep in step with an item; 0 is no TTL.
func (w *writer) moveTTL(from, to int64, itemKey []byte) error {
	if from == to {
		return nil
	}
	if from != 0 {
		if err := w.removeTTL(from, itemKey); err != nil {
			return err
		}
	}
	if to == 0 {
		return nil
	}
	return w.addTTL(to, itemKey)
}

func (w *writer) addTTL(ttl int64, itemKey []byte) error {
	w.ttlN++
	memory := w.alloc(8 + len(itemKey) + 4)
	key := appendTTLKey(memory[:0], ttl, itemKey)
	sum := ttlChecksum(key)
	return w.ttl.Put(key, append(key, sum[:]...)[len(key):])
}

func (w *writer) removeTTL(ttl int64, itemKey []byte) error {
	key := appendTTLKey(w.alloc(8 + len(itemKey))[:0], ttl, itemKey)
	if w.ttl.Get(key) == nil || w.ttlN == 0 {
		return damaged("the index of the TTL lacks an item")
	}
	w.ttlN--
	w.dirty = true
	return w.ttl.Delete(key)
}
