package drivertest

import (
	"errors"
	"strings"
	"sync"

	"github.com/microeventstore/microeventstore/driver"
)

func deleteCases() []testCase {
	return []testCase{
		{name: "Delete", rule: "Delete removes every item of a hash key, markers too, and returns how many there were; again, there are none.", run: testDelete},
		{name: "DeleteOnlyItsKey", rule: "Delete removes the items of its hash key, compared byte by byte, and no others.", run: testDeleteOnlyItsKey},
		{name: "DeleteLarge", rule: "Delete removes a collation of many pages whole.", run: testDeleteLarge},
		{name: "DeleteInvalidKey", rule: "Delete of a key that no item can have deletes nothing and fails with ErrInvalidQuery.", run: testDeleteInvalidKey},
		{name: "DeleteUnderConcurrency", rule: "Delete is safe for use by many goroutines at once: each item is removed, and counted by one of them at least.", run: testDeleteUnderConcurrency},
	}
}

// deletes deletes a collation and checks how many items it had.
func (s *suite) deletes(d driver.Deleter, hash string, want int) {
	s.Helper()
	n, err := d.Delete(s.ctx, hash)
	if err != nil || n != want {
		s.failf("Delete of hash key %s: %d, %v; want %d, nil", short(hash), n, err, want)
	}
}

func testDelete(s *suite) {
	t := s.open()
	d := s.deleter(t)
	s.deletes(d, "gone", 0)
	items := append([]driver.Item{
		newItem("gone", driver.MarkerPrefix+"marker", 0),
		newItem("gone", "\x00", 0),
	}, newItems("gone", 70)...)
	items = append(items, newItem("gone", "\U0010ffff", 0))
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "gone"}, sortedItems(items)...)
	s.deletes(d, "gone", len(items))
	s.want(t, driver.Query{HashKey: "gone"})
	s.deletes(d, "gone", 0)

	// What is put again is there again.
	s.put(t, items[5:8]...)
	s.want(t, driver.Query{HashKey: "gone"}, items[5:8]...)
	s.deletes(d, "gone", 3)
}

func testDeleteOnlyItsKey(s *suite) {
	t := s.open()
	d := s.deleter(t)
	keys := append(oddKeys(), "gone", "gon", "gone\x00", "gone\x00\x00", "gone\x01", "goneg", "gone\U0010ffff", "Gone", "gon\U0010ffff", "gonf")
	var all []driver.Item
	for i, key := range keys {
		all = append(all, newItem(key, "gone", i), newItem(key, "r", i))
	}
	s.put(t, all...)
	for i, key := range keys {
		if key == "gone" || key == "a" || key == "\x00" || key == "é" {
			s.deletes(d, key, 2)
			all[2*i].HashKey = "" // remember
		}
	}
	for i, key := range keys {
		if all[2*i].HashKey == "" {
			s.want(t, driver.Query{HashKey: key})
		} else {
			s.want(t, driver.Query{HashKey: key}, all[2*i], all[2*i+1])
		}
	}
}

func testDeleteLarge(s *suite) {
	t := s.open()
	d := s.deleter(t)
	items := s.largeCollation(t, "large")
	other := newItem("largf", "r", 0)
	s.put(t, other)
	s.deletes(d, "large", len(items))
	s.want(t, driver.Query{HashKey: "large"})
	s.want(t, driver.Query{HashKey: "largf"}, other)
}

func testDeleteInvalidKey(s *suite) {
	t := s.open()
	d := s.deleter(t)
	items := []driver.Item{newItem("h", "r", 0), newItem("h\ufffd", "r", 0)}
	s.put(t, items...)
	for _, key := range []string{"", "\xff", "h\xff", strings.Repeat("k", driver.MaxHashKeySize+1)} {
		if n, err := d.Delete(s.ctx, key); n != 0 || !errors.Is(err, driver.ErrInvalidQuery) {
			s.failf("Delete of %s: %d, %v; want 0 and an error that wraps ErrInvalidQuery", short(key), n, err)
		}
	}
	for _, item := range items {
		s.want(t, driver.Query{HashKey: item.HashKey}, item)
	}
}

func testDeleteUnderConcurrency(s *suite) {
	t := s.open()
	d := s.deleter(t)
	items := newItems("contended", 100)
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "contended"}, items...)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total int
	)
	for range 4 {
		wg.Go(func() {
			n, err := d.Delete(s.ctx, "contended")
			if err != nil {
				s.failf("Delete: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	wg.Wait()
	// A table that reads and then deletes may count an item for two callers at
	// once; none may be missed.
	if total < len(items) {
		s.failf("4 Deletes at once removed %d items in all; want at least %d", total, len(items))
	}
	s.want(t, driver.Query{HashKey: "contended"})
}
