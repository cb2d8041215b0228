package microeventstore

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A MicroEventStore is a collation: the events that were collected under one hash
// key, oldest first, in range-key order.
type MicroEventStore struct {
	HashKey string

	// Current is the event that fired a trigger. In a coalesced call it is the
	// last of New. It is zero where no trigger is involved.
	Current Event

	// New holds all the events that fired a coalesced trigger, in the order of
	// their changes; in any other trigger it holds Current alone.
	New []Event

	// Changes are those that fired the trigger, one for each event of New: they
	// say what happened to it, and where that came from. There are none where no
	// trigger is involved.
	Changes []Change

	// Events is the history, Current among it unless Current was removed. All
	// calls for one hash key in one batch share it, and with [WithHistoryCache]
	// those of later batches, so it must not be changed; appending to it is safe.
	// It holds what was there when the batch was read, not what the handler has
	// saved since.
	Events []Event

	types *typeIndex // of Events, as long as nobody has exchanged them
}

// Has tells whether there is an event of each of the types. It is true for no
// types at all.
func (m *MicroEventStore) Has(types ...string) bool {
	for _, t := range types {
		if !m.has(t) {
			return false
		}
	}
	return true
}

func (m *MicroEventStore) has(eventType string) bool {
	if types := m.types.of(m.Events); types != nil {
		_, there := types[eventType]
		return there
	}
	for i := range m.Events {
		if m.Events[i].Type == eventType {
			return true
		}
	}
	return false
}

// A typeIndex knows the types in a history that many calls share, so that asking
// for them does not cost each of the calls a walk through all of it.
type typeIndex struct {
	events []Event
	asked  atomic.Int32
	once   sync.Once
	types  map[string]struct{}
}

// worthAnIndex is how often a history has to be asked before an index pays, and
// how long it has to be.
const worthAnIndex = 16

// of returns the types of events; nil if it is not worth it or the index is one
// of other events.
func (x *typeIndex) of(events []Event) map[string]struct{} {
	switch {
	case x == nil || len(events) != len(x.events) || &events[0] != &x.events[0]:
		return nil
	case x.asked.Add(1) <= worthAnIndex:
		return nil
	}
	x.once.Do(func() {
		types := make(map[string]struct{})
		for i := range x.events {
			types[x.events[i].Type] = struct{}{}
		}
		x.types = types
	})
	return x.types
}

// First returns the oldest event that a filter accepts; a nil filter accepts all.
func (m *MicroEventStore) First(f Filter) (Event, bool) {
	for i := range m.Events {
		if f.accepts(m.Events[i]) {
			return m.Events[i], true
		}
	}
	return Event{}, false
}

// Last returns the newest event that a filter accepts; a nil filter accepts all.
func (m *MicroEventStore) Last(f Filter) (Event, bool) {
	for i := len(m.Events) - 1; i >= 0; i-- {
		if f.accepts(m.Events[i]) {
			return m.Events[i], true
		}
	}
	return Event{}, false
}

// Filter returns the events that a filter accepts, oldest first, in a slice of
// their own; a nil filter accepts all.
func (m *MicroEventStore) Filter(f Filter) []Event {
	var accepted []Event
	for i := range m.Events {
		if f.accepts(m.Events[i]) {
			accepted = append(accepted, m.Events[i])
		}
	}
	return accepted
}

// UpTo returns the history as it stood when an event happened: the events up to
// and including the place of that event, by range key. It is part of Events. An
// event that was not read has no place in the history, and nothing is returned.
func (m *MicroEventStore) UpTo(e Event) []Event {
	if e.RangeKey == "" {
		return nil
	}
	n, found := findRangeKey(m.Events, e.RangeKey)
	if found {
		n++
	}
	return slices.Clip(m.Events[:n])
}

// findRangeKey returns where in a history a range key is, or would be.
func findRangeKey(events []Event, rangeKey string) (int, bool) {
	return slices.BinarySearchFunc(events, rangeKey, func(e Event, rangeKey string) int {
		return strings.Compare(e.RangeKey, rangeKey)
	})
}
