package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	mes "github.com/microeventstore/microeventstore"
)

// An Emission is a higher-order event in the making. What it leaves empty has a
// default, see the package comment; Type has none.
type Emission struct {
	Type string
	// ID must be the same whenever the event is emitted again, and another one than
	// that of any other event.
	ID           string
	PartitionKey string
	// Timestamp is that of the last cause unless set; for a rule with OnExpiry,
	// when the event expired.
	Timestamp time.Time
	// Tags are added to those of the causes, and take their place.
	Tags map[string]any
	// Fields is what else the event says: anything that encoding/json marshals to an
	// object. Its members stand at the top of the event, beside id, type, timestamp,
	// partitionKey, tags and triggers, which they must not be.
	Fields any
}

// Emit makes the events that a rule emits, of the history and what When returned.
type Emit func(m *mes.MicroEventStore, causes []mes.Event) ([]Emission, error)

// Copy emits one event of a type, which says what the event that fired says: the
// members of its [mes.Event.Data], but for the six of the envelope. That of an event
// without data, such as a CloudEvent with data_base64, says nothing; data that is
// not a JSON object, such as a CloudEvent's text, is a fault.
func Copy(eventType string) Emit {
	return func(m *mes.MicroEventStore, _ []mes.Event) ([]Emission, error) {
		data := m.Current.Data()
		if len(data) == 0 {
			return One(eventType)(m, nil)
		}
		fields, err := members(data)
		if err != nil {
			return nil, mes.Permanent(errors.New("copy: the data of the event that fired is not a JSON object, which has members to copy; write an Emit that says what to make of it"))
		}
		for _, name := range envelope() {
			delete(fields, name)
		}
		return []Emission{{Type: eventType, Fields: fields}}, nil
	}
}

// One emits one event of a type that says nothing but what each emitted event
// says: who caused it.
func One(eventType string) Emit {
	return func(*mes.MicroEventStore, []mes.Event) ([]Emission, error) {
		return []Emission{{Type: eventType}}, nil
	}
}

func envelope() []string {
	return []string{"id", "type", "timestamp", "partitionKey", "tags", "triggers"}
}

// A cause is what an emitted event says of an event that caused it.
type cause struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Timestamp int64  `json:"timestamp"`
}

// events makes the events that a rule emits.
func (e *Evaluator) events(r *Rule, m *mes.MicroEventStore, causes []mes.Event, emissions []Emission) ([]mes.Event, error) {
	if len(emissions) == 0 {
		return nil, nil
	}
	tags, err := e.tags(causes)
	if err != nil {
		return nil, mes.Permanent(fmt.Errorf("the tags of a cause: %w", err))
	}
	triggers := make([]cause, len(causes))
	for i := range causes {
		triggers[i] = cause{ID: causes[i].ID, Type: causes[i].Type}
		if !causes[i].Timestamp.IsZero() {
			triggers[i].Timestamp = causes[i].Timestamp.UnixMilli()
		}
	}
	events := make([]mes.Event, len(emissions))
	ids := make(map[string]bool, len(emissions))
	for n := range emissions {
		emission := &emissions[n]
		r.complete(emission, m, causes)
		if emission.ID == "" {
			emission.ID = m.Current.ID + "." + r.ID
			if len(emissions) > 1 {
				emission.ID += "." + strconv.Itoa(n+1)
			}
		}
		if events[n], err = emission.event(tags, triggers); err == nil && ids[emission.ID] {
			err = errors.New("it has the ID of an earlier one")
		}
		if err != nil {
			return nil, mes.Permanent(fmt.Errorf("event %d of those emitted: %w", n+1, err))
		}
		ids[emission.ID] = true
	}
	return events, nil
}

