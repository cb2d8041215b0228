package drivertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/microeventstore/microeventstore/driver"
)

// Benchmark runs the benchmarks that all tables share, each with a table of its
// own, on events of about 1 KB. Compare results of one run on one machine with
// each other; across machines only ratios mean something.
//
// open returns a new, empty table, which Benchmark closes.
func Benchmark(b *testing.B, open func(b testing.TB) driver.Table) {
	for _, c := range []struct {
		name string
		run  func(*testing.B, driver.Table)
	}{
		{"Put1", func(b *testing.B, t driver.Table) { benchmarkPut(b, t, 1) }},
		{"Put25", func(b *testing.B, t driver.Table) { benchmarkPut(b, t, 25) }},
		{"Put25Again", benchmarkPutAgain},
		{"Put25Parallel", benchmarkPutParallel},
		{"Query100", func(b *testing.B, t driver.Table) { benchmarkQuery(b, t, 100) }},
		{"Query1000", func(b *testing.B, t driver.Table) { benchmarkQuery(b, t, 1000) }},
		{"QueryLast3Of10000", benchmarkQueryLast},
		{"QueryOneOf10000", benchmarkQueryOne},
		{"Query100Parallel", benchmarkQueryParallel},
	} {
		b.Run(c.name, func(b *testing.B) {
			table := open(b)
			b.Cleanup(func() {
				if err := table.Close(); err != nil {
					b.Errorf("Close: %v", err)
				}
			})
			b.ReportAllocs()
			c.run(b, table)
		})
	}
}

// benchmarkItems returns n items of about 1 KB each.
func benchmarkItems(hash string, first, n int) []driver.Item {
	random := rand.New(rand.NewPCG(11, uint64(first)))
	items := make([]driver.Item, n)
	for i := range items {
		items[i] = padded(newItem(hash, text(first+i), first+i), 1000, random)
	}
	return items
}

func mustPut(b *testing.B, t driver.Table, items []driver.Item) {
	if err := t.Put(context.Background(), items); err != nil {
		b.Error(err) // b.Fatal is not for the goroutines of RunParallel
	}
}

// perEvent reports the time for one event besides that for one operation.
func perEvent(b *testing.B, events int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
	b.SetBytes(int64(events) * 1000)
}

// benchmarkPut puts new items. Only their keys are new, so that making them
// costs next to nothing.
func benchmarkPut(b *testing.B, t driver.Table, n int) {
	items := benchmarkItems("put", 0, n)
	for i := 0; b.Loop(); i++ {
		hash := fmt.Sprintf("put %d", i)
		for j := range items {
			items[j].HashKey = hash
		}
		mustPut(b, t, items)
	}
	perEvent(b, n)
}

func benchmarkPutAgain(b *testing.B, t driver.Table) {
	items := benchmarkItems("again", 0, 25)
	mustPut(b, t, items)
	for b.Loop() {
		mustPut(b, t, items)
	}
	perEvent(b, len(items))
}

func benchmarkPutParallel(b *testing.B, t driver.Table) {
	const n = 25
	var next atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		items := benchmarkItems("parallel", 0, n)
		for pb.Next() {
			hash := fmt.Sprintf("parallel %d", next.Add(1))
			for j := range items {
				items[j].HashKey = hash
			}
			mustPut(b, t, items)
		}
	})
	perEvent(b, n)
}

// count reads a query whole, or one page of it.
func count(b *testing.B, t driver.Table, q driver.Query, whole bool) int {
	n := 0
	for {
		page, err := t.Query(context.Background(), q)
		if err != nil {
			b.Error(err)
			return n
		}
		n += len(page.Items)
		if q.Cursor = page.Next; page.Next == "" || !whole && n > 0 {
			return n
		}
	}
}

func benchmarkQuery(b *testing.B, t driver.Table, n int) {
	mustPut(b, t, benchmarkItems("query", 0, n))
	for b.Loop() {
		if got := count(b, t, driver.Query{HashKey: "query", Consistent: true}, true); got != n {
			b.Fatalf("%d items, want %d", got, n)
		}
	}
	perEvent(b, n)
}

func benchmarkQueryLast(b *testing.B, t driver.Table) {
	put10000(b, t)
	for b.Loop() {
		if got := count(b, t, driver.Query{HashKey: "long", Descending: true, Limit: 3, Consistent: true}, false); got != 3 {
			b.Fatalf("%d items, want 3", got)
		}
	}
	perEvent(b, 3)
}

func benchmarkQueryOne(b *testing.B, t driver.Table) {
	put10000(b, t)
	for b.Loop() {
		if got := count(b, t, driver.Query{HashKey: "long", From: text(5000), To: text(5000), Consistent: true}, true); got != 1 {
			b.Fatalf("%d items, want 1", got)
		}
	}
	perEvent(b, 1)
}

func put10000(b *testing.B, t driver.Table) {
	for first := 0; first < 10_000; first += 1000 {
		mustPut(b, t, benchmarkItems("long", first, 1000))
	}
}

func benchmarkQueryParallel(b *testing.B, t driver.Table) {
	const n = 100
	mustPut(b, t, benchmarkItems("query", 0, n))
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := count(b, t, driver.Query{HashKey: "query", Consistent: true}, true); got != n {
				b.Errorf("%d items, want %d", got, n)
				return
			}
		}
	})
	perEvent(b, n)
}
