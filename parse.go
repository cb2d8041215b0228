package microeventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/internal/arena"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// hashPrefix begins the ID of an event that names none.
const hashPrefix = "sha256:"

// Parse reads an event from its JSON, which it copies: raw may be used again.
//
// An event is a JSON object in valid UTF-8. What it says of itself are the
// strings id, type and partitionKey, and timestamp: a number of milliseconds
// since 1970, or a string that holds an RFC 3339 time, either rounded down to a
// millisecond. Each may be missing, null or (the strings) empty. Numbers are
// exact, however they are written. Names match to the letter; of members with
// one name the last counts.
//
// An event without an id has as its ID "sha256:" and the SHA-256 of all its
// bytes in lowercase hexadecimal, so it has that ID whenever it is delivered.
//
// Two other forms are recognised, and mapped; Raw is the whole JSON all the same:
//
//   - CloudEvents 1.0 in structured mode, by a specversion of "1.0" and its other
//     required attributes: ID is source, a space and id, since only the pair is
//     unique. PartitionKey is the partitionkey extension, else partitionKey, else
//     the string partitionKey in data.
//   - Amazon EventBridge, by the strings detail-type and source, and detail: Type
//     is detail-type. PartitionKey is partitionKey, else the string partitionKey
//     in detail.
//
// In both, Timestamp is their time, an RFC 3339 string, and else timestamp as
// above.
//
// An ID is only as unique as the producers make it. Two forms may give the same one:
// a plain event with the id "a b" has that of a CloudEvent with the source a and the id
// b, and a producer may write "sha256:" and the hash of another's event as its id. Under
// the same keys the second takes the place of the first. Where producers are not trusted
// to keep their ids apart, use [InsertOnce], with which the second is a fault, or a
// [HashKeyFunc] that tells them apart, such as by the source.
//
// Parse returns an error for anything else: text that is not JSON or not UTF-8,
// a value that is no object, a member named here of another type, a string among
// them that escapes half of a surrogate pair (no Go string can hold it), a time
// outside [-1e15, 1e16) milliseconds (from the year -29719 to 318857), a
// CloudEvents source with a space in it. The error says what is wrong and where,
// and never quotes the event.
//
// The strings of the event share one allocation.
func Parse(raw []byte) (Event, error) {
	e, err := parse(raw)
	if err != nil {
		return Event{}, err
	}
	e.Raw = append(make(json.RawMessage, 0, len(raw)), raw...)
	return e, nil
}

// parse is Parse without the copy: Raw is raw itself, which nobody may change as
// long as the event is in use. It allocates once, for the strings.
func parse(raw []byte) (e Event, err error) {
	if err := parseIn(&e, nil, raw); err != nil {
		return Event{}, err
	}
	return e, nil
}

// parseIn is parse for one of many: their strings share a few allocations, if
// there is an arena for them. It sets what an event's bytes say of it, and leaves the
// other fields alone; with an error it may have set some.
func parseIn(e *Event, shared *arena.Text, raw []byte) error {
	env := envelope{raw: raw}
	if err := env.read(); err != nil {
		return notEvent(raw, err)
	}
	return env.event(e, shared)
}

// event makes the event of which env is the envelope, as parseIn does.
func (env *envelope) event(e *Event, shared *arena.Text) (err error) {
	raw := env.raw
	e.Raw = raw[:len(raw):len(raw)]
	if e.Timestamp, err = env.when(); err != nil {
		return err
	}
	id := env.of(env.id)
	typeName, typ := env.findType()
	keyName, key := env.findPartitionKey()

	// All strings go into one, of which each is a part.
	size := len(id) + len(typ) + len(key)
	if !isText(id) {
		size += len(hashPrefix) + 2*sha256.Size
	}
	if env.form == cloudEvent {
		size += env.source.end - env.source.begin + len(" ")
	}
	var own strings.Builder
	text := &own
	if shared != nil {
		shared.Grow(size)
		text = shared.Builder()
	} else {
		text.Grow(size)
	}
	begin := text.Len()
	if env.form == cloudEvent {
		if err := writeString(text, "source", env.of(env.source)); err != nil {
			return err
		}
		if strings.Contains(text.String()[begin:], " ") { // two pairs could be one ID
			return fieldError("source", "holds a space")
		}
		text.WriteByte(' ')
	}
	if err := writeString(text, "id", id); err != nil {
		return err
	}
	if text.Len() == begin {
		writeHash(text, raw)
	}
	idEnd := text.Len()
	if err := writeString(text, typeName, typ); err != nil {
		return err
	}
	typeEnd := text.Len()
	if err := writeString(text, keyName, key); err != nil {
		return err
	}
	all := text.String()
	e.ID, e.Type, e.PartitionKey = all[begin:idEnd], all[idEnd:typeEnd], all[typeEnd:]
	return nil
}

