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
// their names. It is false if two have one name. Afterwards w.order says which of them
// stands where.
func (w *wireWalker) sort(to []byte, open int, members []wireMember) bool {
	if len(members) > mostRanked || !w.rank(members) {
		slices.SortFunc(members, func(a, b wireMember) int { return compareMembers(to, &a, &b) })
		w.order = w.order[:0]
		for i := range members {
			if i > 0 && compareMembers(to, &members[i-1], &members[i]) == 0 {
				return false
			}
			w.order = append(w.order, i)
		}
	}
	// In a variable, since to write slices to the heap takes write barriers.
	sorting := slices.Grow(w.sorting[:0], len(to)-open+pieceRoom)
	for i, k := range w.order {
		if i > 0 {
			sorting = append(sorting, ',')
		}
		sorting = appendPiece(sorting, to, members[k].begin, members[k].end)
	}
	copy(to[open:], sorting)
	w.sorting = sorting
	return true
}

// rank makes w.order the order of the first bytes of the members' names. It is false if
// these are the same for any two.
//
// DynamoDB returns members in an order that follows from nothing, so a branch that
// depends on it is mispredicted half of the time. To count how many come before each
// one takes more comparisons, and no branch.
func (w *wireWalker) rank(members []wireMember) bool {
	var ranks [mostRanked]int
	for i := range members {
		first, rank := members[i].first, i
		for j := range members[:i] {
			_, less := bits.Sub64(first, members[j].first, 0)
			ranks[j%mostRanked] += int(less)
			rank -= int(less)
		}
		ranks[i%mostRanked] = rank
	}
	order := slices.Grow(w.order[:0], mostRanked)[:len(members)]
	for i := range order {
		order[ranks[i%mostRanked]] = i
	}
	w.order = order
	for i := 1; i < len(order); i++ {
		if members[order[i-1]].first >= members[order[i]].first {
			return false
		}
	}
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
