package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Words of eight equal bytes, for looking at eight bytes at once.
const (
	ones        = 0x0101010101010101
	highBits    = 0x80 * ones
	quotes      = '"' * ones
	backslashes = '\\' * ones
)

// Specials sets the top bit of the first byte of x, a word of a string, that does not
// stand for itself: a control, a quote, a backslash, what is outside ASCII. Which bits
// are set above that one means nothing: subtracting sets the top bit of a byte that is
// too small, and may borrow from those after it.
//
// With one bit flipped a quote is less than 0x21 as the controls are, and nothing else
// is: so one subtraction finds both.
func Specials(x uint64) uint64 {
	return (x | ((x ^ 2*ones) - ('"'-1)*ones) | ((x ^ backslashes) - ones)) & highBits
}

// plain returns the index from i on of what [Specials] finds, or of where fewer than
// eight bytes are left. Most bytes of an event are inside strings, so here is where the
// time goes. The bounds are written so that the compiler needs no checks of its own, and
// the function is small enough to be part of its callers.
func plain(b []byte, i int) int {
	for i >= 0 && i < len(b)-7 {
		if marks := Specials(binary.LittleEndian.Uint64(b[i : i+8 : i+8])); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
		i += 8
	}
	return i
}

// text checks a string from the byte after its opening quote on, and returns the
// index after its closing quote.
func text(b []byte, i int) (int, fault) {
	for {
		i = plain(b, i)
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
			i++
		}
		if i >= len(b) {
			return i, truncated
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, none
		case c == '\\':
			n, f := escape(b, i)
			if f != none {
				return n, f
			}
			i = n
		case c < ' ':
			return i, badControl
		default:
			// Text outside ASCII comes in runs: stay here to the end of one.
			for i < len(b) && b[i] >= utf8.RuneSelf {
				r, size := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && size == 1 {
					return i, badUTF8
				}
				i += size
			}
		}
	}
}

// escape checks the escape sequence that begins at i and returns the index after
// it. As in encoding/json, half of a surrogate pair is fine by itself.
func escape(b []byte, i int) (int, fault) {
	if i+1 >= len(b) {
		return len(b), truncated
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, none
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if j >= len(b) {
				return j, truncated
			}
			if !isHex(b[j]) {
				return i, badEscape
			}
		}
		return i + 6, none
	}
	return i, badEscape
}

func isHex(c byte) bool {
	return c-'0' <= 9 || (c|0x20)-'a' <= 5
}

// String returns the string that a value stands for. It is false for a value
// that is no string, and for one in which half of a surrogate pair is escaped:
// no Go string stands for that, and U+FFFD would make different strings equal.
func String(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return "", false
	}
	var buf [64]byte
	s, ok := AppendUnquoted(buf[:0], value[1:len(value)-1])
	if !ok {
		return "", false
	}
	return string(s), true
}

// AppendUnquoted appends to dst what the inside of a string, without its quotes,
// stands for. It is false where [String] is.
func AppendUnquoted(dst, s []byte) ([]byte, bool) {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			start := i
			for i < len(s) && s[i] != '\\' {
				i++
			}
			dst = append(dst, s[start:i]...)
			continue
		}
		next, f := escape(s, i)
		if f != none {
			return dst, false
		}
		switch c := s[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s[i+2:])
			if utf16.IsSurrogate(r) {
				if end, f := escape(s, next); next >= len(s) || s[next] != '\\' || f != none || end != next+6 {
					return dst, false
				}
				if r = utf16.DecodeRune(r, hex4(s[next+2:])); r == utf8.RuneError {
					return dst, false
				}
				next += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
		i = next
	}
	return dst, true
}

// hex4 returns the value of the four hexadecimal digits that s begins with.
func hex4(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		if c > '9' {
			c += 9 // the low half of 'a' and of 'A' is 1
		}
		r = r<<4 | rune(c&0xF)
	}
	return r
}
