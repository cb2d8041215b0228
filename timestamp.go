package microeventstore

import (
	"errors"
	"time"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// The earliest and the first too late time of an event, in milliseconds: the
// years -29719 and 318857. What lies outside is no time but a unit mistaken (a
// timestamp in nanoseconds, say) or a damaged number.
const (
	minMillis = -1_000_000_000_000_000
	maxMillis = 10_000_000_000_000_000
)

var (
	errTimeRange = errors.New("is out of range for milliseconds since 1970")
	errTimeText  = errors.New("is not an RFC 3339 time")
)

// parseTimestamp reads a JSON value that says when something happened: a number
// of milliseconds since 1970, or a string that holds an RFC 3339 time. Either is
// rounded down to a millisecond, before 1970 too. null is the zero time. The
// errors are predicates that follow the name of the field.
func parseTimestamp(value []byte) (time.Time, error) {
	switch kind := jsonscan.KindOf(value); kind {
	case jsonscan.Null:
		return time.Time{}, nil
	case jsonscan.Number:
		ms, ok := millis(value)
		if !ok {
			return time.Time{}, errTimeRange
		}
		return time.UnixMilli(ms).UTC(), nil
	case jsonscan.Str:
		return parseTimeString(value)
	default:
		return time.Time{}, errors.New("is " + kind.String() + ", not a number of milliseconds or an RFC 3339 time")
	}
}

// parseTimeString reads a JSON string that holds an RFC 3339 time.
func parseTimeString(value []byte) (time.Time, error) {
	var buf [64]byte
	text, ok := jsonscan.AppendUnquoted(buf[:0], value[1:len(value)-1])
	if !ok {
		return time.Time{}, errTimeText
	}
	t, ok := parseRFC3339(text)
	if !ok {
		return time.Time{}, errTimeText
	}
	return t, nil
}

// usualMillis is millis for a value that is written as nearly all timestamps are: with
// as many digits as the times from 2001 to 2286 have.
func usualMillis(value []byte) (int64, bool) {
	if len(value) != 13 {
		return 0, false
	}
	var n int64
	for _, c := range value {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, true
}

// millis returns the value of a valid JSON number, rounded down to an integer.
// It works on the digits, for a float64 has too few of them. It is false outside
// [minMillis, maxMillis).
func millis(number []byte) (int64, bool) {
	negative := number[0] == '-'
	if negative {
		number = number[1:]
	}

	// Without its point and its leading zeros, the number is 0.DIGITS * 10^scale.
	var n int64
	var kept, scale int64 // digits in n; the digits there are before the point
	var fraction bool     // a digit that is not 0 stands after those kept
	const most = 17       // one digit more than maxMillis-1 has
	exponent := exponentOf(&number)
	afterPoint := false
	for _, c := range number {
		if c == '.' {
			afterPoint = true
			continue
		}
		if !afterPoint {
			scale++
		}
		if kept == 0 && c == '0' {
			scale-- // a leading zero
			continue
		}
		if kept < most {
			n = n*10 + int64(c-'0')
			kept++
		} else {
			fraction = fraction || c != '0'
		}
	}
	if kept == 0 {
		return 0, true
	}

	scale += exponent
	if scale >= most {
		return 0, false
	}
	for ; kept < scale; kept++ {
		n *= 10
	}
	for ; kept > scale && kept > 0; kept-- {
		fraction = fraction || n%10 != 0
		n /= 10
	}
	if negative {
		n = -n
		if fraction {
			n--
		}
	}
	return n, minMillis <= n && n < maxMillis
}

// exponentOf cuts the exponent from a number without its sign and returns it. An
// exponent too large for its type stops growing; no text is long enough to bring
// such a number back into range.
func exponentOf(number *[]byte) int64 {
	for i, c := range *number {
		if c|0x20 != 'e' {
			continue
		}
		digits := (*number)[i+1:]
		*number = (*number)[:i]
		negative := digits[0] == '-'
		if negative || digits[0] == '+' {
			digits = digits[1:]
		}
		var n int64
		for _, c := range digits {
			n = min(n*10+int64(c-'0'), 1<<56)
		}
		if negative {
			return -n
		}
		return n
	}
	return 0
}

// parseRFC3339 reads a time as RFC 3339 has it, section 5.6. [time.Parse] takes
// more (hours of one digit, a comma before the fraction, offsets of 99 hours) and
// keeps nanoseconds. Like it, this takes no leap second, for a [time.Time] has
// none.
func parseRFC3339(s []byte) (time.Time, bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) <= len(layout) {
		return time.Time{}, false
	}
	for i, c := range []byte(layout) {
		switch {
		case c == '0' && s[i]-'0' > 9:
			return time.Time{}, false
		case c == 'T' && s[i]|0x20 != 't':
			return time.Time{}, false
		case (c == '-' || c == ':') && s[i] != c:
			return time.Time{}, false
		}
	}
	month, day := time.Month(two(s[5:])), two(s[8:])
	hour, minute, second := two(s[11:]), two(s[14:]), two(s[17:])
	if hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}

	s, date := s[len(layout):], s
	var milli int
	if s[0] == '.' {
		i := 1
		for unit := 100; i < len(s) && s[i]-'0' <= 9; i++ {
			milli += int(s[i]-'0') * unit
			unit /= 10 // 0 from the fourth digit on
		}
		if i == 1 {
			return time.Time{}, false
		}
		s = s[i:]
	}
	offset, ok := parseOffset(s)
	if !ok {
		return time.Time{}, false
	}

	t := time.Date(two(date)*100+two(date[2:]), month, day, hour, minute, second, milli*1e6, time.UTC)
	if t.Month() != month || t.Day() != day { // there is no such day: it ran over into the next month
		return time.Time{}, false
	}
	return t.Add(-offset), true
}

// parseOffset reads what ends a time: Z, or the distance from UTC.
func parseOffset(s []byte) (time.Duration, bool) {
	if len(s) == 1 && s[0]|0x20 == 'z' {
		return 0, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	for _, i := range [...]int{1, 2, 4, 5} {
		if s[i]-'0' > 9 {
			return 0, false
		}
	}
	hours, minutes := two(s[1:]), two(s[4:])
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// two returns the value of the two digits that s begins with.
func two(s []byte) int {
	return int(s[0]-'0')*10 + int(s[1]-'0')
}
