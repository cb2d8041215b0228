package jsonscan

import "bytes"

// MaxDepth is how many arrays and objects may be open at once, as in
// encoding/json.
const MaxDepth = 10_000

// Check reports whether b is one valid JSON value in valid UTF-8, with nothing
// but white space around it. The error is a [*SyntaxError].
func Check(b []byte) error {
	i, f := value(b, 0, 0)
	if f == none {
		i, f = end(b, i)
	}
	if f != none {
		return f.at(i)
	}
	return nil
}

// value checks the value that begins at or after i, inside depth open arrays and
// objects, and returns the index after it; or else where it goes wrong, and how.
//
// It keeps the open containers in the bits of one word rather than on the call
// stack. Past 64 of them it calls itself, so MaxDepth costs 157 calls at most.
func value(b []byte, i, depth int) (int, fault) {
	var objects uint64 // a bit for each open container, the innermost lowest: set for an object
	var open int
	var f fault
	for {
		if i >= len(b) || b[i] <= ' ' {
			if i = space(b, i); i >= len(b) {
				return i, truncated
			}
		}
		switch c := b[i]; c {
		case '"':
			if i = plain(b, i+1); i < len(b) && b[i] == '"' {
				i++
			} else if i, f = text(b, i); f != none {
				return i, f
			}
		case '{', '[':
			if open == 64 {
				if i, f = value(b, i, depth+open); f != none {
					return i, f
				}
				break
			}
			if depth+open >= MaxDepth {
				return i, tooDeep
			}
			i++
			if i < len(b) && b[i] <= ' ' {
				i = space(b, i)
			}
			if i < len(b) && b[i] == c+2 { // in ASCII, '}' is '{'+2 and ']' is '['+2
				i++
				break
			}
			open++
			objects <<= 1
			if c == '[' {
				continue
			}
			objects |= 1
			goto member
		case 't':
			if len(b)-i < 4 || string(b[i:i+4]) != "true" {
				return i, wantValue
			}
			i += 4
		case 'f':
			if len(b)-i < 5 || string(b[i:i+5]) != "false" {
				return i, wantValue
			}
			i += 5
		case 'n':
			if len(b)-i < 4 || string(b[i:i+4]) != "null" {
				return i, wantValue
			}
			i += 4
		default:
			if i, f = number(b, i); f != none {
				return i, f
			}
		}

		// A value has ended. So may the containers that it is the last one of.
		for {
			if open == 0 {
				return i, none
			}
			if i >= len(b) || b[i] <= ' ' {
				if i = space(b, i); i >= len(b) {
					return i, truncated
				}
			}
			if b[i] == ',' {
				i++
				break
			}
			if b[i] != ']'+byte(objects&1)<<5 { // in ASCII, '}' is ']'+32
				return i, wantComma
			}
			i++
			open--
			objects >>= 1
		}
		if objects&1 == 0 {
			continue
		}

	member: // Its name is what name checks; this is what nearly all look like.
		if i < len(b) && b[i] == '"' {
			if end := plain(b, i+1); end < len(b)-1 && b[end] == '"' && b[end+1] == ':' {
				i = end + 2
				continue
			}
		}
		if i, f = name(b, i); f != none {
			return i, f
		}
	}
}

// name checks a member's name and its colon, and returns the index after them.
func name(b []byte, i int) (int, fault) {
	if i < len(b) && b[i] <= ' ' {
		i = space(b, i)
	}
	if i >= len(b) {
		return i, truncated
	}
	if b[i] != '"' {
		return i, wantName
	}
	i, f := text(b, i+1)
	if f != none {
		return i, f
	}
	return colon(b, i)
}

// member is name, and also returns where the name itself begins and ends, without its
// quotes, and whether it holds escapes.
func member(b []byte, i int) (begin, end, next int, escaped bool, f fault) {
	if i < len(b) && b[i] == '"' { // what nearly all look like
		if end = plain(b, i+1); end < len(b)-1 && b[end] == '"' && b[end+1] == ':' {
			return i + 1, end, end + 2, false, none
		}
	}
	begin = space(b, i) + 1
	if next, f = name(b, i); f != none {
		return 0, 0, next, false, f
	}
	end = next - 1
	for b[end] != '"' { // the colon, and white space before it
		end--
	}
	return begin, end, next, bytes.IndexByte(b[begin:end], '\\') >= 0, none
}

// colon returns the index after the colon at or after i.
func colon(b []byte, i int) (int, fault) {
	if i < len(b) && b[i] <= ' ' {
		i = space(b, i)
	}
	if i >= len(b) {
		return i, truncated
	}
	if b[i] != ':' {
		return i, wantColon
	}
	return i + 1, none
}

// number checks a number, of which encoding/json limits neither the length nor
// the exponent, and returns the index after it.
func number(b []byte, i int) (int, fault) {
	start := i
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if first := i; true {
		if i = digits(b, i); i == first {
			return faultyNumber(b, start, i)
		}
	}
	if i < len(b) && b[i] == '.' {
		i++
		first := i
		if i = digits(b, i); i == first {
			return faultyNumber(b, start, i)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first := i
		if i = digits(b, i); i == first {
			return faultyNumber(b, start, i)
		}
	}
	return i, none
}

// faultyNumber says what is wrong where a digit is missing at i.
func faultyNumber(b []byte, start, i int) (int, fault) {
	switch {
	case i == start:
		return i, wantValue
	case i >= len(b):
		return i, truncated
	}
	return i, wantDigit
}

// digits returns the index of the first byte from i on that is no digit.
func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// space returns the index of the first byte from i on that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// end checks that nothing follows but white space.
func end(b []byte, i int) (int, fault) {
	if i = space(b, i); i < len(b) {
		return i, trailing
	}
	return i, none
}
