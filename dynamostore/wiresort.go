package dynamostore

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// mostRanked is how many members a map has, at most, of which each is compared with
// every other one.
const mostRanked = 32

// sort puts the members of a map that lie in to from open on into the order of
// their names. It is false if two have one name.
func (w *wireWalker) sort(to []byte, open int, members []wireMember) bool {
	if len(members) > mostRanked || !w.rank(members) {
		slices.SortFunc(members, func(a, b wireMember) int { return compareMembers(to, &a, &b) })
		for i := range members {
			if i > 0 && compareMembers(to, &members[i-1], &members[i]) == 0 {
				return false
			}
		}
		w.ranked = append(w.ranked[:0], members...)
	}
	// In a variable, since to write slices to the heap takes write barriers.
	sorting := slices.Grow(w.sorting[:0], len(to)-open+pieceRoom)
	ranked := w.ranked
	for i := range ranked {
		if i > 0 {
			sorting = append(sorting, ',')
		}
		sorting = appendPiece(sorting, to, ranked[i].begin, ranked[i].end)
	}
	copy(to[open:], sorting)
	w.sorting = sorting
	return true
}

// rank makes of members those in the order of the first bytes of their names, in
// w.ranked. It is false if these are the same for any two.
//
// DynamoDB returns members in an order that follows from nothing, so a branch that
// depends on it is mispredicted half of the time. To count how many come before each
// one takes more comparisons, and no branch.
func (w *wireWalker) rank(members []wireMember) bool {
	var order [mostRanked]uint8
	for i := range members {
		rank := uint64(0)
		for j := range members {
			_, less := bits.Sub64(members[j].first, members[i].first, 0)
			rank += less
		}
		order[rank%mostRanked] = uint8(i)
	}
	ranked, last := w.ranked[:0], uint64(0)
	for i := range members {
		member := &members[order[i]]
		// Of members that are the same one has taken the other's place.
		if i > 0 && member.first <= last {
			return false
		}
		last = member.first
		ranked = append(ranked, *member)
	}
	w.ranked = ranked
	return true
}

// pieceRoom is how much room behind dst appendPiece wants beyond what it appends.
const pieceRoom = 8

// appendPiece appends a piece of a text to dst. Most are shorter than what a call of
// memmove takes: so they are copied in words, of which the last one may go too far.
func appendPiece(dst, text []byte, begin, end int) []byte {
	n, from, to := len(dst), text[:cap(text)], dst[:cap(dst)]
	if end-begin > 64 || end > len(from)-8 || n+end-begin > len(to)-8 {
		return append(dst, text[begin:end]...)
	}
	at := n
	for i := begin; i < end; i += 8 {
		if i < 0 || i >= len(from)-7 || at < 0 || at >= len(to)-7 {
			break
		}
		binary.LittleEndian.PutUint64(to[at:at+8:at+8], binary.LittleEndian.Uint64(from[i:i+8:i+8]))
		at += 8
	}
	return to[:n+end-begin]
}
