package microeventstore

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/microeventstore/microeventstore/driver"
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
// not vouch for its answer, where a limit is reached, and for [Trigger.Refire].
//
// It needs range keys that begin with the event's time (see [TimeAndID]), and takes
// part in no read of less than the whole history (see [WithWindow] and
// [WithWindows]).
//
// maxBytes bounds what is kept, in bytes: the JSON of the events, their keys, ids and
// types, and some 300 bytes for each event and each hash key; what was used last stays.
// Handlers of later batches are given events that those of earlier ones had, in the same
// memory. Both it and lateness must be more than zero.
func WithHistoryCache(maxBytes int64, lateness time.Duration) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		if maxBytes <= 0 || lateness <= 0 {
			return errors.New("WithHistoryCache: the size and the lateness must be more than zero")
		}
		t.cache = &historyCache{maxBytes: maxBytes, lateness: lateness, entries: make(map[string]*list.Element), order: list.New(), reads: make(map[string][]*cacheRead)}
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
	reads   map[string][]*cacheRead // that are under way, of a hash key
}

// A cacheRead is a read that is under way. What it returns may lack the changes that are
// observed meanwhile.
type cacheRead struct {
	observed bool
	earliest string // the range key of the earliest one
}

// lacks tells whether the read may lack a change that lies before a range key.
func (r *cacheRead) lacks(before string) bool { return r.observed && r.earliest < before }

// begin must come before a read, and end after it. It returns what is held.
func (c *historyCache) begin(hashKey string) (*cachedHistory, *cacheRead) {
	c.mu.Lock()
	defer c.mu.Unlock()
	read := new(cacheRead)
	c.reads[hashKey] = append(c.reads[hashKey], read)
	element := c.entries[hashKey]
	if element == nil {
		return nil, read
	}
	c.order.MoveToFront(element)
	return element.Value.(*cachedHistory), read
}

func (c *historyCache) end(hashKey string, read *cacheRead) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reads := c.reads[hashKey]
	if reads = slices.DeleteFunc(reads, func(r *cacheRead) bool { return r == read }); len(reads) > 0 {
		c.reads[hashKey] = reads
	} else {
		delete(c.reads, hashKey)
	}
}

// put keeps a history, in the place of the one before. It does not if a change that was
// observed while the history was read would be behind what the next read begins with.
func (c *historyCache) put(h *cachedHistory, read *cacheRead) {
	bound, ok := h.bound(c.lateness)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok || read.lacks(bound) {
		return // what is held has a bound of its own
	}
	c.remove(h.hashKey)
	if h.bytes > c.maxBytes {
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
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range changes {
		change := &changes[i]
		if strings.HasPrefix(change.RangeKey, driver.MarkerPrefix) {
			continue // no history has it
		}
		for _, read := range c.reads[change.HashKey] {
			if !read.observed || change.RangeKey < read.earliest {
				read.observed, read.earliest = true, change.RangeKey
			}
		}
		element := c.entries[change.HashKey]
		if element == nil {
			continue
		}
		h := element.Value.(*cachedHistory)
		if bound, ok := h.bound(c.lateness); !ok || change.RangeKey < bound && !h.outlived(change, now) {
			c.remove(h.hashKey)
		}
	}
}

// forget has the history of a hash key read in full the next time, as a change does that
// lies before all others.
func (c *historyCache) forget(hashKey string) {
	c.observe([]Change{{Kind: Inserted, HashKey: hashKey, RangeKey: "\x00"}})
}

func (c *historyCache) remove(hashKey string) {
	if element := c.entries[hashKey]; element != nil {
		c.bytes -= element.Value.(*cachedHistory).bytes
		c.order.Remove(element)
		delete(c.entries, hashKey)
	}
}

// history reads the history of a hash key, or what is new of it since the last time.
func (c *historyCache) history(ctx context.Context, s *Store, hashKey string, options *readOptions) (events []Event, consistent bool, err error) {
	held, read := c.begin(hashKey)
	defer c.end(hashKey, read)
	if held != nil {
		if next := c.grow(ctx, s, held, read, options); next != nil {
			c.put(next, read)
			return slices.Clip(next.events), true, nil
		}
	}
	events, consistent, err = s.history(ctx, hashKey, options)
	if err == nil && consistent && len(events) > 0 {
		h := newCachedHistory(strings.Clone(hashKey), events, nil) // the key may be in the memory of a payload
		if h.bytes <= c.maxBytes {
			h.events, _ = compact(make([]Event, 0, len(events)), events)
			events = h.events
		}
		c.put(h, read) // or what is held goes, if it is too large
	}
	return events, consistent, err
}

// grow reads what is new of a history and returns the whole. It returns nil where a
// full read has to tell.
func (c *historyCache) grow(ctx context.Context, s *Store, held *cachedHistory, read *cacheRead, options *readOptions) *cachedHistory {
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
	if err != nil || !consistent || len(fresh) == 0 || c.outrun(read, bound) {
		return nil
	}
	next := held.append(fresh, bound)
	if len(next.events) > options.maxEvents || next.raw > options.maxBytes {
		return nil
	}
	return next
}

// outrun tells whether a change was observed meanwhile that lies before what was read,
// which is then read again, from the beginning.
func (c *historyCache) outrun(read *cacheRead, bound string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !read.lacks(bound) {
		return false
	}
	*read = cacheRead{}
	return true
}
