package memorytable

import (
	"bytes"
	"context"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// PutIfAbsent implements driver.PutIfAbsent.
func (t *Table) PutIfAbsent(ctx context.Context, items []driver.Item) error {
	return t.put(ctx, items, t.storeAbsent)
}

func (t *Table) storeAbsent(item driver.Item) error {
	if c := t.data.collations[item.HashKey]; c != nil {
		i := c.search(item.RangeKey)
		if i < len(c.items) && c.items[i].RangeKey == item.RangeKey && !c.items[i].Expired(time.Now()) {
			if !bytes.Equal(c.items[i].Event, item.Event) {
				return driver.ErrConflict
			}
			return nil
		}
	}
	return t.storeOne(item)
}
