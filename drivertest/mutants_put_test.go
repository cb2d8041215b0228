package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// putMutants store other items than they say, or say it in another way.
func putMutants() []mutation {
	return []mutation{
		{name: "refuses an empty put", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			if len(items) == 0 {
				return errors.New("nothing to put")
			}
			return m.Table.Put(ctx, items)
		}), failing: "PutNothing CallsAfterClose"},
		{name: "swallows invalid items", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			err := m.Table.Put(ctx, items)
			if errors.Is(err, driver.ErrInvalidItem) {
				return nil
			}
			return err
		}), failing: "PutErrorNamesItems PutAllInvalid ItemFarTooLarge KeysTooLong EmptyKeys KeysNotUTF8 NegativeTTL RandomOperations"},
		{name: "stores nothing when one item is invalid", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			partial := &driver.PutError{}
			for i := range items {
				if err := items[i].Check(); err != nil {
					partial.Failures = append(partial.Failures, driver.PutFailure{Index: i, Err: err})
				}
			}
			if len(partial.Failures) > 0 {
				return partial
			}
			return m.Table.Put(ctx, items)
		}), failing: "PutErrorNamesItems EmptyKeys ItemOneByteTooLarge CallerReusesItsMemoryAfterErrors"},
		{name: "names no invalid item", breaks: onPutError(func(*driver.PutError) error { return driver.ErrInvalidItem }), failing: "PutErrorNamesItems PutAllInvalid EmptyKeys"},
		{name: "names the first invalid item alone", breaks: onPutError(func(e *driver.PutError) error {
			e.Failures = e.Failures[:1]
			return e
		}), failing: "PutErrorNamesItems PutAllInvalid"},
		{name: "names items by their place in a batch", breaks: onPutError(func(e *driver.PutError) error {
			for i := range e.Failures {
				e.Failures[i].Index %= 25
			}
			return e
		}), failing: "PutErrorNamesItems PutAllInvalid"},
		{name: "names items in the wrong order", breaks: onPutError(func(e *driver.PutError) error {
			sort.Slice(e.Failures, func(i, j int) bool { return e.Failures[i].Index > e.Failures[j].Index })
			return e
		}), failing: "PutErrorNamesItems"},
		{name: "names items with another error", breaks: onPutError(func(e *driver.PutError) error {
			for i := range e.Failures {
				e.Failures[i].Err = errors.New("validation exception")
			}
			return e
		}), failing: "EmptyKeys"},
		{name: "returns an empty PutError", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			if err := m.Table.Put(ctx, items); err != nil {
				return err
			}
			return &driver.PutError{}
		}), failing: "Fields"},
		{name: "stores the first 25 items", breaks: onPut(func(items []driver.Item) []driver.Item { return items[:min(25, len(items))] }), failing: "PutThousand PutLarge LargeCollation"},
		{name: "stores the first 16 MB", breaks: onPut(func(items []driver.Item) []driver.Item {
			size := 0
			for i := range items {
				if size += items[i].Size(); size > 10<<20 { // the suite puts less when it runs as for a slow table
					return items[:i]
				}
			}
			return items
		}), failing: "PutLarge"},
		{name: "keeps the first version", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			var missing []driver.Item
			for _, i := range items {
				page, err := m.Table.Query(ctx, driver.Query{HashKey: i.HashKey, From: i.RangeKey, To: i.RangeKey})
				if err != nil || len(page.Items) == 0 {
					missing = append(missing, i)
				}
			}
			return m.Table.Put(ctx, missing)
		}), failing: "PutReplaces OneWriterManyReaders Complete"},
		{name: "refuses an identical item", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			before := len(m.Changes())
			err := m.Table.Put(ctx, items)
			if err == nil && len(items) > 0 && len(m.Changes()) == before {
				return errors.New("condition failed")
			}
			return err
		}), failing: "PutIdentical CallerReusesItsMemory"},
		{name: "appends a replacement", breaks: onPage(func(q driver.Query, page *driver.Page) {
			if n := len(page.Items); n > 0 {
				page.Items = append(page.Items, page.Items[n-1])
			}
		}), failing: "PutSameKeysTwice ConcurrentPutsOfOneKey PutReplaces"},
		{name: "sorts what it was given", breaks: putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
			sort.Slice(items, func(i, j int) bool { return items[i].RangeKey < items[j].RangeKey })
			return m.Table.Put(ctx, items)
		}), failing: "PutLeavesItsArgument PutErrorNamesItems"},
		{name: "keeps the caller's bytes", breaks: keepsBytes, failing: "CallerReusesItsMemory CallerReusesItsMemoryAfterErrors"},
		{name: "puts in the background", breaks: func(m *mutant) {
			var (
				wg     sync.WaitGroup
				closed atomic.Bool
			)
			m.put = func(ctx context.Context, items []driver.Item) error {
				if closed.Load() {
					return driver.ErrClosed
				}
				items = clone(items)
				wg.Go(func() {
					time.Sleep(100 * time.Millisecond) // longer than a busy machine dawdles
					_ = m.Table.Put(context.WithoutCancel(ctx), items)
				})
				return nil
			}
			m.close = func() error {
				closed.Store(true)
				_ = m.Table.Close() // before the work is done
				wg.Wait()
				return nil
			}
		}, failing: "ReadYourWrites ConsistentUnderConcurrency ConcurrentPuts ReopenAfterCloseDuringCalls PutWhileContextEnds"},
		{name: "is stale and says Consistent", opts: memorytable.Options{Eventual: true, Lag: 1},
			breaks:  onPage(func(_ driver.Query, page *driver.Page) { page.Consistent = true }),
			failing: "ReadYourWrites"},
		{name: "mixes two versions", breaks: func(m *mutant) {
			var mu sync.Mutex
			n := 0
			m.put = func(ctx context.Context, items []driver.Item) error {
				mu.Lock()
				n++
				types := fmt.Sprintf("type of put %d", n/2)
				mu.Unlock()
				items = clone(items)
				for i := range items {
					items[i].Type = types
				}
				return m.Table.Put(ctx, items)
			}
		}, failing: "OneWriterManyReaders"},
		{name: "loses one of two puts at once", breaks: func(m *mutant) {
			var mu sync.Mutex
			busy := 0
			m.put = func(ctx context.Context, items []driver.Item) error {
				mu.Lock()
				busy++
				other := busy > 1
				mu.Unlock()
				defer func() { mu.Lock(); busy--; mu.Unlock() }()
				time.Sleep(time.Millisecond)
				if other {
					return nil
				}
				return m.Table.Put(ctx, items)
			}
		}, failing: "ConcurrentPuts"},
	}
}

