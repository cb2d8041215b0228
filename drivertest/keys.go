package drivertest

import (
	"sort"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

func keyCases() []testCase {
	return []testCase{
		{name: "OddHashKeys", rule: "Hash keys are compared byte by byte: keys that look alike, sort alike or mean something to some storage are different keys.", run: testOddHashKeys},
		{name: "OddRangeKeys", rule: "Range keys are compared byte by byte: keys that look alike, sort alike or mean something to some storage are different keys.", run: testOddRangeKeys},
		{name: "KeyBoundaries", rule: "An item is found by two keys, not by their concatenation: \"a\"+\"bc\" is not \"ab\"+\"c\", whatever bytes the keys hold.", run: testKeyBoundaries},
		{name: "HashKeyPrefixes", rule: "A query finds the items of its hash key and not those of a hash key that begins with it, in both directions and with any bounds.", run: testHashKeyPrefixes},
		{name: "ByteOrder", rule: "Range keys are ordered by their bytes, not by a locale, not by case and not by UTF-16 code units.", run: testByteOrder},
		{name: "Markers", rule: "A table treats items whose range key begins with MarkerPrefix like any other.", run: testMarkers},
	}
}

// oddKeys are valid keys that some storage or some language mixes up.
func oddKeys() []string {
	return []string{
		"a", "A", "á", "a\u0301", "а" /* Cyrillic */, "ａ", "ª", // case, normal forms, look-alikes
		"ss", "ß", "ẞ", "i", "ı", "İ", "I", "ﬁ", "fi", "K", "\u212a",
		" ", "  ", "a ", " a", "a\t", "a\n", "a\r\n", "\n", "a\u00a0", "a\u200b", "\ufeffa", // white space
		"\x00", "\x00\x00", "a\x00", "a\x00b", "\x00a", "\x01", "\x01\x00", "\x7f", // control
		"0", "00", "-0", "+0", "0.0", "1", "01", "1e0", "null", "NULL", "true", "NaN", // values
		"%", "_", "*", "?", "a%", "a*", "a_", "[a]", "a|b", "a/b", "a\\b", "../a", ".", "..", "/", "a//b", // patterns and paths
		"'", "''", "\"", "`", "a;b", "--", "#", "a#b", ":a", "$a", "{a}", "&amp;", "%00", "\\u0000", "+", "%2B", "=", // syntax
		"\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffee", "～", "\ufffd", "\ufffe", "\uffff", // the edges of UTF-8
		"\U00010000", "😀", "\U0010ffff", "\U0010ffff\U0010ffff",
	}
}

func testOddHashKeys(s *suite) {
	t := s.open()
	var items []driver.Item
	for i, key := range oddKeys() {
		items = append(items, newItem(key, "r", i))
	}
	s.put(t, items...)
	for _, item := range items {
		s.want(t, driver.Query{HashKey: item.HashKey}, item)
	}
	for _, absent := range []string{"b", "a\x00\x00", "\x02", "aa", "á ", "\ufffc"} {
		s.want(t, driver.Query{HashKey: absent})
	}
}

func testOddRangeKeys(s *suite) {
	t := s.open()
	keys := oddKeys()
	sort.Strings(keys)
	var items []driver.Item
	for i, key := range keys {
		items = append(items, newItem("odd", key, i))
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "odd"}, items...)
	s.want(t, driver.Query{HashKey: "odd", Descending: true}, backwards(items)...)
	for i, item := range items {
		s.want(t, driver.Query{HashKey: "odd", From: item.RangeKey, To: item.RangeKey}, item)
		if i%10 == 0 || !s.slow {
			s.want(t, driver.Query{HashKey: "odd", From: item.RangeKey}, items[i:]...)
			s.want(t, driver.Query{HashKey: "odd", To: item.RangeKey}, items[:i+1]...)
		}
	}
}

