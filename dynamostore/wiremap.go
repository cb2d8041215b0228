package dynamostore

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// renderMap appends the members of a map, sorted by name. DynamoDB returns them in
// an order of its own.
func (w *wireWalker) renderMap(to, b []byte, i, depth int) ([]byte, int, bool) {
	if i >= len(b) || b[i] != '{' {
		return to, i, false
	}
	to = append(to, '{')
	i = jsonscan.Space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return append(to, '}'), i + 1, true
	}
	if w.members == nil {
		w.members, w.sorting = make([]wireMember, 0, 64), make([]byte, 0, 2<<10)
	}
	outside, open, last, ascending := len(w.members), len(to), uint64(0), uint64(1)
	for {
		member := wireMember{begin: len(to)}
		var ok bool
		if to, i, ok = w.renderMember(to, b, jsonscan.Space(b, i), depth, &member); !ok {
			return to, i, false
		}
		member.end = len(to)
		// Members whose first bytes are the same may have one name.
		_, less := bits.Sub64(last, member.first, 0)
		ascending &= less // a branch would be mispredicted half of the time
		last = member.first
		w.members = append(w.members, member)
		if i = jsonscan.Space(b, i); i >= len(b) {
			return to, i, false
		}
		switch b[i] {
		case ',':
			to = append(to, ',')
			i++
			continue
		case '}':
			members, sorted := w.members[outside:], ascending == 1
			if ok = sorted; !sorted {
				ok = w.sort(to, open, members)
			}
			if depth == 1 && w.places != nil {
				w.place(open, members, sorted)
			}
			w.members = w.members[:outside]
			return append(to, '}'), i + 1, ok
		}
		return to, i, false
	}
}

// renderName appends a member's name and its colon.
func (w *wireWalker) renderName(to, b []byte, i int, member *wireMember) ([]byte, int, bool) {
	begin := i
	i, ok := quoted(b, i)
	if !ok {
		return to, i, false
	}
	if plain, end, ok := jsonscan.AppendPlain(to, b, i); ok {
		to, i = plain, end
	} else {
		if i, ok = jsonscan.SkipText(b, i); !ok || bytes.IndexByte(b[begin+1:i-1], '\\') >= 0 {
			return to, i, false // with an escape it would sort as something else
		}
		to = append(to, b[begin:i]...)
	}
	member.first = firstBytes(b[begin+1 : i-1])
	member.name = len(to) - 1
	if i = jsonscan.Space(b, i); i >= len(b) || b[i] != ':' {
		return to, i, false
	}
	return append(to, ':'), i + 1, true
}

// firstBytes is a number that sorts as the first eight bytes of a name do.
func firstBytes(name []byte) uint64 {
	if len(name) >= 8 {
		return binary.BigEndian.Uint64(name)
	}
	var first uint64
	for _, c := range name {
		first = first<<8 | uint64(c)
	}
	return first << (64 - 8*len(name))
}

func compareMembers(to []byte, a, b *wireMember) int {
	if a.first != b.first {
		if a.first < b.first {
			return -1
		}
		return 1
	}
	return bytes.Compare(to[a.begin+1:a.name], to[b.begin+1:b.name])
}

// place notes where the members of a map are, which lie from open on in the order that
// they have in members, or in w.order.
func (w *wireWalker) place(open int, members []wireMember, sorted bool) {
	for i := range members {
		m := &members[i]
		if !sorted {
			if i >= len(w.order) {
				return // two have one name, which is refused
			}
			m = &members[w.order[i]]
		}
		nameEnd := open + m.name - m.begin
		end := open + m.end - m.begin
		w.places = append(w.places, jsonscan.Place{
			Name: uint32(open + 1), NameEnd: uint32(nameEnd), Value: uint32(nameEnd + 2), End: uint32(end),
		})
		open = end + 1
	}
}
