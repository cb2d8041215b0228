// Package markers carries the markers of a collation (see driver.MarkerPrefix)
// from the trigger that came by them when it read the history to the rules that
// would have to read them otherwise, for as long as one batch takes.
package markers

import (
	"context"
	"strings"
	"sync"

	"github.com/microeventstore/microeventstore/driver"
)

// A Cache holds the markers of one collation as they were read, or written since.
// Others may have changed them meanwhile. The zero Cache knows of none. It is
// safe for use by many goroutines at once.
type Cache struct {
	mu       sync.Mutex
	complete bool
	known    map[string]bool // prefixes that were read
	items    map[string]driver.Item
}

// Set takes a marker in.
func (c *Cache) Set(item driver.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items == nil {
		c.items = make(map[string]driver.Item)
	}
	c.items[item.RangeKey] = item
}

// Complete says that all markers have been taken in.
func (c *Cache) Complete() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complete = true
}

// Know replaces what begins with a prefix by what has just been read.
func (c *Cache) Know(prefix string, items []driver.Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rangeKey := range c.items {
		if strings.HasPrefix(rangeKey, prefix) {
			delete(c.items, rangeKey)
		}
	}
	if c.known == nil {
		c.known = make(map[string]bool)
	}
	c.known[prefix] = true
	if c.items == nil {
		c.items = make(map[string]driver.Item)
	}
	for _, item := range items {
		c.items[item.RangeKey] = item
	}
}

// Get returns the markers that begin with a prefix, in no order, and whether
// that is all there were.
func (c *Cache) Get(prefix string) (items []driver.Item, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rangeKey, item := range c.items {
		if strings.HasPrefix(rangeKey, prefix) {
			items = append(items, item)
		}
	}
	return items, c.complete || c.known[prefix]
}

type contextKey struct{}

// NewContext returns a context that carries the cache.
func NewContext(ctx context.Context, c *Cache) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the cache that a context carries, or an empty one.
func FromContext(ctx context.Context) *Cache {
	if c, ok := ctx.Value(contextKey{}).(*Cache); ok {
		return c
	}
	return new(Cache)
}