func putting(put func(ctx context.Context, m *mutant, items []driver.Item) error) func(*mutant) {
	return func(m *mutant) {
		m.put = func(ctx context.Context, items []driver.Item) error { return put(ctx, m, items) }
	}
}

// onPutError makes a mutant that changes each *PutError.
func onPutError(change func(e *driver.PutError) error) func(*mutant) {
	return putting(func(ctx context.Context, m *mutant, items []driver.Item) error {
		err := m.Table.Put(ctx, items)
		var partial *driver.PutError
		if errors.As(err, &partial) {
			return change(partial)
		}
		return err
	})
}

// keepsBytes makes a mutant that returns the very bytes it was given.
func keepsBytes(m *mutant) {
	var mu sync.Mutex
	given := make(map[[2]string][]byte)
	m.put = func(ctx context.Context, items []driver.Item) error {
		mu.Lock()
		defer mu.Unlock()
		for _, i := range items {
			given[[2]string{i.HashKey, i.RangeKey}] = i.Event
		}
		return m.Table.Put(ctx, items)
	}
	m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
		mu.Lock()
		defer mu.Unlock()
		page, err := m.Table.Query(ctx, q)
		for i := range page.Items {
			page.Items[i].Event = given[[2]string{q.HashKey, page.Items[i].RangeKey}]
		}
		return page, err
	}
}
