package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// A Window is how much of the history a handler has to see for a change. What it
// names adds up; the zero Window is the whole history.
type Window struct {
	// Alone asks for nothing but the event that fired. If that is all that the
	// changes of a hash key in a batch ask for, nothing is read: the event is
	// the one that the change stream carries.
	Alone bool
	// Last asks for the n latest events.
	Last int
	// Within asks for the events that happened up to this long before or after
	// the event that fired. With [TimeAndID] the table reads no others.
	Within time.Duration
	// EvenGone asks for the call even if the event that fired has expired or was
	// deleted meanwhile. It is then Current, but not in Events: as the change
	// stream carries it, or, where that has left it out, with nothing but its
	// RangeKey.
	EvenGone bool
}

// whole says that nothing less than all will do.
func (w Window) whole() bool { return !w.Alone && w.Last <= 0 && w.Within <= 0 }

// WithWindows sets a function that says for each change whether it fires and how
// much of the history the handler has to see then. It is given the change with
// its event: New, or Old for a removal. Where the stream has left New out, the
// event is read first, which costs a read for each change.
//
// The changes of a hash key in a batch still share one read. So the handler sees
// at least what the function has asked for, and the event that fired, but may see
// more. The function is called from several goroutines at once; the same change
// must always get the same answer. A window with a negative number is a fault. nil,
// the default, leaves all to [WithWindow], which can only set the limits otherwise.
func WithWindows(window func(Change) (w Window, fires bool)) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		t.windows = window
		return nil
	})
}

// A plannedWindow is what WithWindows has said of a change.
type plannedWindow struct {
	Window
	planned bool
	gone    bool      // the event is known to be
	around  time.Time // the time of the event
}

// changesAt returns the changes with some indexes.
func (b *triggerBatch) changesAt(indexes []int) []Change {
	if len(indexes) == 1 {
		i := indexes[0]
		return b.changes[i : i+1 : i+1]
	}
	changes := make([]Change, len(indexes))
	for n, i := range indexes {
		changes[n] = b.changes[i]
	}
	return changes
}

// windowOf asks what a change needs, unless its event has to be read first.
func (b *triggerBatch) windowOf(i int, change *Change) (fires bool, err error) {
	if b.trigger.windows == nil || change.Kind != Removed && change.New == nil {
		return true, nil
	}
	return b.askWindow(i, *change)
}

// askWindow asks what a change needs. An error is permanent.
func (b *triggerBatch) askWindow(i int, change Change) (fires bool, err error) {
	planned := plannedWindow{planned: true}
	err = guard(func() error {
		planned.Window, fires = b.trigger.windows(change)
		return nil
	})
	if err != nil {
		return false, Permanent(fmt.Errorf("WithWindows: %w", err))
	}
	if fires && (planned.Last < 0 || planned.Within < 0) {
		return false, Permanent(errors.New("WithWindows: Last or Within of the window is negative"))
	}
	switch {
	case change.New != nil:
		planned.around = change.New.Timestamp
	case change.Old != nil:
		planned.around = change.Old.Timestamp
	}
	b.windows[i] = planned
	return fires, nil
}

// evenGone says that the handler is to be called though the event is gone.
func (b *triggerBatch) evenGone(i int) bool { return b.windows != nil && b.windows[i].EvenGone }

// isGone says that the event of a change is known to be gone.
func (b *triggerBatch) isGone(i int) bool { return b.windows != nil && b.windows[i].gone }

// plan finds out what the changes of the hash key need in all, and returns those
// that fire.
func (c *collation) plan(ctx context.Context, indexes []int) []int {
	b := c.batch
	if b.windows == nil {
		return indexes
	}
	firing := make([]int, 0, len(indexes))
	for _, i := range indexes {
		if b.errs[i] == nil && !b.windows[i].planned {
			fate, err := c.planOne(ctx, i)
			b.errs[i] = err
			if err == nil && fate != failed {
				b.fates[i] = fate
				continue
			}
		}
		firing = append(firing, i)
	}
	c.unite(firing)
	return firing
}

// planOne reads the event of a change first. It returns failed if the change is
// to be handled.
func (c *collation) planOne(ctx context.Context, i int) (fate, error) {
	change := c.batch.changes[i]
	var e Event
	var found, consistent bool
	err := c.timed(func() (err error) {
		e, found, consistent, err = c.batch.trigger.store.lookup(ctx, c.hashKey, change.RangeKey)
		return err
	})
	switch {
	case errors.Is(err, driver.ErrInvalidQuery):
		return failed, Permanent(err)
	case err != nil:
		return failed, fmt.Errorf("read the event that fired: %w", err)
	case !found && !consistent:
		return failed, errNotVisible
	case !found:
		e = Event{RangeKey: change.RangeKey}
	}
	change.New = &e
	fires, err := c.batch.askWindow(i, change)
	switch w := &c.batch.windows[i]; {
	case err != nil:
		return failed, err
	case !found && (!fires || !w.EvenGone):
		return gone, nil
	case !fires:
		return skipped, nil
	default:
		w.gone = !found
		return failed, nil
	}
}

// unite makes one window of those of the changes that are to be handled.
func (c *collation) unite(indexes []int) {
	var last int
	var since, until time.Time
	alone, whole := true, false
	for _, i := range indexes {
		w := &c.batch.windows[i]
		if c.batch.errs[i] != nil {
			continue
		}
		change := &c.batch.changes[i]
		alone = alone && w.Alone && w.Last <= 0 && w.Within <= 0 && (change.Kind == Removed || change.New != nil || w.gone)
		whole = whole || w.whole() || w.Within > 0 && w.around.IsZero()
		last = max(last, w.Last)
		if w.Within > 0 && !w.around.IsZero() {
			if from := addTime(w.around, -w.Within); since.IsZero() || from.Before(since) {
				since = from
			}
			if to := addTime(w.around, w.Within); until.IsZero() || to.After(until) {
				until = to
			}
		}
	}
	c.alone = alone
	if alone || whole {
		return
	}
	window := *c.window
	switch {
	case last == 0 && since.IsZero(): // those that are alone by right and lack their event
		window.last = 1
	case since.IsZero():
		window.last = last
	case last == 0:
		window.since, window.until = since, until
	case c.batch.trigger.store.timeInKey:
		window.last, window.reach = last, since
	default:
		return // in no order of time: only the whole history has them all for sure
	}
	c.window = &window
}

// Slice returns the part of a history that a window asks for, around the event
// that fired, which is always among it. It shares the memory of events, as far
// as that can be.
func (w Window) Slice(events []Event, current Event) []Event {
	switch {
	case w.whole():
		return events
	case w.Last <= 0 && w.Within <= 0:
		return []Event{current}
	}
	selected := func(i int) bool {
		e := &events[i]
		if len(events)-i <= w.Last || e.RangeKey == current.RangeKey {
			return true
		}
		distance := e.Timestamp.Sub(current.Timestamp).Abs()
		return w.Within > 0 && distance <= w.Within
	}
	first, end, n := -1, 0, 0
	for i := range events {
		if selected(i) {
			if first < 0 {
				first = i
			}
			end = i + 1
			n++
		}
	}
	if n == 0 {
		return nil
	}
	if n == end-first {
		return events[first:end:end]
	}
	part := make([]Event, 0, n)
	for i := first; i < end; i++ {
		if selected(i) {
			part = append(part, events[i])
		}
	}
	return slices.Clip(part)
}
