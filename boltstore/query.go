package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// maxQueryPage bounds what a page holds, but for its last item. It is larger than
// DynamoDB's 1 MB, since there is no network to cross: most histories are one page.
const maxQueryPage = 4 << 20

// Query returns a page of the items of one hash key, as [driver.Table] says. It
// always sees every Put that had returned before it began, so a page is always
// Consistent. The items of a page share memory in pieces of up to 28 KB.
func (t *Table) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	leave, err := t.enter(ctx)
	if err != nil {
		return driver.Page{}, err
	}
	defer leave()
	after, err := checkQuery(&query)
	if err != nil {
		return driver.Page{}, err
	}
	builder, _ := t.pages.Get().(*pageBuilder)
	if builder == nil {
		builder = new(pageBuilder)
	}
	defer builder.release(t)
	var page driver.Page
	err = t.view(func(tx *bbolt.Tx) (err error) {
		if err = builder.collect(ctx, tx, &query, after); err == nil {
			page, err = builder.page(ctx, t, &query)
		}
		return err
	})
	if err != nil {
		return driver.Page{}, err
	}
	return page, nil
}

// A cursor is the range key of a page's last item, behind a checksum of the
// query that it belongs to.
const cursorVersion = "1"

func cursorPrefix(query *driver.Query) string {
	sum := crc32.NewIEEE()
	_, _ = fmt.Fprintf(sum, "%q %q %q %t", query.HashKey, query.From, query.To, query.Descending)
	return fmt.Sprintf("%s%08x", cursorVersion, sum.Sum32())
}

// checkQuery returns the range key behind which the page begins.
func checkQuery(query *driver.Query) (after string, err error) {
	if err := query.Check(); err != nil {
		return "", err
	}
	if query.Cursor == "" {
		return "", nil
	}
	prefix, ok := strings.CutPrefix(query.Cursor, cursorPrefix(query))
	if !ok || driver.CheckKey("range key", prefix, driver.MaxRangeKeySize) != nil {
		return "", fmt.Errorf("%w: the cursor is not from this query", driver.ErrInvalidQuery)
	}
	return prefix, nil
}

// collect finds the records of the page.
func (b *pageBuilder) collect(ctx context.Context, tx *bbolt.Tx, query *driver.Query, after string) error {
	bucket, err := bucketOf(tx, itemsBucket)
	if err != nil {
		return err
	}
	b.prefix = appendItemKey(b.prefix[:0], query.HashKey, "")
	from, to := query.From, query.To
	if after != "" {
		if query.Descending {
			if to == "" || after < to {
				to = after
			}
		} else {
			from = max(from, after)
		}
	}
	cursor := bucket.Cursor()
	next := cursor.Next
	var key, value []byte
	if query.Descending {
		next = cursor.Prev
		key, value = seekLast(cursor, b.upperBound(to))
	} else {
		b.bound = append(append(b.bound[:0], b.prefix...), from...)
		key, value = cursor.Seek(b.bound)
	}
	if after != "" && len(key) == len(b.prefix)+len(after) && bytes.HasPrefix(key, b.prefix) && string(key[len(b.prefix):]) == after {
		key, value = next()
	}
	size := 0
	var before []byte // the range key of the item before, or of the page before
	if after != "" {
		before = []byte(after)
	}
	for ; bytes.HasPrefix(key, b.prefix); key, value = next() {
		rangeKey := key[len(b.prefix):]
		if before != nil && (bytes.Compare(rangeKey, before) > 0) == query.Descending || bytes.Equal(rangeKey, before) {
			// A damaged page has led bbolt astray. Pages in such an order might
			// never come to an end.
			return damaged("the order of the items")
		}
		before = rangeKey
		if query.Descending {
			if string(rangeKey) < query.From {
				return nil
			}
		} else if query.To != "" && string(rangeKey) > query.To {
			return nil
		}
		if size >= maxQueryPage || query.Limit > 0 && len(b.found) == query.Limit {
			b.more = true
			return nil
		}
		if len(b.found)%checkEvery == checkEvery-1 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		b.found = append(b.found, record{key, value})
		size += len(key) + len(value)
	}
	return nil
}

// upperBound is a key behind which no item of the query lies. Range keys are
// UTF-8, so none has a byte 0xFF.
func (b *pageBuilder) upperBound(to string) []byte {
	b.bound = append(b.bound[:0], b.prefix...)
	if to == "" {
		b.bound = append(b.bound, 0xFF)
	} else {
		b.bound = append(b.bound, to...)
	}
	return b.bound
}

// seekLast moves to the last key that is not greater than bound.
func seekLast(cursor *bbolt.Cursor, bound []byte) (key, value []byte) {
	key, value = cursor.Seek(bound)
	switch {
	case key == nil:
		return cursor.Last()
	case bytes.Equal(key, bound):
		return key, value
	}
	return cursor.Prev()
}

// readItem decodes a value of the file, and counts it.
func (t *Table) readItem(key, value []byte) (storedItem, error) {
	t.reads.Add(1)
	return decodeItem(key, value)
}
