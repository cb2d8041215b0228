package drivertest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func closeCases() []testCase {
	return []testCase{
		{name: "CloseTwice", rule: "Close returns nil when it is called again, by many goroutines too.", run: testCloseTwice},
		{name: "CallsAfterClose", rule: "After Close every method returns ErrClosed.", run: testCallsAfterClose},
		{name: "CloseDuringCalls", rule: "Close waits for calls under way; each call either does its work or returns ErrClosed.", run: testCloseDuringCalls},
		{name: "ReopenFindsEverything", rule: "What was put is there when the table is opened again, and a closed table was closed whole.", run: testReopenFindsEverything, needsReopen: true},
		{name: "ReopenAfterCloseDuringCalls", rule: "A Put that returned nil is stored, though the table was being closed.", run: testReopenAfterCloseDuringCalls, needsReopen: true},
		{name: "ReopenFindsNothingDeleted", rule: "What was deleted is not there when the table is opened again.", run: testReopenFindsNothingDeleted, needsReopen: true},
	}
}

func testCloseTwice(s *suite) {
	t := s.open()
	s.put(t, newItem("h", "r", 0))
	for i := range 3 {
		if err := t.Close(); err != nil {
			s.failf("call %d of Close: %v; want nil", i+1, err)
		}
	}
	t = s.open()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := t.Close(); err != nil {
				s.failf("Close by one of several goroutines: %v; want nil", err)
			}
		})
	}
	wg.Wait()
}

func testCallsAfterClose(s *suite) {
	t := s.open()
	q := s.secondPage(t, "closed")
	if err := t.Close(); err != nil {
		s.failf("Close: %v", err)
	}
	check := func(method string, err error) {
		if !errors.Is(err, driver.ErrClosed) {
			s.failf("%s after Close: error %v; want ErrClosed", method, err)
		}
		if errors.Is(err, driver.ErrInvalidItem) || errors.Is(err, driver.ErrInvalidQuery) {
			s.failf("%s after Close: error %v, which blames its argument too", method, err)
		}
	}
	check("Put", t.Put(s.ctx, []driver.Item{newItem("closed", "r", 0)}))
	check("Put of no items", t.Put(s.ctx, nil))
	_, err := t.Query(s.ctx, driver.Query{HashKey: "closed"})
	check("Query", err)
	_, err = t.Query(s.ctx, q)
	check("Query of the next page", err)
	if _, ok := t.Table.(driver.Deleter); ok {
		_, err = t.Delete(s.ctx, "closed")
		check("Delete", err)
	}
}

// closeDuringCalls closes a table that is busy, and returns what was stored for
// certain.
func (s *suite) closeDuringCalls(t *watched) (stored []driver.Item) {
	s.Helper()
	s.put(t, newItems("read", 50)...)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		once sync.Once
		busy = make(chan struct{}) // closed when something has been stored
	)
	for w := range 4 {
		wg.Go(func() {
			defer once.Do(func() { close(busy) })
			for i := 0; s.ctx.Err() == nil; i++ {
				item := newItem("busy", fmt.Sprintf("%d-%s", w, text(i)), i)
				if err := t.Put(s.ctx, []driver.Item{item}); err != nil {
					if !errors.Is(err, driver.ErrClosed) {
						s.failf("Put while the table is closed: %v; want nil or ErrClosed", err)
					}
					return
				}
				mu.Lock()
				stored = append(stored, item)
				mu.Unlock()
				once.Do(func() { close(busy) })
			}
		})
		wg.Go(func() {
			for s.ctx.Err() == nil {
				if _, err := t.Query(s.ctx, driver.Query{HashKey: "read"}); err != nil {
					if !errors.Is(err, driver.ErrClosed) {
						s.failf("Query while the table is closed: %v; want nil or ErrClosed", err)
					}
					return
				}
			}
		})
	}
	select {
	case <-busy:
	case <-time.After(3 * s.patience()):
		s.fatalf("none of four Puts has returned after %v", 3*s.patience())
	}
	s.wait(20 * time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- t.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			s.failf("Close of a busy table: %v; want nil", err)
		}
	case <-time.After(3 * s.patience()):
		s.fatalf("Close of a busy table has not returned after %v", 3*s.patience())
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(3 * s.patience()):
		s.fatalf("calls go on %v after Close", 3*s.patience())
	}
	return stored
}

func testCloseDuringCalls(s *suite) {
	for range s.fewer(5, 1) {
		s.closeDuringCalls(s.open())
	}
}

func testReopenAfterCloseDuringCalls(s *suite) {
	t := s.open()
	stored := s.closeDuringCalls(t)
	t = s.reopen(t)
	s.wantWhen(t, driver.Query{HashKey: "busy"}, func(got []driver.Item) string {
		there := make(map[string]bool)
		for _, item := range got {
			there[item.RangeKey] = true
		}
		for _, item := range stored {
			if !there[item.RangeKey] {
				return fmt.Sprintf("item %s is gone; %d items were stored and %d are there", item.RangeKey, len(stored), len(there))
			}
		}
		return ""
	})
}

func testReopenFindsEverything(s *suite) {
	t := s.open()
	var all []driver.Item
	for i, key := range oddKeys() {
		all = append(all, newItem(key, "r", i), newItem(key, key+"s", i))
	}
	s.put(t, all...)
	items := newItems("many", 500)
	s.put(t, items...)
	items[7] = newItem("many", items[7].RangeKey, 1007)
	s.put(t, items[7])
	for range 3 {
		t = s.reopen(t)
		s.want(t, driver.Query{HashKey: "many"}, items...)
		s.want(t, driver.Query{HashKey: "many", Descending: true, Limit: 33}, backwards(items)...)
		for i := 0; i < len(all); i += 2 {
			pair := sortedItems([]driver.Item{all[i], all[i+1]})
			s.want(t, driver.Query{HashKey: all[i].HashKey}, pair...)
		}
		more := newItem("many", text(len(items)), len(items))
		s.put(t, more)
		items = append(items, more)
	}
}

func testReopenFindsNothingDeleted(s *suite) {
	t := s.open()
	d := s.deleter(t)
	items := newItems("kept", 10)
	s.put(t, items...)
	s.put(t, newItems("deleted", 100)...)
	s.deletes(d, "deleted", 100)
	t = s.reopen(t)
	s.want(t, driver.Query{HashKey: "deleted"})
	s.want(t, driver.Query{HashKey: "kept"}, items...)
}
