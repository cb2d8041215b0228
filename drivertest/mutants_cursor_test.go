package drivertest

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"

	"github.com/microeventstore/microeventstore/driver"
)

// cursorMutants go wrong between pages.
func cursorMutants() []mutation {
	return []mutation{
		{name: "panics for a strange cursor", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			if _, err := base64.RawURLEncoding.DecodeString(q.Cursor); err != nil {
				panic(err)
			}
			return m.Table.Query(ctx, q)
		}), failing: "CursorGarbage CursorDamaged"},
		{name: "starts over for a strange cursor", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			page, err := m.Table.Query(ctx, q)
			if err != nil && q.Cursor != "" {
				q.Cursor = ""
				return m.Table.Query(ctx, q)
			}
			return page, err
		}), failing: "CursorGarbage"},
		{name: "keeps a wrong cursor for a failure of the server", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			page, err := m.Table.Query(ctx, q)
			if err != nil && q.Cursor != "" {
				return page, context.DeadlineExceeded
			}
			return page, err
		}), failing: "CursorGarbage CursorDamaged CursorOfAnotherQuery"},
		{name: "has the whole query in its cursor", breaks: queryInCursor, failing: "CursorOfAnotherQuery"},
		{name: "counts items in its cursor", breaks: countingCursor(0), failing: "PagesDuringChanges PagingUnderConcurrency CursorAfterDeletion"},
		{name: "repeats the last item of a page", breaks: countingCursor(-1), failing: "EveryLimit LargeCollation Limit"},
		{name: "skips an item between two pages", breaks: countingCursor(1), failing: "EveryLimit LargeCollation Limit"},
		{name: "takes a cursor once", breaks: func(m *mutant) {
			var mu sync.Mutex
			used := make(map[string]bool)
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				mu.Lock()
				defer mu.Unlock()
				if q.Cursor != "" && used[q.Cursor] {
					return driver.Page{}, driver.ErrInvalidQuery
				}
				used[q.Cursor] = true
				return m.Table.Query(ctx, q)
			}
		}, failing: "CursorTwice"},
		{name: "looks for the item of its cursor", breaks: querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
			if q.Cursor != "" && len(m.Items(q.HashKey)) == 0 {
				return driver.Page{}, driver.ErrInvalidQuery
			}
			return m.Table.Query(ctx, q)
		}), failing: "CursorAfterDeletion"},
		{name: "goes round in circles", breaks: onPage(func(q driver.Query, page *driver.Page) {
			if page.Next == "" && q.Cursor != "" {
				page.Next = q.Cursor
			}
		}), failing: "EveryLimit"},
	}
}

// queryInCursor makes a mutant that takes all but the cursor of a query from its
// first page.
func queryInCursor(m *mutant) {
	var mu sync.Mutex
	first := make(map[string]driver.Query)
	m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
		mu.Lock()
		defer mu.Unlock()
		if was, ok := first[q.Cursor]; ok && q.Cursor != "" {
			was.Cursor = q.Cursor
			q = was
		}
		page, err := m.Table.Query(ctx, q)
		if page.Next != "" {
			first[page.Next] = q
		}
		return page, err
	}
}

// countingCursor makes a mutant whose cursor is the number of items that were
// read, and a mistake.
func countingCursor(mistake int) func(*mutant) {
	return querying(func(ctx context.Context, m *mutant, q driver.Query) (driver.Page, error) {
		items, err := m.whole(ctx, q)
		if err != nil {
			return driver.Page{}, err
		}
		at := 0
		if q.Cursor != "" {
			if at, err = strconv.Atoi(strings.TrimPrefix(q.Cursor, "at ")); err != nil || at < 0 {
				return driver.Page{}, driver.ErrInvalidQuery
			}
		}
		items = items[min(at, len(items)):]
		page := driver.Page{Items: items, Consistent: true}
		if q.Limit > 0 && len(items) > q.Limit {
			page.Items = items[:q.Limit]
			page.Next = "at " + strconv.Itoa(max(at+q.Limit+mistake, at+1))
		}
		return page, nil
	})
}
