package microeventstore

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// WithHistoryCache makes a trigger keep histories between two calls, so that in a
// warm process it reads only what is new: the history of a hash key from lateness
// before its newest event on. So the cost of handling a history that grows is in
// proportion to what is added, not to all that is there: what is new is read once, and
// what lies in the window of lateness once more for each batch, the newest event at
// least. Without the option every batch reads the whole history.
//
// The handler is given what a full read would give it, unless something was
// inserted, changed or deleted (other than by its TTL) that happened longer than
// lateness before the newest event, by a change that this Trigger was not given:
// a stream of several shards may hand that one to another process, and it is then
// missed here until the history is read in full again. The whole history is read
// whenever the trigger cannot be sure: for a key that it does not hold, for a
// change that lies further back than lateness, after an error, where the table does
// not vouch for its answer, and where a limit is reached.
//
// It needs range keys that begin with the event's time (see [TimeAndID]), and takes
// part in no read of less than the whole history (see [WithWindow] and
// [WithWindows]).
//
// maxBytes bounds what is kept, in bytes, as far as events are concerned; what was
// used last stays. Both it and lateness must be more than zero.
func WithHistoryCache(maxBytes int64, lateness time.Duration) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		if maxBytes <= 0 || lateness <= 0 {
			return errors.New("WithHistoryCache: the size and the lateness must be more than zero")
		}
		t.cache = &historyCache{maxBytes: maxBytes, lateness: lateness, entries: make(map[string]*list.Element), order: list.New(), reading: make(map[string]int)}
		return nil
	})
}

// checkCache reports a store that the cache cannot be used with.
func (t *Trigger) checkCache() error {
	if t.cache != nil && t.store != nil && !t.store.timeInKey {
		return errors.New("WithHistoryCache: it needs range keys that begin with the event's time: use TimeAndID")
	}
	return nil
}

// A historyCache holds histories, those that were used last first.
type historyCache struct {
	maxBytes int64
	lateness time.Duration

	mu      sync.Mutex
	entries map[string]*list.Element // of *cachedHistory
	order   *list.List
	bytes   int64
	reading map[string]int // how many reads of a hash key are under way
	late    int            // how many changes may have made a history wrong
}

// A cachedHistory is never changed. What follows it in its array may belong to the
// history that came after it.
type cachedHistory struct {
	hashKey string
	events  []Event // with room behind them
	raw     int64   // bytes of their Raw
	bytes   int64
	expires time.Time // when the first of them does; zero for never

	extended atomic.Bool // the room behind the events is someone's
}

// eventSize is about what an event takes besides its Raw, in bytes.
const eventSize = 400

// begin must come before a read, and end after it. It returns what is held.
func (c *historyCache) begin(hashKey string) (h *cachedHistory, late int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading[hashKey]++
	element := c.entries[hashKey]
	if element == nil {
		return nil, c.late
	}
	c.order.MoveToFront(element)
	return element.Value.(*cachedHistory), c.late
}

func (c *historyCache) end(hashKey string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading[hashKey]--; c.reading[hashKey] == 0 {
		delete(c.reading, hashKey)
	}
}

// put keeps a history, in the place of the one before, unless a late change may have
// made it wrong while it was read.
func (c *historyCache) put(h *cachedHistory, late int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(h.hashKey)
	if h.bytes > c.maxBytes || c.late != late {
		return
	}
	c.entries[h.hashKey] = c.order.PushFront(h)
	c.bytes += h.bytes
	for c.bytes > c.maxBytes {
		c.remove(c.order.Back().Value.(*cachedHistory).hashKey)
	}
}

// observe forgets the histories that some changes lie too far back in, whether the
// changes fire or not.
func (c *historyCache) observe(changes []Change) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range changes {
		if c.reading[changes[i].HashKey] > 0 {
			c.late++ // it may be too far back for what is just being read
		}
		element := c.entries[changes[i].HashKey]
		if element == nil {
			continue
		}
		h := element.Value.(*cachedHistory)
		if bound, ok := h.bound(c.lateness); !ok || changes[i].RangeKey < bound {
			c.late++
			c.remove(h.hashKey)
		}
	}
}

// bound is what the next read begins with: a bare time, which lies before all range
// keys of its millisecond.
func (h *cachedHistory) bound(lateness time.Duration) (string, bool) {
	prefix, ok := appendTimePrefix(nil, h.events[len(h.events)-1].Timestamp.Add(-lateness))
	return string(prefix), ok
}

