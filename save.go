package microeventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// Save stores events, each under all its hash keys. Saving an event again
// changes nothing, so a call that failed can simply be made again.
//
// nil means that all are stored. Otherwise a *[SaveError] names each event that
// is not, or not under all its keys; all others are stored. [IsPermanent] tells
// the events that can never be from those worth another try. An event that its
// TTL policy has let expire by now is stored as well, but no read returns it;
// one that expired more than five years ago is not stored, which is no error.
//
// Of events with the same keys in one call, the last is stored; with [InsertOnce]
// the first, and an event of which the keys are taken by another one is an error
// that wraps [ErrConflict].
func (s *Store) Save(ctx context.Context, events ...Event) error {
	if err := s.check(); err != nil {
		return failSave(len(events), err)
	}
	began := time.Now()
	batch := newSaveBatch(s, len(events))
	for i := range events {
		// What the caller made by hand is checked; see checkReadsBack.
		batch.add(i, &events[i], began, false)
	}
	return batch.finish(ctx, began)
}

// failSave reports every event as not saved; the error alone where there is none.
func failSave(n int, err error) error {
	if n == 0 {
		return fmt.Errorf("save: %w", err)
	}
	return &SaveError{Failures: failEach(n, err)}
}

// finish writes the batch, and returns what Save returns.
func (b *saveBatch) finish(ctx context.Context, began time.Time) error {
	b.write(ctx)
	stats := BatchStats{Operation: OperationSave, Read: len(b.outcomes)}
	var failures []Failure
	for i := range b.outcomes {
		if err := b.outcomes[i].count(&stats); err != nil {
			stats.Failed++
			failures = append(failures, Failure{Index: i, Err: err})
		}
	}
	b.count(&stats)
	b.store.observe(ctx, &stats, began)
	if len(failures) > 0 {
		return &SaveError{Failures: failures}
	}
	return nil
}

// itemKey is what a table finds an item by.
type itemKey struct{ hash, rng string }

func keyOf(item *driver.Item) itemKey { return itemKey{item.HashKey, item.RangeKey} }

// A saveBatch writes the items of many events, each key once.
type saveBatch struct {
	store    *Store
	outcomes []outcome // of each event

	items  []driver.Item
	events []int             // items[i] is of event events[i]
	second []int             // the item that is written if items[i] cannot be, or -1
	ranks  map[itemKey]ranks // the items with one key

	room collateRoom

	written int
	waited  time.Duration
}

// ranks are the best and the worst of the items that have one key. Only the best
// is written: the last, or with InsertOnce the first. The others follow it by way
// of second.
type ranks struct{ best, worst int }

// An outcome is what became of an event.
type outcome struct {
	err        error // of any of its items
	items      int   // to be written, if they are the best of their keys
	superseded int   // items of other events that have been written instead
	tooOld     bool
	filtered   bool
}

func newSaveBatch(s *Store, events int) *saveBatch {
	return &saveBatch{store: s, outcomes: make([]outcome, events)}
}

// reserve makes room for the items of the events from an index on. Of many a batch
// a filter keeps no event, so that is left until there is one.
func (b *saveBatch) reserve(index int) {
	keys := (len(b.outcomes) - index) * len(b.store.hashKeys)
	ints := make([]int, 2*keys)
	b.items = make([]driver.Item, 0, keys)
	b.events, b.second = ints[:0:keys], ints[keys:keys]
	b.ranks = make(map[itemKey]ranks, keys)
}

// add takes the event with an index in. Its bytes are needed until write returns.
func (b *saveBatch) add(index int, e *Event, now time.Time, trusted bool) {
	if b.ranks == nil {
		b.reserve(index)
	}
	items, err := b.store.collate(b.items, e, now, trusted, &b.room)
	if err != nil {
		b.items = items
		if errors.Is(err, errTooOld) {
			b.outcomes[index].tooOld = true
			return
		}
		b.outcomes[index].err = err
		return
	}
	b.take(index, items)
}

// take takes the items of an event in, which are those behind b.items. Before the
// first one there must be room.
func (b *saveBatch) take(index int, items []driver.Item) {
	begin := len(b.items)
	b.items = items
	b.outcomes[index].items = len(items) - begin
	for i := begin; i < len(items); i++ {
		b.events = append(b.events, index)
		b.second = append(b.second, -1)
		key := keyOf(&items[i])
		same, again := b.ranks[key]
		switch {
		case !again:
			same = ranks{best: i, worst: i}
		case b.store.insertOnce:
			b.second[same.worst], same.worst = i, i
		default:
			b.second[i], same.best = same.best, i
		}
		b.ranks[key] = same
	}
}

