package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Refire calls the handler again for the events that are stored under some hash
// keys: after a bug was mended, or for a trigger that is new. It makes the calls
// that Handle would make if each of the events had just been inserted, oldest
// first; the trigger's options hold. So with [OnKinds] without [Inserted] it calls
// nothing. A key that is given twice is done once.
//
// nil means that all is done. Otherwise a *[BatchError] names each hash key, by
// its index among the arguments, for which a call failed; the later calls for
// that key were not made.
func (t *Trigger) Refire(ctx context.Context, hashKeys ...string) error {
	if err := t.check(ctx); err != nil {
		return failAll(ofHashKeys, len(hashKeys), err)
	}
	began := time.Now()
	errs := make([]error, len(hashKeys))
	batches := make([]*triggerBatch, len(hashKeys))
	first := make(map[string]bool, len(hashKeys))
	var indexes []int
	for i, hashKey := range hashKeys {
		if !first[hashKey] {
			first[hashKey] = true
			indexes = append(indexes, i)
		}
	}
	t.inParallel(ctx, len(indexes), func(i int) {
		index := indexes[i]
		errs[index] = errGoexit // until it has returned
		batches[index], errs[index] = t.refire(ctx, hashKeys[index])
	})
	stats := BatchStats{Operation: OperationTrigger}
	var failures []Failure
	for i, batch := range batches {
		if batch != nil {
			stats.add(&batch.stats)
		}
		if errs[i] != nil {
			failures = append(failures, Failure{Index: i, Err: errs[i]})
		}
	}
	t.store.observe(ctx, &stats, began)
	if len(failures) > 0 {
		return &BatchError{Failures: failures, of: ofHashKeys}
	}
	return nil
}

// refire deals with one hash key.
func (t *Trigger) refire(ctx context.Context, hashKey string) (*triggerBatch, error) {
	// The range keys of all events, whatever the window: each of them fires.
	all := new(readOptions)
	all.limit(true) // the handler's own read has the trigger's limits
	var changes []Change
	_, err := t.store.scan(ctx, hashKey, all, nil, func(e *Event) bool {
		changes = append(changes, Change{Kind: Inserted, HashKey: hashKey, RangeKey: e.RangeKey})
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	t.cache.forget(hashKey) // what it holds may differ from what was found
	batch := newTriggerBatch(t, changes)
	for _, indexes := range batch.keys() {
		batch.handle(ctx, indexes)
	}
	var errs []error
	for _, failure := range batch.count() {
		if !errors.Is(failure.Err, errNotReached) {
			errs = append(errs, failure.Err)
		}
	}
	return batch, errors.Join(errs...)
}
