package dynamostore

import (
	"bytes"
	"encoding/binary"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

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
		to = append(to, `{"S":`...)
		if text, end, ok := jsonscan.AppendPlain(to, b, i+1); ok {
			return append(text, '}'), end, end - i - 2, true
		}
		end, size, ok = m.text(i)
		if !ok {
			return to, i, 0, false
		}
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
	if end, digits := usualNumber(b, i); end > 0 {
		to = append(to, `{"N":"`...)
		to = append(to, b[i:end]...)
		size = 1 + (digits+1)/2
		if b[i] == '-' {
			size++
		}
		return append(to, `"}`...), end, size, true
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

// usualNumber returns the index after the number at i and how many digits it has, if
// DynamoDB takes it whatever its digits are. The index is 0 for any other.
func usualNumber(b []byte, i int) (end, digits int) {
	begin, whole := i, i
	if b[i] == '-' {
		begin++
		whole++
	}
	for i = begin; i < len(b) && b[i]-'0' <= 9; i++ {
	}
	if i == begin || b[begin] == '0' && i > begin+1 {
		return 0, 0
	}
	digits = i - begin
	if i < len(b) && b[i] == '.' {
		begin = i + 1
		for i = begin; i < len(b) && b[i]-'0' <= 9; i++ {
		}
		if i == begin {
			return 0, 0
		}
		digits += i - begin
	}
	if i < len(b) && b[i]|0x20 == 'e' || i-whole > maxDigits {
		return 0, 0
	}
	return i, digits
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
		before, at, ok := len(to), 0, false
		var name []byte
		if begin < len(b) && b[begin] == '"' {
			if to, at, ok = jsonscan.AppendPlain(to, b, begin+1); ok {
				name, ok = b[begin+1:at-1], at < len(b) && b[at] == ':'
				at++
			}
		}
		if !ok { // it is written otherwise
			if name, at, ok = memberName(b, begin); !ok {
				return to, begin, 0, false
			}
			to = append(to[:before], b[begin:begin+len(name)+2]...)
		}
		if len(name) == 0 || len(name) > 65535 || !m.unseen(&seen, outside, begin+1, name) {
			return to, begin, 0, false
		}
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
	first := firstOf(m.event, begin, begin+len(name))
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
