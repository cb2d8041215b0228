package drivertest

import (
	"math/rand/v2"
	"slices"

	"github.com/microeventstore/microeventstore/driver"
)

func putCases() []testCase {
	return []testCase{
		{name: "PutNothing", rule: "A Put of no items stores every one of them: it returns nil.", run: testPutNothing},
		{name: "PutReplaces", rule: "A Put replaces the item with the same keys, whole, and no other.", run: testPutReplaces},
		{name: "PutIdentical", rule: "Putting an identical item again succeeds and changes nothing.", run: testPutIdentical},
		{name: "PutThousand", rule: "A Put may have any number of items, under any number of hash keys, in any order; nil means that every one is stored.", run: testPutThousand},
		{name: "PutLarge", rule: "A Put may be larger than what any server takes in one request.", run: testPutLarge},
		{name: "PutErrorNamesItems", rule: "A *PutError names exactly the invalid items, by their index into what was put, however many there are; all others are stored.", run: testPutErrorNamesItems},
		{name: "PutAllInvalid", rule: "A Put of nothing but invalid items names them all.", run: testPutAllInvalid},
		{name: "PutSameKeysTwice", rule: "A table has at most one item for a pair of keys, even if a caller breaks the rule that no two items of a Put have the same keys.", run: testPutSameKeysTwice},
	}
}

func testPutNothing(s *suite) {
	t := s.open()
	for _, items := range [][]driver.Item{nil, {}} {
		if err := t.Put(s.ctx, items); err != nil {
			s.failf("Put of no items: %v; want nil", err)
		}
	}
}

func testPutReplaces(s *suite) {
	t := s.open()
	items := newItems("replaced", 20)
	s.put(t, items...)
	other := newItem("other", items[7].RangeKey, 0)
	s.put(t, other)

	// Each replacement changes every field, and leaves out what was there.
	items[7] = newItem("replaced", items[7].RangeKey, 1007)
	items[8] = driver.Item{HashKey: "replaced", RangeKey: items[8].RangeKey, Event: []byte(`{}`)}
	items[9].TTL = 0
	items[10].Event = append(slices.Clone(items[10].Event), "  "...)
	items[11].Type = "another"
	s.put(t, items[7:12]...)
	s.want(t, driver.Query{HashKey: "replaced"}, items...)
	s.want(t, driver.Query{HashKey: "other"}, other)

	for version := range s.fewer(50, 5) {
		items[3] = newItem("replaced", items[3].RangeKey, 2000+version)
		s.put(t, items[3])
		s.want(t, driver.Query{HashKey: "replaced", From: items[3].RangeKey, To: items[3].RangeKey}, items[3])
	}
}

func testPutIdentical(s *suite) {
	t := s.open()
	items := newItems("identical", 30)
	for range 3 {
		s.put(t, items...)
		s.want(t, driver.Query{HashKey: "identical"}, items...)
	}
	s.put(t, items[5])
	s.want(t, driver.Query{HashKey: "identical"}, items...)
}

func testPutThousand(s *suite) {
	t := s.open()
	const hashes = 7
	items := make([]driver.Item, 1000)
	for i := range items {
		items[i] = newItem("thousand "+text(i%hashes), text(i), i)
	}
	mixed := slices.Clone(items)
	random := rand.New(rand.NewPCG(4, 4))
	random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	s.put(t, mixed...)
	for h := range hashes {
		var want []driver.Item
		for i := h; i < len(items); i += hashes {
			want = append(want, items[i])
		}
		s.want(t, driver.Query{HashKey: "thousand " + text(h)}, want...)
	}
}

func testPutLarge(s *suite) {
	t := s.open()
	random := rand.New(rand.NewPCG(5, 5))
	// 52 items of 400 KB are over 20 MB, and over 16 MB, which is DynamoDB's
	// bound of a BatchWriteItem.
	items := newItems("large put", s.fewer(52, 27))
	for i := range items {
		items[i] = padded(items[i], driver.MaxItemSize-i, random)
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "large put"}, items...)
}

func testPutErrorNamesItems(s *suite) {
	t := s.open()
	var (
		items, valid []driver.Item
		invalid      []int
	)
	tooLarge := padded(newItem("named", "too large", 0), 2*driver.MaxItemSize, rand.New(rand.NewPCG(6, 6)))
	for i := range 120 {
		item := newItem("named", text(i), i)
		bad := true
		switch i {
		case 0, 51, 119:
			item.HashKey = ""
		case 24, 25, 26, 74:
			item.RangeKey = ""
		case 49, 50, 99:
			item.RangeKey = "\xff" + text(i)
		case 60, 100:
			item.Event = tooLarge.Event
		default:
			bad = false
		}
		items = append(items, item)
		if bad {
			invalid = append(invalid, i)
		} else {
			valid = append(valid, item)
		}
	}
	s.failsOnly("120 items", t.Put(s.ctx, items), invalid...)
	s.want(t, driver.Query{HashKey: "named"}, valid...)
}

func testPutAllInvalid(s *suite) {
	t := s.open()
	items := make([]driver.Item, 60)
	all := make([]int, len(items))
	for i := range items {
		items[i] = newItem("all invalid", "", i)
		items[i].RangeKey = "\xfe" + text(i)
		all[i] = i
	}
	s.failsOnly("60 items", t.Put(s.ctx, items), all...)
	s.want(t, driver.Query{HashKey: "all invalid"})
}

func testPutSameKeysTwice(s *suite) {
	t := s.open()
	first, second := newItem("twice", "r", 1), newItem("twice", "r", 2)
	if err := t.Put(s.ctx, []driver.Item{first, second}); err != nil {
		return // it may refuse to
	}
	got := s.read(t, driver.Query{HashKey: "twice", Consistent: true}).items
	if len(got) > 1 || len(got) == 1 && diffItem(got[0], first) != "" && diffItem(got[0], second) != "" {
		s.failf("after a Put of two versions of one item there are %d items, %v; want one of the two", len(got), rangeKeys(got))
	}
}
