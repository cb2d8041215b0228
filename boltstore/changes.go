package boltstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// maxPageSize bounds what one read of the feed returns, but for its last change.
const maxPageSize = 1 << 20

const (
	// StreamName is the Stream of every change's Meta.
	StreamName = "boltstore"

	shardID = "0"
)

// Changes is the table's change feed as one consumer sees it: what it has
// acknowledged stays acknowledged after a restart, and no other consumer's
// checkpoint touches it. It implements [mes.ChangeSource], [mes.Checkpointer]
// and [mes.Waiter].
//
// The feed has one shard, "0", that never ends; a sequence number is the decimal
// number of a change. All methods return [driver.ErrClosed] once the table has
// been closed, and [ErrInvalidConsumer] when the consumer's name is no good.
type Changes struct {
	table    *Table
	consumer string
}

var (
	_ mes.ChangeSource = (*Changes)(nil)
	_ mes.Checkpointer = (*Changes)(nil)
	_ mes.Waiter       = (*Changes)(nil)
)

// Changes returns the change feed for a consumer, who is whatever must see every
// change once: a trigger, usually. The name is 1 to 255 bytes of UTF-8; with any
// other one each method returns [ErrInvalidConsumer]. A new consumer begins at
// the oldest change that is kept. Two processes or goroutines that use one name
// share one checkpoint.
func (t *Table) Changes(consumer string) *Changes {
	return &Changes{table: t, consumer: consumer}
}

// Shards returns the one shard.
func (c *Changes) Shards(ctx context.Context) ([]mes.Shard, error) {
	leave, err := c.enter(ctx, shardID)
	if err != nil {
		return nil, err
	}
	defer leave()
	return []mes.Shard{{ID: shardID}}, nil
}