// complete sets what an emission leaves empty.
func (r *Rule) complete(emission *Emission, m *mes.MicroEventStore, causes []mes.Event) {
	if emission.PartitionKey == "" {
		emission.PartitionKey = r.bareKey(m.HashKey)
		if r.OnExpiry && m.Current.PartitionKey != "" {
			emission.PartitionKey = m.Current.PartitionKey
		}
	}
	times := []time.Time{causes[len(causes)-1].Timestamp, m.Current.Timestamp}
	if r.OnExpiry {
		times = []time.Time{m.Current.Expires, m.Changes[0].Meta.Arrived}
	}
	for _, t := range times {
		if emission.Timestamp.IsZero() {
			emission.Timestamp = t
		}
	}
}

// event makes the event itself. Whoever makes it again makes the same bytes.
func (emission *Emission) event(tags map[string]json.RawMessage, triggers []cause) (mes.Event, error) {
	if emission.Type == "" {
		return mes.Event{}, errors.New("it has no type")
	}
	for i, text := range []string{emission.ID, emission.Type, emission.PartitionKey} {
		if !utf8.ValidString(text) {
			return mes.Event{}, fmt.Errorf("its %s is not valid UTF-8", []string{"ID", "Type", "PartitionKey"}[i])
		}
	}
	if emission.Timestamp.IsZero() {
		return mes.Event{}, errors.New("it has no timestamp, and neither has what caused it; set one")
	}
	if len(emission.Tags) > 0 {
		tags = maps.Clone(tags)
		for name, value := range emission.Tags {
			text, _ := value.(string)
			raw, err := json.Marshal(value)
			switch {
			case err != nil:
				return mes.Event{}, errors.New("a tag cannot be marshalled: its value must be one that encoding/json takes")
			case !utf8.ValidString(name) || !utf8.ValidString(text):
				return mes.Event{}, errors.New("a tag is not valid UTF-8")
			}
			tags[name] = raw
		}
	}
	var buffer bytes.Buffer
	for i, value := range []any{emission.ID, emission.Type, emission.Timestamp.UnixMilli(), emission.PartitionKey, tags, triggers} {
		if err := appendMember(&buffer, envelope()[i], value); err != nil {
			return mes.Event{}, err
		}
	}
	fields, err := emission.fields()
	if err != nil {
		return mes.Event{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(envelope(), name) {
			return mes.Event{}, fmt.Errorf("its Fields must not have the member %s: set it as Emission says", name)
		}
		if err := appendMember(&buffer, name, fields[name]); err != nil {
			return mes.Event{}, err
		}
	}
	buffer.WriteByte('}')
	if !utf8.Valid(buffer.Bytes()) {
		return mes.Event{}, errors.New("it is not valid UTF-8")
	}
	event, err := mes.Parse(buffer.Bytes())
	if err != nil {
		return mes.Event{}, err
	}
	if event.ID != emission.ID || event.Type != emission.Type {
		return mes.Event{}, errors.New("its Fields make it look like a CloudEvent or one of EventBridge")
	}
	return event, nil
}

func (emission *Emission) fields() (map[string]json.RawMessage, error) {
	if fields, ok := emission.Fields.(map[string]json.RawMessage); ok || emission.Fields == nil {
		return fields, nil
	}
	raw, err := json.Marshal(emission.Fields)
	if err != nil {
		return nil, errors.New("its Fields cannot be marshalled: they must be what encoding/json takes")
	}
	fields, err := members(raw)
	if err != nil {
		return nil, errors.New("its Fields are not an object when they are marshalled; use a struct or a map, or nil for none")
	}
	return fields, nil
}

func appendMember(buffer *bytes.Buffer, name string, value any) error {
	separator := byte(',')
	if buffer.Len() == 0 {
		separator = '{'
	}
	buffer.WriteByte(separator)
	key, err := json.Marshal(name)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return errors.New("a member cannot be marshalled")
	}
	buffer.Write(key)
	buffer.WriteByte(':')
	buffer.Write(raw)
	return nil
}

// members returns the members of a JSON object. Its errors hold nothing of it.
func members(raw []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil { // nil is null
		return nil, errors.New("it is not a JSON object")
	}
	return fields, nil
}
