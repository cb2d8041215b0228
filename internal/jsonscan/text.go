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

// text checks a string from the byte after its opening quote on, and returns the
// index after its closing quote.
//
// Most bytes of an event are plain characters inside strings, so this loop is
// where the time goes. It looks for the bytes that need care (a quote, a
// backslash, a control character, a byte outside ASCII) in eight bytes at once:
// subtracting 1 from a zero byte, or 0x20 from a smaller one, sets its high bit.
// A borrow may also mark bytes after the first marked one, never before it, and
// only the first one is used.
func text(b []byte, i int) (int, fault) {
	for {
		for {
			if len(b)-i < 8 {
				for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
					i++
				}
				if i >= len(b) {
					return i, truncated
				}
				break
			}
			x := binary.LittleEndian.Uint64(b[i:])
			marks := specials(x)
			if marks != 0 {
				i += bits.TrailingZeros64(marks) / 8
				break
			}
			i += 8
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
