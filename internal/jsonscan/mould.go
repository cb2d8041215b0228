package jsonscan

import "bytes"

// usualMould is room for the text of most moulds: a record of Lambda has some 500 bytes
// besides what it is for. What has more than mostHoles gives none: there are a dozen.
const (
	usualMould = 768
	mostHoles  = 24
)

// A Mould is what the values of a text have in common, such as the records of a batch:
// the text of one of them, with holes where the others have values of their own. Whoever
// writes many of them writes all alike, so to compare what stands between the holes is
// all the reading that most of a value needs: it is as valid as it was the first time,
// in the same place and at the same depth, and it means the same. What does not fit has
// to be read like any other JSON.
//
// A mould is made while a value is read, with Open, Hole and Close, and used with Piece:
//
//	for k, kind := range m.Holes() {
//		if i, ok = m.Piece(k, text, i); !ok ...
//		... read what the hole is for from i on, and check it ...
//	}
//	i, ok = m.Piece(len(m.Holes()), text, i)
type Mould struct {
	text  []byte             // copies of what stands before each hole and behind the last,
	ends  [mostHoles + 1]int // where each of them ends,
	kinds [mostHoles]uint8   // and which hole follows it
	holes int                // of them
	whole bool               // there is a mould

	end   int  // in the text that is read, of the hole before
	unfit bool // what is being read gives none

	begun        bool // it is not the first value
	hits, misses int
}

// Usable tells whether it is worth while to try the mould on the next value. In some
// texts each value has a shape of its own.
func (m *Mould) Usable() bool { return m.whole && m.misses <= 8+m.hits/4 }

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
// the one that there was. The first value gives none: it may be the only one.
func (m *Mould) Open(begin int) {
	if !m.begun {
		m.begun, m.unfit = true, true
		return
	}
	if m.text == nil {
		m.text = make([]byte, 0, usualMould)
	}
	m.text, m.holes, m.whole = m.text[:0], 0, false
	m.end, m.unfit = begin, false
}

// Holes returns the kinds of the holes, which are the caller's.
func (m *Mould) Holes() []uint8 { return m.kinds[:m.holes] }

// Hole makes a hole of a part of the text, which may be empty, behind the one before.
func (m *Mould) Hole(text []byte, kind uint8, begin, end int) {
	if m.unfit || m.holes == mostHoles || begin < m.end || end < begin || end > len(text) {
		m.unfit = true
		return
	}
	m.text = append(m.text, text[m.end:begin]...)
	m.ends[m.holes], m.kinds[m.holes] = len(m.text), kind
	m.holes++
	m.end = end
}

// Unfit says that the value gives no mould.
func (m *Mould) Unfit() { m.unfit = true }

// Close ends the mould where the value ends, which must be an object: another one would
// not show its end.
func (m *Mould) Close(text []byte, end int) {
	if m.unfit || end <= m.end || end > len(text) || text[end-1] != '}' {
		return
	}
	m.text = append(m.text, text[m.end:end]...)
	m.ends[m.holes] = len(m.text)
	m.whole = true
}

// Piece returns the index after the piece before a hole, which is to stand at an index
// of a text. It is false where another text stands.
func (m *Mould) Piece(hole int, text []byte, i int) (int, bool) {
	piece := m.text[:m.ends[hole]]
	if hole > 0 {
		piece = piece[m.ends[hole-1]:]
	}
	if i < 0 || i > len(text) || !bytes.HasPrefix(text[i:], piece) {
		return i, false
	}
	return i + len(piece), true
}
