package drivertest

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

func queryCases() []testCase {
	return []testCase{
		{name: "UnknownHashKey", rule: "A hash key that has no items is no error: the page has no items and no Next at the end.", run: testUnknownHashKey},
		{name: "Bounds", rule: "From and To are both inclusive, and need not be keys of items; \"\" sets no bound.", run: testBounds},
		{name: "EqualBounds", rule: "Equal bounds select the one item with that range key.", run: testEqualBounds},
		{name: "CrossedBounds", rule: "Bounds that no key can lie between select nothing, without an error.", run: testCrossedBounds},
		{name: "Descending", rule: "Descending returns the greatest range key first, over all pages and within the same bounds.", run: testDescending},
		{name: "Limit", rule: "Limit is the most items that a page may hold, however large, and 0 leaves it to the table.", run: testLimit},
		{name: "InvalidQueries", rule: "A query that no table can answer is refused with ErrInvalidQuery.", run: testInvalidQueries},
	}
}

func testUnknownHashKey(s *suite) {
	t := s.open()
	queries := []driver.Query{
		{}, {Limit: 1}, {Descending: true}, {From: "a"}, {To: "a"}, {From: "a", To: "b", Descending: true, Limit: 3},
	}
	for _, q := range queries { // in a table without any items
		q.HashKey = "unknown"
		s.want(t, q)
	}
	s.put(t, newItem("unknowm", "a", 0), newItem("unknowo", "a", 0), newItem("unknown2", "a", 0))
	for _, q := range queries { // between its neighbours
		q.HashKey = "unknown"
		s.want(t, q)
	}
}

func testBounds(s *suite) {
	t := s.open()
	var items []driver.Item
	for i, key := range []string{"a", "b", "b\x00", "ba", "c", "d", "e"} {
		items = append(items, newItem("bounds", key, i))
	}
	s.put(t, items...)
	bounds := []string{"", "\x00", "A", "a", "a\x00", "a\U0010ffff", "b", "b\x00", "b\x00\x00", "b\x01", "ba", "bb", "c", "cc", "d", "e", "e\x00", "f", "\U0010ffff", strings.Repeat("b", driver.MaxRangeKeySize)}
	for _, from := range bounds {
		for _, to := range bounds {
			if s.slow && from != "" && to != "" && len(from) != len(to) {
				continue
			}
			var want []driver.Item
			for _, item := range items {
				if item.RangeKey >= from && (to == "" || item.RangeKey <= to) {
					want = append(want, item)
				}
			}
			s.want(t, driver.Query{HashKey: "bounds", From: from, To: to}, want...)
			s.want(t, driver.Query{HashKey: "bounds", From: from, To: to, Limit: 2}, want...)
			s.want(t, driver.Query{HashKey: "bounds", From: from, To: to, Limit: 2, Descending: true}, backwards(want)...)
		}
	}
}

func testEqualBounds(s *suite) {
	t := s.open()
	items := newItems("point", 30)
	s.put(t, items...)
	for _, item := range items {
		s.want(t, driver.Query{HashKey: "point", From: item.RangeKey, To: item.RangeKey}, item)
	}
	last := items[29]
	s.want(t, driver.Query{HashKey: "point", From: last.RangeKey, To: last.RangeKey, Descending: true, Limit: 1}, last)
	s.want(t, driver.Query{HashKey: "point", From: "00000005x", To: "00000005x"})
}

func testCrossedBounds(s *suite) {
	t := s.open()
	s.put(t, newItems("crossed", 10)...)
	for _, b := range [][2]string{{text(5), text(4)}, {text(9), text(0)}, {"b", "a"}, {"a", "0"}, {"\U0010ffff", "\x00"}, {"a\x00", "a"}} {
		for _, q := range []driver.Query{{}, {Descending: true}, {Limit: 1}} {
			q.HashKey, q.From, q.To = "crossed", b[0], b[1]
			s.want(t, q)
		}
	}
	s.want(t, driver.Query{HashKey: "crossed and unknown", From: "b", To: "a"})
}

func testDescending(s *suite) {
	t := s.open()
	items := newItems("descending", 40)
	s.put(t, items...)
	for _, limit := range []int{0, 1, 7, 39, 40, 41} {
		s.want(t, driver.Query{HashKey: "descending", Descending: true, Limit: limit}, backwards(items)...)
		s.want(t, driver.Query{HashKey: "descending", Descending: true, Limit: limit, From: text(3), To: text(31)}, backwards(items[3:32])...)
		s.want(t, driver.Query{HashKey: "descending", Descending: true, Limit: limit, From: text(35)}, backwards(items[35:])...)
		s.want(t, driver.Query{HashKey: "descending", Descending: true, Limit: limit, To: text(5)}, backwards(items[:6])...)
		s.want(t, driver.Query{HashKey: "descending", Limit: limit, From: text(3), To: text(31)}, items[3:32]...)
	}
	// The last three, as a reader of the newest events asks for them.
	a := s.read(t, driver.Query{HashKey: "descending", Descending: true, Limit: 3, Consistent: true})
	for _, page := range a.pages {
		if len(page.Items) > 0 {
			if page.Items[0].RangeKey != text(39) {
				s.failf("the first item is %s, want %s", page.Items[0].RangeKey, text(39))
			}
			break
		}
	}
}

func testLimit(s *suite) {
	t := s.open()
	items := newItems("limit", 30)
	s.put(t, items...)
	for _, limit := range []int{1, 2, 29, 30, 31, 1000, math.MaxInt32, math.MaxInt32 + 1, math.MaxInt} {
		s.want(t, driver.Query{HashKey: "limit", Limit: limit}, items...)
		s.want(t, driver.Query{HashKey: "limit", Limit: limit, Descending: true}, backwards(items)...)
	}

	// Pages that are cut by the limit and by their size.
	random := rand.New(rand.NewPCG(7, 7))
	large := newItems("large limit", 12)
	for i := range large {
		large[i] = padded(large[i], 300_000, random)
	}
	s.put(t, large...)
	for _, limit := range []int{1, 2, 5, 12} {
		s.want(t, driver.Query{HashKey: "large limit", Limit: limit}, large...)
	}
}

func testInvalidQueries(s *suite) {
	t := s.open()
	s.put(t, newItem("h", "r", 0))
	tooLong := strings.Repeat("k", driver.MaxRangeKeySize+1)
	for _, q := range []driver.Query{
		{},
		{HashKey: ""},
		{HashKey: strings.Repeat("k", driver.MaxHashKeySize+1)},
		{HashKey: "h\xff"},
		{HashKey: "h", From: "\xff"},
		{HashKey: "h", To: "\xff"},
		{HashKey: "h", From: tooLong},
		{HashKey: "h", To: tooLong},
		{HashKey: "h", From: "\xff", To: "a"},
		{HashKey: "h", From: "b", To: "a\xff"},
		{HashKey: "h", Limit: -1},
		{HashKey: "h", Limit: math.MinInt},
	} {
		page, err := t.Query(s.ctx, q)
		if !errors.Is(err, driver.ErrInvalidQuery) {
			s.failf("Query of %s returned %d items and the error %v; want one that wraps ErrInvalidQuery", describe(q), len(page.Items), err)
		}
	}
}
