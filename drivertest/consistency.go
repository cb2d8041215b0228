package drivertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func consistencyCases() []testCase {
	return []testCase{
		{name: "ReadYourWrites", rule: "A page that says Consistent shows every Put that had returned before the Query began.", run: testReadYourWrites},
		{name: "ConsistentUnderConcurrency", rule: "A page that says Consistent shows every Put that had returned before the Query began, by whichever goroutine.", run: testConsistentUnderConcurrency},
		{name: "OneWriterManyReaders", rule: "An item is replaced whole and at once: no reader sees a mixture of two versions, and consistent reads never go back.", run: testOneWriterManyReaders},
		{name: "ConcurrentPuts", rule: "All methods are safe for use by many goroutines at once; nil from Put means stored, for each of them.", run: testConcurrentPuts},
		{name: "ConcurrentPutsOfOneKey", rule: "Of concurrent Puts of one key one remains, whole, and no second item appears.", run: testConcurrentPutsOfOneKey},
		{name: "PagingUnderConcurrency", rule: "Items that exist all the while are returned without gaps or repetitions while other goroutines write.", run: testPagingUnderConcurrency},
	}
}

// readConsistently is walk by a goroutine, which must not end the case. ok is
// false if the table does not say that it was consistent, or the query failed.
func (s *suite) readConsistently(t *watched, query driver.Query) (items []driver.Item, ok bool) {
	query.Consistent = true
	a, err := s.walk(t, query)
	if err != nil {
		s.failf("Query of %s: %v; want no error", describe(query), err)
		return nil, false
	}
	return a.items, a.consistent
}

func testReadYourWrites(s *suite) {
	t := s.open()
	for i := range s.fewer(200, 20) {
		hash := fmt.Sprintf("own %d", i%5)
		item := newItem(hash, text(i/10), i)
		s.put(t, item)
		items, ok := s.readConsistently(t, driver.Query{HashKey: hash, From: item.RangeKey, To: item.RangeKey})
		if !ok {
			continue
		}
		if d := diff(items, []driver.Item{item}); d != "" {
			s.fatalf("right after Put %d had returned: %s", i, d)
		}
	}
}

func testConsistentUnderConcurrency(s *suite) {
	t := s.open()
	const writers, readers = 4, 4
	n := s.fewer(100, 10)
	var stored [writers]atomic.Int64 // items of each writer whose Put has returned
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for i := range n {
				if err := t.Put(s.ctx, []driver.Item{newItem("shared", fmt.Sprintf("%d-%s", w, text(i)), i)}); err != nil {
					s.failf("Put: %v; want nil", err)
					return
				}
				stored[w].Add(1)
			}
		})
	}
	for r := range readers {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				w := r % writers
				atLeast := stored[w].Load()
				items, ok := s.readConsistently(t, driver.Query{HashKey: "shared", From: fmt.Sprintf("%d-", w), To: fmt.Sprintf("%d-~", w)})
				if ok && int64(len(items)) < atLeast {
					s.failf("%d Puts of a writer had returned, and a consistent read shows %d items", atLeast, len(items))
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	var want []driver.Item
	for w := range writers {
		for i := range n {
			want = append(want, newItem("shared", fmt.Sprintf("%d-%s", w, text(i)), i))
		}
	}
	s.want(t, driver.Query{HashKey: "shared"}, want...)
}

func testOneWriterManyReaders(s *suite) {
	t := s.open()
	versions := s.fewer(200, 20)
	all := make(map[string]int, versions) // ID to version
	items := make([]driver.Item, versions)
	for v := range items {
		items[v] = newItem("versions", "r", v)
		all[string(items[v].Event)] = v
	}
	s.put(t, items[0])
	var newest atomic.Int64
	var reading sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		reading.Go(func() {
			last := int64(0)
			for {
				select {
				case <-done:
					return
				default:
				}
				atLeast := max(last, newest.Load())
				got, ok := s.readConsistently(t, driver.Query{HashKey: "versions"})
				if !ok {
					continue
				}
				if len(got) != 1 {
					s.failf("while one item is replaced, %d items are read; want 1", len(got))
					return
				}
				v, known := all[string(got[0].Event)]
				if !known {
					s.failf("an Event was read that was never put: %s", short(string(got[0].Event)))
					return
				}
				if d := diffItem(got[0], items[v]); d != "" {
					s.failf("a mixture of two versions: %s", d)
					return
				}
				if int64(v) < atLeast {
					s.failf("version %d was read after version %d was stored or read", v, atLeast)
					return
				}
				last = int64(v)
			}
		})
	}
	for v, item := range items {
		if err := t.Put(s.ctx, []driver.Item{item}); err != nil {
			s.failf("Put: %v; want nil", err)
			break
		}
		newest.Store(int64(v))
	}
	close(done)
	reading.Wait()
	s.want(t, driver.Query{HashKey: "versions"}, items[versions-1])
}

