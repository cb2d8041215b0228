package boltstore

import (
	"context"
	"sync"
	"time"
	"unicode/utf8"

	"go.etcd.io/bbolt"
)

// ConsumerLifetime is for how long after it was last seen a consumer is live:
// for that long the feed keeps what it has not acknowledged. A consumer is seen
// whenever one of its methods is called. One that comes back later goes on from
// its checkpoint, or from the oldest change that is kept.
const ConsumerLifetime = 7 * 24 * time.Hour

// seenGranularity is how old the time on the disk may become while a consumer
// only reads. It is small beside ConsumerLifetime and spares a write for each
// read.
const seenGranularity = time.Hour

const maxConsumerSize = 255

func checkConsumer(name string) error {
	if name == "" || len(name) > maxConsumerSize || !utf8.ValidString(name) {
		return ErrInvalidConsumer
	}
	return nil
}

// seen is when each consumer of this process was last seen.
type seen struct {
	mu    sync.Mutex
	times map[string]int64 // milliseconds
}

func (s *seen) last(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times[name]
}

func (s *seen) mark(name string, millis int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == nil {
		s.times = make(map[string]int64)
	}
	s.times[name] = max(s.times[name], millis)
}

// touch marks a consumer as live. The first time it writes its name down, since
// from now on the feed must keep what it has not read.
func (t *Table) touch(ctx context.Context, name string) error {
	if t.seen.last(name) == 0 {
		known := false
		err := t.view(func(tx *bbolt.Tx) error {
			consumers := tx.Bucket(consumersBucket)
			known = consumers != nil && consumers.Get([]byte(name)) != nil
			return nil
		})
		if err != nil {
			return err
		}
		if !known {
			if err := t.acknowledge(ctx, name, 0); err != nil {
				return err
			}
		}
	}
	t.seen.mark(name, t.config.now().UnixMilli())
	return nil
}

// acknowledge writes a checkpoint, unless the consumer has come further already.
func (t *Table) acknowledge(ctx context.Context, name string, sequence uint64) error {
	return t.submit(ctx, consumerSize, func(w *writer) error {
		if sequence > w.sequence {
			return ErrInvalidPosition
		}
		consumer, known, err := w.consumer(name)
		if err != nil || known && consumer.acknowledged >= sequence {
			return err
		}
		return w.saveConsumer(name, storedConsumer{acknowledged: sequence, seen: w.now})
	})
}

func (w *writer) consumer(name string) (c storedConsumer, known bool, err error) {
	bucket, err := bucketOf(w.tx, consumersBucket)
	if err != nil {
		return c, false, err
	}
	value := bucket.Get([]byte(name))
	if value == nil {
		return c, false, nil
	}
	c, err = decodeConsumer([]byte(name), value)
	return c, err == nil, err
}

func (w *writer) saveConsumer(name string, c storedConsumer) error {
	w.dirty = true
	key := []byte(name)
	return w.tx.Bucket(consumersBucket).Put(key, encodeConsumer(w.alloc(consumerSize)[:0], key, c))
}

// saveSeen writes down when the consumers of this process were last seen, where
// what is on the disk has become too old.
func (w *writer) saveSeen() error {
	seen := &w.table.seen
	seen.mu.Lock()
	defer seen.mu.Unlock()
	for name, millis := range seen.times {
		c, known, err := w.consumer(name)
		if err != nil {
			return err
		}
		if !known || millis-c.seen < seenGranularity.Milliseconds() {
			continue
		}
		c.seen = millis
		if err := w.saveConsumer(name, c); err != nil {
			return err
		}
	}
	return nil
}