// when returns when the event happened, the zero time where it does not say.
func (env *envelope) when() (time.Time, error) {
	name, value := "timestamp", env.of(env.timestamp)
	if env.form != plain && env.time.end != 0 {
		name, value = "time", env.of(env.time)
		if !isString(value) {
			return time.Time{}, fieldError(name, "is "+jsonscan.KindOf(value).String()+", not an RFC 3339 time")
		}
	}
	if value == nil {
		return time.Time{}, nil
	}
	if ms, ok := usualMillis(value); ok {
		return time.UnixMilli(ms).UTC(), nil
	}
	t, err := parseTimestamp(value)
	if err != nil {
		return time.Time{}, fieldError(name, err.Error())
	}
	return t, nil
}

// findType returns the member that says what kind of thing happened.
func (env *envelope) findType() (name string, value []byte) {
	if env.form == eventBridge {
		return "detail-type", env.of(env.detailType)
	}
	return "type", env.of(env.typ)
}

// findPartitionKey returns the member that is the event's partition key. What
// stands in a payload was not written for this library, so there another type
// only means that it is no partition key.
func (env *envelope) findPartitionKey() (name string, value []byte) {
	if value := env.of(env.partitioning); env.form == cloudEvent && !isNone(value) {
		return "partitionkey", value
	}
	if value := env.of(env.partitionKey); !isNone(value) {
		return "partitionKey", value
	}
	if value, ok := jsonscan.Member(env.payload(), "partitionKey"); ok && isString(value) {
		return "partitionKey", value
	}
	return "partitionKey", nil
}

// isNone reports whether a member that should be a string says nothing.
func isNone(value []byte) bool {
	return value == nil || string(value) == `""`
}

// writeString appends what a member that should be a string stands for.
func writeString(text *strings.Builder, name string, value []byte) error {
	if value == nil {
		return nil
	}
	if !isString(value) {
		return fieldError(name, "is "+jsonscan.KindOf(value).String()+", not a string")
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		text.Write(inside)
		return nil
	}
	var buf [64]byte
	unquoted, ok := jsonscan.AppendUnquoted(buf[:0], inside)
	if !ok { // as U+FFFD, different keys would become one
		return fieldError(name, "holds half of a surrogate pair")
	}
	text.Write(unquoted)
	return nil
}

// writeHash appends the ID of an event that names none.
func writeHash(text *strings.Builder, raw []byte) {
	sum := sha256.Sum256(raw)
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	text.WriteString(hashPrefix)
	text.Write(digits[:])
}

// notEvent says why raw is no JSON object.
func notEvent(raw []byte, err error) error {
	var syntax *jsonscan.SyntaxError
	switch {
	case len(raw) == 0:
		return errors.New("parse event: the input is empty")
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		return errors.New("parse event: invalid JSON: it begins with a byte order mark")
	case errors.As(err, &syntax):
		return fmt.Errorf("parse event: %w", syntax)
	}
	return errors.New("parse event: it is " + jsonscan.KindOf(raw).String() + ", not an object")
}

// fieldError says what is wrong with a member that the library itself named.
func fieldError(name, what string) error {
	return errors.New("parse event: " + name + " " + what)
}
