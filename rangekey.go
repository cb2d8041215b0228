package microeventstore

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// A RangeKey says where an event stands in its collation: events are read in
// the byte order of their range keys. The built-in ones are [TimeAndID] (the
// default), [EventID], [TimeUUID] and [SequenceNumber]; write a [RangeKeyFunc]
// for one of your own.
//
// Two different events must have different keys, or the second replaces the
// first. The same event must always have the same key, or a redelivery stores
// it twice. A store refuses keys that are empty, longer than 1,024 bytes, not
// UTF-8, or that begin with U+0001.
type RangeKey interface {
	// AppendRangeKey appends the event's range key to dst and returns the
	// longer slice. With an error it returns dst as it was, and the store sets
	// the event aside as a fault. The event is never nil, and is only read.
	// AppendRangeKey is called from many goroutines at once.
	AppendRangeKey(dst []byte, e *Event) ([]byte, error)
}

// A RangeKeyFunc is a function that returns the range key; it is a [RangeKey].
// A nil one gives an error for every event.
type RangeKeyFunc func(Event) (string, error)

var errNilRangeKeyFunc = errors.New("range key: the RangeKeyFunc is nil; pass a function, or use TimeAndID")

// AppendRangeKey appends what f returns.
func (f RangeKeyFunc) AppendRangeKey(dst []byte, e *Event) ([]byte, error) {
	if f == nil {
		return dst, errNilRangeKeyFunc
	}
	key, err := f(*e)
	if err != nil {
		return dst, err
	}
	return append(dst, key...), nil
}

// TimeAndID puts events in the order in which they happened: the key is the
// time of the event, then '#' and its id. It needs nothing but the event, so it
// is the same at every delivery, and it is the one to use unless you know
// better. Reads by time (Since, Until) are cheap with this key.
//
// Events of the same millisecond are ordered by the bytes of their ids. The
// time is 16 characters: decimal milliseconds since 1970, padded with zeros;
// before 1970, '-' and 15 digits of the milliseconds since 10^15 milliseconds
// before 1970, which sorts before every digit. A time between milliseconds is
// rounded down.
//
// An event without a timestamp or an id is an error, and so is a time that does
// not fit: before the year -29719 or after 318857.
func TimeAndID() RangeKey { return new(timeAndID) }

// EventID uses the event's id as it is. The order is that of the bytes of the
// ids, which is the order of time only if the ids were made so; for UUIDs and
// ULIDs use [TimeUUID]. An event whose timestamp may change keeps its place
// under this key. An empty id is an error.
func EventID() RangeKey { return new(eventID) }

// SequenceNumber puts events in the order in which their shard holds them: the
// key is the record's sequence number, padded with zeros to 56 digits, then '.'
// and its place within an aggregated record in 19 digits.
//
// Use it only where the order of arrival is what counts, and all events of a
// hash key come through one shard: sequence numbers are comparable within one
// shard only, and a stream that is split or merged starts new ones. The key
// does not follow from the event's bytes alone. A redelivery by the stream has
// the same key, but a producer's retry is a new event under it, stored twice.
//
// A number of 57 to 129 digits, which is Kinesis' own limit, is written as '~'
// and 129 digits, and sorts after all shorter ones. Zeros in front of a number
// do not count. A number that is missing, longer, or not made of digits, and a
// negative place are errors.
func SequenceNumber() RangeKey { return new(sequenceNumber) }

// The types are empty, so that a store can tell by its type what a key promises.
type (
	timeAndID      struct{}
	eventID        struct{}
	sequenceNumber struct{}
)

// Errors name neither the id nor anything else of the event.
var (
	errTimeAndIDNoTime = errors.New("range key TimeAndID: the event has no timestamp; give it one, or use EventID")
	errTimeAndIDTime   = errors.New("range key TimeAndID: the event's timestamp is not between the years -29719 and 318857; correct it, or use EventID")
	errTimeAndIDNoID   = errors.New("range key TimeAndID: the event has no id; give it one")
	errEventIDNoID     = errors.New("range key EventID: the event has no id; give it one")
	errSequenceMissing = errors.New("range key SequenceNumber: the event came without a sequence number; read it from a stream, or use TimeAndID")
	errSequenceDigits  = errors.New("range key SequenceNumber: the sequence number is not a decimal number; correct the source, or use TimeAndID")
	errSequenceLong    = errors.New("range key SequenceNumber: the sequence number has more than 129 digits; correct the source, or use TimeAndID")
	errSequenceSub     = errors.New("range key SequenceNumber: the sub-sequence is negative; correct the source, or use TimeAndID")
)

