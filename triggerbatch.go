package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/markers"
)

var errNotReached = errors.New("not handled, since an earlier change of its hash key failed")

// A triggerBatch is the changes of one call and what became of each.
type triggerBatch struct {
	trigger *Trigger
	changes []Change
	fates   []fate
	errs    []error         // of the changes that failed
	windows []plannedWindow // of the changes, with WithWindows

	mu    sync.Mutex
	stats BatchStats
}

// fate is what became of a change.
type fate uint8

const (
	failed fate = iota // until something better is known
	skipped
	gone
	handled
	setAside
)

func newTriggerBatch(t *Trigger, changes []Change) *triggerBatch {
	b := &triggerBatch{
		trigger: t,
		changes: changes,
		fates:   make([]fate, len(changes)),
		errs:    make([]error, len(changes)),
		stats:   BatchStats{Operation: OperationTrigger, Read: len(changes)},
	}
	if t.windows != nil {
		b.windows = make([]plannedWindow, len(changes))
	}
	return b
}

// keys sorts out what does not fire and returns the indexes of the rest, those of
// each hash key together, in stream order. A change without a hash key stands
// alone.
func (b *triggerBatch) keys() [][]int {
	var keys [][]int
	places := make(map[string]int)
	forEach(len(b.changes), func(i int) {
		if fires, err := b.fires(i); err != nil {
			b.errs[i] = err
		} else if !fires {
			b.fates[i] = skipped
		}
	}, func(i int, err error) {
		b.errs[i] = Permanent(fmt.Errorf("OnlyHashKeys or WithWindows: %w", err))
	})
	for i := range b.changes {
		if b.fates[i] == skipped {
			continue
		}
		change := &b.changes[i]
		place, known := places[change.HashKey]
		if !known || change.HashKey == "" {
			place = len(keys)
			places[change.HashKey] = place
			keys = append(keys, nil)
		}
		keys[place] = append(keys[place], i)
	}
	return keys
}

// fires tells whether a change is to be handled. What the trigger's options leave
// out is left out whatever it holds.
func (b *triggerBatch) fires(i int) (bool, error) {
	change := &b.changes[i]
	if strings.HasPrefix(change.RangeKey, driver.MarkerPrefix) || b.trigger.ignores(change.Kind) {
		return false, nil
	}
	if accepted, err := b.trigger.accepts(change.HashKey); err != nil || !accepted {
		return false, err
	}
	if err := change.check(); err != nil {
		return false, err
	}
	return b.windowOf(i, change)
}

// check says what keeps a change from ever being handled.
func (c *Change) check() error {
	switch {
	case errors.Is(c.Err, driver.ErrUnknownEncoding):
		return c.Err // a newer version can read it
	case c.Err != nil:
		return Permanent(c.Err)
	case c.Kind < Inserted || c.Kind > Removed:
		return Permanent(fmt.Errorf("there is no %v", c.Kind))
	case c.HashKey == "" || c.RangeKey == "":
		return Permanent(errors.New("the change lacks a hash key or a range key"))
	}
	return nil
}

// ignores tells whether changes of a kind do not fire, even if what they hold
// cannot be decoded. A kind that there is not is never ignored: it is poison.
func (t *Trigger) ignores(kind ChangeKind) bool {
	return kind >= Inserted && kind <= Removed && !slices.Contains(t.kinds, kind)
}

// accepts tells whether a hash key is one of those that the trigger is for. One that
// a change does not have may be any.
func (t *Trigger) accepts(hashKey string) (accepted bool, err error) {
	if t.onlyHashKeys == nil || hashKey == "" {
		return true, nil
	}
	err = guard(func() error {
		accepted = t.onlyHashKeys(hashKey)
		return nil
	})
	if err != nil {
		return false, Permanent(fmt.Errorf("OnlyHashKeys: %w", err))
	}
	return accepted, nil
}

