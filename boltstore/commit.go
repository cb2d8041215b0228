package boltstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// All writes pass through one queue. Whoever finds nobody at work leads: it
// commits what is queued, its own write first, in one transaction, and hands the
// lead to the first of those who have come meanwhile. So a write that is alone
// waits for nothing but its own commit, and under load one sync serves all the
// writes that came during the one before.

// maxGroupSize bounds the bytes that one transaction joins.
const maxGroupSize = 16 << 20

// A write is one caller's part of a transaction.
type write struct {
	// op does the writing. It may run more than once, each time in a transaction
	// that knows nothing of the time before.
	op   func(*writer) error
	size int // about how many bytes it writes
	err  error

	lead  bool          // under the queue's lock: it is in the queue, and at its head
	ready chan struct{} // is sent to when the write is done, or is to lead
}

type queue struct {
	mu      sync.Mutex
	led     bool // somebody leads, or has been told to
	waiting []*write
}

// submit runs op in a transaction, maybe together with others, and returns when
// it is durable. When the context ends before the transaction has begun, the
// write is taken back.
func (t *Table) submit(ctx context.Context, size int, op func(*writer) error) error {
	q := &t.queue
	w := &write{op: op, size: size}
	q.mu.Lock()
	if q.led {
		w.ready = make(chan struct{}, 1)
		q.waiting = append(q.waiting, w)
		q.mu.Unlock()
		select {
		case <-w.ready:
		case <-ctx.Done():
			if q.takeBack(w) {
				return ctx.Err()
			}
			<-w.ready // it has begun, and reads the caller's bytes
		}
		q.mu.Lock()
		if !w.lead {
			q.mu.Unlock()
			return w.err
		}
	} else {
		q.led = true
		q.waiting = append(q.waiting, w)
	}
	group := q.take()
	q.mu.Unlock()

	t.commit(group)
	for _, other := range group {
		if other != w {
			other.ready <- struct{}{}
		}
	}
	q.mu.Lock()
	q.passOn()
	q.mu.Unlock()
	return w.err
}

// take removes the writes of the next transaction from the queue.
func (q *queue) take() []*write {
	n, size := 0, 0
	for n < len(q.waiting) && (n == 0 || size+q.waiting[n].size <= maxGroupSize) {
		size += q.waiting[n].size
		n++
	}
	group := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	for _, w := range group {
		w.lead = false
	}
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	return group
}

// takeBack removes a write that no transaction has taken.
func (q *queue) takeBack(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	// Not slices.Delete: take has handed out the same array.
	q.waiting = append(slices.Clone(q.waiting[:i]), q.waiting[i+1:]...)
	if w.lead {
		q.passOn()
	}
	return true
}

// passOn gives the lead to the first in the queue.
func (q *queue) passOn() {
	if q.led = len(q.waiting) > 0; q.led {
		q.waiting[0].lead = true
		q.waiting[0].ready <- struct{}{}
	}
}

// commit runs writes in one transaction. When one of them fails they run again,
// each on its own, so that it is no one else's failure.
func (t *Table) commit(group []*write) {
	err := t.writer.run(group)
	if err == nil || len(group) == 1 || t.failed() != nil {
		for _, w := range group {
			w.err = err
		}
		return
	}
	for i, w := range group {
		w.err = t.writer.run(group[i : i+1])
	}
}

// A writer is the transaction of the group that is being committed. There is one
// for a table, and only the leader of its queue uses it.
type writer struct {
	table *Table
	tx    *bbolt.Tx

	items, ttl, changes *bbolt.Bucket

	sequence      uint64 // of the last change
	oldest        uint64 // the oldest change that is kept
	itemN, ttlN   uint64 // how many there are
	now           int64  // milliseconds
	dirty         bool
	scratch, free []byte
}

func (w *writer) run(group []*write) error {
	t := w.table
	err := t.update(func(tx *bbolt.Tx) (bool, error) {
		if err := w.begin(tx); err != nil {
			return false, err
		}
		for _, write := range group {
			if err := write.op(w); err != nil {
				return false, err
			}
		}
		return w.dirty, w.end()
	})
	if err == nil && w.dirty {
		t.feed.advance(w.sequence, w.oldest)
	}
	w.tx, w.items, w.ttl, w.changes = nil, nil, nil, nil
	return err
}

func (w *writer) begin(tx *bbolt.Tx) error {
	w.tx = tx
	w.items, w.ttl, w.changes = tx.Bucket(itemsBucket), tx.Bucket(ttlBucket), tx.Bucket(changesBucket)
	if w.items == nil || w.ttl == nil || w.changes == nil {
		return damaged("a bucket is missing")
	}
	// New changes always come last, and most items and TTLs come in order: full
	// pages are written less often than half-full ones.
	w.items.FillPercent, w.ttl.FillPercent, w.changes.FillPercent = 0.9, 0.9, 1
	w.sequence, w.itemN, w.ttlN = w.changes.Sequence(), w.items.Sequence(), w.ttl.Sequence()
	w.oldest = 0 // as it was
	w.now = w.table.config.now().UnixMilli()
	w.dirty = false
	w.free = w.scratch[:0]
	return nil
}

// end writes down the counts that tell, when the file is opened again, whether
// anything is missing.
func (w *writer) end() error {
	if !w.dirty {
		return nil
	}
	for _, bucket := range [...]struct {
		*bbolt.Bucket
		count uint64
	}{{w.items, w.itemN}, {w.ttl, w.ttlN}, {w.changes, w.sequence}} {
		if bucket.Sequence() == bucket.count {
			continue
		}
		if err := bucket.SetSequence(bucket.count); err != nil {
			return err
		}
	}
	return nil
}

// expired tells whether a TTL has passed: 0 is none.
func (w *writer) expired(ttl int64) bool {
	item := driver.Item{TTL: ttl}
	return item.Expired(time.UnixMilli(w.now))
}

// alloc returns memory that holds until the transaction has ended: bbolt reads
// the values that it was given when it commits.
func (w *writer) alloc(size int) []byte {
	const maxScratch = 1 << 20
	if cap(w.free)-len(w.free) < size {
		w.free = make([]byte, 0, max(size, min(2*cap(w.free), maxScratch), 16<<10))
		if cap(w.free) <= maxScratch {
			w.scratch = w.free
		}
	}
	n := len(w.free)
	w.free = w.free[:n+size]
	return w.free[n : n+size : n+size]
}
