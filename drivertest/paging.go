package drivertest

import (
	"fmt"
	"math/rand/v2"

	"github.com/microeventstore/microeventstore/driver"
)

func pagingCases() []testCase {
	return []testCase{
		{name: "EveryLimit", rule: "Pages of every size, in both directions and within bounds, have all items in order without gaps or repetitions.", run: testEveryLimit},
		{name: "LargeCollation", rule: "A collation of many pages is read whole, in order, without gaps or repetitions, in both directions, whatever the limit.", run: testLargeCollation},
		{name: "PagesAreBounded", rule: "A table bounds its pages by a few MB, so that a reader's memory is bounded too, even if Limit allows more items.", run: testPagesAreBounded},
		{name: "LargeItemsPage", rule: "Items of the largest size come through, whatever the bound of a page.", run: testLargeItemsPage},
		{name: "PagesDuringChanges", rule: "Items that exist all the while are returned without gaps or repetitions, whatever is put, replaced or deleted around them between two pages.", run: testPagesDuringChanges},
	}
}

func testEveryLimit(s *suite) {
	t := s.open()
	n := s.fewer(17, 5)
	items := newItems("every limit", n)
	s.put(t, items...)
	for limit := 1; limit <= n+2; limit++ {
		for from := 0; from < n; from += 4 {
			for to := from; to < n; to += 3 {
				q := driver.Query{HashKey: "every limit", Limit: limit, From: text(from), To: text(to)}
				s.want(t, q, items[from:to+1]...)
				q.Descending = true
				s.want(t, q, backwards(items[from:to+1])...)
			}
		}
	}
}

// largeCollation puts several megabytes under one hash key.
func (s *suite) largeCollation(t *watched, hash string) []driver.Item {
	s.Helper()
	random := rand.New(rand.NewPCG(8, 8))
	items := newItems(hash, s.fewer(3000, 2600))
	for i := range items {
		items[i] = padded(items[i], 3000+random.IntN(3000), random)
	}
	for first := 0; first < len(items); first += 500 {
		s.put(t, items[first:min(first+500, len(items))]...)
	}
	return items
}

func testLargeCollation(s *suite) {
	t := s.open()
	items := s.largeCollation(t, "large")
	limits := []int{0, 1, 7, 100, 1000, len(items) - 1, len(items), len(items) + 1}
	if s.slow {
		limits = []int{0, 400, len(items)}
	}
	for _, limit := range limits {
		s.want(t, driver.Query{HashKey: "large", Limit: limit}, items...)
		s.want(t, driver.Query{HashKey: "large", Limit: limit, Descending: true}, backwards(items)...)
	}
	from, to := len(items)/3, len(items)-10
	q := driver.Query{HashKey: "large", From: text(from), To: text(to)}
	s.want(t, q, items[from:to+1]...)
	q.Descending = true
	s.want(t, q, backwards(items[from:to+1])...)
}

func testPagesAreBounded(s *suite) {
	t := s.open()
	items := s.largeCollation(t, "bounded")
	// A table may notice its bound with the item that passes it.
	const most = 4<<20 + driver.MaxItemSize
	for _, limit := range []int{0, len(items)} {
		for _, descending := range []bool{false, true} {
			q := driver.Query{HashKey: "bounded", Limit: limit, Descending: descending}
			for i, page := range s.read(t, q).pages {
				size := 0
				for j := range page.Items {
					size += page.Items[j].Size()
				}
				if size > most {
					s.failf("page %d of %s has %d items of %d bytes; want %d at most", i+1, describe(q), len(page.Items), size, most)
					break
				}
			}
		}
	}
}

func testLargeItemsPage(s *suite) {
	t := s.open()
	random := rand.New(rand.NewPCG(9, 9))
	items := newItems("large items", 7)
	for i := range items {
		items[i] = padded(items[i], driver.MaxItemSize, random)
	}
	items[3] = newItem("large items", text(3), 3)
	s.put(t, items...)
	for _, limit := range []int{0, 1, 3} {
		s.want(t, driver.Query{HashKey: "large items", Limit: limit}, items...)
		s.want(t, driver.Query{HashKey: "large items", Limit: limit, Descending: true}, backwards(items)...)
	}
}

// Between two pages everything around the stable items changes: keys just before
// and just after the place where the page ended, and that place itself.
func testPagesDuringChanges(s *suite) {
	for _, descending := range []bool{false, true} {
		t := s.open()
		hash := fmt.Sprintf("changing %v", descending)
		items := newItems(hash, s.fewer(60, 20))
		s.put(t, items...)
		s.want(t, driver.Query{HashKey: hash}, items...)
		want := items
		if descending {
			want = backwards(items)
		}
		q := driver.Query{HashKey: hash, Descending: descending, Limit: 3, Consistent: true}
		var got []driver.Item
		for round := 0; ; round++ {
			page, err := t.Query(s.ctx, q)
			if err != nil {
				s.fatalf("Query, page %d: %v", round+1, err)
			}
			for _, item := range page.Items {
				if len(item.RangeKey) == len(text(0)) { // not one of the others
					got = append(got, item)
				}
			}
			if page.Next == "" {
				break
			}
			if round > 100*len(items) {
				s.fatalf("no end after %d pages of a collation that grows by a few items a page", round)
			}
			if q.Cursor = page.Next; round > len(items) || len(page.Items) == 0 {
				continue // let the reader get to the end
			}
			last := page.Items[len(page.Items)-1].RangeKey
			s.put(t,
				newItem(hash, items[0].RangeKey+"-first", round), // in front of all but one
				newItem(hash, last+"\x00", round),                // right behind, or right before, where the page ended
				newItem(hash, last[:len(text(0))-1], round),      // shorter, so before
			)
		}
		if d := diff(got, want); d != "" {
			s.failf("paging with descending %v while others were put: %s", descending, d)
		}
	}
}
