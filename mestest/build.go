package mestest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// Event makes an event. It takes JSON as a string, a []byte or a json.RawMessage;
// a [mes.Event], which is returned as it is; or any other value, which it
// marshals. What cannot be an event fails the test.
func Event(t testing.TB, event any) mes.Event {
	t.Helper()
	if e, ok := event.(mes.Event); ok {
		return e
	}
	e, err := mes.Parse(data(t, event))
	if err != nil {
		t.Fatalf("mestest.Event: %v", err)
	}
	return e
}

// data returns the bytes of a record.
func data(t testing.TB, event any) []byte {
	t.Helper()
	switch v := event.(type) {
	case string:
		return []byte(v)
	case []byte:
		return slices.Clone(v)
	case json.RawMessage:
		return slices.Clone(v)
	case mes.Event:
		return slices.Clone(v.Raw)
	}
	raw, err := json.Marshal(event)
	if err != nil {
		t.Fatalf("mestest: the event cannot be marshalled: %v", err)
	}
	return raw
}

// meta is where the i-th record or change of a shard comes from.
func meta(i int) mes.Meta {
	return mes.Meta{
		Stream:         "mestest",
		Shard:          "shardId-000000000000",
		SequenceNumber: strconv.Itoa(i + 1),
		Arrived:        time.Now(),
	}
}

// Records makes records as a stream would deliver them, in one shard with rising
// sequence numbers from 1. It takes what [Event] takes, and does not look at it:
// a string that is no JSON makes a poison record.
func Records(t testing.TB, events ...any) []mes.Record {
	t.Helper()
	records := make([]mes.Record, len(events))
	for i, event := range events {
		records[i] = mes.Record{Data: data(t, event), Meta: meta(i)}
	}
	return records
}

// Inserts makes the changes that a table's stream delivers when events are stored
// under a hash key. Each has the event's range key, or the one that
// [mes.TimeAndID] gives it where the event has none. A trigger finds the events
// only if they are stored.
func Inserts(t testing.TB, hashKey string, events ...any) []mes.Change {
	t.Helper()
	changes := make([]mes.Change, len(events))
	for i := range events {
		e := withRangeKey(t, Event(t, events[i]))
		changes[i] = mes.Change{
			Kind:     mes.Inserted,
			HashKey:  hashKey,
			RangeKey: e.RangeKey,
			New:      &e,
			Meta:     meta(i),
		}
	}
	return changes
}

// History makes what a handler is given when the last of some events has fired.
// The events may come in any order: in the history they stand by their range keys.
func History(t testing.TB, hashKey string, events ...any) *mes.MicroEventStore {
	t.Helper()
	m := &mes.MicroEventStore{HashKey: hashKey}
	for i := range events {
		m.Current = withRangeKey(t, Event(t, events[i]))
		m.Events = append(m.Events, m.Current)
	}
	if len(events) > 0 {
		m.New = []mes.Event{m.Current}
		current := m.Current
		m.Changes = []mes.Change{{Kind: mes.Inserted, HashKey: hashKey, RangeKey: current.RangeKey, New: &current}}
	}
	slices.SortFunc(m.Events, func(a, b mes.Event) int { return strings.Compare(a.RangeKey, b.RangeKey) })
	m.Events = slices.CompactFunc(m.Events, func(a, b mes.Event) bool { return a.RangeKey == b.RangeKey })
	m.Events = slices.Clip(m.Events)
	return m
}

func withRangeKey(t testing.TB, e mes.Event) mes.Event {
	t.Helper()
	if e.RangeKey != "" {
		return e
	}
	key, err := mes.TimeAndID().AppendRangeKey(nil, &e)
	if err != nil {
		t.Fatalf("mestest: %v", err)
	}
	e.RangeKey = string(key)
	return e
}
