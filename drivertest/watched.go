package drivertest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/microeventstore/microeventstore/driver"
)

// watched is a table that checks on every call what must hold for all calls. Its
// rules come with the failure, whichever case made the call. It turns a panic
// into a failure, in goroutines too, where it would end the test program.
type watched struct {
	driver.Table
	s      *suite
	closed atomic.Bool
	broken sync.Map // rules that were reported: once for each table is enough
}

var errPanicked = errors.New("the table panicked")

func (t *watched) breaks(rule, format string, args ...any) {
	t.s.Helper()
	if _, again := t.broken.LoadOrStore(rule, true); again {
		return
	}
	t.s.Errorf("%s\nthe rule: %s", fmt.Sprintf(format, args...), rule)
}

func (t *watched) guard(method string, err *error) {
	if r := recover(); r != nil {
		t.breaks("No method panics, whatever its arguments are and whatever the storage holds.",
			"%s panicked: %v\n%s", method, r, debug.Stack())
		*err = errPanicked
	}
}

// Put implements driver.Table.
func (t *watched) Put(ctx context.Context, items []driver.Item) (err error) {
	defer t.guard("Put", &err)
	err = t.Table.Put(ctx, items)
	t.checkPut("Put", err, len(items))
	return err
}

// PutIfAbsent implements driver.PutIfAbsent. It is called only if the table is one.
func (t *watched) PutIfAbsent(ctx context.Context, items []driver.Item) (err error) {
	defer t.guard("PutIfAbsent", &err)
	err = t.Table.(driver.PutIfAbsent).PutIfAbsent(ctx, items)
	t.checkPut("PutIfAbsent", err, len(items))
	return err
}

func (t *watched) checkPut(method string, err error, n int) {
	var partial *driver.PutError
	if !errors.As(err, &partial) {
		if errors.Is(err, driver.ErrInvalidItem) {
			t.breaks("One invalid item never keeps the others from being stored, so the error says which items are invalid.",
				"%s failed with %v, which wraps ErrInvalidItem but is no *driver.PutError", method, err)
		}
		return
	}
	const rule = "A *PutError names the items that may not be stored: in ascending order of Index, each one once, each with its error."
	if len(partial.Failures) == 0 {
		t.breaks(rule, "%s returned a *driver.PutError without Failures", method)
	}
	last := -1
	for _, failure := range partial.Failures {
		switch {
		case failure.Err == nil:
			t.breaks(rule, "%s failed for item %d with a nil Err", method, failure.Index)
		case failure.Index < 0 || failure.Index >= n:
			t.breaks(rule, "%s failed for item %d of %d", method, failure.Index, n)
		case failure.Index <= last:
			t.breaks(rule, "%s named item %d after item %d", method, failure.Index, last)
		}
		last = failure.Index
	}
}

// Query implements driver.Table.
func (t *watched) Query(ctx context.Context, query driver.Query) (page driver.Page, err error) {
	defer t.guard("Query", &err)
	page, err = t.Table.Query(ctx, query)
	if errors.Is(err, driver.ErrInvalidItem) {
		t.breaks("Only errors of Put wrap ErrInvalidItem.", "Query failed with %v", err)
	}
	if err == nil {
		t.checkPage(query, page)
	}
	return page, err
}

func (t *watched) checkPage(query driver.Query, page driver.Page) {
	if query.Limit > 0 && len(page.Items) > query.Limit {
		t.breaks("Limit is the most items that a page may hold.",
			"a page of %s has %d items", describe(query), len(page.Items))
	}
	for i := range page.Items {
		item := &page.Items[i]
		if item.HashKey != query.HashKey {
			t.breaks("A query finds the items of its hash key and of no other, compared byte by byte; each item returned says its HashKey.",
				"Query of %s returned an item under %s", describe(query), short(item.HashKey))
		}
		if query.From != "" && item.RangeKey < query.From || query.To != "" && item.RangeKey > query.To {
			t.breaks("From and To bound the range keys, compared byte by byte.",
				"Query of %s returned range key %s", describe(query), short(item.RangeKey))
		}
		if !item.Complete && (item.ID != "" || item.PartitionKey != "") {
			t.breaks("A table that keeps ID and PartitionKey sets Complete; one that does not returns them empty.",
				"an item with ID %s and PartitionKey %s is not Complete", short(item.ID), short(item.PartitionKey))
		}
		if i == 0 {
			continue
		}
		before := page.Items[i-1].RangeKey
		if query.Descending {
			before, item = item.RangeKey, &page.Items[i-1]
		}
		if before >= item.RangeKey {
			t.breaks("Items are in the order of the bytes of their range keys (not of a locale, not of UTF-16), and each one comes once.",
				"Query of %s returned item %d with key %s after %s", describe(query), i, short(page.Items[i].RangeKey), short(page.Items[i-1].RangeKey))
		}
	}
}

// Delete implements driver.Deleter. It is called only if the table is one.
func (t *watched) Delete(ctx context.Context, hashKey string) (n int, err error) {
	defer t.guard("Delete", &err)
	return t.Table.(driver.Deleter).Delete(ctx, hashKey)
}

// Close implements driver.Table.
func (t *watched) Close() (err error) {
	defer t.guard("Close", &err)
	t.closed.Store(true)
	return t.Table.Close()
}
