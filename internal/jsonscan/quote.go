package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

const deletes = 0x7f * ones

// quoteRoom is more than [AppendQuoted] writes between two looks at the room that is left.
const quoteRoom = 24

// Quotables is [Specials] for what [AppendQuoted] does not write as it is.
func Quotables(x uint64) uint64 { return (Specials(x) | ((x ^ deletes) - ones)) & highBits }

// AppendQuoted appends a text as a JSON string, with its quotes, as the AWS SDK
// writes it: it escapes what it must, and U+007F, U+2028 and U+2029. It is false for what
// is not UTF-8.
//
// Like [AppendText] it writes eight bytes wherever it reads eight.
func AppendQuoted(dst, s []byte) ([]byte, bool) {
	dst = append(dst, '"')
	for i := 0; ; {
		n := len(dst)
		to := dst[:cap(dst)]
		for i >= 0 && i < len(s)-7 {
			if n > len(to)-quoteRoom {
				dst = slices.Grow(dst[:n], len(s)-i+(len(s)-i)/8+quoteRoom)
				to = dst[:cap(dst)]
			}
			x := binary.LittleEndian.Uint64(s[i : i+8 : i+8])
			binary.LittleEndian.PutUint64(to[n:], x)
			marks := Quotables(x)
			if marks == 0 {
				i += 8
				n += 8
				continue
			}
			k := bits.TrailingZeros64(marks) / 8
			i += k
			n += k
			if i >= 0 && i < len(s)-3 {
				// What follows most strings of JSON is one more.
				switch x := binary.LittleEndian.Uint32(s[i:i+4:i+4]) & (1<<24 - 1); x {
				case '"' | ':'<<8 | '"'<<16:
					binary.LittleEndian.PutUint64(to[n:], '\\'|'"'<<8|':'<<16|'\\'<<24|'"'<<32)
					i += 3
					n += 5
					continue
				case '"' | ','<<8 | '"'<<16:
					binary.LittleEndian.PutUint64(to[n:], '\\'|'"'<<8|','<<16|'\\'<<24|'"'<<32)
					i += 3
					n += 5
					continue
				}
			}
			if c := s[i]; c == '"' || c == '\\' {
				to[n], to[n+1] = '\\', c
				n += 2
				i++
				continue
			}
			break
		}
		dst = to[:n]
		for len(s)-i < 8 && i < len(s) && s[i] >= ' ' && s[i] != '"' && s[i] != '\\' && s[i] < 0x7f {
			dst = append(dst, s[i])
			i++
		}
		if i >= len(s) {
			return append(dst, '"'), true
		}
		if s[i] < utf8.RuneSelf {
			if s[i] == 0x7f {
				dst = append(dst, `\u007f`...)
			} else {
				dst = appendEscaped(dst, rune(s[i]))
			}
			i++
			continue
		}
		start := i
		for i < len(s) && s[i] >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				return dst, false
			}
			if r == '\u2028' || r == '\u2029' {
				dst = append(dst, s[start:i]...)
				dst = append(dst, `\u202`...)
				dst = append(dst, '8'+byte(r&1))
				start = i + size
			}
			i += size
		}
		dst = append(dst, s[start:i]...)
	}
}
