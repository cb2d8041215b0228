package jsonscan

import "bytes"

// A Mould is what the values of a text have in common, such as the records of a batch:
// the text of one of them, with holes where the others have values of their own. Whoever
// writes many of them writes all alike, so to compare what stands between the holes is
// all the reading that most of a value needs: it is as valid as it was the first time,
// in the same place and at the same depth, and it means the same. What does not fit has
// to be read like any other JSON.
//
// A mould is made while a value is read, with Open, Hole and Close, and used with Piece:
//
//	for k, kind := range m.Holes {
//		if i, ok = m.Piece(k, text, i); !ok ...
//		... read what the hole is for from i on, and check it ...
//	}
//	i, ok = m.Piece(len(m.Holes), text, i)
type Mould struct {
	Holes []uint8 // their kinds, which are the caller's

	pieces [][]byte // of the text: what stands before each hole, and behind the last
	end    int      // of the hole before
	unfit  bool     // what is being read gives none

	hits, misses int
}

// Usable tells whether it is worth while to try the mould on the next value. In some
// texts each value has a shape of its own.
func (m *Mould) Usable() bool { return len(m.pieces) > 0 && m.misses <= 8+m.hits/4 }

// Fitted notes whether a value has fitted the mould.
func (m *Mould) Fitted(fitted bool) {
	if fitted {
		m.hits++
	} else {
		m.misses++
	}
}

// Counts returns how many values have fitted the mould and how many have not.
func (m *Mould) Counts() (fitted, others int) { return m.hits, m.misses }

// Open begins a mould of the value that begins at an index of the text, in the place of
// the one that there was.
func (m *Mould) Open(begin int) {
	m.pieces, m.Holes = m.pieces[:0], m.Holes[:0]
	m.end, m.unfit = begin, false
}

// Hole makes a hole of a part of the text, which may be empty, behind the one before.
func (m *Mould) Hole(text []byte, kind uint8, begin, end int) {
	if begin < m.end || end < begin || end > len(text) {
		m.unfit = true
		return
	}
	m.pieces = append(m.pieces, text[m.end:begin])
	m.Holes = append(m.Holes, kind)
	m.end = end
}

// Unfit says that the value gives no mould.
func (m *Mould) Unfit() { m.unfit = true }

// Close ends the mould where the value ends. The text must not change while the mould
// is used.
func (m *Mould) Close(text []byte, end int) {
	if m.unfit || end < m.end || end > len(text) {
		m.pieces, m.Holes = m.pieces[:0], m.Holes[:0]
		return
	}
	m.pieces = append(m.pieces, text[m.end:end])
}

// Piece returns the index after the piece before a hole, which is to stand at an index
// of a text. It is false where another text stands.
func (m *Mould) Piece(hole int, text []byte, i int) (int, bool) {
	piece := m.pieces[hole]
	if i < 0 || i > len(text) || !bytes.HasPrefix(text[i:], piece) {
		return i, false
	}
	return i + len(piece), true
}
