package kinesisrecord

import "strings"

// CompareSequenceNumbers compares two sequence numbers of one shard as the numbers
// they are: the result is negative where a comes first, 0 where they are equal.
// They are decimal, of up to 128 bits and of different lengths, so neither an
// int64 nor the order of strings will do. ok is false if one is no number.
func CompareSequenceNumbers(a, b string) (order int, ok bool) {
	if !isDecimal(a) || !isDecimal(b) {
		return 0, false
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b), true
	}
	return strings.Compare(a, b), true
}

func isDecimal(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return s != ""
}
