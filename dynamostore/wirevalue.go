package dynamostore

import (
	"bytes"
	"encoding/base64"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A wireWalker reads attribute values where they stand in DynamoDB's JSON:
// {"S":"text"}, {"M":{...}} and so on. It knows the way in which DynamoDB writes
// them, and takes nothing else: what it refuses is for the SDK to read, or to
// refuse. Whatever it takes, it must understand as the SDK does; a fuzz target
// holds it to that.
type wireWalker struct {
	members []wireMember     // of the maps that are open
	places  []jsonscan.Place // room for those of the outermost map's members; nil if nobody needs them
	sorting []byte
	order   []int
	skipped []byte
}

// A wireMember is one member of a map that has been rendered: where it begins,
// where its name ends and where it ends, and what sorts it in most cases.
type wireMember struct {
	first            uint64
	begin, name, end int
}

// open returns the type of the attribute value at i and the index of what it
// holds.
func (w *wireWalker) open(b []byte, i int) (kind string, at int, ok bool) {
	if i = jsonscan.Space(b, i); i >= len(b) || b[i] != '{' {
		return "", i, false
	}
	if i = jsonscan.Space(b, i+1); i >= len(b) || b[i] != '"' {
		return "", i, false
	}
	begin := i + 1
	for i = begin; i < len(b) && i-begin < 5 && b[i] != '"'; i++ {
	}
	if i >= len(b) || b[i] != '"' {
		return "", i, false
	}
	switch string(b[begin:i]) { // so that the string is no allocation
	case "S":
		kind = "S"
	case "N":
		kind = "N"
	case "B":
		kind = "B"
	case "M":
		kind = "M"
	case "L":
		kind = "L"
	case "BOOL":
		kind = "BOOL"
	case "NULL":
		kind = "NULL"
	case "SS":
		kind = "SS"
	case "NS":
		kind = "NS"
	case "BS":
		kind = "BS"
	default:
		return "", i, false
	}
	if i = jsonscan.Space(b, i+1); i >= len(b) || b[i] != ':' {
		return "", i, false
	}
	return kind, jsonscan.Space(b, i+1), true
}

// closed returns the index after the brace that ends an attribute value.
func closed(b []byte, i int) (int, bool) {
	i = jsonscan.Space(b, i)
	return i + 1, i < len(b) && b[i] == '}'
}

// quoted returns the index after the quote that begins a string.
func quoted(b []byte, i int) (int, bool) {
	return i + 1, i < len(b) && b[i] == '"'
}

// skip returns the index after an attribute value that nobody needs. It is as
// strict as if somebody did.
func (w *wireWalker) skip(b []byte, i int) (int, bool) {
	kind, at, ok := w.open(b, i)
	if !ok {
		return i, false
	}
	if kind == "S" || kind == "N" {
		if at, ok = quoted(b, at); !ok {
			return at, false
		}
		// Half of a surrogate pair is fine here: the SDK has it as U+FFFD.
		if at, ok = jsonscan.SkipText(b, at); !ok {
			return at, false
		}
		return closed(b, at)
	}
	w.places = nil // what is behind those of the last event is another one's by now
	w.skipped, at, ok = w.render(w.skipped[:0], b, i, 1)
	return at, ok
}

// render appends the attribute value at i as JSON and returns the index after it:
// what appendJSON makes of the SDK's value. depth is how many maps and lists are
// open, this one included.
func (w *wireWalker) render(to, b []byte, i, depth int) ([]byte, int, bool) {
	if depth > maxNesting+1 {
		return to, i, false
	}
	// Nearly all values are of these types, and written without white space.
	ok := false
	switch kind, at := usualValue(b, i); {
	case kind == 'S' && b[at] == '"':
		to, i, ok = jsonscan.AppendSame(to, b, at+1)
	case kind == 'N' && b[at] == '"':
		if end := decimal(b, at+1); end > 0 {
			to, i, ok = append(to, b[at+1:end]...), end+1, true
		} else {
			to, i, ok = w.renderText(to, b, at, "N")
		}
	case kind == 'M':
		to, i, ok = w.renderMap(to, b, at, depth)
	case kind == 'L':
		to, i, ok = w.renderElements(to, b, at, depth)
	default:
		to, i, ok = w.renderAny(to, b, i, depth)
	}
	if !ok {
		return to, i, false
	}
	if i < len(b) && b[i] == '}' {
		return to, i + 1, true
	}
	i, ok = closed(b, i)
	return to, i, ok
}

// usualValue returns the type of the attribute value at i and the index of what it
// holds, if its type has a name of one letter and there is no white space.
func usualValue(b []byte, i int) (kind byte, at int) {
	if i+6 < len(b) && b[i] == '{' && b[i+1] == '"' && b[i+3] == '"' && b[i+4] == ':' && b[i+5] > ' ' {
		return b[i+2], i + 5
	}
	return 0, i
}

// decimal returns the index of the quote that ends a number, if that is one which
// appendNumber appends as it is, and has no exponent; 0 otherwise.
func decimal(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	begin := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == begin || b[begin] == '0' && i > begin+1 {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		i++
		begin = i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == begin {
			return 0
		}
	}
	if i >= len(b) || b[i] != '"' {
		return 0
	}
	return i
}

// renderAny is render for whatever there is, up to the brace that ends it.
func (w *wireWalker) renderAny(to, b []byte, i, depth int) ([]byte, int, bool) {
	kind, i, ok := w.open(b, i)
	if !ok {
		return to, i, false
	}
	switch kind {
	case "M":
		return w.renderMap(to, b, i, depth)
	case "L":
		return w.renderElements(to, b, i, depth)
	case "SS", "NS", "BS":
		return w.renderList(to, b, i, func(to []byte, i int) ([]byte, int, bool) {
			return w.renderText(to, b, i, kind[:1])
		})
	case "BOOL":
		switch {
		case bytes.HasPrefix(b[i:], []byte("true")):
			return append(to, "true"...), i + 4, true
		case bytes.HasPrefix(b[i:], []byte("false")):
			return append(to, "false"...), i + 5, true
		}
		return to, i, false
	case "NULL":
		return append(to, "null"...), i + 4, bytes.HasPrefix(b[i:], []byte("true"))
	}
	return w.renderText(to, b, i, kind)
}

// renderElements appends the elements of a list.
func (w *wireWalker) renderElements(to, b []byte, i, depth int) ([]byte, int, bool) {
	return w.renderList(to, b, i, func(to []byte, i int) ([]byte, int, bool) {
		if to, end, ok := textElement(to, b, i); ok && depth <= maxNesting {
			return to, end, true
		}
		return w.render(to, b, i, depth+1)
	})
}

// renderText appends what is a string in DynamoDB's JSON.
func (w *wireWalker) renderText(to, b []byte, i int, kind string) ([]byte, int, bool) {
	i, ok := quoted(b, i)
	if !ok {
		return to, i, false
	}
	switch kind {
	case "S":
		return jsonscan.AppendSame(to, b, i)
	case "N":
		begin := i
		if i, ok = jsonscan.SkipText(b, i); !ok {
			return to, i, false
		}
		to, ok = appendWireNumber(to, b[begin:i-1])
		return to, i, ok
	}
	packed, i, ok := binaryOf(nil, b, i)
	if !ok {
		return to, i, false
	}
	to = append(to, '"')
	to = base64.StdEncoding.AppendEncode(to, packed)
	return append(to, '"'), i, true
}

// appendWireNumber appends a number as it is written. Those that JSON would not
// take like this are rare, and left to appendNumber.
func appendWireNumber(to, n []byte) ([]byte, bool) {
	digits := n
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || digits[0] == '0' && len(digits) > 1 {
		to, err := appendNumber(to, string(n))
		return to, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			to, err := appendNumber(to, string(n))
			return to, err == nil
		}
	}
	return append(to, n...), true
}