func (*timeAndID) AppendRangeKey(dst []byte, e *Event) ([]byte, error) {
	id, sec := e.ID, uint64(e.Timestamp.Unix())
	if len(id) != usualID || sec >= usualSeconds {
		return appendTimeAndID(dst, e)
	}
	at := len(dst)
	dst = extend(dst, timePrefixLen+1+usualID)
	key := (*[timePrefixLen + 1 + usualID]byte)(dst[at:])
	// As in appendTimePrefix, which is too long to be inlined, with divisions that
	// take one multiplication: the first is sec / 1e5.
	upper := sec >> 5 * 703_687_442 >> 41
	high := digits8(upper)
	low := digits8((sec-upper*1e5)*1000 + uint64(uint32(e.Timestamp.Nanosecond())/1e6))
	binary.LittleEndian.PutUint64(key[0:], high)
	binary.LittleEndian.PutUint64(key[8:], low)
	key[16] = '#'
	// Its words go faster one by one than through a call.
	binary.LittleEndian.PutUint64(key[17:], load8(id[0:8]))
	binary.LittleEndian.PutUint64(key[25:], load8(id[8:16]))
	binary.LittleEndian.PutUint64(key[33:], load8(id[16:24]))
	binary.LittleEndian.PutUint64(key[41:], load8(id[24:32]))
	binary.LittleEndian.PutUint32(key[49:], uint32(load4(id[32:36])))
	return dst, nil
}

// appendTimeAndID makes the key of any time and any id.
func appendTimeAndID(dst []byte, e *Event) ([]byte, error) {
	switch {
	case e.ID == "":
		return dst, errTimeAndIDNoID
	case e.Timestamp.IsZero():
		return dst, errTimeAndIDNoTime
	}
	longer, ok := appendTimePrefix(dst, e.Timestamp)
	if !ok {
		return dst, errTimeAndIDTime
	}
	longer = append(longer, '#')
	return append(longer, e.ID...), nil
}

const (
	// usualID is how long most ids are: as long as a UUID.
	usualID = 36
	// usualSeconds is where, in the year 2514, the first division of the key of a
	// usual time begins to be wrong: 703687442 is 2^41 / 3125, rounded up.
	usualSeconds = 1 << 34
)

// timePrefixLen is how long the time in a TimeAndID key is.
const timePrefixLen = 16

// appendTimePrefix appends the 16 characters with which the TimeAndID key of an
// event at t begins; false if the time does not fit. Their byte order is the
// order of time, to the millisecond.
func appendTimePrefix(dst []byte, t time.Time) ([]byte, bool) {
	sec, before, ok := timeSeconds(t)
	if !ok {
		return dst, false
	}
	n := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, digits8(sec/1e5))
	dst = binary.LittleEndian.AppendUint64(dst, digits8(sec%1e5*1000+uint64(t.Nanosecond())/1e6))
	if before {
		dst[n] = '-'
	}
	return dst, true
}

// timeSeconds returns the whole seconds of a TimeAndID key: since 1970 or, if the
// time is before that, since 10^12 seconds before; false if it does not fit.
func timeSeconds(t time.Time) (sec uint64, before, ok bool) {
	since := t.Unix()
	if before = since < 0; before {
		since += 1e12
	}
	return uint64(since), before, uint64(since) < 1e13
}

// digits8 returns the eight digits of v, which is less than 10^8, the first one
// in the lowest byte. It halves v into twice four digits, then four times two,
// then eight times one, all numbers of a step in one multiplication: a part x
// with the quotient q becomes q and, above it, x - 10^n·q.
func digits8(v uint64) uint64 {
	const ( // rounded up: x*by>>n is x/10^m exactly
		by10000 = 3518437209 // 2^45 / 10^4, up to 10^8
		by100   = 10486      // 2^20 / 10^2, up to 10^4
		by10    = 103        // 2^10 / 10, up to 10^2
	)
	x := v<<32 - (v*by10000>>45)*(1e4<<32-1)
	q := x * by100 >> 20 & 0x0000_007f_0000_007f
	x = x<<16 - q*(1e2<<16-1)
	q = x * by10 >> 10 & 0x000f_000f_000f_000f
	x = x<<8 - q*(1e1<<8-1)
	return x + zeros8
}

// zeros8 is "00000000" in a word.
const zeros8 = 0x3030_3030_3030_3030

func (*eventID) AppendRangeKey(dst []byte, e *Event) ([]byte, error) {
	if e.ID == "" {
		return dst, errEventIDNoID
	}
	return append(dst, e.ID...), nil
}

