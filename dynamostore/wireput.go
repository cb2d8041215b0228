package dynamostore

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// An itemWriter writes items as DynamoDB's JSON, without the SDK's values in
// between: what the SDK would write of [layout.encode]. What it cannot write at
// once it leaves to the two of them.
type itemWriter struct {
	layout *layout
	events eventMapper
	buffer []byte
}

// put appends the request that puts an item and returns the item's size, as
// itemSize counts it. It is false for what it leaves to the SDK, errors among it.
func (w *itemWriter) put(to []byte, item *driver.Item) (request []byte, size int, ok bool) {
	if item.CheckKeys() != nil || w.layout.asMap && checkMapID(item) != nil {
		return to, 0, false
	}
	names := &w.layout.names
	to = append(to, `{"PutRequest":{"Item":{`...)
	to = w.name(to, names.HashKey, "S")
	to = append(appendSDKText(to, item.HashKey), '}', ',')
	to = w.name(to, names.RangeKey, "S")
	to = append(appendSDKText(to, item.RangeKey), '}', ',')
	size = len(names.HashKey) + len(item.HashKey) + len(names.RangeKey) + len(item.RangeKey) + len(names.Event)
	to, n, ok := w.event(to, item.Event)
	if !ok {
		return to, 0, false
	}
	size += n
	if item.Type != "" {
		typ := strings.ToValidUTF8(item.Type, "\uFFFD")
		to = w.name(append(to, ','), names.Type, "S")
		to = append(appendSDKText(to, typ), '}')
		size += len(names.Type) + len(typ)
	}
	if !item.Timestamp.IsZero() {
		to, n = w.number(to, names.Timestamp, item.Timestamp.UnixMilli())
		size += n
	}
	if item.TTL != 0 {
		to, n = w.number(to, names.TTL, item.TTL)
		size += n
	}
	return append(to, `}}}`...), size, size <= driver.MaxItemSize
}

// name appends an attribute's name and the type of its value.
func (w *itemWriter) name(to []byte, name, kind string) []byte {
	to = append(appendSDKText(to, name), `:{"`...)
	to = append(to, kind...)
	return append(to, `":`...)
}

func (w *itemWriter) number(to []byte, name string, n int64) ([]byte, int) {
	to = append(w.name(append(to, ','), name, "N"), '"')
	var digits [20]byte
	written := strconv.AppendInt(digits[:0], n, 10)
	to = append(to, written...)
	return append(to, `"}`...), len(name) + numberSize(string(written))
}

