package microeventstore

import (
	"encoding/binary"
	"errors"
)

// TimeUUID uses the time inside the event's id: a UUID of version 1, 6 or 7, or
// a ULID. Use it where ids are made so and the event has no better timestamp of
// its own; else use [TimeAndID].
//
// Text order is time order within one kind, not between kinds. The kinds are
// versions 1 and 6 together (100 nanoseconds), version 7 (milliseconds), and
// ULIDs (milliseconds). A collation whose producers mix kinds is not in order
// of time. Ids of the same time are ordered by the rest of their digits.
//
// The text of a UUID version 1 does not sort by time: its lowest digits lead,
// and start again every 429.5 seconds. So it is re-ordered into the layout of
// version 6 (RFC 9562, section 5.6); a version 1 and the version 6 that was
// made from it are one id in two spellings, and have one key. Versions 6 and 7
// are kept, in lower case, and ULIDs in upper case: spellings of one id in
// other case have one key, too.
//
// Anything else is an error: other versions and variants, braces or "urn:uuid:"
// in front, UUIDs without hyphens, letters that ULIDs do not have (I, L, O, U),
// a ULID that begins above 7 and so does not fit 128 bits.
func TimeUUID() RangeKey { return new(timeUUID) }

type timeUUID struct{}

var errTimeUUID = errors.New("range key TimeUUID: the event's id is not a UUID of version 1, 6 or 7, nor a ULID; use TimeAndID or EventID")

func (*timeUUID) AppendRangeKey(dst []byte, e *Event) ([]byte, error) {
	id := e.ID
	if len(id) != 36 {
		return appendULID(dst, id)
	}
	// 8-4-4-4-12: the first byte of each text is the lowest of its word.
	if id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return dst, errTimeUUID
	}
	a := load8(id[0:8])
	b := load4(id[9:13]) | load4(id[14:18])<<32
	c := load4(id[19:23]) | load4(id[24:28])<<32
	d := load8(id[28:36])
	// A byte of 128 or more would spoil what isHex says of its neighbours.
	const top = 0x8080_8080_8080_8080
	if (a|b|c|d)&top != 0 || isHex(a)&isHex(b)&isHex(c)&isHex(d)&top != top {
		return dst, errTimeUUID
	}
	// The bit that makes a letter a small one is already set in every digit.
	const small = 0x2020_2020_2020_2020
	a, b, c, d = a|small, b|small, c|small, d|small

	switch byte(c) { // RFC variant: the bits 10
	case '8', '9', 'a', 'b':
	default:
		return dst, errTimeUUID
	}
	switch byte(b >> 32) { // version
	case '6', '7':
	case '1':
		// low(8) mid(4) 1 high(3) becomes high(3) mid(4) low(8), with the
		// version 6 in its old place.
		low, mid, high := a, b&0xffff_ffff, b>>40
		a = high | mid<<24 | low<<56
		b = low>>8&0xffff_ffff | '6'<<32 | low>>40<<40
	default:
		return dst, errTimeUUID
	}

	at := len(dst)
	dst = extend(dst, 36)
	key := (*[36]byte)(dst[at:])
	key[8], key[13], key[18], key[23] = '-', '-', '-', '-'
	binary.LittleEndian.PutUint64(key[0:], a)
	binary.LittleEndian.PutUint32(key[9:], uint32(b))
	binary.LittleEndian.PutUint32(key[14:], uint32(b>>32))
	binary.LittleEndian.PutUint32(key[19:], uint32(c))
	binary.LittleEndian.PutUint32(key[24:], uint32(c>>32))
	binary.LittleEndian.PutUint64(key[28:], d)
	return dst, nil
}

// isHex sets the top bit of each byte of x that is a hexadecimal digit, if all
// are below 128. Adding 128-n to such a byte sets its top bit if it is n or
// more, so that two sums differ there if it lies between their two limits.
func isHex(x uint64) uint64 {
	const ones = 0x0101_0101_0101_0101
	digit := (x + (0x80-'0')*ones) ^ (x + (0x80-'9'-1)*ones)
	x |= 0x20 * ones // small letters
	letter := (x + (0x80-'a')*ones) ^ (x + (0x80-'f'-1)*ones)
	return digit ^ letter // no byte is both
}

// appendULID appends the key of an id that is no UUID.
func appendULID(dst []byte, id string) ([]byte, error) {
	if len(id) != 26 || id[0] > '7' {
		return dst, errTimeUUID
	}
	const top = 0x8080_8080_8080_8080
	w, x, y := load8(id), load8(id[8:]), load8(id[16:])
	a, okA := crockford(w)
	b, okB := crockford(x)
	c, okC := crockford(y)
	d, e := crockfordLetters[id[24]], crockfordLetters[id[25]]
	if (w|x|y)&top != 0 || okA&okB&okC != top || d == 0 || e == 0 {
		return dst, errTimeUUID
	}
	at := len(dst)
	dst = extend(dst, 26)
	key := (*[26]byte)(dst[at:])
	binary.LittleEndian.PutUint64(key[0:], a)
	binary.LittleEndian.PutUint64(key[8:], b)
	binary.LittleEndian.PutUint64(key[16:], c)
	key[24], key[25] = d, e
	return dst, nil
}

// crockfordLetters holds, for each byte, the letter of ULIDs that it stands for,
// or 0: for the two that do not fill a word.
const (
	crockfordLetters = none16 + none16 + none16 +
		"0123456789" + none7 + "ABCDEFGH\x00JK\x00MN\x00PQRST\x00VWXYZ" + "\x00\x00\x00\x00\x00\x00" +
		"ABCDEFGH\x00JK\x00MN\x00PQRST\x00VWXYZ" + "\x00\x00\x00\x00\x00" +
		none16 + none16 + none16 + none16 + none16 + none16 + none16 + none16
	none16 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	none7  = "\x00\x00\x00\x00\x00\x00\x00"
)

// crockford returns x with its letters in upper case, and the top bit of each
// byte that is a digit or a letter of ULIDs: all but I, L, O and U. As with
// isHex, that is true if all bytes are below 128.
func crockford(x uint64) (upper, ok uint64) {
	const ones = 0x0101_0101_0101_0101
	digit := (x + (0x80-'0')*ones) ^ (x + (0x80-'9'-1)*ones)
	x |= 0x20 * ones // small letters
	letter := (x + (0x80-'a')*ones) ^ (x + (0x80-'z'-1)*ones)
	letter &= 0x80 * ones
	upper = x - letter>>2 // 0x20 less
	// Adding 127 sets the top bit of all but 0.
	letter &= (x ^ 'i'*ones) + 0x7f*ones
	letter &= (x ^ 'l'*ones) + 0x7f*ones
	letter &= (x ^ 'o'*ones) + 0x7f*ones
	letter &= (x ^ 'u'*ones) + 0x7f*ones
	return upper, (digit | letter) & (0x80 * ones)
}
