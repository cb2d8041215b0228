package jsonscan

import "unicode/utf8"

// innerEnd copies the rest of a string inside a string, where less than a word is left
// of either text.
func innerEnd(to []byte, n int, b []byte, i int) (_, _ int, ok bool) {
	for i < len(b) {
		c := b[i]
		switch {
		case n > len(to)-innerMargin:
			return noRoom, n, false
		case c == '\\' && i+1 < len(b) && b[i+1] == '"':
			to[n] = '"'
			return i + 2, n + 1, true
		case c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf:
			to[n] = c
			i++
			n++
		default:
			if i, n, ok = innerUnusual(to, n, b, i); !ok {
				return i, n, false
			}
		}
	}
	return i, n, false
}

// literal passes over a number, true, false or null.
func literal(b []byte, i int) (int, bool) {
	switch b[i] {
	case 't':
		return i + 4, len(b)-i >= 4 && string(b[i:i+4]) == "true"
	case 'f':
		return i + 5, len(b)-i >= 5 && string(b[i:i+5]) == "false"
	case 'n':
		return i + 4, len(b)-i >= 4 && string(b[i:i+4]) == "null"
	}
	i, f := number(b, i)
	return i, f == none
}

// usual tells whether what comes next is neither white space nor the end.
func usual(b []byte, i int) bool {
	return i+1 < len(b) && b[i] > ' ' && (b[i] != '\\' || b[i+1] == '"')
}

// innerSpace copies white space. It is false unless a byte follows, and if that is a
// backslash, a quote.
func innerSpace(to []byte, n int, b []byte, i int) (int, int, bool) {
	for i < len(b) {
		c, size := b[i], 1
		if c == '\\' && i+1 < len(b) {
			if c, size = unescaped[b[i+1]], 2; c == '"' {
				return i, n, true
			}
			if c != '\n' && c != '\r' && c != '\t' {
				return i, n, false
			}
		} else if c != ' ' {
			return i, n, c > ' ' && c != '\\'
		}
		if n > len(to)-innerMargin {
			return noRoom, n, false
		}
		to[n] = c
		n++
		i += size
	}
	return i, n, false
}

// innerUnusual copies what the loop over a string inside a string does not: an
// escape, or text outside ASCII.
func innerUnusual(to []byte, n int, b []byte, i int) (int, int, bool) {
	if n > len(to)-innerMargin {
		return noRoom, n, false
	}
	begin := i
	for i < len(b) && b[i] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i, n, false
		}
		i += size
	}
	if i > begin {
		if i-begin > len(to)-innerMargin-n {
			return noRoom, n, false
		}
		return i, n + copy(to[n:], b[begin:i]), true
	}
	if len(b)-i < 4 || b[i] != '\\' {
		return i, n, false
	}
	switch b[i+1] {
	case '/':
		to[n] = '/'
		return i + 2, n + 1, true
	case 'u': // what is escaped by the outer string alone
		r, next, ok := unescape(b, i)
		if !ok || r < ' ' || r == '"' || r == '\\' {
			return i, n, false
		}
		return next, n + utf8.EncodeRune(to[n:], r), true
	case '\\':
	default:
		return i, n, false
	}
	// The inner string has an escape.
	to[n] = '\\'
	switch c := b[i+2]; c {
	case 'b', 'f', 'n', 'r', 't', '/':
		to[n+1] = c
		return i + 3, n + 2, true
	case '\\':
		to[n+1] = b[i+3]
		return i + 4, n + 2, b[i+3] == '"' || b[i+3] == '\\'
	case 'u':
		if end, f := escape(b, i+1); f == none {
			n += copy(to[n:], b[i+1:end])
			return end, n, true
		}
	}
	return i, n, false
}
