package microeventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// An Event is one thing that happened, as its producer published it.
//
// Events come from [Parse] or [NewEvent], or from a store. They are values: a
// copy is cheap and shares Raw, which nobody may change.
//
// The events of one read share memory, and so do those of one delivery: one that
// is kept may keep others of its page alive (half a MB of them, mostly; a page has up
// to 8 MB when it is unpacked), or the whole payload that it came in (up to 6 MB in
// Lambda). Keep a [Event.Clone] where that matters.
type Event struct {
	// ID tells events apart. An event that names none has "sha256:" and the hash
	// of Raw, so that it has the same ID whenever it is delivered.
	ID string
	// Type says what kind of thing happened, such as order-submitted. It is
	// empty where the event names none.
	Type string
	// PartitionKey is the event's own, such as the number of the order. It is
	// empty where the event names none.
	PartitionKey string
	// Timestamp is when the thing happened, in UTC, with millisecond resolution;
	// the zero time where the event does not say.
	Timestamp time.Time
	// Raw is the event exactly as it was published; nothing is lost.
	Raw json.RawMessage
	// RangeKey is where the event stands in its collation. It is set on events
	// that were read.
	RangeKey string
	// Expires is when the stored event may be deleted, and from when on no read
	// returns it. It is set on events that were read; the zero time is never.
	Expires time.Time
	// Meta says how the event was delivered. It is empty on events that were
	// read.
	Meta Meta
}

// NewEvent makes an event of a Go value: it marshals v as [json.Marshal] does and
// then reads the result as [Parse] does. The fields of a struct need JSON tags, such
// as `json:"partitionKey"`: names match to the letter. Of an Event, or a pointer to
// one, it makes the event that its Raw is.
//
// The errors are those of Parse, after "new event: ".
// Where Marshal fails, the error's text holds nothing of v, and [errors.As]
// reaches the cause. It is an error, too, if the event's ID, Type or PartitionKey
// has U+FFFD in it: Marshal puts that in place of bytes that are not UTF-8, and
// so may make one key of two.
func NewEvent(v any) (Event, error) {
	switch e := v.(type) {
	case Event:
		return newEvent(Parse(e.Raw))
	case *Event:
		if e != nil {
			return newEvent(Parse(e.Raw))
		}
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return Event{}, &quietError{text: fmt.Sprintf("new event: a %T cannot be marshalled", v), cause: err}
	}
	e, err := newEvent(parse(raw))
	if err != nil {
		return Event{}, err
	}
	for _, field := range [...]struct{ name, value string }{
		{"ID", e.ID}, {"Type", e.Type}, {"PartitionKey", e.PartitionKey},
	} {
		if strings.ContainsRune(field.value, utf8.RuneError) {
			return Event{}, errors.New("new event: its " + field.name + " holds U+FFFD, which stands for invalid UTF-8")
		}
	}
	return e, nil
}

func newEvent(e Event, err error) (Event, error) {
	if err != nil {
		return Event{}, fmt.Errorf("new event: %w", err)
	}
	return e, nil
}

// Clone returns a copy that shares no memory with e.
func (e Event) Clone() Event {
	e.ID = strings.Clone(e.ID)
	e.Type = strings.Clone(e.Type)
	e.PartitionKey = strings.Clone(e.PartitionKey)
	e.Raw = slices.Clip(bytes.Clone(e.Raw)) // so that appending to it is safe
	e.RangeKey = strings.Clone(e.RangeKey)
	e.Meta.Stream = strings.Clone(e.Meta.Stream)
	e.Meta.Shard = strings.Clone(e.Meta.Shard)
	e.Meta.SequenceNumber = strings.Clone(e.Meta.SequenceNumber)
	e.Meta.PartitionKey = strings.Clone(e.Meta.PartitionKey)
	e.Meta.ExplicitHashKey = strings.Clone(e.Meta.ExplicitHashKey)
	e.Meta.MessageID = strings.Clone(e.Meta.MessageID)
	e.Meta.Region = strings.Clone(e.Meta.Region)
	return e
}