func (c *historyCache) remove(hashKey string) {
	if element := c.entries[hashKey]; element != nil {
		c.bytes -= element.Value.(*cachedHistory).bytes
		c.order.Remove(element)
		delete(c.entries, hashKey)
	}
}

// newCachedHistory measures the events from the n-th on, and takes the rest from
// the history that it continues.
func newCachedHistory(hashKey string, events []Event, before *cachedHistory, n int) *cachedHistory {
	h := &cachedHistory{hashKey: hashKey, events: events}
	if before != nil && n == len(before.events) {
		h.raw, h.expires = before.raw, before.expires
	} else {
		n = 0
	}
	for i := n; i < len(events); i++ {
		e := &events[i]
		h.raw += int64(len(e.Raw))
		if !e.Expires.IsZero() && (h.expires.IsZero() || e.Expires.Before(h.expires)) {
			h.expires = e.Expires
		}
	}
	h.bytes = h.raw + int64(cap(events))*eventSize
	return h
}

// history reads the history of a hash key, or what is new of it since the last time.
func (c *historyCache) history(ctx context.Context, s *Store, hashKey string, options *readOptions) (events []Event, consistent bool, err error) {
	held, late := c.begin(hashKey)
	defer c.end(hashKey)
	if held != nil {
		if next := c.grow(ctx, s, held, options); next != nil {
			c.put(next, late)
			return slices.Clip(next.events), true, nil
		}
	}
	events, consistent, err = s.history(ctx, hashKey, options)
	if err == nil && consistent && len(events) > 0 {
		c.put(newCachedHistory(hashKey, events, nil, 0), late)
	}
	return events, consistent, err
}

// grow reads what is new of a history and returns the whole. It returns nil where a
// full read has to tell.
func (c *historyCache) grow(ctx context.Context, s *Store, held *cachedHistory, options *readOptions) *cachedHistory {
	if held = held.without(time.Now()); len(held.events) == 0 {
		return nil
	}
	bound, ok := held.bound(c.lateness)
	if !ok {
		return nil
	}
	tail := *options
	tail.after = bound
	fresh, consistent, err := s.history(ctx, held.hashKey, &tail)
	if err != nil || !consistent || len(fresh) == 0 {
		return nil
	}
	kept, _ := findRangeKey(held.events, bound)
	events, same := held.append(fresh, kept)
	next := newCachedHistory(held.hashKey, events, held, same)
	if len(events) > options.maxEvents || next.raw > options.maxBytes {
		return nil
	}
	return next
}

// append puts fresh events in the place of those from the n-th on. It returns the
// events, and how many of those that were held are among them as they were, if that
// is all of them.
func (h *cachedHistory) append(fresh []Event, n int) (events []Event, same int) {
	old := h.events[n:]
	if len(fresh) >= len(old) {
		same := true
		for i := range old {
			if !sameStored(&old[i], &fresh[i]) {
				same = false
				break
			}
		}
		if same {
			// Whoever was given the events holds them clipped, so what is written
			// behind them is seen by nobody; but two may come to write there.
			return h.extend(fresh[len(old):]), len(h.events)
		}
	}
	events = make([]Event, 0, (n+len(fresh))*5/4+1)
	events = append(events, h.events[:n]...)
	return append(events, fresh...), 0
}

func sameStored(a, b *Event) bool {
	return a.RangeKey == b.RangeKey && string(a.Raw) == string(b.Raw) && a.Expires.Equal(b.Expires)
}

// extend appends events, in the array that is there if nobody has yet.
func (h *cachedHistory) extend(fresh []Event) []Event {
	if len(fresh) == 0 {
		return slices.Clip(h.events)
	}
	if cap(h.events) == len(h.events) || h.extended.CompareAndSwap(false, true) {
		return append(h.events, fresh...)
	}
	return append(slices.Clip(h.events), fresh...)
}

// without returns the history without what has expired by now.
func (h *cachedHistory) without(now time.Time) *cachedHistory {
	if h.expires.IsZero() || now.Before(h.expires) {
		return h
	}
	kept := make([]Event, 0, cap(h.events))
	for i := range h.events {
		if e := &h.events[i]; e.Expires.IsZero() || now.Before(e.Expires) {
			kept = append(kept, *e)
		}
	}
	return newCachedHistory(h.hashKey, kept, nil, 0)
}
