package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions in this file are for walks over a text of which the shape is
// known: each begins at an index and returns the one after what it has read. They
// are false where the text is not as it must be. None of them allocates, but for
// what is appended.

// Space returns the index of the first byte from i on that is not white space.
func Space(b []byte, i int) int {
	if i < len(b) && b[i] <= ' ' {
		return space(b, i)
	}
	return i
}

// Skip returns the index after the value that begins at or after i.
func Skip(b []byte, i int) (int, bool) {
	i, f := value(b, i, 0)
	return i, f == none
}

// SkipIn is Skip for a value inside so many open arrays and objects.
func SkipIn(b []byte, i, depth int) (int, bool) {
	i, f := value(b, i, depth)
	return i, f == none
}

// SkipText returns the index after the closing quote of a string, of which the
// opening quote is before i.
func SkipText(b []byte, i int) (int, bool) {
	i, f := text(b, i)
	return i, f == none
}

// PlainText returns the index of the closing quote of a string, of which the opening
// quote is before i. It is false for what holds an escape or a character outside
// ASCII, or is no string.
func PlainText(b []byte, i int) (int, bool) {
	i = plain(b, i)
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i, i < len(b) && b[i] == '"'
}

// AppendText appends to dst what a string stands for, of which the opening quote
// is before i. It returns the index after its closing quote. It is false where
// [String] is.
//
// It looks at a string once where a check and [AppendUnquoted] look twice: most of
// what comes from DynamoDB is JSON inside a string, with an escape every ten bytes.
// So it writes eight bytes wherever it reads eight, and then counts those that it
// meant to write; what it wrote beyond them is overwritten by what comes next.
func AppendText(dst, b []byte, i int) ([]byte, int, bool) {
	for {
		n := len(dst)
		to := dst[:cap(dst)]
		for i >= 0 && i < len(b)-7 {
			if n < 0 || n >= len(to)-7 {
				dst = slices.Grow(dst[:n], min(len(b)-i, n+64)+8)
				to = dst[:cap(dst)]
			}
			x := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
			binary.LittleEndian.PutUint64(to[n:], x)
			marks := Specials(x)
			if marks == 0 {
				i += 8
				n += 8
				continue
			}
			k := bits.TrailingZeros64(marks) / 8
			i += k
			n += k
			if b[i] == '"' {
				return to[:n], i + 1, true
			}
			if b[i] != '\\' || len(b)-i < 2 {
				break
			}
			c := unescaped[b[i+1]]
			if c == 0 {
				break
			}
			to[n] = c
			n++
			i += 2
		}
		dst = to[:n]
		for len(b)-i < 8 && i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
			dst = append(dst, b[i])
			i++
		}
		if i >= len(b) {
			return dst, i, false
		}
		switch c := b[i]; {
		case c == '"':
			return dst, i + 1, true
		case c == '\\':
			r, next, ok := unescape(b, i)
			if !ok {
				return dst, i, false
			}
			dst = utf8.AppendRune(dst, r)
			i = next
		case c < ' ':
			return dst, i, false
		default:
			start := i
			for i < len(b) && b[i] >= utf8.RuneSelf {
				r, size := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && size == 1 {
					return dst, i, false
				}
				i += size
			}
			dst = append(dst, b[start:i]...)
		}
	}
}

// unescaped is what the byte after a backslash stands for, 0 where that needs
// more care.
var unescaped = [256]byte{ //nolint:gochecknoglobals // a table that nobody writes
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unescape returns what the escape at i stands for, both halves of a pair
// together.
func unescape(b []byte, i int) (r rune, next int, ok bool) {
	next, f := escape(b, i)
	if f != none {
		return 0, i, false
	}
	if c := unescaped[b[i+1]]; c != 0 {
		return rune(c), next, true
	}
	if r = hex4(b[i+2:]); !utf16.IsSurrogate(r) {
		return r, next, true
	}
	end, f := escape(b, next)
	if f != none || next >= len(b) || b[next] != '\\' || end != next+6 {
		return 0, i, false
	}
	r = utf16.DecodeRune(r, hex4(b[next+2:]))
	return r, end, r != utf8.RuneError
}

// AppendPlain appends to dst, with its quotes, the string of which the opening quote
// is before i. It is false for what holds an escape or a character outside ASCII or
// is no string, and where there is no room for it, or less than eight bytes behind
// it; AppendSame does not care. It writes as [AppendText] does.
func AppendPlain(dst, b []byte, i int) ([]byte, int, bool) {
	n, to := len(dst), dst[:cap(dst)]
	if n >= len(to) {
		return dst, i, false
	}
	to[n] = '"'
	for n++; i >= 0 && i < len(b)-7 && n >= 0 && n < len(to)-7; {
		x := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
		binary.LittleEndian.PutUint64(to[n:n+8:n+8], x)
		marks := Specials(x)
		if marks == 0 {
			i += 8
			n += 8
			continue
		}
		k := bits.TrailingZeros64(marks) / 8
		return to[:n+k+1], i + k + 1, b[i+k] == '"'
	}
	return dst, i, false
}

// AppendSame appends to dst, with its quotes, the string of which the opening
// quote is before i, written in one way however it is written there: it escapes
// only what it must, controls but for \n, \r and \t as \u00xx. It is false where
// [String] is.
func AppendSame(dst, b []byte, i int) ([]byte, int, bool) {
	dst = append(dst, '"')
	for {
		n, to := len(dst), dst[:cap(dst)]
		for i >= 0 && i < len(b)-7 && n >= 0 && n < len(to)-7 {
			x := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
			binary.LittleEndian.PutUint64(to[n:n+8:n+8], x)
			marks := Specials(x)
			if marks == 0 {
				i += 8
				n += 8
				continue
			}
			k := bits.TrailingZeros64(marks) / 8
			i += k
			n += k
			if b[i] != '\\' || i >= len(b)-1 || b[i+1] != '"' && b[i+1] != '\\' || n >= len(to)-1 {
				break
			}
			to[n], to[n+1] = '\\', b[i+1] // stays as it is
			i += 2
			n += 2
		}
		dst = to[:n]
		start := i
		i = plain(b, i)
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
			i++
		}
		for i < len(b) && b[i] >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return dst, i, false
			}
			i += size
		}
		dst = append(dst, b[start:i]...)
		if i >= len(b) {
			return dst, i, false
		}
		switch c := b[i]; {
		case c == '"':
			return append(dst, '"'), i + 1, true
		case c == '\\':
			r, next, ok := unescape(b, i)
			if !ok {
				return dst, i, false
			}
			dst = appendEscaped(dst, r)
			i = next
		case c < ' ':
			return dst, i, false
		}
	}
}

// appendEscaped appends a character as it must be written inside a string.
func appendEscaped(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if r < ' ' {
		return append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
	}
	return utf8.AppendRune(dst, r)
}
