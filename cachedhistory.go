package microeventstore

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A cachedHistory is never changed. What follows it in its array may belong to the
// history that came after it.
type cachedHistory struct {
	hashKey string
	events  []Event   // with room behind them
	raw     int64     // bytes of their Raw
	live    int64     // bytes of their Raw and their strings
	kept    int64     // the same of all that their memory holds, of events that have gone too
	bytes   int64     // what counts for the cache
	expires time.Time // when the first of them does; zero for never

	extended atomic.Bool // the room behind the events is someone's
}

// What an event takes besides its Raw and its strings, and what a history takes besides its
// events, in bytes and about.
const (
	eventSize   = 280
	historySize = 300
)

// newCachedHistory measures the events, but for those of the history that they continue,
// if there is one.
func newCachedHistory(hashKey string, events []Event, before *cachedHistory) *cachedHistory {
	h := &cachedHistory{hashKey: hashKey, events: events}
	n := 0
	if before != nil {
		n = len(before.events)
		h.raw, h.live, h.kept, h.expires = before.raw, before.live, before.kept, before.expires
	}
	for i := n; i < len(events); i++ {
		e := &events[i]
		h.raw += int64(len(e.Raw))
		size := e.copySize()
		h.live += size
		h.kept += size
		if !e.Expires.IsZero() && (h.expires.IsZero() || e.Expires.Before(h.expires)) {
			h.expires = e.Expires
		}
	}
	h.bytes = h.kept + int64(cap(events))*eventSize + int64(len(hashKey)) + historySize
	return h
}

// copySize is how many bytes [compact] copies of an event that was read.
func (e *Event) copySize() int64 {
	return int64(len(e.Raw) + len(e.ID) + len(e.Type) + len(e.PartitionKey) + len(e.RangeKey))
}

// bound is what the next read begins with: a bare time, which lies before all range
// keys of its millisecond.
func (h *cachedHistory) bound(lateness time.Duration) (string, bool) {
	prefix, ok := appendTimePrefix(nil, h.events[len(h.events)-1].Timestamp.Add(-lateness))
	return string(prefix), ok
}

// outlived tells whether a change is the end of an event that had expired anyway.
func (h *cachedHistory) outlived(change *Change, now time.Time) bool {
	if change.Kind != Removed || !change.Expired {
		return false
	}
	i, found := findRangeKey(h.events, change.RangeKey)
	return !found || !h.events[i].Expires.IsZero() && !now.Before(h.events[i].Expires)
}

// append returns the history with fresh events in the place of those from a range key on.
// Of what was read with them nothing is kept alive.
func (h *cachedHistory) append(fresh []Event, bound string) *cachedHistory {
	n, _ := findRangeKey(h.events, bound)
	if old := h.events[n:]; begins(fresh, old) {
		if len(fresh) == len(old) {
			return h // with the room behind it
		}
		// Whoever was given the events holds them clipped, so what is written
		// behind them is seen by nobody; but two may come to write there.
		fresh, _ = compact(nil, fresh[len(old):])
		return newCachedHistory(h.hashKey, h.extend(fresh), h)
	}
	events := make([]Event, 0, (n+len(fresh))*5/4+1)
	events = append(events, h.events[:n]...)
	events, size := compact(events, fresh)
	return remade(h.hashKey, events, h.kept+size)
}

// begins tells whether events begin with others, as they were stored.
func begins(events, others []Event) bool {
	if len(events) < len(others) {
		return false
	}
	for i := range others {
		a, b := &events[i], &others[i]
		if a.RangeKey != b.RangeKey || string(a.Raw) != string(b.Raw) || !a.Expires.Equal(b.Expires) ||
			a.ID != b.ID || a.Type != b.Type || a.PartitionKey != b.PartitionKey || !a.Timestamp.Equal(b.Timestamp) {
			return false
		}
	}
	return true
}

// remade returns a history of events whose memory holds so many bytes. If most of those
// would be kept for nothing, it has copies.
func remade(hashKey string, events []Event, kept int64) *cachedHistory {
	h := newCachedHistory(hashKey, events, nil)
	if kept > 2*h.live {
		compact(events[:0], events)
		return h
	}
	h.bytes += kept - h.kept
	h.kept = kept
	return h
}

// compact appends copies of events that were read, and tells how many bytes it has copied.
// They share their memory with one another and nothing else, and there is no more of
// it than they need: a page holds events that have expired, and room that was not used.
// The room behind dst may be that of the events themselves.
func compact(dst, events []Event) (copies []Event, size int64) {
	raw := 0
	for i := range events {
		size += events[i].copySize()
		raw += len(events[i].Raw)
	}
	raws := make([]byte, 0, raw)
	var texts strings.Builder
	texts.Grow(int(size) - raw)
	copied := func(s string) string {
		begin := texts.Len()
		texts.WriteString(s)
		return texts.String()[begin:]
	}
	dst = slices.Grow(dst, len(events))
	for i := range events {
		e := events[i]
		e.ID, e.Type, e.PartitionKey, e.RangeKey = copied(e.ID), copied(e.Type), copied(e.PartitionKey), copied(e.RangeKey)
		begin := len(raws)
		raws = append(raws, e.Raw...)
		e.Raw = raws[begin:len(raws):len(raws)]
		dst = append(dst, e)
	}
	return dst, size
}

// extend appends events, in the array that is there if nobody has yet.
func (h *cachedHistory) extend(fresh []Event) []Event {
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
	left := make([]Event, 0, cap(h.events))
	for i := range h.events {
		if e := &h.events[i]; e.Expires.IsZero() || now.Before(e.Expires) {
			left = append(left, *e)
		}
	}
	return remade(h.hashKey, left, h.kept)
}