const (
	sequenceDigits    = 56  // as many as Kinesis makes today
	maxSequenceDigits = 129 // as many as its API lets through
	zeros             = "00000000000000000000000000000000000000000000000000000000000000000" +
		"0000000000000000000000000000000000000000000000000000000000000000" // 129
)

func (*sequenceNumber) AppendRangeKey(dst []byte, e *Event) ([]byte, error) {
	number, place := e.Meta.SequenceNumber, uint64(e.Meta.SubSequence)
	if len(number) != sequenceDigits || place > 9 {
		return appendSequence(dst, number, int64(place))
	}
	// A number as Kinesis makes it, of 56 digits, and a place of one digit, as nearly
	// all are: word by word.
	n0, n1, n2, n3 := load8(number[0:8]), load8(number[8:16]), load8(number[16:24]), load8(number[24:32])
	n4, n5, n6 := load8(number[32:40]), load8(number[40:48]), load8(number[48:56])
	if (notDigits(n0)|notDigits(n1)|notDigits(n2)|notDigits(n3)|notDigits(n4)|notDigits(n5)|notDigits(n6))&highHalves != 0 {
		return dst, errSequenceDigits
	}
	at := len(dst)
	dst = extend(dst, sequenceDigits+20)
	key := (*[sequenceDigits + 20]byte)(dst[at:])
	binary.LittleEndian.PutUint64(key[0:], n0)
	binary.LittleEndian.PutUint64(key[8:], n1)
	binary.LittleEndian.PutUint64(key[16:], n2)
	binary.LittleEndian.PutUint64(key[24:], n3)
	binary.LittleEndian.PutUint64(key[32:], n4)
	binary.LittleEndian.PutUint64(key[40:], n5)
	binary.LittleEndian.PutUint64(key[48:], n6)
	binary.LittleEndian.PutUint64(key[56:], zeros8-'0'+'.')
	binary.LittleEndian.PutUint64(key[64:], zeros8)
	binary.LittleEndian.PutUint32(key[72:], uint32(zeros8&0xffff_ffff+place<<24))
	return dst, nil
}

func appendSequence(dst []byte, number string, place int64) ([]byte, error) {
	if number == "" {
		return dst, errSequenceMissing
	}
	if !allDigits(number) {
		return dst, errSequenceDigits
	}
	if place < 0 {
		return dst, errSequenceSub
	}
	for number != "" && number[0] == '0' {
		number = number[1:]
	}
	if len(number) == sequenceDigits {
		dst = append(dst, number...)
	} else {
		width := sequenceDigits
		if len(number) > sequenceDigits {
			if len(number) > maxSequenceDigits {
				return dst, errSequenceLong
			}
			width = maxSequenceDigits
			dst = append(dst, '~')
		}
		dst = append(dst, zeros[:width-len(number)]...)
		dst = append(dst, number...)
	}
	// As many digits as the greatest int64 has; most are 0.
	at := len(dst)
	dst = extend(dst, 20)
	sub := (*[20]byte)(dst[at:])
	sub[0] = '.'
	binary.LittleEndian.PutUint64(sub[1:], zeros8)
	binary.LittleEndian.PutUint64(sub[9:], zeros8)
	binary.LittleEndian.PutUint32(sub[16:], zeros8&0xffff_ffff)
	for i, v := len(sub)-1, uint64(place); v > 0; i, v = i-1, v/10 {
		sub[i] = '0' + byte(v%10)
	}
	return dst, nil
}

// extend makes dst longer by n bytes, which are whatever memory held. Writing a
// key where it stays is faster than making it elsewhere and appending it.
func extend(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		return grow(dst, n)
	}
	return dst[:len(dst)+n]
}

// grow is extend where there is no room, which is rare. Inlined, it would make its
// callers save their registers.
//
//go:noinline
func grow(dst []byte, n int) []byte { return slices.Grow(dst, n)[:len(dst)+n] }

// allDigits says whether s is made of the digits 0 to 9 only.
func allDigits(s string) bool {
	var high uint64
	i := 0
	for ; i <= len(s)-8; i += 8 {
		high |= notDigits(load8(s[i : i+8]))
	}
	if high&highHalves != 0 {
		return false
	}
	for ; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// notDigits has no bit of highHalves set only if all bytes of x are digits: less
// '0', the high half of each must be 0, and stay 0 when 6 is added.
func notDigits(x uint64) uint64 {
	x ^= zeros8
	return x | (x + 0x0606_0606_0606_0606)
}

const highHalves = 0xf0f0_f0f0_f0f0_f0f0

// load8 returns the first eight bytes of s, the first one in the lowest byte.
// The compiler makes one load of it.
func load8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// load4 is load8 for four bytes.
func load4(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
