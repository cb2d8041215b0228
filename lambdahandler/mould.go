package lambdahandler

import "bytes"

// A mould is what the records of a payload have in common: the text of one of them,
// with holes where the others have values of their own. A service writes all records
// of a batch alike, so to compare what stands between the holes is all the reading
// that most of a record needs: it is as valid in this one as it was in the first, and
// means the same. What does not fit is read like any other JSON.
type mould struct {
	pieces [][]byte // of the payload: what stands before each hole, and behind the last
	holes  []hole

	begin  int  // of the record that the mould is being made of
	end    int  // of the hole before
	unfit  bool // it is none
	misses int
	hits   int
}

// A hole tells which value of a record stands there. Strings have their quotes in the
// pieces around them.
type hole uint8

const (
	holeSequence hole = iota
	holePartitionKey
	holeArrived
	holeEventID
	holeData
)

// usable tells whether it is worth while to try the mould on the next record. Of some
// payloads each record has another shape.
func (m *mould) usable() bool { return len(m.pieces) > 0 && m.misses <= 8+m.hits/4 }

// open begins a mould of the record that begins at an index of the payload.
func (m *mould) open(begin int) {
	m.pieces, m.holes = m.pieces[:0], m.holes[:0]
	m.begin, m.end, m.unfit = begin, begin, false
}

// hole makes a hole of a value of the record, which ends at an index of the payload.
func (m *mould) hole(kind hole, payload, value []byte, end int) {
	begin := end - len(value)
	if kind != holeArrived {
		if len(value) < 2 || value[0] != '"' {
			m.unfit = true
			return
		}
		begin, end = begin+1, end-1
	}
	if begin < m.end || end < begin {
		m.unfit = true
		return
	}
	m.pieces = append(m.pieces, payload[m.end:begin])
	m.holes = append(m.holes, kind)
	m.end = end
}

// close ends the mould where the record does.
func (m *mould) close(payload []byte, end int) {
	if m.unfit || end < m.end {
		m.pieces = m.pieces[:0]
		return
	}
	m.pieces = append(m.pieces, payload[m.end:end])
}

// next returns the index after a piece of the mould that stands at an index of a text.
// It is false where another text stands.
func (m *mould) next(piece int, text []byte, i int) (int, bool) {
	p := m.pieces[piece]
	if i < 0 || i > len(text) || !bytes.HasPrefix(text[i:], p) {
		return i, false
	}
	return i + len(p), true
}
