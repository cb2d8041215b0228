package microeventstore

import (
	"bytes"
	"strings"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A form is the convention that an event's JSON follows.
type form uint8

const (
	plain       form = iota // the library's own: id, type, timestamp, partitionKey, tags
	cloudEvent              // CloudEvents 1.0, structured mode
	eventBridge             // Amazon EventBridge
)

// An envelope knows the values of the members that say what an event is, as they
// stand in its JSON. A member that is missing or null is no value: producers write
// both for none.
type envelope struct {
	raw  []byte
	form form

	id, typ, partitionKey, timestamp, tags span

	specVersion, source, time, data, partitioning span // CloudEvents
	detailType, detail                            span // EventBridge, with source and time
}

// A span is where a value stands in the JSON of an event; the zero span is no value.
// As slices they would cost the garbage collector's write barrier.
type span struct{ begin, end int }

// of returns the value at a span, nil for none.
func (env *envelope) of(s span) []byte {
	if s.end == 0 {
		return nil
	}
	return env.raw[s.begin:s.end:s.end]
}

// readEnvelope walks over the members of an event and checks its whole text. Of
// members with one name the last counts.
func readEnvelope(raw []byte) (envelope, error) {
	env := envelope{raw: raw}
	err := env.read()
	return env, err
}

// read is readEnvelope for an envelope that has but the text. With an error it may
// hold something.
func (env *envelope) read() error {
	members := jsonscan.Members(env.raw)
	for {
		m, ok := members.Where()
		if !ok {
			break
		}
		env.set(m.Name, m.NameEnd, span{m.Value, m.End})
	}
	if err := members.Err(); err != nil {
		return err
	}
	env.form = env.recognise()
	return nil
}

// outlined is read for a text of which somebody has made an outline.
func (env *envelope) outlined(places []jsonscan.Place) {
	for i := range places {
		p := &places[i]
		env.set(int(p.Name), int(p.NameEnd), span{int(p.Value), int(p.End)})
	}
	env.form = env.recognise()
}

// set keeps a member, if it is one of those that say what an event is.
func (env *envelope) set(begin, end int, value span) {
	name := env.raw[begin:end]
	member := env.member(name)
	if member == nil && bytes.IndexByte(name, '\\') >= 0 {
		var buf [32]byte // the longest name below has 12 bytes
		if unescaped, ok := jsonscan.AppendUnquoted(buf[:0], name); ok {
			member = env.member(unescaped)
		}
	}
	if member != nil {
		*member = value
		if env.raw[value.begin] == 'n' { // null
			*member = span{}
		}
	}
}

// member returns where the value of the member of that name is kept, nil for one
// that is not.
func (env *envelope) member(name []byte) *span {
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
	case stringIs(env.of(env.specVersion), "1.0") && isText(env.of(env.id)) && isText(env.of(env.source)) && isText(env.of(env.typ)):
		return cloudEvent
	case isString(env.of(env.detailType)) && isString(env.of(env.source)) && env.detail.end != 0:
		return eventBridge
	}
	return plain
}

// says tells whether an event of this envelope would be the given one, as far as its
// bytes decide that. It is false where it takes more than to compare bytes: [envelope.event]
// then has to tell.
func (env *envelope) says(e *Event) bool {
	if env.form != plain || e.ID == "" || !stands(env.of(env.id), e.ID) || !stands(env.of(env.typ), e.Type) || !stands(env.of(env.partitionKey), e.PartitionKey) {
		return false
	}
	at, err := env.when()
	return err == nil && at.Equal(e.Timestamp)
}

// stands tells whether a value is a string that is written as the text that it stands
// for, or whether there is none and the text is empty.
func stands(value []byte, text string) bool {
	if value == nil {
		return text == ""
	}
	return isString(value) && string(value[1:len(value)-1]) == text && strings.IndexByte(text, '\\') < 0
}

// payload returns what the envelope is wrapped around, nil for a plain event.
func (env *envelope) payload() []byte {
	switch env.form {
	case cloudEvent:
		return env.of(env.data)
	case eventBridge:
		return env.of(env.detail)
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

// stringIs reports whether it is a string that stands for a text.
func stringIs(value []byte, want string) bool {
	if !isString(value) {
		return false
	}
	var buf [16]byte
	got, ok := jsonscan.AppendUnquoted(buf[:0], value[1:len(value)-1])
	return ok && string(got) == want
}