// binaryOf appends the bytes of a binary value, of which the opening quote is
// before i.
func binaryOf(to, b []byte, i int) ([]byte, int, bool) {
	n := bytes.IndexByte(b[i:], '"')
	if n < 0 {
		return to, i, false
	}
	// With an escape in it this is no base64, and not worth more care.
	begin := len(to)
	to, err := base64.StdEncoding.AppendDecode(to, b[i:i+n])
	if err != nil || base64.StdEncoding.EncodedLen(len(to)-begin) != n { // there are line breaks in it
		return to, i, false
	}
	return to, i + n + 1, true
}

func (w *wireWalker) renderList(to, b []byte, i int, one func(to []byte, i int) ([]byte, int, bool)) ([]byte, int, bool) {
	if i >= len(b) || b[i] != '[' {
		return to, i, false
	}
	to = append(to, '[')
	i = jsonscan.Space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return append(to, ']'), i + 1, true
	}
	for {
		var ok bool
		if to, i, ok = one(to, jsonscan.Space(b, i)); !ok {
			return to, i, false
		}
		if i = jsonscan.Space(b, i); i >= len(b) {
			return to, i, false
		}
		switch b[i] {
		case ',':
			to = append(to, ',')
			i++
		case ']':
			return append(to, ']'), i + 1, true
		default:
			return to, i, false
		}
	}
}
