package boltstore

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// maxTrimmed bounds the changes that one transaction drops from the feed.
const maxTrimmed = 5000

// Sweep removes the items whose TTL has passed and returns how many there were;
// each removal appears in the change feed as an expiry. It also drops the changes
// that need no longer be kept. The background sweep calls it every minute or as
// [WithSweepInterval] says; who has turned that off calls it now and then.
//
// It works in short transactions, between which others write. When the context
// ends it stops there: what was counted is gone for good.
func (t *Table) Sweep(ctx context.Context) (removed int, err error) {
	leave, err := t.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	removed, _, err = t.sweep(ctx)
	return removed, err
}

func (t *Table) sweep(ctx context.Context) (removed, trimmed int, err error) {
	if removed, err = t.repeat(ctx, (*writer).removeExpired); err != nil {
		return removed, 0, err
	}
	trimmed, err = t.repeat(ctx, (*writer).trim)
	return removed, trimmed, err
}

// repeat runs a bounded piece of work until it finds nothing more to do.
func (t *Table) repeat(ctx context.Context, work func(*writer) (int, bool, error)) (total int, err error) {
	for {
		n, more := 0, false
		err := t.submit(ctx, maxRemovedBytes, func(w *writer) (err error) {
			n, more, err = work(w)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if !more {
			return total, nil
		}
		if err := ctx.Err(); err != nil {
			return total, err
		}
	}
}

func (t *Table) sweepForever(ctx context.Context) {
	ticker := time.NewTicker(t.config.sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		removed, trimmed, err := t.sweep(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, driver.ErrClosed):
			return
		case err != nil:
			t.config.logger.WarnContext(ctx, "boltstore: the sweep failed and will be tried again", slog.String("path", t.path), slog.Any("error", err))
		case removed > 0 || trimmed > 0:
			t.config.logger.DebugContext(ctx, "boltstore: swept", slog.String("path", t.path), slog.Int("items", removed), slog.Int("changes", trimmed))
		}
	}
}

// removeExpired removes the items whose TTL has passed, the oldest first.
func (w *writer) removeExpired() (removed int, more bool, err error) {
	var removals []removal
	cursor, size := w.ttl.Cursor(), 0
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		ttl, itemKey, err := splitTTLKey(key, value)
		if err != nil {
			return 0, false, err
		}
		if !w.expired(ttl) {
			break
		}
		if len(removals) == maxRemovals || size >= maxRemovedBytes {
			more = true
			break
		}
		stored := w.items.Get(itemKey)
		if stored == nil {
			return 0, false, damaged("the index of the TTL names an item that is missing")
		}
		item, err := w.table.readItem(itemKey, stored)
		if err != nil {
			return 0, false, err
		}
		if item.ttl != ttl {
			return 0, false, damaged("the index of the TTL contradicts an item")
		}
		removals = append(removals, removal{itemKey, stored, ttl})
		size += len(stored)
	}
	for _, r := range removals {
		if err := w.remove(kindExpire, r.key, r.value, r.ttl); err != nil {
			return 0, false, err
		}
	}
	return len(removals), more, nil
}

// trim drops the oldest changes: those that are older than the retention and
// that no live consumer still has to read.
func (w *writer) trim() (trimmed int, more bool, err error) {
	kept, err := w.neededFrom()
	if err != nil {
		return 0, false, err
	}
	dropped := w.table.feed.oldestKept()
	cutoff := w.now - w.table.config.retention.Milliseconds()
	var keys [][]byte
	var last uint64
	cursor, size := w.changes.Cursor(), 0
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		change, err := decodeChange(key, value)
		if err != nil {
			return 0, false, err
		}
		if change.sequence < dropped {
			return 0, false, damaged("a change that was dropped is there again")
		}
		if change.sequence >= kept || change.millis > cutoff {
			break
		}
		if len(keys) == maxTrimmed || size >= 4*maxRemovedBytes {
			more = true
			break
		}
		last = change.sequence
		keys = append(keys, appendSequence(w.alloc(sequenceSize)[:0], last))
		size += len(value)
	}
	for _, key := range keys {
		if err := w.changes.Delete(key); err != nil {
			return 0, false, err
		}
	}
	if len(keys) > 0 {
		w.dirty = true
		w.oldest = last + 1
	}
	return len(keys), more, nil
}

// neededFrom returns the first change that a live consumer still needs. On the
// way it writes down who was seen, so that it is known after a restart.
func (w *writer) neededFrom() (uint64, error) {
	needed := ^uint64(0)
	if err := w.saveSeen(); err != nil {
		return 0, err
	}
	consumers, err := bucketOf(w.tx, consumersBucket)
	if err != nil {
		return 0, err
	}
	err = eachConsumer(consumers, func(name []byte, c storedConsumer) error {
		seen := max(c.seen, w.table.seen.last(string(name)))
		if time.UnixMilli(w.now).Sub(time.UnixMilli(seen)) < ConsumerLifetime {
			needed = min(needed, c.acknowledged+1)
		}
		return nil
	})
	return needed, err
}

func eachConsumer(bucket *bbolt.Bucket, fn func(name []byte, c storedConsumer) error) error {
	cursor := bucket.Cursor()
	for name, value := cursor.First(); name != nil; name, value = cursor.Next() {
		c, err := decodeConsumer(name, value)
		if err == nil {
			err = fn(name, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
