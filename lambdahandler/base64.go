package lambdahandler

import (
	"encoding/base64"
	"encoding/binary"
)

// A base64Table tells what each character stands for in each of the four places of
// a group: its six bits where they belong once the word is written with its lowest
// byte first, or invalid. Decoding with it takes little more than half the time that
// encoding/base64 takes, and most records are little more than base64.
type base64Table [4][256]uint32

const invalid = 1 << 31

// newBase64Table makes the table, which takes about as long as decoding 1 KB.
func newBase64Table() *base64Table {
	t := new(base64Table)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for place := range t {
		for i := range t[place] {
			t[place][i] = invalid
		}
		for bits := range len(alphabet) {
			group := uint32(bits) << (18 - 6*place)
			t[place][alphabet[bits]] = group>>16 | group&0xff00 | group&0xff<<16
		}
	}
	return t
}

// decode does what base64.StdEncoding.Decode does, which it leaves all that is not
// usual to.
func (t *base64Table) decode(dst, src []byte) (int, error) {
	if n, ok := t.decodeUsual(dst, src); ok {
		return n, nil
	}
	return base64.StdEncoding.Decode(dst, src)
}

// decodeUsual is decode for text without line breaks. It is false for all else that is
// not base64 through and through.
func (t *base64Table) decodeUsual(dst, src []byte) (int, bool) {
	n, i := t.groups(dst, src)
	if len(src)-i == 4 {
		return t.padded(dst, src[i:], n)
	}
	return n, i == len(src)
}

// decodeText is decodeUsual for what stands in a text up to a quote, and returns the
// index of that. It is false where there is not enough room, too.
func (t *base64Table) decodeText(dst, text []byte) (n, end int, ok bool) {
	n, i := t.groups(dst, text)
	if i < len(text) && text[i] == '"' {
		return n, i, true
	}
	if i < len(text)-4 && text[i+4] == '"' {
		n, ok = t.padded(dst, text[i:i+4], n)
		return n, i + 4, ok
	}
	return 0, 0, false
}

// groups decodes what are groups of four characters without padding, as long as there
// is room, and returns how much it has written and read. Up to the last few bytes it
// writes 16 where it means to write 12.
func (t *base64Table) groups(dst, src []byte) (n, i int) {
	for i >= 0 && i < len(src)-15 && n >= 0 && n < len(dst)-15 {
		s, d := src[i:i+16:i+16], dst[n:n+16:n+16]
		a := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		b := t[0][s[4]] | t[1][s[5]] | t[2][s[6]] | t[3][s[7]]
		x := t[0][s[8]] | t[1][s[9]] | t[2][s[10]] | t[3][s[11]]
		y := t[0][s[12]] | t[1][s[13]] | t[2][s[14]] | t[3][s[15]]
		if (a|b|x|y)&invalid != 0 {
			break
		}
		binary.LittleEndian.PutUint64(d, uint64(a)|uint64(b)<<24)
		binary.LittleEndian.PutUint64(d[6:], uint64(x)|uint64(y)<<24)
		i += 16
		n += 12
	}
	for i < len(src)-3 && n < len(dst)-2 {
		s, d := src[i:i+4], dst[n:n+3]
		a := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		if a&invalid != 0 {
			break
		}
		d[0], d[1], d[2] = byte(a), byte(a>>8), byte(a>>16)
		i += 4
		n += 3
	}
	return n, i
}

// padded decodes a last group of four characters, which ends with padding.
func (t *base64Table) padded(dst, group []byte, n int) (int, bool) {
	a := t[0][group[0]] | t[1][group[1]]
	size := 1
	if group[2] != '=' {
		a |= t[2][group[2]]
		size = 2
	}
	if group[3] != '=' || a&invalid != 0 || len(dst)-n < size {
		return 0, false
	}
	for range size {
		dst[n] = byte(a)
		a >>= 8
		n++
	}
	return n, true
}