// write stores, for each key, the best of its items. If that one is invalid the
// second takes its place: a poison record must not take a good one with it.
func (b *saveBatch) write(ctx context.Context) {
	if len(b.items) == 0 {
		return
	}
	release, err := b.store.writes.Acquire(ctx, len(b.items), func(i int) itemKey { return keyOf(&b.items[i]) })
	if err != nil {
		b.fail(fmt.Errorf("wait for a write of the same key: %w", err))
		return
	}
	defer release()

	round := make([]int, 0, len(b.ranks))
	for i := range b.items {
		if b.ranks[keyOf(&b.items[i])].best == i {
			round = append(round, i)
		}
	}
	for len(round) > 0 {
		round = b.put(ctx, round)
	}
}

// put stores the items with the given indexes and returns the indexes of those
// to be stored in the place of invalid ones.
func (b *saveBatch) put(ctx context.Context, round []int) (next []int) {
	items := b.items
	if len(round) != len(b.items) {
		items = make([]driver.Item, len(round))
		for i, index := range round {
			items[i] = b.items[index]
		}
	}
	began := time.Now()
	err := guard(func() error { return b.store.put(ctx, items) })
	b.waited += time.Since(began)

	failed := putFailures(err, len(round))
	for i, index := range round {
		err := failed[i]
		switch {
		case err == nil:
			b.written++
			b.supersede(index)
		case errors.Is(err, driver.ErrInvalidItem), errors.Is(err, driver.ErrConflict):
			b.record(index, Permanent(err))
			if b.second[index] >= 0 {
				next = append(next, b.second[index])
			}
		default:
			for ; index >= 0; index = b.second[index] {
				b.record(index, fmt.Errorf("put: %w", err))
			}
		}
	}
	return next
}

// putFailures returns the error of each of n items of a Put that returned err.
func putFailures(err error, n int) map[int]error {
	if err == nil {
		return nil
	}
	failed := make(map[int]error)
	var partial *driver.PutError
	if errors.As(err, &partial) && len(partial.Failures) > 0 {
		for _, failure := range partial.Failures {
			if failure.Index < 0 || failure.Index >= n || failure.Err == nil {
				return allFailed(fmt.Errorf("%w: %w", ErrCorrupt, err), n)
			}
			failed[failure.Index] = failure.Err
		}
		return failed
	}
	if n > 1 && (errors.Is(err, driver.ErrInvalidItem) || errors.Is(err, driver.ErrConflict)) {
		// It does not say which item is at fault, so none may be given up.
		err = errors.New(err.Error())
	}
	return allFailed(err, n)
}

func allFailed(err error, n int) map[int]error {
	failed := make(map[int]error, n)
	for i := range n {
		failed[i] = err
	}
	return failed
}

// supersede deals with the items that an item was written instead of.
func (b *saveBatch) supersede(written int) {
	for i := b.second[written]; i >= 0; i = b.second[i] {
		if b.store.insertOnce && !bytes.Equal(b.items[i].Event, b.items[written].Event) {
			b.record(i, Permanent(ErrConflict))
			continue
		}
		b.outcomes[b.events[i]].superseded++
	}
}

// record notes an item's error. One that is worth another try outweighs one that
// is not: the event must come back.
func (b *saveBatch) record(index int, err error) {
	outcome := &b.outcomes[b.events[index]]
	if outcome.err == nil || IsPermanent(outcome.err) && !IsPermanent(err) {
		outcome.err = err
	}
}

func (b *saveBatch) fail(err error) {
	for i := range b.items {
		b.record(i, err)
	}
}

// count adds up what is known of the whole batch.
func (b *saveBatch) count(stats *BatchStats) {
	stats.Items += b.written
	stats.TableDuration += b.waited
}

// count counts an event that is done. It returns the error of one that is not.
func (o *outcome) count(stats *BatchStats) error {
	switch {
	case o.err != nil:
		return o.err
	case o.filtered:
		stats.Filtered++
	case o.tooOld:
		stats.Expired++
	case o.items > 0 && o.superseded == o.items:
		stats.Duplicates++
	default:
		stats.Saved++
	}
	return nil
}
