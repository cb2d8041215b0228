package memorytable

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// Delete implements driver.Deleter.
func (t *Table) Delete(ctx context.Context, hashKey string) (int, error) {
	if err := t.enter(ctx, func(c *Counts) { c.Deletes++ }); err != nil {
		return 0, err
	}
	defer t.calls.Done()
	if t.opts.OnDelete != nil {
		if err := t.opts.OnDelete(ctx, hashKey); err != nil {
			return 0, err
		}
	}
	if err := (&driver.Query{HashKey: hashKey}).Check(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("nothing was deleted: %w", err)
	}
	return t.remove(hashKey, false, func(driver.Item) bool { return true }), nil
}

// Expire removes every item that has expired at now, as a table's sweep would,
// and returns how many there were.
func (t *Table) Expire(now time.Time) int {
	t.mu.Lock()
	hashKeys := make([]string, 0, len(t.data.collations))
	for hashKey := range t.data.collations {
		hashKeys = append(hashKeys, hashKey)
	}
	t.mu.Unlock()
	sort.Strings(hashKeys) // the log of changes is the same in every run
	removed := 0
	for _, hashKey := range hashKeys {
		removed += t.remove(hashKey, true, func(item driver.Item) bool { return item.Expired(now) })
	}
	return removed
}

func (t *Table) remove(hashKey string, expired bool, which func(driver.Item) bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.data.collations[hashKey]
	if c == nil {
		return 0
	}
	var kept, gone []driver.Item
	for _, item := range c.items {
		if which(item) {
			gone = append(gone, item)
		} else {
			kept = append(kept, item)
		}
	}
	if len(gone) == 0 {
		return 0
	}
	t.aboutToChange(c)
	c.items = kept
	for _, item := range gone {
		t.logRemoval(item, expired)
	}
	return len(gone)
}
