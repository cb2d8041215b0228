package drivertest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// queryMutants answer something else than what they were asked.
func queryMutants() []mutation {
	return []mutation{
		{name: "fails for an unknown hash key", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			page, err := m.Table.Query(ctx, q)
			if err == nil && len(m.Items(q.HashKey)) == 0 {
				err = errors.New("not found")
			}
			return page, err
		}), failing: "UnknownHashKey OddHashKeys"},
		{name: "excludes From", breaks: onPage(func(q driver.Query, page *driver.Page) {
			page.Items = slices.DeleteFunc(page.Items, func(i driver.Item) bool { return i.RangeKey == q.From })
		}), failing: "Bounds EqualBounds ByteOrder OddRangeKeys EveryLimit RandomOperations"},
		{name: "excludes To", breaks: onPage(func(q driver.Query, page *driver.Page) {
			page.Items = slices.DeleteFunc(page.Items, func(i driver.Item) bool { return i.RangeKey == q.To })
		}), failing: "Bounds EqualBounds"},
		{name: "ignores To", breaks: onQuery(func(q *driver.Query) { q.To = "" }), failing: "Bounds CrossedBounds InvalidQueries"},
		{name: "ignores bounds when descending", breaks: onQuery(func(q *driver.Query) {
			if q.Descending {
				q.From, q.To = "", ""
			}
		}), failing: "Bounds Descending"},
		{name: "takes To for a prefix", breaks: onQuery(func(q *driver.Query) {
			if q.To != "" && len(q.To) < 1000 {
				q.To += "\U0010ffff"
			}
		}), failing: "Bounds"},
		{name: "fails for crossed bounds", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			if q.To != "" && q.From > q.To {
				return driver.Page{}, driver.ErrInvalidQuery
			}
			return m.Table.Query(ctx, q)
		}), failing: "CrossedBounds Bounds"},
		{name: "panics for crossed bounds", breaks: onQuery(func(q *driver.Query) {
			if q.To != "" && q.From > q.To {
				panic("slice bounds out of range")
			}
		}), failing: "CrossedBounds"},
		{name: "ignores Descending", breaks: onQuery(func(q *driver.Query) { q.Descending = false }), failing: "Descending ByteOrder EveryLimit LargeCollation"},
		{name: "reverses each page alone", opts: memorytable.Options{PageSize: 4}, breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			descending := q.Descending
			q.Descending = false
			page, err := m.Table.Query(ctx, q)
			if descending {
				slices.Reverse(page.Items)
			}
			return page, err
		}), failing: "Descending LargeCollation OddRangeKeys"},
		{name: "drops Limit", breaks: onQuery(func(q *driver.Query) { q.Limit = 0 }), failing: "Limit EveryLimit"},
		{name: "keeps Limit in 32 bits", breaks: onQuery(func(q *driver.Query) {
			if q.Limit > math.MaxInt32 {
				q.Limit = int(int32(q.Limit))
			}
		}), failing: "Limit"},
		{name: "panics for a large Limit", breaks: onQuery(func(q *driver.Query) {
			if q.Limit < 0 || q.Limit > 1<<40 { // make would panic; below that it would end the process
				panic("makeslice: cap out of range")
			}
		}), failing: "Limit InvalidQueries"},
		{name: "takes Limit for all pages", breaks: onPage(func(q driver.Query, page *driver.Page) {
			if q.Limit > 0 {
				page.Next = ""
			}
		}), failing: "EveryLimit Limit LargeCollation"},
		{name: "answers invalid queries", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			page, err := m.Table.Query(ctx, q)
			if q.Cursor == "" && errors.Is(err, driver.ErrInvalidQuery) {
				return driver.Page{}, nil
			}
			return page, err
		}), failing: "InvalidQueries"},
		{name: "has the order of UTF-16", breaks: inOrder(func(a, b string) bool {
			return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) < 0
		}), failing: "ByteOrder OddRangeKeys"},
		{name: "has an order without case", breaks: inOrder(func(a, b string) bool { return strings.ToLower(a) < strings.ToLower(b) }), failing: "ByteOrder"},
		{name: "has the order of lengths", breaks: inOrder(func(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }), failing: "ByteOrder"},
		{name: "has the order of arrival", breaks: func(m *mutant) {
			inOrder(func(a, b string) bool { return arrival(m, a) < arrival(m, b) })(m)
		}, failing: "ByteOrder"},
		{name: "has no bound of a page", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			if q.Cursor != "" || q.Limit != 0 {
				return m.Table.Query(ctx, q)
			}
			items, err := m.whole(ctx, q)
			return driver.Page{Items: items, Consistent: true}, err
		}), failing: "PagesAreBounded"},
		{name: "bounds pages without Limit alone", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			if q.Limit < 1000 {
				return m.Table.Query(ctx, q)
			}
			items, err := m.whole(ctx, q)
			return driver.Page{Items: items[:min(len(items), q.Limit)], Consistent: true}, err
		}), failing: "PagesAreBounded"},
		{name: "forgets the second page", breaks: onPage(func(_ driver.Query, page *driver.Page) { page.Next = "" }),
			failing: "LargeCollation LargeItemsPage EveryLimit PagingUnderConcurrency QueryWhileContextEnds"},
		{name: "ends with an empty page", opts: memorytable.Options{EmptyPages: true}, breaks: onPage(func(_ driver.Query, page *driver.Page) {
			if len(page.Items) == 0 {
				page.Next = ""
			}
		}), failing: "Fields"},
		{name: "reuses the memory it returned", breaks: func(m *mutant) {
			var memory [][]byte // of the page before; without a lock: the case for it is not run
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				for i := range page.Items {
					if i == len(memory) {
						memory = append(memory, nil)
					}
					memory[i] = append(memory[i][:0], page.Items[i].Event...)
					page.Items[i].Event = memory[i]
				}
				return page, err
			}
		}, failing: "ReturnedItemsStay"},
		{name: "takes events back with their page", breaks: func(m *mutant) {
			m.freed = func(page driver.Page) {
				for i := range page.Items {
					page.Items[i].Event[0] = '!'
				}
			}
		}, failing: "ReleasedPages"},
		{name: "takes a page back twice", breaks: func(m *mutant) {
			var free []driver.Item // without a lock, as above
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				if len(free) >= len(page.Items) && len(page.Items) > 0 {
					page.Items, free = free[:copy(free, page.Items)], nil
				}
				return page, err
			}
			m.freed = func(page driver.Page) {
				clear(page.Items)
				free = page.Items[:cap(page.Items)]
			}
		}, failing: "ReleasedPages"},
		{name: "takes back pages that it was not given", breaks: func(m *mutant) {
			var pages [][]driver.Item // without a lock, as above
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				pages = append(pages, page.Items)
				return page, err
			}
			m.freed = func(driver.Page) {
				for _, items := range pages {
					clear(items)
				}
			}
		}, failing: "ReleasedPages"},
	}
}

func querying(query func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error)) func(*mutant) {
	return func(m *mutant) {
		m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) { return query(ctx, m, q) }
	}
}

// arrival returns when a range key was put first.
func arrival(m *mutant, rangeKey string) int {
	return slices.IndexFunc(m.Changes(), func(c memorytable.Change) bool { return c.RangeKey == rangeKey })
}
