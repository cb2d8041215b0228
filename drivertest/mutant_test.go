package drivertest

import (
	"context"
	"sort"
	"strings"
	"testing"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// A mutant is a table that breaks the contract in one way: a function that is
// set takes the place of the right method, which it can call.
type mutant struct {
	*memorytable.Table
	put    func(ctx context.Context, items []driver.Item) error
	absent func(ctx context.Context, items []driver.Item) error // PutIfAbsent
	query  func(ctx context.Context, query driver.Query) (driver.Page, error)
	del    func(ctx context.Context, hashKey string) (int, error)
	freed  func(page driver.Page) // Release
	close  func() error
}

func (m *mutant) Put(ctx context.Context, items []driver.Item) error {
	if m.put != nil {
		return m.put(ctx, items)
	}
	return m.Table.Put(ctx, items)
}

func (m *mutant) PutIfAbsent(ctx context.Context, items []driver.Item) error {
	if m.absent != nil {
		return m.absent(ctx, items)
	}
	return m.Table.PutIfAbsent(ctx, items)
}

func (m *mutant) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	if m.query != nil {
		return m.query(ctx, query)
	}
	return m.Table.Query(ctx, query)
}

func (m *mutant) Delete(ctx context.Context, hashKey string) (int, error) {
	if m.del != nil {
		return m.del(ctx, hashKey)
	}
	return m.Table.Delete(ctx, hashKey)
}

func (m *mutant) Release(page driver.Page) {
	if m.freed != nil {
		m.freed(page)
		return
	}
	m.Table.Release(page)
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Table.Close()
}

// whole reads all pages of a query.
func (m *mutant) whole(ctx context.Context, q driver.Query) ([]driver.Item, error) {
	var items []driver.Item
	q.Cursor = ""
	for {
		page, err := m.Table.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if q.Cursor = page.Next; page.Next == "" {
			return items, nil
		}
	}
}

// onPut makes a mutant that changes what is put.
func onPut(change func(items []driver.Item) []driver.Item) func(m *mutant) {
	return func(m *mutant) {
		m.put = func(ctx context.Context, items []driver.Item) error {
			return m.Table.Put(ctx, change(append([]driver.Item(nil), items...)))
		}
	}
}

// onItem makes a mutant that changes each item that is put.
func onItem(change func(i *driver.Item)) func(m *mutant) {
	return onPut(func(items []driver.Item) []driver.Item {
		for i := range items {
			change(&items[i])
		}
		return items
	})
}

// onRead makes a mutant that changes each item that is read.
func onRead(change func(i *driver.Item)) func(m *mutant) {
	return onPage(func(_ driver.Query, page *driver.Page) {
		for i := range page.Items {
			change(&page.Items[i])
		}
	})
}

// onPage makes a mutant that changes each page.
func onPage(change func(q driver.Query, page *driver.Page)) func(m *mutant) {
	return func(m *mutant) {
		m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
			page, err := m.Table.Query(ctx, q)
			if err == nil {
				change(q, &page)
			}
			return page, err
		}
	}
}

// onQuery makes a mutant that changes each query.
func onQuery(change func(q *driver.Query)) func(m *mutant) {
	return func(m *mutant) {
		m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
			change(&q)
			return m.Table.Query(ctx, q)
		}
	}
}

// inOrder makes a mutant that has an order of its own.
func inOrder(less func(a, b string) bool) func(m *mutant) {
	return func(m *mutant) {
		m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
			items, err := m.whole(ctx, q)
			sort.SliceStable(items, func(i, j int) bool {
				if q.Descending {
					i, j = j, i
				}
				return less(items[i].RangeKey, items[j].RangeKey)
			})
			return driver.Page{Items: items, Consistent: true}, err
		}
	}
}

// TestMutants proves that the suite has teeth: for each way of breaking the
// contract, the cases that are about it fail, with the rule in their message.
func TestMutants(t *testing.T) {
	all := make(map[string]testCase)
	for _, c := range cases() {
		all[c.name] = c
	}
	for _, m := range mutants() {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			open := func() driver.Table {
				table := &mutant{Table: memorytable.NewWith(m.opts)}
				m.breaks(table)
				return table
			}
			reopen := func(table driver.Table) driver.Table {
				reopened := &mutant{Table: table.(*mutant).Reopen()}
				m.breaks(reopened)
				if m.reopened != nil {
					m.reopened(reopened)
				}
				return reopened
			}
			for _, name := range strings.Fields(m.failing) {
				c, ok := all[name]
				if !ok {
					t.Fatalf("there is no case %s", name)
				}
				r := record(c, open, reopen)
				for tries := 1; len(r.failures) == 0 && r.skipped == "" && tries < 5; tries++ {
					// Some cases need goroutines to meet, which a busy machine may prevent.
					r = record(c, open, reopen)
				}
				if len(r.failures) == 0 {
					t.Errorf("case %s passes (skipped: %q)", name, r.skipped)
					continue
				}
				for _, failure := range r.failures {
					if !strings.Contains(failure, "the rule: ") {
						t.Errorf("case %s fails without saying which rule was broken: %s", name, failure)
					}
				}
				t.Logf("%s: %s", name, r.failures[0])
			}
		})
	}
}

// TestNoCaseIsIdle makes sure that every case fails for some mutant: one that
// cannot fail proves nothing.
func TestNoCaseIsIdle(t *testing.T) {
	failing := map[string]bool{
		// Its mutants are data races, which -race would report.
		"ReturnedItemsStayUnderConcurrency": true,
	}
	for _, m := range mutants() {
		for _, name := range strings.Fields(m.failing) {
			failing[name] = true
		}
	}
	for _, c := range cases() {
		if !failing[c.name] {
			t.Errorf("no mutant fails case %s", c.name)
		}
	}
}