// handle deals with the changes of one hash key, in order, until one fails.
func (b *triggerBatch) handle(ctx context.Context, indexes []int) {
	collation := newCollation(b, b.changes[indexes[0]].HashKey)
	indexes = collation.plan(ctx, indexes)
	for len(indexes) > 0 {
		n := b.atOnce(indexes)
		if !b.handleTogether(ctx, collation, indexes[:n]) {
			for _, i := range indexes[n:] {
				b.errs[i] = errNotReached
			}
			return
		}
		indexes = indexes[n:]
	}
}

// atOnce returns how many of the next changes share a call of the handler.
func (b *triggerBatch) atOnce(indexes []int) int {
	n := 1
	if !b.trigger.coalesce || b.errs[indexes[0]] != nil {
		return n
	}
	for n < len(indexes) && b.errs[indexes[n]] == nil {
		n++
	}
	return n
}

// handleTogether makes one call of the handler, for one or several changes. It
// returns false if any of them failed.
func (b *triggerBatch) handleTogether(ctx context.Context, c *collation, indexes []int) bool {
	err := b.errs[indexes[0]]
	if ended := ctx.Err(); ended != nil {
		err = errors.Join(err, ended)
	}
	var m *MicroEventStore
	if err == nil {
		m, indexes, err = c.fired(ctx, indexes)
	}
	if err == nil && len(indexes) > 0 {
		err = b.call(markers.NewContext(ctx, &c.markers), m)
	}
	done := true
	for _, i := range indexes {
		b.fates[i], b.errs[i] = handled, nil
		if err == nil {
			continue
		}
		unsettled := b.trigger.settle(ctx, Fault{Err: err, Change: &b.changes[i]})
		if unsettled == nil {
			b.fates[i] = setAside
			continue
		}
		b.fates[i], b.errs[i] = failed, b.changes[i].Meta.locate(unsettled)
		done = false
	}
	return done
}

// call calls the handler. Whatever it does is this call's failure alone.
func (b *triggerBatch) call(ctx context.Context, m *MicroEventStore) error {
	began := time.Now()
	err := call(func() error { return b.trigger.handler(ctx, m) })
	if ended := ctx.Err(); err == nil && ended != nil {
		err = fmt.Errorf("the handler returned after the context had ended: %w", ended)
	}
	b.mu.Lock()
	b.stats.Calls++
	b.stats.HandlerDuration += time.Since(began)
	b.mu.Unlock()
	switch {
	case err == nil:
		return nil
	case !isMarked(err):
		err = &unmarkedError{err}
	}
	return fmt.Errorf("handler: %w", err)
}

// count adds up the fates and returns the failures.
func (b *triggerBatch) count() (failures []Failure) {
	for i, fate := range b.fates {
		switch fate {
		case skipped:
			b.stats.Skipped++
		case gone:
			b.stats.Expired++
		case handled:
			b.stats.Handled++
		case setAside:
			b.stats.Faults++
		case failed:
			b.stats.Failed++
			if b.errs[i] == nil { // its goroutine has ended before it could say
				b.errs[i] = errGoexit
			}
			failures = append(failures, Failure{Index: i, Err: b.errs[i]})
		}
	}
	return failures
}

// inParallel runs f for 0 to n-1, as many at once as the trigger may, and returns
// when all have returned. Once ctx has ended they have nothing left to do, so
// they need no place.
func (t *Trigger) inParallel(ctx context.Context, n int, f func(int)) {
	if n == 0 {
		return
	}
	// In the caller's own goroutine a user's function could end that.
	alone := func(i int) { _ = call(func() error { f(i); return nil }) }
	if n == 1 {
		alone(0)
		return
	}
	var running sync.WaitGroup
	places := make(chan struct{}, t.concurrency)
	for i := range n {
		select {
		case places <- struct{}{}:
			running.Go(func() {
				defer func() { <-places }()
				f(i)
			})
		case <-ctx.Done():
			alone(i)
		}
	}
	running.Wait()
}
