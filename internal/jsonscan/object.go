package jsonscan

import "errors"

// ErrNotObject is what [Object.Err] returns for valid JSON that is no object.
var ErrNotObject = errors.New("not a JSON object")

// An Object walks the members of the object that a whole text consists of, in
// the order in which they stand:
//
//	o := jsonscan.Members(b)
//	for o.Next() {
//		... o.Key, o.Value ...
//	}
//	if err := o.Err(); err != nil ...
//
// It checks the text as it goes, so what it has shown is to be believed only
// once Next was false and Err is nil. A name may come twice; by the custom of
// encoding/json the last one counts.
type Object struct {
	Key     []byte // the name as it is written, without its quotes
	Escaped bool   // Key holds escapes: see [Object.Name]
	Value   []byte // without the white space around it

	data  []byte
	pos   int
	phase phase
	fault fault
}

// A phase is what an Object expects next.
type phase uint8

const (
	atStart phase = iota // the opening brace
	atComma              // a comma or the closing brace
	atEnd                // nothing
	notObject
)

// Members returns a walk over the members of b, before the first one.
func Members(b []byte) Object {
	return Object{data: b}
}

// Next moves on to the next member. It is false at the end of the object and
// where the text is not valid.
func (o *Object) Next() bool {
	m, ok := o.Where()
	if !ok {
		o.Key, o.Value, o.Escaped = nil, nil, false
		return false
	}
	o.Key, o.Value, o.Escaped = o.data[m.Name:m.NameEnd:m.NameEnd], o.data[m.Value:m.End:m.End], m.Escaped
	return true
}

// Bounds are where a member of an object stands, in bytes from where the text begins:
// its name, as it is written and without its quotes, and its value. Escaped says that
// the name holds escapes.
type Bounds struct {
	Name, NameEnd, Value, End int
	Escaped                   bool
}

// Where is Next for a caller to whom it matters that numbers are kept where slices
// would be: while the garbage collector is at work, each slice that is kept costs more
// than to find it. It leaves Key, Value and Escaped alone.
func (o *Object) Where() (m Bounds, ok bool) {
	b, i := o.data, o.pos
	if i < len(b) && b[i] <= ' ' {
		i = space(b, i)
	}
	switch o.phase {
	case atStart:
		if i >= len(b) || b[i] != '{' {
			return m, o.stopNotObject()
		}
		i = space(b, i+1)
		if i < len(b) && b[i] == '}' {
			return m, o.stop(end(b, i+1))
		}
		o.phase = atComma
	case atComma:
		if i >= len(b) {
			return m, o.stop(i, truncated)
		}
		if b[i] == '}' {
			return m, o.stop(end(b, i+1))
		}
		if b[i] != ',' {
			return m, o.stop(i, wantComma)
		}
		i++
	default:
		return m, false
	}

	var f fault
	if m.Name, m.NameEnd, i, m.Escaped, f = member(b, i); f != none {
		return m, o.stop(i, f)
	}
	if i < len(b) && b[i] <= ' ' {
		i = space(b, i)
	}
	m.Value = i
	if i, f = value(b, i, 1); f != none {
		return m, o.stop(i, f)
	}
	m.End = i
	o.pos = i
	return m, true
}

func (o *Object) stop(i int, f fault) bool {
	o.pos, o.fault, o.phase = i, f, atEnd
	return false
}

// stopNotObject tells what is no object from what is not even JSON.
func (o *Object) stopNotObject() bool {
	i, f := value(o.data, 0, 0)
	if f == none {
		i, f = end(o.data, i)
	}
	o.stop(i, f)
	if f == none {
		o.phase = notObject
	}
	return false
}

// Err returns why the walk has ended: nil at the end of a valid object,
// [ErrNotObject], or a [*SyntaxError].
func (o *Object) Err() error {
	switch {
	case o.fault != none:
		return o.fault.at(o.pos)
	case o.phase == notObject:
		return ErrNotObject
	}
	return nil
}

// Name returns the member's name with its escapes resolved. It uses buf where
// there are any, and is false where [String] is.
func (o *Object) Name(buf []byte) ([]byte, bool) {
	if !o.Escaped {
		return o.Key, true
	}
	return AppendUnquoted(buf[:0], o.Key)
}
