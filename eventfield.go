package microeventstore

import (
	"encoding/json"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// Field returns the value at a path: names of members with dots between them,
// from the top of Raw through objects, such as "thing.group". A name that has a
// dot in it is out of its reach, and so are the elements of arrays. Of members
// with one name the last counts, as in [Parse]. The value may be null.
//
// It is false where there is no such value, for a path that is empty or has an
// empty name in it, and for an event whose Raw is not valid. The value shares the
// memory of Raw. Each call reads all of Raw, at some GB a second.
func (e Event) Field(path string) (json.RawMessage, bool) {
	return jsonscan.Find(e.Raw, path)
}

// Tag returns the event's tag of that name, which may have dots in it. Tags are
// the members of the object tags, at the top of the event, or else in what
// [Event.Data] returns; the extension attributes of a CloudEvent come last. The
// first of these places that has the name decides.
//
// A string is returned with its escapes resolved, a number or a boolean as it is
// written. Tag is false where there is no such tag, where it is anything else,
// and for an event whose Raw is not valid.
func (e Event) Tag(name string) (string, bool) {
	value, ok := e.findTag(name)
	if !ok {
		return "", false
	}
	return scalarText(value)
}

// findTag returns the JSON of the tag that Tag returns.
func (e *Event) findTag(name string) (json.RawMessage, bool) {
	env, err := readEnvelope(e.Raw)
	if err != nil {
		return nil, false
	}
	if value, ok := jsonscan.Member(env.of(env.tags), name); ok {
		return value, true
	}
	if tags, ok := jsonscan.Member(env.payload(), "tags"); ok {
		if value, ok := jsonscan.Member(tags, name); ok {
			return value, true
		}
	}
	if env.form == cloudEvent && !isContextAttribute(name) {
		return jsonscan.Member(e.Raw, name)
	}
	return nil, false
}

// scalarText returns the value of a JSON string, and a number or a boolean as it
// is written.
func scalarText(value []byte) (string, bool) {
	switch jsonscan.KindOf(value) {
	case jsonscan.Str:
		return jsonscan.String(value)
	case jsonscan.Number, jsonscan.Bool:
		return string(value), true
	}
	return "", false
}

// isContextAttribute reports whether a member of a CloudEvent is one that the
// CloudEvents specification itself defines, which is no extension.
func isContextAttribute(name string) bool {
	switch name {
	case "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time",
		"data", "data_base64":
		return true
	}
	return false
}

// Data returns what the event is about, without its envelope: detail of an
// EventBridge event, data of a CloudEvent, and all of Raw for any other. It is
// nil for a CloudEvent whose data is missing or null; what one holds in
// data_base64 is reached with [Event.Field]. The value shares the memory of Raw.
func (e Event) Data() json.RawMessage {
	env, err := readEnvelope(e.Raw)
	if err != nil || env.form == plain {
		return e.Raw
	}
	return env.payload()
}
