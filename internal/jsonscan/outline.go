package jsonscan

// A Place is where a member of an object stands, in bytes from where the object's
// text begins: its name, as it is written and without its quotes, and its value.
type Place struct {
	Name, NameEnd, Value, End uint32
}

// maxOutline bounds the texts that have an outline: their places have 32 bits.
const maxOutline = 1 << 31

// An Outline says of a text that it is a valid JSON object, and where the members
// of the object stand, for somebody who would look at all of it again otherwise.
type Outline struct {
	text   []byte
	places []Place
}

// NewOutline returns the outline of a text.
func NewOutline(text []byte, places []Place) Outline {
	return Outline{text: text, places: places}
}

// Of returns the members of a text. It is false unless the outline is of a text of that
// length in the same memory: whoever has put another in its place is not misled.
func (o *Outline) Of(text []byte) ([]Place, bool) {
	if o == nil || len(text) == 0 || len(o.text) != len(text) || &o.text[0] != &text[0] {
		return nil, false
	}
	return o.places, true
}
