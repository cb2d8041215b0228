package memorytable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// Options say how a Table differs from a faultless one. The zero value is a
// consistent table without faults, whose pages are bounded by 1 MB alone.
//
// Hooks are called without a lock held: they may block, and may call the table.
// They must be safe for use by many goroutines, as the table is, and must not
// keep or change what they are given.
type Options struct {
	// PageSize is the most items on a page; 0 sets no such bound.
	PageSize int

	// EmptyPages puts a page without items before every page, and one at the
	// end.
	EmptyPages bool

	// KeepComplete keeps ID and PartitionKey and sets Complete on what is read
	// (for items that were put with an ID).
	KeepComplete bool

	// Lag is the number of queries of a hash key that do not see a write to it
	// yet, unless they are consistent. 0 makes writes visible at once.
	Lag int

	// Eventual makes the table one that cannot read consistently: Lag holds for
	// every query, and no page says that it is consistent.
	Eventual bool

	// OnPut is called before a Put or a PutIfAbsent takes effect. With a *driver.PutError the
	// items that it names fail and the others are stored; any other error fails
	// the call and nothing is stored.
	OnPut func(ctx context.Context, items []driver.Item) error

	// AfterPut is called after a Put or a PutIfAbsent took effect. Its error is the call's, as
	// when an answer is lost on the way.
	AfterPut func(ctx context.Context, items []driver.Item) error

	// OnQuery is called before a Query reads. Its error fails the call.
	OnQuery func(ctx context.Context, query driver.Query) error

	// AfterQuery may replace what a Query answers.
	AfterQuery func(ctx context.Context, query driver.Query, page driver.Page) (driver.Page, error)

	// OnDelete is called before a Delete takes effect. Its error fails the call.
	OnDelete func(ctx context.Context, hashKey string) error
}

// A Table is a driver.Table in memory, and a driver.Deleter, a driver.Releaser and
// a driver.PutIfAbsent.
type Table struct {
	opts  Options
	calls sync.WaitGroup // calls under way; Add only under mu, and never once closed

	mu     sync.Mutex // guards all below; never held while a hook runs
	closed bool
	data   *data
}

// data is what outlives a Reopen.
type data struct {
	collations map[string]*collation
	changes    []Change
	counts     Counts
	inFlight   map[key]int
}

type key struct{ hash, rng string }

// A collation is the items of one hash key in range-key order.
type collation struct {
	items []driver.Item

	// stale is what the next lag queries see that are not consistent.
	stale []driver.Item
	lag   int
}

// New returns an empty table without faults.
func New() *Table { return NewWith(Options{}) }

// NewWith returns an empty table with options.
func NewWith(opts Options) *Table {
	return &Table{opts: opts, data: &data{
		collations: make(map[string]*collation),
		inFlight:   make(map[key]int),
	}}
}

// Reopen closes the table and returns another one with the same items, changes,
// counts and options, as if the process had been started again.
func (t *Table) Reopen() *Table {
	_ = t.Close() // never fails
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Table{opts: t.opts, data: t.data}
}

// enter begins a call. The caller calls t.calls.Done when err is nil.
func (t *Table) enter(ctx context.Context, count func(*Counts)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return driver.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the call had not begun: %w", err)
	}
	count(&t.data.counts)
	t.calls.Add(1)
	return nil
}

// Put implements driver.Table.
func (t *Table) Put(ctx context.Context, items []driver.Item) error {
	return t.put(ctx, items, t.storeOne)
}

func (t *Table) put(ctx context.Context, items []driver.Item, storeOne func(driver.Item) error) error {
	if err := t.enter(ctx, func(c *Counts) { c.Puts++; c.ItemsPut += len(items) }); err != nil {
		return err
	}
	defer t.calls.Done()
	t.putBegins(items)
	defer t.putEnds(items)

	refused := make(map[int]error)
	if t.opts.OnPut != nil {
		err := t.opts.OnPut(ctx, items)
		var partial *driver.PutError
		if errors.As(err, &partial) {
			for _, failure := range partial.Failures {
				refused[failure.Index] = failure.Err
			}
		} else if err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was stored: %w", err)
	}
	failures := t.store(items, refused, storeOne)
	if t.opts.AfterPut != nil {
		if err := t.opts.AfterPut(ctx, items); err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		return &driver.PutError{Failures: failures}
	}
	return nil
}

func (t *Table) store(items []driver.Item, refused map[int]error, storeOne func(driver.Item) error) []driver.PutFailure {
	t.mu.Lock()
	defer t.mu.Unlock()
	var failures []driver.PutFailure
	for i := range items {
		err := refused[i]
		if err == nil {
			err = items[i].Check()
		}
		if err == nil {
			err = storeOne(t.kept(items[i]))
		}
		if err != nil {
			failures = append(failures, driver.PutFailure{Index: i, Err: err})
		}
	}
	return failures
}

// kept is the form in which an item is kept: memory of its own, times as every
// other table has them, and nothing that this table says it does not keep.
func (t *Table) kept(item driver.Item) driver.Item {
	item.Event = bytes.Clone(item.Event)
	item.Event = item.Event[:len(item.Event):len(item.Event)]
	if !item.Timestamp.IsZero() {
		item.Timestamp = time.UnixMilli(item.Timestamp.UnixMilli()).UTC()
	}
	item.Complete = t.opts.KeepComplete && item.ID != ""
	if !item.Complete {
		item.ID, item.PartitionKey = "", ""
	}
	return item
}

func (t *Table) storeOne(item driver.Item) error {
	c := t.data.collations[item.HashKey]
	if c == nil {
		c = &collation{}
		t.data.collations[item.HashKey] = c
	}
	i := c.search(item.RangeKey)
	if i == len(c.items) || c.items[i].RangeKey != item.RangeKey {
		t.aboutToChange(c)
		c.items = append(c.items, driver.Item{})
		copy(c.items[i+1:], c.items[i:])
		c.items[i] = item
		t.logChange(Insert, item, driver.Item{})
		return nil
	}
	if old := c.items[i]; !identical(old, item) {
		t.aboutToChange(c)
		c.items[i] = item
		t.logChange(Modify, item, old)
	}
	return nil
}

// search returns where a range key is, or would be.
func (c *collation) search(rangeKey string) int {
	return sort.Search(len(c.items), func(i int) bool { return c.items[i].RangeKey >= rangeKey })
}

// aboutToChange keeps what stale reads see. It holds on to the oldest state that
// a read may still ask for.
func (t *Table) aboutToChange(c *collation) {
	if t.opts.Lag == 0 {
		return
	}
	if c.lag == 0 {
		c.stale = append([]driver.Item(nil), c.items...)
	}
	c.lag = t.opts.Lag
}

func identical(a, b driver.Item) bool {
	return bytes.Equal(a.Event, b.Event) && a.Type == b.Type && a.Timestamp.Equal(b.Timestamp) &&
		a.TTL == b.TTL && a.ID == b.ID && a.PartitionKey == b.PartitionKey && a.Complete == b.Complete
}

// Close implements driver.Table.
func (t *Table) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.calls.Wait()
	return nil
}
