package drivertest

import (
	"errors"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

func cursorCases() []testCase {
	return []testCase{
		{name: "CursorGarbage", rule: "A cursor that is not from the query is refused with ErrInvalidQuery; it never panics and never starts over in silence.", run: testCursorGarbage},
		{name: "CursorDamaged", rule: "A cursor that was damaged is refused or is taken for another place in the same query; it never panics and never leads outside of the query.", run: testCursorDamaged},
		{name: "CursorOfAnotherQuery", rule: "A cursor does not survive a change of the query: it is refused, or at least never leads outside of the new query.", run: testCursorOfAnotherQuery},
		{name: "CursorTwice", rule: "A cursor is a value: the same page can be asked for again.", run: testCursorTwice},
		{name: "CursorAfterDeletion", rule: "A cursor points between items: the item where a page ended may be gone when the next page is read.", run: testCursorAfterDeletion},
	}
}

// secondPage puts items and returns the query of the second page.
func (s *suite) secondPage(t *watched, hash string) driver.Query {
	s.Helper()
	items := newItems(hash, 20)
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: hash}, items...)
	q := driver.Query{HashKey: hash, Limit: 5, Consistent: true}
	for range 1000 {
		page, err := t.Query(s.ctx, q)
		if err != nil {
			s.fatalf("Query: %v", err)
		}
		if page.Next == "" {
			s.fatalf("a query with limit 5 ends before its 20 items")
		}
		if q.Cursor = page.Next; len(page.Items) > 0 {
			break
		}
	}
	return q
}

func testCursorGarbage(s *suite) {
	t := s.open()
	q := s.secondPage(t, "garbage")
	for _, garbage := range []string{
		"garbage", "\x00", "\xff\xfe", "0", "-1", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "null", "{}", `{"a":`, "[]", "%", "====", " ",
		strings.Repeat("A", 100_000), strings.Repeat("\xff", 5000),
	} {
		for _, descending := range []bool{false, true} {
			bad := q
			bad.Cursor, bad.Descending = garbage, descending
			if _, err := t.Query(s.ctx, bad); !errors.Is(err, driver.ErrInvalidQuery) {
				s.failf("Query with cursor %s: error %v; want one that wraps ErrInvalidQuery", short(garbage), err)
			}
		}
	}
}

func testCursorDamaged(s *suite) {
	t := s.open()
	q := s.secondPage(t, "damaged")
	try := func(cursor string) {
		bad := q
		// The page is checked as all pages are.
		if bad.Cursor = cursor; cursor == "" {
			return
		}
		if _, err := t.Query(s.ctx, bad); err != nil && !errors.Is(err, driver.ErrInvalidQuery) {
			s.failf("Query with a damaged cursor: error %v; want nil, or one that wraps ErrInvalidQuery", err)
		}
	}
	try(q.Cursor + q.Cursor + "!")
	try("!" + q.Cursor)
	step := s.fewer(1, 10)
	for i := 0; i < len(q.Cursor); i += step {
		try(q.Cursor[:i])
		try(q.Cursor[i:])
		for _, c := range []byte{0, '0', 'z', 0xff, q.Cursor[i] ^ 1, q.Cursor[i] ^ 0x20} {
			try(q.Cursor[:i] + string([]byte{c}) + q.Cursor[i+1:])
		}
	}
}

func testCursorOfAnotherQuery(s *suite) {
	t := s.open()
	q := s.secondPage(t, "another")
	s.put(t, newItems("anothes", 20)...)
	for _, change := range []func(*driver.Query){
		func(q *driver.Query) { q.HashKey = "anothes" },
		func(q *driver.Query) { q.HashKey = "unknown" },
		func(q *driver.Query) { q.HashKey = "a" },
		func(q *driver.Query) { q.Descending = true },
		func(q *driver.Query) { q.From = text(10) },
		func(q *driver.Query) { q.To = text(2) },
		func(q *driver.Query) { q.From, q.To = text(1), text(2) },
		func(q *driver.Query) { q.Limit = 1 },
	} {
		other := q
		change(&other)
		for range 100 {
			page, err := t.Query(s.ctx, other) // the page is checked as all pages are
			if err != nil && !errors.Is(err, driver.ErrInvalidQuery) {
				s.failf("Query of %s with the cursor of %s: error %v; want nil, or one that wraps ErrInvalidQuery", describe(other), describe(q), err)
			}
			if other.Cursor = page.Next; err != nil || page.Next == "" {
				break
			}
		}
	}
}

func testCursorTwice(s *suite) {
	t := s.open()
	q := s.secondPage(t, "twice")
	rest := s.read(t, q).items
	for range 3 {
		if d := diff(s.read(t, q).items, rest); d != "" {
			s.failf("reading on from the same cursor again: %s", d)
		}
	}
	s.want(t, driver.Query{HashKey: "twice", From: rest[0].RangeKey}, rest...)
}

func testCursorAfterDeletion(s *suite) {
	t := s.open()
	d := s.deleter(t)
	q := s.secondPage(t, "deleted")
	if _, err := d.Delete(s.ctx, "deleted"); err != nil {
		s.fatalf("Delete: %v", err)
	}
	s.want(t, q)
	// Of the items that come back, those behind the cursor are found.
	items := newItems("deleted", 20)
	s.put(t, items[10:]...)
	s.want(t, q, items[10:]...)
}