// ReadChanges returns up to limit changes behind a position, oldest first, and
// about 1 MB at most; end is always false. The zero position, like one whose
// changes are no longer kept, is just before the oldest change. A limit below 1
// is an error, and so is a position that is none of this feed's:
// [ErrInvalidPosition].
//
// New is the event that the change wrote, or nil when a later change has replaced
// or removed it; Old is the event that it replaced or removed. The ID and the
// PartitionKey of an event are those that the item was stored with.
//
// The first call of a new consumer writes its name to the file, so that the feed
// keeps what the consumer has not acknowledged.
func (c *Changes) ReadChanges(ctx context.Context, shard string, after mes.Position, limit int) (changes []mes.Change, end bool, err error) {
	leave, err := c.enter(ctx, shard)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	if limit < 1 {
		return nil, false, fmt.Errorf("boltstore: the limit is %d and must be at least 1", limit)
	}
	sequence, err := parsePosition(after)
	if err != nil {
		return nil, false, err
	}
	if err := c.table.touch(ctx, c.consumer); err != nil {
		return nil, false, err
	}
	err = c.table.view(func(tx *bbolt.Tx) (err error) {
		changes, err = c.table.readChanges(ctx, tx, sequence, limit)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return changes, false, nil
}

// Checkpoint returns the position that was acknowledged last; the zero position
// when none was.
func (c *Changes) Checkpoint(ctx context.Context, shard string) (position mes.Position, err error) {
	leave, err := c.enter(ctx, shard)
	if err != nil {
		return mes.Position{}, err
	}
	defer leave()
	if err := c.table.touch(ctx, c.consumer); err != nil {
		return mes.Position{}, err
	}
	err = c.table.view(func(tx *bbolt.Tx) error {
		bucket, err := bucketOf(tx, consumersBucket)
		if err != nil {
			return err
		}
		consumer, err := decodeConsumer([]byte(c.consumer), bucket.Get([]byte(c.consumer)))
		if err == nil && consumer.acknowledged > 0 {
			position.SequenceNumber = strconv.FormatUint(consumer.acknowledged, 10)
		}
		return err
	})
	return position, err
}

// SetCheckpoint acknowledges all changes up to a position, and returns when that
// is durable. A position before the one that was set last changes nothing; one
// ahead of all changes is [ErrInvalidPosition].
func (c *Changes) SetCheckpoint(ctx context.Context, shard string, done mes.Position) error {
	leave, err := c.enter(ctx, shard)
	if err != nil {
		return err
	}
	defer leave()
	sequence, err := parsePosition(done)
	if err != nil {
		return err
	}
	if err := c.table.acknowledge(ctx, c.consumer, sequence); err != nil {
		return err
	}
	return c.table.touch(ctx, c.consumer)
}

// Wait returns nil as soon as a change stands behind a position, the context's
// error when the context ends first, and [driver.ErrClosed] when the table is
// closed meanwhile.
func (c *Changes) Wait(ctx context.Context, shard string, after mes.Position) error {
	leave, err := c.enter(ctx, shard)
	if err != nil {
		return err
	}
	leave() // Close does not wait for one who waits
	sequence, err := parsePosition(after)
	if err != nil {
		return err
	}
	return c.table.inFile(c.table.feed.wait(ctx, sequence, c.table.failed))
}

func (c *Changes) enter(ctx context.Context, shard string) (leave func(), err error) {
	leave, err = c.table.enter(ctx)
	if err != nil {
		return nil, err
	}
	err = checkConsumer(c.consumer)
	if err == nil && shard != shardID {
		err = ErrUnknownShard
	}
	if err == nil {
		err = c.table.failed()
	}
	if err != nil {
		leave()
		return nil, mes.Permanent(c.table.inFile(err)) // trying again cannot help
	}
	return leave, nil
}

func parsePosition(p mes.Position) (uint64, error) {
	if p == (mes.Position{}) {
		return 0, nil
	}
	sequence, err := strconv.ParseUint(p.SequenceNumber, 10, 64)
	if err != nil || p.SubSequence != 0 {
		return 0, ErrInvalidPosition
	}
	return sequence, nil
}

func (t *Table) readChanges(ctx context.Context, tx *bbolt.Tx, after uint64, limit int) ([]mes.Change, error) {
	feed, err := bucketOf(tx, changesBucket)
	if err != nil {
		return nil, err
	}
	items, err := bucketOf(tx, itemsBucket)
	if err != nil {
		return nil, err
	}
	if after > feed.Sequence() {
		return nil, ErrInvalidPosition
	}
	if after == feed.Sequence() {
		return nil, nil
	}
	cursor, size := feed.Cursor(), 0
	first, _ := cursor.First()
	if first == nil {
		return nil, nil // all have been dropped
	}
	if len(first) != sequenceSize {
		return nil, damaged("the key of a change")
	}
	// There are no gaps behind the oldest one, so one that is missing is noticed.
	next := max(after+1, binary.BigEndian.Uint64(first))
	var changes []mes.Change
	key, value := cursor.Seek(appendSequence(nil, next))
	for ; key != nil && len(changes) < limit && size < maxPageSize; key, value = cursor.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		stored, err := decodeChange(key, value)
		if err != nil {
			return nil, err
		}
		if stored.sequence != next {
			return nil, damaged("a change is missing")
		}
		change, err := t.change(&stored, items)
		if err != nil {
			return nil, err
		}
		size += len(value)
		if change.New != nil {
			size += len(change.New.Raw)
		}
		changes = append(changes, change)
		next++
	}
	if key == nil && next != feed.Sequence()+1 {
		return nil, damaged("the last changes are missing")
	}
	return changes, nil
}

// change copies a change out of the file.
func (t *Table) change(stored *storedChange, items *bbolt.Bucket) (mes.Change, error) {
	hashKey, rangeKey, _ := splitItemKey(stored.key)
	change := mes.Change{
		HashKey:  string(hashKey),
		RangeKey: string(rangeKey),
		Expired:  stored.kind == kindExpire,
		Meta: mes.Meta{
			Stream:         StreamName,
			Shard:          shardID,
			SequenceNumber: strconv.FormatUint(stored.sequence, 10),
			Arrived:        time.UnixMilli(stored.millis).UTC(),
		},
	}
	switch stored.kind {
	case kindInsert:
		change.Kind = mes.Inserted
	case kindModify:
		change.Kind = mes.Modified
	default:
		change.Kind = mes.Removed
	}
	if len(stored.old) > 0 {
		old, err := decodeItem(stored.key, stored.old)
		if err != nil {
			return change, err
		}
		change.Old = old.asEvent(change.RangeKey)
	}
	if change.Kind == mes.Removed {
		return change, nil
	}
	if value := items.Get(stored.key); value != nil {
		item, err := t.readItem(stored.key, value)
		if err != nil {
			return change, err
		}
		if item.sequence == stored.sequence { // else a later change wrote it
			change.New = item.asEvent(change.RangeKey)
		}
	}
	return change, nil
}

func (s *storedItem) asEvent(rangeKey string) *mes.Event {
	e := &mes.Event{
		ID:           string(s.id),
		Type:         string(s.typ),
		PartitionKey: string(s.partitionKey),
		Timestamp:    s.time(),
		Raw:          append([]byte{}, s.event...),
		RangeKey:     rangeKey,
	}
	if s.ttl != 0 {
		e.Expires = time.Unix(s.ttl, 0).UTC()
	}
	return e
}

// feed knows which changes there are, and wakes those who wait for one.
type feed struct {
	mu     sync.Mutex
	last   uint64        // the newest change
	oldest uint64        // the oldest that is kept
	news   chan struct{} // is closed when there is a new one
	closed bool
}

func (f *feed) init() { f.news = make(chan struct{}) }

// advance is called after each commit. oldest is 0 where it has not changed.
func (f *feed) advance(last, oldest uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oldest = max(f.oldest, oldest)
	if last > f.last && !f.closed {
		f.last = last
		close(f.news)
		f.news = make(chan struct{})
	}
}

func (f *feed) oldestKept() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.oldest
}

// wake makes those who wait look again.
func (f *feed) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		close(f.news)
		f.news = make(chan struct{})
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	close(f.news)
}

func (f *feed) wait(ctx context.Context, after uint64, failed func() error) error {
	for {
		f.mu.Lock()
		news, closed := f.news, f.closed
		// Changes that have been dropped are not worth waking for.
		found := f.last > after && f.last >= f.oldest
		f.mu.Unlock()
		switch {
		case closed:
			return driver.ErrClosed
		case failed() != nil:
			return failed()
		case found:
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readFeedState is what Open reads.
func (t *Table) readFeedState(tx *bbolt.Tx) error {
	changes, err := bucketOf(tx, changesBucket)
	if err != nil {
		return err
	}
	last := changes.Sequence()
	oldest := last + 1
	if key, value := changes.Cursor().First(); key != nil {
		change, err := decodeChange(key, value)
		if err != nil {
			return err
		}
		oldest = change.sequence
	}
	t.feed.advance(last, oldest)
	return nil
}
