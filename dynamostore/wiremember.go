package dynamostore

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// How DynamoDB goes on behind the name of a member, as words with their first byte
// lowest: "name":{"S":"text"}.
const (
	wordColon  = '"' | ':'<<8 | '{'<<16 | '"'<<24 // ":{"
	wordText   = wordColon | 'S'<<32 | '"'<<40 | ':'<<48 | '"'<<56
	wordNumber = wordColon | 'N'<<32 | '"'<<40 | ':'<<48 | '"'<<56
	wordMap    = wordColon | 'M'<<32 | '"'<<40 | ':'<<48 | '{'<<56
	wordList   = wordColon | 'L'<<32 | '"'<<40 | ':'<<48 | '['<<56
	wordBool   = wordColon | 'B'<<32 | 'O'<<40 | 'O'<<48 | 'L'<<56
	wordNull   = wordColon | 'N'<<32 | 'U'<<40 | 'L'<<48 | 'L'<<56

	// The first six bytes of an element: {"S":"
	wordElement = '{' | '"'<<8 | 'S'<<16 | '"'<<24 | ':'<<32 | '"'<<40
)

// renderMember appends the member of a map that begins at i, and says where its name
// ends and what sorts it. depth is that of the map.
//
// Nearly all members are written in a few ways, and one word tells which one it is. All
// else is left to renderName and render, which are twice as slow.
func (w *wireWalker) renderMember(to, b []byte, i, depth int, member *wireMember) ([]byte, int, bool) {
	at, n, room := i+1, len(to)+1, to[:cap(to)]
	if i < 0 || i >= len(b) || b[i] != '"' || n > len(room) || depth > maxNesting {
		return w.renderAnyMember(to, b, i, depth, member)
	}
	room[n-1] = '"'
	for at >= 0 && at < len(b)-7 && n >= 0 && n < len(room)-7 {
		x := binary.LittleEndian.Uint64(b[at : at+8 : at+8])
		binary.LittleEndian.PutUint64(room[n:n+8:n+8], x)
		marks := jsonscan.Specials(x)
		if marks == 0 {
			at += 8
			n += 8
			continue
		}
		k := bits.TrailingZeros64(marks) / 8
		at += k
		n += k
		if at < 0 || at >= len(b)-7 || n < 0 || n >= len(room)-7 {
			break
		}
		member.first, member.name = firstOf(b, i+1, at), n
		kind := binary.LittleEndian.Uint64(b[at : at+8 : at+8])
		binary.LittleEndian.PutUint32(room[n:n+4:n+4], '"'|':'<<8)
		end, ok := 0, false
		switch to := room[: n+2 : len(room)]; kind {
		case wordText:
			if to, end, ok := appendText(to, b, at+8); ok {
				return to, end, true
			}
			if to, end, ok = jsonscan.AppendSame(to, b, at+8); ok {
				end, ok = closed(b, end)
			}
			return to, end, ok
		case wordNumber:
			if end = decimal(b, at+8); end > 0 && end < len(b)-1 && b[end+1] == '}' {
				return append(to, b[at+8:end]...), end + 2, true
			}
		case wordBool:
			if bytes.HasPrefix(b[at+8:], []byte(`":true}`)) {
				return append(to, "true"...), at + 15, true
			}
			if bytes.HasPrefix(b[at+8:], []byte(`":false}`)) {
				return append(to, "false"...), at + 16, true
			}
		case wordNull:
			if bytes.HasPrefix(b[at+8:], []byte(`":true}`)) {
				return append(to, "null"...), at + 15, true
			}
		case wordMap:
			if to, end, ok = w.renderMap(to, b, at+7, depth+1); ok {
				end, ok = closed(b, end)
			}
			return to, end, ok
		case wordList:
			if to, end, ok = w.renderElements(to, b, at+7, depth+1); ok {
				end, ok = closed(b, end)
			}
			return to, end, ok
		}
		break
	}
	return w.renderAnyMember(to, b, i, depth, member)
}

// renderAnyMember is renderMember for whatever there is.
func (w *wireWalker) renderAnyMember(to, b []byte, i, depth int, member *wireMember) ([]byte, int, bool) {
	to, i, ok := w.renderName(to, b, i, member)
	if !ok {
		return to, i, false
	}
	return w.render(to, b, i, depth+1)
}

// firstOf is firstBytes for what stands in a text, with seven bytes or more behind it.
func firstOf(b []byte, begin, end int) uint64 {
	if begin < 0 || begin >= len(b)-7 {
		return firstBytes(b[begin:end])
	}
	first := binary.BigEndian.Uint64(b[begin : begin+8 : begin+8])
	return first &^ (^uint64(0) >> (8 * uint(end-begin)))
}

// appendText appends, with its quotes, the string of which the opening quote is before
// i, and returns the index after the brace that ends the value. It is false for what
// [jsonscan.AppendPlain] does not take, and where anything else follows.
func appendText(to, b []byte, i int) ([]byte, int, bool) {
	n, room := len(to)+1, to[:cap(to)]
	if n > len(room) {
		return to, i, false
	}
	room[n-1] = '"'
	for i >= 0 && i < len(b)-7 && n >= 0 && n < len(room)-7 {
		x := binary.LittleEndian.Uint64(b[i : i+8 : i+8])
		binary.LittleEndian.PutUint64(room[n:n+8:n+8], x)
		marks := jsonscan.Specials(x)
		if marks == 0 {
			i += 8
			n += 8
			continue
		}
		k := bits.TrailingZeros64(marks) / 8
		i += k
		n += k
		return room[:n+1], i + 2, i < len(b)-1 && b[i] == '"' && b[i+1] == '}'
	}
	return to, i, false
}

// textElement is appendText for an element of a list that begins at i.
func textElement(to, b []byte, i int) ([]byte, int, bool) {
	if i < 0 || i >= len(b)-7 || binary.LittleEndian.Uint64(b[i:i+8:i+8])&(1<<48-1) != wordElement {
		return to, i, false
	}
	return appendText(to, b, i+6)
}
