package drivertest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

func limitCases() []testCase {
	return []testCase{
		{name: "LargestItem", rule: "An item whose Size is MaxItemSize exactly is stored.", run: testLargestItem},
		{name: "ItemOneByteTooLarge", rule: "An item whose Size is one byte over MaxItemSize is refused with ErrInvalidItem and its neighbours are stored. (A table that compresses may take it: skip the case.)", run: testItemOneByteTooLarge},
		{name: "ItemFarTooLarge", rule: "An item that is far over MaxItemSize is refused with ErrInvalidItem and its neighbours are stored.", run: testItemFarTooLarge},
		{name: "LongestKeys", rule: "A hash key of MaxHashKeySize bytes and a range key of MaxRangeKeySize bytes are stored and found; sizes are in bytes, not characters.", run: testLongestKeys},
		{name: "KeysTooLong", rule: "A key that is one byte too long is refused with ErrInvalidItem and its neighbours are stored.", run: testKeysTooLong},
		{name: "EmptyKeys", rule: "An empty key is refused with ErrInvalidItem and its neighbours are stored.", run: testEmptyKeys},
		{name: "KeysNotUTF8", rule: "A key that is not valid UTF-8 is refused with ErrInvalidItem and its neighbours are stored; it is never repaired, for two keys would become one.", run: testKeysNotUTF8},
		{name: "NegativeTTL", rule: "A TTL before 1970 is refused with ErrInvalidItem and its neighbours are stored.", run: testNegativeTTL},
	}
}

// refuses puts an item that must be refused between two that must be stored.
func (s *suite) refuses(t *watched, name string, bad driver.Item) {
	s.Helper()
	hash := "neighbours of: " + name
	before, after := newItem(hash, "1", 0), newItem(hash, "3", 0)
	s.failsOnly(name, t.Put(s.ctx, []driver.Item{before, bad, after}), 1)
	s.want(t, driver.Query{HashKey: hash}, before, after)
	s.failsOnly(name+", alone", t.Put(s.ctx, []driver.Item{bad}), 0)
}

// failsOnly checks that Put's error names just these items, as invalid.
func (s *suite) failsOnly(name string, err error, indexes ...int) {
	s.Helper()
	var partial *driver.PutError
	if !errors.As(err, &partial) {
		s.failf("%s: Put returned %v; want a *driver.PutError that names items %v", name, err, indexes)
		return
	}
	var named []int
	for _, failure := range partial.Failures {
		named = append(named, failure.Index)
		if !errors.Is(failure.Err, driver.ErrInvalidItem) {
			s.failf("%s: item %d failed with %v, which does not wrap ErrInvalidItem", name, failure.Index, failure.Err)
		}
	}
	same := len(named) == len(indexes)
	for i := 0; same && i < len(named); i++ {
		same = named[i] == indexes[i]
	}
	if !same {
		s.failf("%s: Put named items %v; want %v", name, named, indexes)
	}
}

func testLargestItem(s *suite) {
	t := s.open()
	random := rand.New(rand.NewPCG(1, 1))
	var items []driver.Item
	for i := range 3 {
		items = append(items, padded(newItem("largest", text(i), i), driver.MaxItemSize, random))
	}
	items[1].TTL, items[1].Type = 0, ""
	items[1] = padded(items[1], driver.MaxItemSize, random)
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "largest"}, items...)
}

func testItemOneByteTooLarge(s *suite) {
	t := s.open()
	largest := padded(newItem("too large", "r", 0), driver.MaxItemSize, rand.New(rand.NewPCG(2, 2)))
	s.refuses(t, "one byte over", oneByteMore(largest))
	s.want(t, driver.Query{HashKey: "too large"})
}

func testItemFarTooLarge(s *suite) {
	t := s.open()
	s.refuses(t, "far over", padded(newItem("too large", "r", 0), 10*driver.MaxItemSize, rand.New(rand.NewPCG(3, 3))))
	s.want(t, driver.Query{HashKey: "too large"})

	// Refusing a replacement leaves what was there.
	old := newItem("too large", "r", 1)
	s.put(t, old)
	bad := old
	bad.Event = bytes.Repeat([]byte{'7'}, 10*driver.MaxItemSize)
	// A table that compresses may take this one: it is all the same byte.
	if !s.mayPut(t, bad) {
		s.want(t, driver.Query{HashKey: "too large"}, old)
	}
}

func testLongestKeys(s *suite) {
	t := s.open()
	for _, unit := range []string{"k", "é", "～", "😀", "\x00", "\U0010ffff"} {
		hash := filled(unit, driver.MaxHashKeySize)
		rng := filled(unit, driver.MaxRangeKeySize)
		shorter := rng[:len(rng)-len(unit)]
		items := []driver.Item{newItem(hash, shorter, 0), newItem(hash, rng, 1)}
		s.put(t, items...)
		s.want(t, driver.Query{HashKey: hash}, items...)
		s.want(t, driver.Query{HashKey: hash, Limit: 1}, items...)
		s.want(t, driver.Query{HashKey: hash, Limit: 1, Descending: true}, backwards(items)...)
		s.want(t, driver.Query{HashKey: hash, From: rng, To: rng}, items[1])
		s.want(t, driver.Query{HashKey: hash[:len(hash)-len(unit)]})
	}
}

// filled returns a string of so many bytes, made of unit and filled up with "x"
// in front.
func filled(unit string, size int) string {
	return strings.Repeat("x", size%len(unit)) + strings.Repeat(unit, size/len(unit))
}

func testKeysTooLong(s *suite) {
	t := s.open()
	s.refuses(t, "hash key", newItem(filled("k", driver.MaxHashKeySize+1), "r", 0))
	s.refuses(t, "range key", newItem("long", filled("k", driver.MaxRangeKeySize+1), 0))
	s.refuses(t, "hash key of two-byte characters", newItem(filled("é", driver.MaxHashKeySize+2), "r", 0))
	s.refuses(t, "range key of four-byte characters", newItem("long", filled("😀", driver.MaxRangeKeySize+4), 0))
	s.want(t, driver.Query{HashKey: "long"})
	s.want(t, driver.Query{HashKey: filled("k", driver.MaxHashKeySize)})
}

func testEmptyKeys(s *suite) {
	t := s.open()
	s.refuses(t, "hash key", newItem("", "r", 0))
	s.refuses(t, "range key", newItem("empty", "", 0))
	s.refuses(t, "both keys", newItem("", "", 0))
	s.want(t, driver.Query{HashKey: "empty"})
}

func testKeysNotUTF8(s *suite) {
	t := s.open()
	for _, bad := range []string{"\xff", "h\xff", "h\xfe", "\xc0\x80" /* overlong NUL */, "\xed\xa0\x80" /* a surrogate */, "\xf4\x90\x80\x80" /* over U+10FFFF */, "a\xe2\x82", "\x80"} {
		s.refuses(t, "hash key "+short(bad), newItem(bad, "r", 0))
		s.refuses(t, "range key "+short(bad), newItem("not UTF-8", bad, 0))
	}
	s.want(t, driver.Query{HashKey: "not UTF-8"})
	s.want(t, driver.Query{HashKey: "h\ufffd"})
	s.want(t, driver.Query{HashKey: "h"})
}

func testNegativeTTL(s *suite) {
	t := s.open()
	item := newItem("negative", "r", 0)
	item.TTL = -1
	s.refuses(t, "TTL -1", item)
	s.want(t, driver.Query{HashKey: "negative"})
}
