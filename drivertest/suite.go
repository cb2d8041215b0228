package drivertest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// reporter is the part of *testing.T that cases use. The suite's own tests put
// something else in its place, to see cases fail.
type reporter interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
}

// A suite is what one case works with.
type suite struct {
	reporter
	rule        string
	newTable    func() driver.Table
	reopenTable func(driver.Table) driver.Table // nil: the harness cannot
	slow        bool
	seed        uint64
	ctx         context.Context
}

// run runs one case. No rule allows a panic, so one is that case's failure.
func (s *suite) run(c testCase) {
	s.Helper()
	if c.needsReopen && s.reopenTable == nil {
		s.Skipf("skipped because Harness.Reopen is nil\nthe rule: %s", c.rule)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.fewer(5, 60))*time.Minute)
	defer cancel()
	s.ctx = ctx
	defer func() {
		if r := recover(); r != nil {
			s.failf("the case panicked: %v\n%s", r, debug.Stack())
		}
	}()
	c.run(s)
}

// failf reports a failure together with the rule that it breaks.
func (s *suite) failf(format string, args ...any) {
	s.Helper()
	s.Errorf("%s\nthe rule: %s", fmt.Sprintf(format, args...), s.rule)
}

// fatalf is failf, and ends the case. Only the case's own goroutine may call it.
func (s *suite) fatalf(format string, args ...any) {
	s.Helper()
	s.Fatalf("%s\nthe rule: %s", fmt.Sprintf(format, args...), s.rule)
}

// open returns a new table, which is closed at the end of the case.
func (s *suite) open() *watched {
	s.Helper()
	return s.watch(s.newTable())
}

// reopen closes a table and opens it again.
func (s *suite) reopen(t *watched) *watched {
	s.Helper()
	t.closed.Store(true) // by the harness
	return s.watch(s.reopenTable(t.Table))
}

func (s *suite) watch(table driver.Table) *watched {
	s.Helper()
	if table == nil {
		s.Fatalf("drivertest: the harness returned a nil table")
	}
	t := &watched{Table: table, s: s}
	s.Cleanup(func() {
		// A case that is about Close has called it; calling it twice is a rule
		// of its own, which no other case should fail for.
		if t.closed.Load() {
			return
		}
		if err := t.Close(); err != nil {
			s.failf("Close at the end of the case: %v; want nil", err)
		}
	})
	return t
}

// put stores items that every table can store.
func (s *suite) put(t *watched, items ...driver.Item) {
	s.Helper()
	if err := t.Put(s.ctx, items); err != nil {
		s.fatalf("Put of %d valid items: %v; want nil", len(items), err)
	}
}

// mayPut stores an item of which the contract does not say that a table takes
// it. It reports whether the table did; refusing it takes ErrInvalidItem.
func (s *suite) mayPut(t *watched, item driver.Item) bool {
	s.Helper()
	err := t.Put(s.ctx, []driver.Item{item})
	if err != nil && !errors.Is(err, driver.ErrInvalidItem) {
		s.failf("Put: %v; want nil, or an error that wraps ErrInvalidItem", err)
	}
	return err == nil
}

// An answer is all pages of a query.
type answer struct {
	items      []driver.Item
	pages      []driver.Page
	consistent bool // every page said so
}

// walk reads all pages of a query.
func (s *suite) walk(t *watched, query driver.Query) (answer, error) {
	a := answer{consistent: true}
	// More pages than this are a cursor that goes round in circles: tables may
	// return empty pages, but not for ever.
	const tooMany = 100_000
	for range tooMany {
		page, err := t.Query(s.ctx, query)
		if err != nil {
			return a, err
		}
		a.consistent = a.consistent && page.Consistent
		a.items = append(a.items, page.Items...)
		a.pages = append(a.pages, page)
		if page.Next == "" {
			return a, nil
		}
		if repeats(a.items) {
			return a, errors.New("an item was returned twice")
		}
		query.Cursor = page.Next
	}
	return a, fmt.Errorf("no end after %d pages", tooMany)
}

// repeats tells whether the newest item is one that was returned before. The
// order is checked elsewhere; this only ends a walk that goes round in circles.
func repeats(items []driver.Item) bool {
	last := len(items) - 1
	return last > 0 && items[last].RangeKey == items[0].RangeKey
}

// read is walk for queries that must succeed.
func (s *suite) read(t *watched, query driver.Query) answer {
	s.Helper()
	a, err := s.walk(t, query)
	if err != nil {
		s.fatalf("Query of %s, page %d: %v; want no error", describe(query), len(a.pages)+1, err)
	}
	return a
}

// want checks what a query finds.
func (s *suite) want(t *watched, query driver.Query, items ...driver.Item) bool {
	s.Helper()
	return s.wantWhen(t, query, func(got []driver.Item) string { return diff(got, items) })
}

// wantWhen checks what a query finds with a function that says what is wrong, or
// "". It asks for a consistent answer, and is patient with a table that says it
// cannot give one.
func (s *suite) wantWhen(t *watched, query driver.Query, wrong func([]driver.Item) string) bool {
	s.Helper()
	query.Consistent = true
	deadline := time.Now().Add(s.patience())
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		a := s.read(t, query)
		difference := wrong(a.items)
		if difference == "" {
			return true
		}
		if a.consistent || time.Now().After(deadline) {
			s.failf("Query of %s: %s", describe(query), difference)
			return false
		}
		s.wait(pause)
	}
}

// wait waits for a while, or for the end of the case's time.
func (s *suite) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// deleter returns the table as a Deleter, or skips the case.
func (s *suite) deleter(t *watched) driver.Deleter {
	s.Helper()
	if _, ok := t.Table.(driver.Deleter); !ok {
		s.Skipf("skipped because the table is no driver.Deleter\nthe rule: %s", s.rule)
	}
	return t
}
