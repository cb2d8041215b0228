package dynamostore

import (
	"bytes"
	"encoding/binary"
	"slices"

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
	outside, open, sorted := len(w.members), len(to), true
	for {
		member := wireMember{begin: len(to)}
		var ok bool
		if to, i, ok = w.renderName(to, b, jsonscan.Space(b, i), &member); !ok {
			return to, i, false
		}
		if to, i, ok = w.render(to, b, i, depth+1); !ok {
			return to, i, false
		}
		member.end = len(to)
		if n := len(w.members); n > outside {
			order := compareMembers(to, &w.members[n-1], &member)
			if order == 0 {
				return to, i, false // the last one would count
			}
			sorted = sorted && order < 0
		}
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
			ok = sorted || w.sort(to, open, w.members[outside:])
			if depth == 1 {
				w.place(open, w.members[outside:])
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

// place notes where the members of a map are, which lie from open on in the order
// that they have in members.
func (w *wireWalker) place(open int, members []wireMember) {
	for i := range members {
		m := &members[i]
		nameEnd := open + m.name - m.begin
		end := open + m.end - m.begin
		w.places = append(w.places, jsonscan.Place{
			Name: uint32(open + 1), NameEnd: uint32(nameEnd), Value: uint32(nameEnd + 2), End: uint32(end),
		})
		open = end + 1
	}
}

// mostInserted is up to how many members are sorted by insertion, without a call
// for each comparison.
const mostInserted = 24

// sort puts the members of a map that lie in to from open on into the order of
// their names. It is false if two have one name.
func (w *wireWalker) sort(to []byte, open int, members []wireMember) bool {
	if len(members) > mostInserted {
		slices.SortFunc(members, func(a, b wireMember) int { return compareMembers(to, &a, &b) })
	} else {
		for i := 1; i < len(members); i++ {
			member := members[i]
			at := i
			for ; at > 0 && compareMembers(to, &member, &members[at-1]) < 0; at-- {
				members[at] = members[at-1]
			}
			members[at] = member
		}
	}
	w.sorting = w.sorting[:0]
	for i := range members {
		if i > 0 {
			if compareMembers(to, &members[i-1], &members[i]) == 0 {
				return false
			}
			w.sorting = append(w.sorting, ',')
		}
		w.sorting = append(w.sorting, to[members[i].begin:members[i].end]...)
	}
	copy(to[open:], w.sorting)
	return true
}