func testKeyBoundaries(s *suite) {
	t := s.open()
	byHash := make(map[string][]driver.Item)
	add := func(keys ...[2]string) {
		for _, k := range keys {
			byHash[k[0]] = append(byHash[k[0]], newItem(k[0], k[1], 0))
		}
	}
	for _, separator := range []string{"", "\x00", "\x00\x00", "\x01", "\xc3\xbf", "#", "/", "|", ":", "\n", "\u001f", "\uffff", "\U0010ffff"} {
		add([2]string{"p" + separator, "q" + separator + "r"},
			[2]string{"p" + separator + "q", separator + "r"},
			[2]string{"p" + separator + "q" + separator, "r"})
	}
	add([2]string{"a", "bc"}, [2]string{"ab", "c"}, [2]string{"abc", "abc"}, [2]string{"1:a", "1:a"})
	var all []driver.Item
	for hash, items := range byHash {
		items = sortedItems(items)
		byHash[hash] = items
		all = append(all, items...)
	}
	s.put(t, all...)
	for hash, items := range byHash {
		s.want(t, driver.Query{HashKey: hash}, items...)
		s.want(t, driver.Query{HashKey: hash, Descending: true}, backwards(items)...)
	}
}

// sortedItems puts items in order and leaves out those with the same range key.
func sortedItems(items []driver.Item) []driver.Item {
	sort.SliceStable(items, func(i, j int) bool { return items[i].RangeKey < items[j].RangeKey })
	var kept []driver.Item
	for _, item := range items {
		if len(kept) == 0 || kept[len(kept)-1].RangeKey != item.RangeKey {
			kept = append(kept, item)
		}
	}
	return kept
}

func testHashKeyPrefixes(s *suite) {
	t := s.open()
	hashes := []string{"p", "p\x00", "p\x00\x00", "p\x01", "p ", "pp", "ppp", "p\U0010ffff", "o", "o\U0010ffff", "q", strings.Repeat("p", driver.MaxHashKeySize)}
	byHash := make(map[string][]driver.Item)
	for _, hash := range hashes {
		for _, rng := range []string{"\x00", "a", "p", "\U0010ffff"} {
			byHash[hash] = append(byHash[hash], newItem(hash, rng, 0))
		}
		s.put(t, byHash[hash]...)
	}
	for _, hash := range hashes {
		items := byHash[hash]
		for _, descending := range []bool{false, true} {
			expect := func(q driver.Query, items []driver.Item) {
				if q.HashKey, q.Descending = hash, descending; descending {
					items = backwards(items)
				}
				s.want(t, q, items...)
			}
			expect(driver.Query{}, items)
			expect(driver.Query{Limit: 3}, items)
			expect(driver.Query{From: "a"}, items[1:])
			expect(driver.Query{To: "p"}, items[:3])
			expect(driver.Query{To: "\U0010ffff\U0010ffff"}, items)
			expect(driver.Query{From: "\U0010ffff\U0010ffff"}, nil)
		}
	}
}

func testByteOrder(s *suite) {
	t := s.open()
	// In byte order. Each neighbouring pair is one that another order swaps.
	keys := []string{
		"10", "9", // numbers
		"A", "B", "Z", "_", "a", "a\x00", "a-b", "aB", "ab", "a~", "b", "z", // case, punctuation that locales skip
		"É", "é", "Ω", "я", // accents
		"\ud7ff", "\ue000", "\uff5e", "\uffff", // above the surrogates: UTF-16 puts what follows before them
		"\U00010000", "\U0001f600", "\U0010ffff",
	}
	if !sort.StringsAreSorted(keys) {
		s.Fatalf("drivertest: the keys of this case are out of order")
	}
	var items []driver.Item
	for i, key := range keys {
		items = append(items, newItem("order", key, i))
	}
	s.put(t, backwards(items)...)
	s.want(t, driver.Query{HashKey: "order"}, items...)
	s.want(t, driver.Query{HashKey: "order", Limit: 1}, items...)
	s.want(t, driver.Query{HashKey: "order", Descending: true}, backwards(items)...)
	for i := range items {
		s.want(t, driver.Query{HashKey: "order", From: keys[i]}, items[i:]...)
		s.want(t, driver.Query{HashKey: "order", To: keys[i], Descending: true}, backwards(items[:i+1])...)
	}
}

func testMarkers(s *suite) {
	t := s.open()
	items := []driver.Item{
		newItem("markers", driver.MarkerPrefix, 0),
		newItem("markers", driver.MarkerPrefix+"a", 1),
		newItem("markers", "\x02", 2),
		newItem("markers", "a", 3),
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "markers"}, items...)
	s.want(t, driver.Query{HashKey: "markers", From: "\x02"}, items[2:]...)
	s.want(t, driver.Query{HashKey: "markers", To: "\x02", Descending: true}, backwards(items[:3])...)
}
