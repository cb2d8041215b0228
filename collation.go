package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/backoff"
	"github.com/microeventstore/microeventstore/internal/markers"
)

// errNotVisible says that a read may be older than the change. Another one will
// find the event, or the table will vouch that it is gone.
var errNotVisible = errors.New("the table does not show the event that fired, and its read was not consistent")

// How often, and with what waits between, a history is read that is older than a
// change. DynamoDB's indexes follow their table within a fraction of a second as a
// rule; if it takes longer than some seconds the change fails, and comes back.
const visibleTries = 8

func visibleWaits() backoff.Policy {
	return backoff.Policy{First: 20 * time.Millisecond, Most: time.Second}
}

// A collation is the history of one hash key, read once for all the changes that
// a batch has of it.
type collation struct {
	batch   *triggerBatch
	hashKey string
	window  *readOptions // of the read that all share
	alone   bool         // nothing is read: the changes carry all that is needed
	markers markers.Cache

	read       bool
	partly     bool // a part of it may have come from the cache
	err        error
	events     []Event
	types      *typeIndex
	consistent bool
}

func newCollation(b *triggerBatch, hashKey string) *collation {
	return &collation{batch: b, hashKey: hashKey, window: b.trigger.window}
}

// fired returns what the handler is to be given for some changes, and which of
// them still have their event. With an error it returns all of them.
func (c *collation) fired(ctx context.Context, indexes []int) (*MicroEventStore, []int, error) {
	if err := c.readOnce(ctx); err != nil {
		return nil, indexes, err
	}
	m := &MicroEventStore{HashKey: c.hashKey, Events: c.events, types: c.types}
	remaining := make([]int, 0, len(indexes))
	var lost []int
	for _, i := range indexes {
		change := &c.batch.changes[i]
		e, found, err := c.current(ctx, i)
		if err != nil {
			return nil, indexes, err
		}
		evenGone := !found && c.batch.evenGone(i)
		if !found && !evenGone {
			lost = append(lost, i)
			continue
		}
		remaining = append(remaining, i)
		if evenGone {
			e = Event{}
			if change.New != nil {
				e = *change.New
			}
			e.RangeKey = change.RangeKey
		}
		m.Current = e
		if !c.window.windowed() && !c.alone {
			m.Events, m.types = c.events, c.types // it may have been read again
		} else if change.Kind != Removed && !evenGone {
			m.include(e)
		}
		m.New = append(m.New, e)
	}
	for _, i := range lost {
		c.batch.fates[i] = gone
	}
	m.New = slices.Clip(m.New)
	m.Changes = c.batch.changesAt(remaining)
	return m, remaining, nil
}

// readOnce reads the history.
func (c *collation) readOnce(ctx context.Context) error {
	if c.read {
		return c.err
	}
	c.read = true
	if c.alone {
		return nil
	}
	window := *c.window
	window.onMarker = c.markers.Set
	c.err = c.timed(func() (err error) {
		c.events, c.consistent, err = c.history(ctx, &window)
		return err
	})
	if len(c.events) >= worthAnIndex {
		c.types = &typeIndex{events: c.events}
	}
	if c.err == nil && window.seesMarkers() && !c.partly {
		c.markers.Complete()
	}
	var limit *LimitError
	if errors.As(c.err, &limit) || errors.Is(c.err, driver.ErrInvalidQuery) {
		c.err = Permanent(c.err)
	}
	if c.err != nil {
		c.err = fmt.Errorf("read the history: %w", c.err)
	}
	return c.err
}

// history reads the history, or takes it from the cache.
func (c *collation) history(ctx context.Context, window *readOptions) ([]Event, bool, error) {
	t := c.batch.trigger
	if t.cache == nil || window.windowed() {
		return t.store.history(ctx, c.hashKey, window)
	}
	c.partly = true
	return t.cache.history(ctx, t.store, c.hashKey, window)
}

// current returns the event of a change as it is now. It is not found if it has
// expired or was deleted, and the table vouches for that.
func (c *collation) current(ctx context.Context, i int) (e Event, found bool, err error) {
	change := &c.batch.changes[i]
	if c.batch.isGone(i) {
		return e, false, nil
	}
	if change.Kind == Removed {
		if change.Old != nil {
			e = *change.Old
		}
		e.RangeKey = change.RangeKey
		return e, true, nil
	}
	if c.alone {
		e = *change.New
		e.RangeKey = change.RangeKey
		return e, e.Expires.IsZero() || time.Now().Before(e.Expires), nil
	}
	for tries := 1; ; tries++ {
		if at, found := findRangeKey(c.events, change.RangeKey); found {
			return c.events[at], true, nil
		}
		windowed := c.window.windowed()
		if c.consistent && !windowed {
			return e, false, nil
		}
		// It lies outside the window, or the history is older than the change.
		// About one range key many tables can say more than about all.
		var consistent bool
		err = c.timed(func() (err error) {
			e, found, consistent, err = c.batch.trigger.store.lookup(ctx, c.hashKey, change.RangeKey)
			return err
		})
		if errors.Is(err, driver.ErrInvalidQuery) {
			err = Permanent(err)
		}
		if err != nil {
			return e, false, fmt.Errorf("read the event that fired: %w", err)
		}
		switch {
		case found && windowed, !found && consistent:
			return e, found, nil
		case !found, tries == visibleTries:
			return Event{}, false, errNotVisible
		}
		// It is there: the history will show it soon.
		if err := visibleWaits().Wait(ctx, tries); err != nil {
			return Event{}, false, fmt.Errorf("%w: %w", errNotVisible, err)
		}
		c.read = false
		if err := c.readOnce(ctx); err != nil {
			return Event{}, false, err
		}
	}
}

func (c *collation) timed(read func() error) error {
	began := time.Now()
	err := read()
	c.batch.mu.Lock()
	c.batch.stats.TableDuration += time.Since(began)
	c.batch.mu.Unlock()
	return err
}

// include puts an event that lies outside the window into the history. That is
// shared, and clipped: inserting copies it.
func (m *MicroEventStore) include(e Event) {
	at, found := findRangeKey(m.Events, e.RangeKey)
	if !found {
		m.Events = slices.Clip(slices.Insert(m.Events, at, e))
	}
}

// lookup reads one event of a collation.
func (s *Store) lookup(ctx context.Context, hashKey, rangeKey string) (e Event, found, consistent bool, err error) {
	options := &readOptions{exactly: rangeKey}
	options.limit(false)
	consistent, err = s.scan(ctx, hashKey, options, nil, func(event *Event) bool {
		e, found = *event, true
		return false
	})
	return e, found, consistent, err
}
