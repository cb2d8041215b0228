package drivertest

import (
	"sync"

	"github.com/microeventstore/microeventstore/driver"
)

func ownershipCases() []testCase {
	return []testCase{
		{name: "PutLeavesItsArgument", rule: "Put changes neither the items it is given nor their order: PutError's indexes are the caller's.", run: testPutLeavesItsArgument},
		{name: "CallerReusesItsMemory", rule: "What Put was given belongs to its caller again once it has returned: a table that needs the bytes for longer copies them.", run: testCallerReusesItsMemory},
		{name: "CallerReusesItsMemoryAfterErrors", rule: "What Put was given belongs to its caller again once it has returned, with an error too.", run: testCallerReusesItsMemoryAfterErrors},
		{name: "ReturnedItemsStay", rule: "What a method returns is never changed afterwards: not by other reads, not by replacing or deleting the items, not by Close.", run: testReturnedItemsStay},
		{name: "ReturnedItemsStayUnderConcurrency", rule: "What a method returns is never changed afterwards, by no other goroutine either.", run: testReturnedItemsStayUnderConcurrency},
		{name: "ReleasedPages", rule: "Release takes back the Items of a page: their strings and Events stay as they are, and other pages too.", run: testReleasedPages},
	}
}

func testPutLeavesItsArgument(s *suite) {
	t := s.open()
	items := backwards(newItems("argument", 40))
	items[5].HashKey, items[20].HashKey = "another", "a third"
	before := clone(items)
	s.put(t, items...)
	if d := diff(items, before); d != "" {
		s.failf("after Put, in what it was given: %s", d)
	}
	items[7].RangeKey = "\xff"
	before = clone(items)
	s.failsOnly("one invalid item", t.Put(s.ctx, items), 7)
	if d := diff(items, before); d != "" {
		s.failf("after a Put that failed, in what it was given: %s", d)
	}
}

// scribble overwrites what Put was given.
func scribble(items []driver.Item) {
	for i := range items {
		for j := range items[i].Event {
			items[i].Event[j] = '!'
		}
		items[i] = driver.Item{HashKey: "scribbled", RangeKey: "scribbled", Event: items[i].Event}
	}
}

func testCallerReusesItsMemory(s *suite) {
	t := s.open()
	items := newItems("reused", 100)
	given := clone(items)
	s.put(t, given...)
	scribble(given)
	s.want(t, driver.Query{HashKey: "reused"}, items...)

	// Identical items and replacements may take other paths.
	given = clone(items)
	s.put(t, given...)
	scribble(given)
	s.want(t, driver.Query{HashKey: "reused"}, items...)
	items[3] = newItem("reused", items[3].RangeKey, 1003)
	given = clone(items[3:4])
	s.put(t, given...)
	scribble(given)
	s.want(t, driver.Query{HashKey: "reused"}, items...)
	s.want(t, driver.Query{HashKey: "scribbled"})
}

func testCallerReusesItsMemoryAfterErrors(s *suite) {
	t := s.open()
	items := newItems("reused", 30)
	given := clone(items)
	given[10].RangeKey = ""
	s.failsOnly("one invalid item", t.Put(s.ctx, given), 10)
	scribble(given)
	s.want(t, driver.Query{HashKey: "reused"}, append(clone(items[:10]), items[11:]...)...)
}

func testReturnedItemsStay(s *suite) {
	t := s.open()
	items := newItems("stays", 200)
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "stays"}, items...)

	// Events of the same length, so that storage may put them in the same place.
	first := s.read(t, driver.Query{HashKey: "stays", Limit: 50, Consistent: true})
	was := clone(first.items)
	second := s.read(t, driver.Query{HashKey: "stays", Descending: true, Consistent: true})
	wasSecond := clone(second.items)
	still := func(when string) {
		s.Helper()
		if d := diff(first.items, was); d != "" {
			s.fatalf("items that were read before, after %s: %s", when, d)
		}
		if d := diff(second.items, wasSecond); d != "" {
			s.fatalf("items that were read before, after %s: %s", when, d)
		}
	}
	still("another read")
	for version := range 3 {
		for i := range items {
			items[i] = newItem("stays", items[i].RangeKey, (version+1)*1000+i)
		}
		s.put(t, items...)
		s.want(t, driver.Query{HashKey: "stays"}, items...)
		still("the items were replaced")
	}
	if _, ok := t.Table.(driver.Deleter); ok {
		if _, err := t.Delete(s.ctx, "stays"); err != nil {
			s.failf("Delete: %v", err)
		}
		s.put(t, newItems("others", 200)...)
		still("the items were deleted")
	}
	if err := t.Close(); err != nil {
		s.failf("Close: %v", err)
	}
	still("Close")
}

// With -race this finds a table that hands out memory which it still writes to.
func testReturnedItemsStayUnderConcurrency(s *suite) {
	t := s.open()
	items := newItems("stays", 50)
	s.put(t, items...)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range s.fewer(20, 3) {
				a, err := s.walk(t, driver.Query{HashKey: "stays", Limit: 20})
				if err != nil {
					s.failf("Query: %v", err)
					return
				}
				was := clone(a.items)
				for j := range 5 {
					k := (g*13 + i*7 + j) % len(items)
					if err := t.Put(s.ctx, []driver.Item{newItem("stays", text(k), g*1_000_000+i*1000+j)}); err != nil {
						s.failf("Put: %v", err)
						return
					}
				}
				if d := diff(a.items, was); d != "" {
					s.failf("items that were read before, while others wrote: %s", d)
					return
				}
			}
		})
	}
	wg.Wait()
}

func testReleasedPages(s *suite) {
	t := s.open()
	releaser, ok := t.Table.(driver.Releaser)
	if !ok {
		s.Skipf("skipped because the table is no driver.Releaser\nthe rule: %s", s.rule)
	}
	items := newItems("released", 60)
	s.put(t, items...)
	s.put(t, newItems("another", 90)...)
	s.want(t, driver.Query{HashKey: "released"}, items...)
	s.want(t, driver.Query{HashKey: "another"}, newItems("another", 90)...)
	releaser.Release(driver.Page{}) // of nobody
	var kept []driver.Item          // of pages that were released
	query := func(q driver.Query) driver.Page {
		s.Helper()
		q.Consistent = true
		page, err := t.Query(s.ctx, q)
		if err != nil {
			s.fatalf("Query: %v", err)
		}
		return page
	}
	for cursor := ""; ; {
		page := query(driver.Query{HashKey: "released", Limit: 20, Cursor: cursor})
		kept = append(kept, page.Items...)
		for range 2 { // as good as once
			other := query(driver.Query{HashKey: "another", Limit: 20}).Items
			was := clone(other)
			releaser.Release(page)
			if d := diff(other, was); d != "" {
				s.fatalf("a page that was not released, after Release of another one: %s", d)
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if d := diff(kept, items); d != "" {
		s.failf("what the items of released pages had: %s", d)
	}
}
