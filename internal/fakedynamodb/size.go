package fakedynamodb

import "math"

// "Quotas in Amazon DynamoDB": an item is at most 400 KB, names and values
// together; a partition key 1 to 2048 bytes, a sort key 1 to 1024.
const (
	maxItemSize  = 400 << 10
	maxHashSize  = 2048
	maxRangeSize = 1024
)

// size counts a value's bytes ("DynamoDB item sizes and formats"): strings in
// UTF-8, binary raw, null and boolean one byte, a list or map three bytes and
// one more for each element, whatever is in it.
func (v value) size() int {
	switch v.kind {
	case "N":
		return v.num.size()
	case "BOOL", "NULL":
		return 1
	case "SS", "NS", "BS":
		n := 0
		for _, e := range v.set {
			n += e.size()
		}
		return n
	case "L":
		n := 3
		for _, e := range v.list {
			n += 1 + e.size()
		}
		return n
	case "M":
		return 3 + len(v.m) + v.m.size()
	default:
		return len(v.s)
	}
}

// size counts an item's bytes: attribute names (UTF-8) and values.
func (it item) size() int {
	n := 0
	for name, v := range it {
		n += len(name) + v.size()
	}
	return n
}

// sizeOf is the size of a row; 0 where there is none.
func sizeOf(r *row) int {
	if r == nil {
		return 0
	}
	return r.size
}

// writeUnits: one for each started KB, at least one ("DynamoDB read and write
// operations"); the larger of the item before and after counts.
func writeUnits(before, after int) float64 {
	return math.Max(1, math.Ceil(float64(max(before, after))/1024))
}

// readUnits: one for each started 4 KB, half of it when eventually consistent,
// and as much as one started 4 KB when nothing was found ("DynamoDB read and
// write operations").
func readUnits(size int, consistent bool) float64 {
	units := math.Max(1, math.Ceil(float64(size)/4096))
	if !consistent {
		units /= 2
	}
	return units
}