// appendSDKText appends a string that is valid UTF-8.
func appendSDKText(to []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if !plain {
		to, _ = jsonscan.AppendQuoted(to, []byte(s))
		return to
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}

// event appends the event's attribute in the form that encodeEvent gives it.
func (w *itemWriter) event(to, event []byte) (_ []byte, size int, ok bool) {
	name := w.layout.names.Event
	if w.layout.asMap {
		to = w.name(to, name, "M")
		if to, size, ok = w.events.object(to, event); !ok {
			return to, 0, false
		}
		return append(to, '}'), size, true
	}
	if w.layout.threshold == 0 || len(event) < w.layout.threshold {
		if to, ok = jsonscan.AppendQuoted(w.name(to, name, "S"), event); !ok {
			return to, 0, false
		}
		return append(to, '}'), len(event), true
	}
	if len(event) > maxEvent {
		return to, 0, false
	}
	packed, err := w.layout.packTo(w.buffer[:0], event)
	if err != nil {
		return to, 0, false
	}
	w.buffer = packed
	if len(packed) >= len(event) {
		if to, ok = jsonscan.AppendQuoted(w.name(to, name, "S"), event); ok {
			return append(to, '}'), len(event), true
		}
		return to, 0, false
	}
	to = append(w.name(to, name, "B"), '"')
	to = base64.StdEncoding.AppendEncode(to, packed)
	return append(to, `"}`...), len(packed), true
}

// An eventMapper turns a JSON object into DynamoDB's JSON of a map, as mapOf and
// the SDK do together.
type eventMapper struct {
	names   []mappedName // of the objects that are open
	event   []byte
	scratch []byte
}

type mappedName struct {
	first      uint64
	begin, end int
}

// object appends the object that an event consists of, and returns its size as
// valueSize counts it.
func (m *eventMapper) object(to, event []byte) (_ []byte, size int, ok bool) {
	m.event, m.names = event, m.names[:0]
	i := jsonscan.Space(event, 0)
	if i >= len(event) || event[i] != '{' {
		return to, 0, false
	}
	to, i, size, ok = m.members(to, i+1, 1)
	return to, size, ok && jsonscan.Space(event, i) == len(event)
}

// value appends the value at i, as an attribute value. depth is how many maps and
// lists it makes with those that it is in, as of valueOf.
func (m *eventMapper) value(to []byte, i, depth int) (_ []byte, end, size int, ok bool) {
	b := m.event
	if i = jsonscan.Space(b, i); i >= len(b) || depth > maxNesting {
		return to, i, 0, false
	}
	switch c := b[i]; c {
	case '"':
		end, size, ok = m.text(i)
		if !ok {
			return to, i, 0, false
		}
		to = append(to, `{"S":`...)
		to = append(to, b[i:end]...)
		return append(to, '}'), end, size, true
	case '{', '[':
		if c == '{' {
			to, end, size, ok = m.members(append(to, `{"M":`...), i+1, depth)
		} else {
			to, end, size, ok = m.elements(append(to, `{"L":`...), i+1, depth)
		}
		return append(to, '}'), end, size, ok
	case 't':
		return append(to, `{"BOOL":true}`...), i + 4, 1, bytes.HasPrefix(b[i:], []byte("true"))
	case 'f':
		return append(to, `{"BOOL":false}`...), i + 5, 1, bytes.HasPrefix(b[i:], []byte("false"))
	case 'n':
		return append(to, `{"NULL":true}`...), i + 4, 1, bytes.HasPrefix(b[i:], []byte("null"))
	}
	if end, ok = jsonscan.Skip(b, i); !ok {
		return to, i, 0, false
	}
	number := b[i:end]
	if (len(number) > maxDigits || !plainNumber(number)) && checkNumber(string(number)) != nil {
		return to, i, 0, false
	}
	to = append(to, `{"N":"`...)
	to = append(to, number...)
	return append(to, `"}`...), end, numberSize(string(number)), true
}

// plainNumber tells whether a number has no exponent.
func plainNumber(number []byte) bool {
	for _, c := range number {
		if c|0x20 == 'e' {
			return false
		}
	}
	return true
}

// text returns the index after the string at i, and how long what it stands for
// is. It is taken as it is written, so it must mean the same to the SDK.
func (m *eventMapper) text(i int) (end, size int, ok bool) {
	b := m.event
	if end, ok = jsonscan.SkipText(b, i+1); !ok {
		return i, 0, false
	}
	if bytes.IndexByte(b[i+1:end-1], '\\') < 0 {
		return end, end - i - 2, true
	}
	m.scratch, _, ok = jsonscan.AppendText(m.scratch[:0], b, i+1)
	return end, len(m.scratch), ok
}

// elements appends the elements of the array that was opened before i.
func (m *eventMapper) elements(to []byte, i, depth int) (_ []byte, end, size int, ok bool) {
	b := m.event
	to, size = append(to, '['), 3
	if i = jsonscan.Space(b, i); i < len(b) && b[i] == ']' {
		return append(to, ']'), i + 1, size, true
	}
	for {
		var n int
		if to, i, n, ok = m.value(to, i, depth+1); !ok {
			return to, i, 0, false
		}
		size += 1 + n
		if i = jsonscan.Space(b, i); i >= len(b) {
			return to, i, 0, false
		}
		switch b[i] {
		case ',':
			to = append(to, ',')
			i++
		case ']':
			return append(to, ']'), i + 1, size, true
		default:
			return to, i, 0, false
		}
	}
}

// members appends the members of the object that was opened before i.
func (m *eventMapper) members(to []byte, i, depth int) (_ []byte, end, size int, ok bool) {
	b := m.event
	to, size = append(to, '{'), 3
	if i = jsonscan.Space(b, i); i < len(b) && b[i] == '}' {
		return append(to, '}'), i + 1, size, true
	}
	outside := len(m.names)
	var seen nameSet
	for {
		begin := jsonscan.Space(b, i)
		name, at, ok := memberName(b, begin)
		if !ok || len(name) == 0 || len(name) > 65535 || !m.unseen(&seen, outside, begin+1, name) {
			return to, begin, 0, false
		}
		to = append(to, b[begin:begin+len(name)+2]...)
		to = append(to, ':')
		var n int
		if to, i, n, ok = m.value(to, at, depth+1); !ok {
			return to, i, 0, false
		}
		size += 1 + len(name) + n
		if i = jsonscan.Space(b, i); i >= len(b) {
			return to, i, 0, false
		}
		switch b[i] {
		case ',':
			to = append(to, ',')
			i++
		case '}':
			m.names = m.names[:outside]
			return append(to, '}'), i + 1, size, true
		default:
			return to, i, 0, false
		}
	}
}

// mostNames bounds the objects in which names are compared with one another.
const mostNames = 1000

// A nameSet knows most names that are not in it without looking at those that are.
type nameSet [4]uint64

// add tells whether the name may be in the set, and puts it in.
func (s *nameSet) add(first uint64, name []byte) bool {
	hash := first
	if len(name) > 8 {
		hash ^= binary.LittleEndian.Uint64(name[len(name)-8:])
	}
	hash = (hash + uint64(len(name))) * 0x9e3779b97f4a7c15 >> 56
	word, bit := &s[hash>>6], uint64(1)<<(hash&63)
	maybe := *word&bit != 0
	*word |= bit
	return maybe
}

// unseen notes a name of the object whose names begin at outside. It is false for
// one that was there before: of members with one name the last counts, which is
// left to mapOf, as are objects of very many members.
func (m *eventMapper) unseen(seen *nameSet, outside, begin int, name []byte) bool {
	if len(m.names)-outside >= mostNames {
		return false
	}
	first := firstBytes(name)
	if seen.add(first, name) {
		for i := outside; i < len(m.names); i++ {
			other := &m.names[i]
			if other.first == first && other.end-other.begin == len(name) && string(m.event[other.begin:other.end]) == string(name) {
				return false
			}
		}
	}
	m.names = append(m.names, mappedName{first: first, begin: begin, end: begin + len(name)})
	return true
}
