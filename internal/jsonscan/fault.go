package jsonscan

import "strconv"

// A SyntaxError says where a text stops being JSON. It quotes nothing, for what
// it would quote is someone's data.
type SyntaxError struct {
	Offset int    // in bytes, from 0
	Reason string // what is wrong there
}

func (e *SyntaxError) Error() string {
	return e.Reason + " at byte " + strconv.Itoa(e.Offset)
}

// A fault is what is wrong with a text: a number, so that the functions of the
// scanner return it in a register and allocate only once something is wrong.
type fault uint8

const (
	none fault = iota
	truncated
	wantValue
	wantName
	wantColon
	wantComma
	wantDigit
	badEscape
	badControl
	badUTF8
	tooDeep
	trailing
)

func (f fault) reason() string {
	switch f {
	case truncated:
		return "invalid JSON: it ends too early"
	case wantValue:
		return "invalid JSON: no value"
	case wantName:
		return "invalid JSON: no member name"
	case wantColon:
		return "invalid JSON: no colon"
	case wantComma:
		return "invalid JSON: no comma or closing bracket"
	case wantDigit:
		return "invalid JSON: no digit"
	case badEscape:
		return "invalid JSON: an unknown escape in a string"
	case badControl:
		return "invalid JSON: a control character in a string"
	case badUTF8:
		return "invalid UTF-8"
	case tooDeep:
		return "invalid JSON: nested more than 10,000 deep"
	case trailing:
		return "invalid JSON: something after the value"
	}
	return ""
}

func (f fault) at(offset int) *SyntaxError {
	return &SyntaxError{Offset: offset, Reason: f.reason()}
}