func testConcurrentPuts(s *suite) {
	t := s.open()
	const writers, perPut = 8, 25
	puts := s.fewer(10, 2)
	want := make(map[string][]driver.Item)
	var shares [writers][]driver.Item
	for w := range shares {
		shares[w] = newItems(fmt.Sprintf("writer %d", w%5), writers*puts*perPut)[w*puts*perPut : (w+1)*puts*perPut]
		hash := shares[w][0].HashKey
		want[hash] = append(want[hash], shares[w]...)
	}
	var wg sync.WaitGroup
	for _, items := range shares { // all at once, so that their calls overlap
		wg.Go(func() {
			for first := 0; first < len(items); first += perPut {
				if err := t.Put(s.ctx, items[first:first+perPut]); err != nil {
					s.failf("Put: %v; want nil", err)
				}
			}
		})
	}
	wg.Wait()
	for hash, items := range want {
		s.want(t, driver.Query{HashKey: hash}, sortedItems(items)...)
	}
}

func testConcurrentPutsOfOneKey(s *suite) {
	t := s.open()
	const writers = 8
	versions := make(map[string]bool)
	var wg sync.WaitGroup
	for w := range writers {
		for i := range s.fewer(30, 3) {
			versions[string(newItem("one", "r", w*1000+i).Event)] = true
		}
		wg.Go(func() {
			for i := range s.fewer(30, 3) {
				if err := t.Put(s.ctx, []driver.Item{newItem("one", "r", w*1000+i)}); err != nil {
					s.failf("Put: %v; want nil", err)
				}
			}
		})
	}
	wg.Wait()
	s.wantWhen(t, driver.Query{HashKey: "one"}, func(got []driver.Item) string {
		if len(got) != 1 || !versions[string(got[0].Event)] {
			return fmt.Sprintf("there are %d items; want one of those that were put", len(got))
		}
		return ""
	})
}

func testPagingUnderConcurrency(s *suite) {
	t := s.open()
	stable := newItems("paging", s.fewer(300, 30))
	s.put(t, stable...)
	s.want(t, driver.Query{HashKey: "paging"}, stable...)
	// They end after so many Puts and walks that overlap, or after so many Puts:
	// a table that syncs each one would take a minute, and learn nothing more.
	const writers, enoughWalks = 2, 20
	most, enough := s.fewer(2000, 200), int64(s.fewer(300, 100))
	var busy, puts, walks atomic.Int64
	busy.Store(writers)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			defer busy.Add(-1)
			for i := 0; i < most/writers && (puts.Load() < enough || walks.Load() < enoughWalks); i++ {
				// Always a new key among the stable ones, in front of readers and
				// behind them, and slowly enough for them to get to the end.
				item := newItem("paging", fmt.Sprintf("%s-%d-%d", text((i*37)%len(stable)), w, i), i)
				if err := t.Put(s.ctx, []driver.Item{item}); err != nil {
					s.failf("Put: %v; want nil", err)
					return
				}
				puts.Add(1)
				s.wait(200 * time.Microsecond)
			}
		})
	}
	defer writing.Wait()
	for busy.Load() > 0 {
		q := driver.Query{HashKey: "paging", Limit: 10, Descending: walks.Load()%2 == 1, Consistent: true}
		want := stable
		if q.Descending {
			want = backwards(stable)
		}
		a, err := s.walk(t, q)
		var got []driver.Item
		for _, item := range a.items {
			if len(item.RangeKey) == len(text(0)) {
				got = append(got, item)
			}
		}
		if d := diff(got, want); err != nil || d != "" {
			s.failf("descending %v: %s (error: %v)", q.Descending, d, err)
			return
		}
		walks.Add(1)
	}
}
