package jsonscan

// A Cursor walks a whole text once, into those objects and arrays that its caller
// wants to see and over the rest:
//
//	c := jsonscan.NewCursor(b)
//	if c.Enter('{') {
//		for c.Member() {
//			... c.Key, then Enter or Value ...
//		}
//	}
//	if err := c.End(); err != nil ...
//
// It checks the text as it goes: what it has shown is to be believed only once End
// is nil. After Member and Element exactly one value is to be taken, by Value or by
// Enter and a walk to its end.
type Cursor struct {
	Key     []byte // the name of the member, as it is written, without its quotes
	Escaped bool   // Key holds escapes

	data  []byte
	pos   int
	depth int
	fresh bool // nothing of the innermost container has been taken
	fault fault
}

// NewCursor returns a cursor before the value that a text consists of.
func NewCursor(b []byte) Cursor { return Cursor{data: b} }

// Enter steps into the object or the array that comes next, if it begins with the
// given brace. Otherwise it is false, and the value is still to be taken.
func (c *Cursor) Enter(brace byte) bool {
	if c.fault != none {
		return false
	}
	c.pos = space(c.data, c.pos)
	if c.pos >= len(c.data) || c.data[c.pos] != brace {
		return false
	}
	if c.depth++; c.depth > MaxDepth {
		c.fault = tooDeep
		return false
	}
	c.pos++
	c.fresh = true
	return true
}

// Member moves on to the next member of the object. It is false after the last one,
// when the cursor stands behind the object, and where the text is not valid.
func (c *Cursor) Member() bool {
	if !c.next('}') {
		return false
	}
	begin, end, next, escaped, f := member(c.data, c.pos)
	c.pos = next
	if f != none {
		c.fault = f
		return false
	}
	c.Key, c.Escaped = c.data[begin:end:end], escaped
	return true
}

// Element moves on to the next element of the array, as Member does in an object.
func (c *Cursor) Element() bool { return c.next(']') }

// next moves to where a member or an element begins, or behind the closing brace.
func (c *Cursor) next(brace byte) bool {
	if c.fault != none {
		return false
	}
	c.pos = space(c.data, c.pos)
	if c.pos >= len(c.data) {
		c.fault = truncated
		return false
	}
	b := c.data[c.pos]
	switch {
	case b == brace:
		c.pos++
		c.depth--
		c.fresh = false
		return false
	case c.fresh:
		c.fresh = false
		return true
	case b != ',':
		c.fault = wantComma
		return false
	}
	c.pos++
	return true
}

// Value takes the next value, whatever it is, and returns it without the white
// space around it. It is nil where the text is not valid.
func (c *Cursor) Value() []byte {
	if c.fault != none {
		return nil
	}
	start := space(c.data, c.pos)
	end, f := value(c.data, start, c.depth)
	c.pos = end
	if f != none {
		c.fault = f
		return nil
	}
	return c.data[start:end:end]
}

// Rest is the text from the next value on.
func (c *Cursor) Rest() []byte {
	if c.fault != none {
		return nil
	}
	c.pos = space(c.data, c.pos)
	return c.data[c.pos:]
}

// Take takes the next value, which [Cursor.Rest] begins with and of which the
// caller knows that it is valid and n bytes long.
func (c *Cursor) Take(n int) []byte {
	start := c.pos
	c.pos += n
	return c.data[start:c.pos:c.pos]
}

// Name returns Key with its escapes resolved, as [Object.Name] does.
func (c *Cursor) Name(buf []byte) ([]byte, bool) {
	if !c.Escaped {
		return c.Key, true
	}
	return AppendUnquoted(buf[:0], c.Key)
}

// Depth is how many arrays and objects are open where the cursor stands.
func (c *Cursor) Depth() int { return c.depth }

// Offset is where the cursor stands, in bytes.
func (c *Cursor) Offset() int { return c.pos }

// End reports whether the whole text is one valid value, once all of it has been
// taken. The error is a [*SyntaxError].
func (c *Cursor) End() error {
	if c.fault == none {
		c.pos, c.fault = end(c.data, c.pos)
	}
	if c.fault != none {
		return c.fault.at(c.pos)
	}
	return nil
}
