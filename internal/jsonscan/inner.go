package jsonscan

import (
	"encoding/binary"
	"math/bits"
)

// InnerRoom is how much room behind dst [AppendInner] needs, beyond as many bytes as
// there are left of b, to be sure that there is enough.
const InnerRoom = innerMargin + 8

// innerMargin is more than is written between two looks at the room that is left: what
// stands between two values, and the brackets that close all containers.
const innerMargin = 80

// AppendInner appends to dst what the string stands for of which the opening quote
// is before i, if that is the text of a JSON object, and appends to places those of
// its members, counted from where the text begins. It returns the index after the
// closing quote, or -1 if the room behind dst is too small: see [InnerRoom].
//
// It does the work of [AppendText] and of [Members] in one walk, which takes little
// more than half the time: DynamoDB returns events as JSON inside a string. It is
// false where either of the two finds fault, and for what is too unusual to be worth
// the code: then nothing is known of the text, and the two have to tell.
func AppendInner(dst []byte, places []Place, b []byte, i int) ([]byte, []Place, int, bool) {
	n, to := len(dst), dst[:cap(dst)]
	if len(b)-i >= maxOutline {
		return dst, places, i, false
	}
	base := n
	objects, open, key := uint64(0), 0, false
	var ok bool
	for {
		if n > len(to)-innerMargin {
			return dst, places, noRoom, false
		}
		if !usual(b, i) {
			if i, n, ok = innerSpace(to, n, b, i); !ok {
				return dst, places, i, false
			}
		}
		if open == 1 && key {
			places = append(places, Place{Name: uint32(n - base + 1)})
		}
		switch c := b[i]; {
		case c == '\\': // and a quote
			to[n] = '"'
			n++
			i += 2
			for {
				if i < 0 || i >= len(b)-7 || n < 0 || n >= len(to)-7 {
					if i, n, ok = innerEnd(to, n, b, i); !ok {
						return dst, places, i, false
					}
					break
				}
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
				if i >= 0 && i < len(b)-7 && n >= 0 && n < len(to)-7 {
					// What follows most strings is one more.
					switch x := binary.LittleEndian.Uint64(b[i:i+8:i+8]) & (1<<40 - 1); {
					case x == nameThenText && key:
						binary.LittleEndian.PutUint32(to[n:n+4:n+4], '"'|':'<<8|'"'<<16)
						if open == 1 {
							p := &places[len(places)-1]
							p.NameEnd, p.Value = uint32(n-base), uint32(n+2-base)
						}
						key = false
						i += 5
						n += 3
						continue
					case x == textThenText && !key:
						binary.LittleEndian.PutUint32(to[n:n+4:n+4], '"'|','<<8|'"'<<16)
						if open == 1 {
							places[len(places)-1].End = uint32(n + 1 - base)
							places = append(places, Place{Name: uint32(n + 3 - base)})
						}
						key = objects&1 != 0
						i += 5
						n += 3
						continue
					}
				}
				if i+1 < len(b) && b[i] == '\\' && b[i+1] == '"' {
					to[n] = '"'
					n++
					i += 2
					break
				}
				if i, n, ok = innerUnusual(to, n, b, i); !ok {
					return dst, places, i, false
				}
			}
			if n > len(to)-innerMargin {
				return dst, places, noRoom, false
			}
			if !key {
				break
			}
			if open == 1 {
				places[len(places)-1].NameEnd = uint32(n - base - 1)
			}
			if i >= len(b) || b[i] != ':' {
				if i, n, ok = innerSpace(to, n, b, i); !ok || b[i] != ':' {
					return dst, places, i, false
				}
			}
			to[n] = ':'
			n++
			i++
			if !usual(b, i) {
				if i, n, ok = innerSpace(to, n, b, i); !ok {
					return dst, places, i, false
				}
			}
			if open == 1 {
				places[len(places)-1].Value = uint32(n - base)
			}
			key = false
			continue
		case key:
			return dst, places, i, false
		case c == '{' || c == '[':
			to[n] = c
			n++
			i++
			if !usual(b, i) {
				if i, n, ok = innerSpace(to, n, b, i); !ok {
					return dst, places, i, false
				}
			}
			if b[i] == c+2 && open > 0 { // in ASCII, '}' is '{'+2 and ']' is '['+2
				to[n] = c + 2
				n++
				i++
				break
			}
			if open == 64 || open == 0 && (c == '[' || b[i] == '}') {
				return dst, places, i, false
			}
			open++
			key = c == '{'
			objects <<= 1
			if key {
				objects |= 1
			}
			continue
		default:
			end, ok := literal(b, i)
			if !ok {
				return dst, places, i, false
			}
			if end-i > len(to)-innerMargin-n {
				return dst, places, noRoom, false
			}
			n += copy(to[n:], b[i:end])
			i = end
		}
		if open == 0 {
			return dst, places, i, false
		}

		// A value has ended. So may the containers that it is the last one of.
		for {
			if open == 1 {
				places[len(places)-1].End = uint32(n - base)
			}
			if !usual(b, i) {
				if i, n, ok = innerSpace(to, n, b, i); !ok {
					return dst, places, i, false
				}
			}
			c := b[i]
			to[n] = c
			n++
			i++
			if c == ',' {
				break
			}
			if c != ']'+byte(objects&1)<<5 { // in ASCII, '}' is ']'+32
				return dst, places, i, false
			}
			if open--; open == 0 {
				if i < len(b) && b[i] != '"' {
					if i, n, ok = innerSpace(to, n, b, i); !ok {
						return dst, places, i, false
					}
				}
				return to[:n], places, i + 1, i < len(b) && b[i] == '"'
			}
			objects >>= 1
		}
		key = objects&1 != 0
	}
}

// noRoom is what the functions of this file return in the place of an index.
const noRoom = -1

// What follows a string inside a string, as the first bytes of a word.
const (
	nameThenText = '\\' | '"'<<8 | ':'<<16 | '\\'<<24 | '"'<<32
	textThenText = '\\' | '"'<<8 | ','<<16 | '\\'<<24 | '"'<<32
)
