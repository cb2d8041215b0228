package microeventstore

import (
	"bytes"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A form is the convention that an event's JSON follows.
type form uint8

const (
	plain       form = iota // the library's own: id, type, timestamp, partitionKey, tags
	cloudEvent              // CloudEvents 1.0, structured mode
	eventBridge             // Amazon EventBridge
)

// An envelope holds the values of the members that say what an event is, as they
// stand in its JSON. A member that is missing or null is nil: producers write
// both for none.
type envelope struct {
	form form

	id, typ, partitionKey, timestamp, tags []byte

	specVersion, source, time, data, partitioning []byte // CloudEvents
	detailType, detail                            []byte // EventBridge, with source and time
}

// readEnvelope walks over the members of an event and checks its whole text. Of
// members with one name the last counts.
func readEnvelope(raw []byte) (envelope, error) {
	var env envelope
	members := jsonscan.Members(raw)
	for members.Next() {
		env.set(members.Key, members.Escaped, members.Value)
	}
	if err := members.Err(); err != nil {
		return envelope{}, err
	}
	env.form = env.recognise()
	return env, nil
}

// outlined is readEnvelope for a text of which somebody has made an outline.
func outlined(raw []byte, places []jsonscan.Place) envelope {
	var env envelope
	for _, p := range places {
		name := raw[p.Name:p.NameEnd]
		env.set(name, bytes.IndexByte(name, '\\') >= 0, raw[p.Value:p.End:p.End])
	}
	env.form = env.recognise()
	return env
}

// set keeps a member, if it is one of those that say what an event is.
func (env *envelope) set(name []byte, escaped bool, value []byte) {
	if escaped {
		var buf [32]byte // the longest name below has 12 bytes
		unescaped, ok := jsonscan.AppendUnquoted(buf[:0], name)
		if !ok {
			return
		}
		name = unescaped
	}
	if member := env.member(name); member != nil {
		*member = value
		if value[0] == 'n' { // null
			*member = nil
		}
	}
}

// member returns where the value of the member of that name is kept, nil for one
// that is not.
func (env *envelope) member(name []byte) *[]byte {
	switch string(name) { // the compiler makes no string of it
	case "id":
		return &env.id
	case "type":
		return &env.typ
	case "partitionKey":
		return &env.partitionKey
	case "timestamp":
		return &env.timestamp
	case "tags":
		return &env.tags
	case "specversion":
		return &env.specVersion
	case "source":
		return &env.source
	case "time":
		return &env.time
	case "data":
		return &env.data
	case "partitionkey":
		return &env.partitioning
	case "detail-type":
		return &env.detailType
	case "detail":
		return &env.detail
	}
	return nil
}

// recognise tells the form by what its specification requires of every event.
func (env *envelope) recognise() form {
	switch {
	case isString(env.specVersion) && stringIs(env.specVersion, "1.0") &&
		isText(env.id) && isText(env.source) && isText(env.typ):
		return cloudEvent
	case isString(env.detailType) && isString(env.source) && env.detail != nil:
		return eventBridge
	}
	return plain
}

// payload returns what the envelope is wrapped around, nil for a plain event.
func (env *envelope) payload() []byte {
	switch env.form {
	case cloudEvent:
		return env.data
	case eventBridge:
		return env.detail
	}
	return nil
}

// isString reports whether a value that is known to be valid is a string.
func isString(value []byte) bool {
	return len(value) > 0 && value[0] == '"'
}

// isText reports whether it is a string other than "".
func isText(value []byte) bool {
	return isString(value) && len(value) > len(`""`)
}

func stringIs(value []byte, want string) bool {
	var buf [16]byte
	got, ok := jsonscan.AppendUnquoted(buf[:0], value[1:len(value)-1])
	return ok && string(got) == want
}
