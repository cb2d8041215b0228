package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// lifeMutants go wrong with contexts, deletions, errors, and at the end.
func lifeMutants() []mutation {
	return []mutation{
		{name: "ignores its context", breaks: func(m *mutant) {
			m.put = func(ctx context.Context, items []driver.Item) error {
				return m.Table.Put(context.WithoutCancel(ctx), items)
			}
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				return m.Table.Query(context.WithoutCancel(ctx), q)
			}
		}, failing: "ContextEnded"},
		{name: "ignores the context of Delete", breaks: func(m *mutant) {
			m.del = func(ctx context.Context, hashKey string) (int, error) {
				return m.Table.Delete(context.WithoutCancel(ctx), hashKey)
			}
		}, failing: "ContextEnded"},
		{name: "hides the context's error", breaks: func(m *mutant) {
			hide := func(err error) error {
				if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
					return errors.New("request canceled")
				}
				return err
			}
			m.put = func(ctx context.Context, items []driver.Item) error {
				err := m.Table.Put(ctx, items)
				if dawdle(ctx); ctx.Err() != nil {
					err = ctx.Err()
				}
				return hide(err)
			}
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				if dawdle(ctx); ctx.Err() != nil {
					err = ctx.Err()
				}
				return page, hide(err)
			}
		}, failing: "ContextEnded PutWhileContextEnds QueryWhileContextEnds"},
		{name: "takes an ended context for an invalid item", breaks: func(m *mutant) {
			m.put = func(ctx context.Context, items []driver.Item) error {
				err := m.Table.Put(ctx, items)
				if ctx.Err() != nil {
					return fmt.Errorf("%w: %w", driver.ErrInvalidItem, err)
				}
				return err
			}
		}, failing: "ContextEnded"},
		{name: "stores a part and returns nil when its context ends", breaks: func(m *mutant) {
			m.put = func(ctx context.Context, items []driver.Item) error {
				half := len(items) / 2
				if err := m.Table.Put(ctx, items[:half]); err != nil || half == 0 {
					return m.Table.Put(ctx, items)
				}
				select { // it ends in between whenever it ends soon
				case <-ctx.Done():
					return nil
				case <-time.After(time.Second):
				}
				return m.Table.Put(ctx, items[half:])
			}
		}, failing: "PutWhileContextEnds"},

		{name: "fails to close twice", breaks: func(m *mutant) {
			var closed atomic.Bool
			m.close = func() error {
				if closed.Swap(true) {
					return driver.ErrClosed
				}
				return m.Table.Close()
			}
		}, failing: "CloseTwice"},
		{name: "panics when closed twice", breaks: func(m *mutant) {
			var closed atomic.Bool
			m.close = func() error {
				if closed.Swap(true) {
					panic("close of closed channel")
				}
				return m.Table.Close()
			}
		}, failing: "CloseTwice"},
		{name: "works after Close", breaks: func(m *mutant) { m.close = func() error { return nil } }, failing: "CallsAfterClose"},
		{name: "has an error of its own after Close", breaks: func(m *mutant) {
			own := func(err error) error {
				if errors.Is(err, driver.ErrClosed) {
					return errors.New("database not open")
				}
				return err
			}
			m.put = func(ctx context.Context, items []driver.Item) error { return own(m.Table.Put(ctx, items)) }
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				return page, own(err)
			}
		}, failing: "CallsAfterClose CloseDuringCalls"},
		{name: "panics after Close", breaks: func(m *mutant) {
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				if errors.Is(err, driver.ErrClosed) {
					panic("nil pointer")
				}
				return page, err
			}
		}, failing: "CallsAfterClose CloseDuringCalls"},
		{name: "forgets all when opened again", breaks: func(*mutant) {},
			reopened: func(m *mutant) { m.Table = memorytable.New() },
			failing:  "ReopenFindsEverything ReopenAfterCloseDuringCalls ReopenFindsNothingDeleted RandomOperationsAndReopen"},
		{name: "forgets the last put when opened again", breaks: func(*mutant) {},
			reopened: func(m *mutant) {
				changes := m.Changes()
				last := changes[len(changes)-1]
				onPage(func(_ driver.Query, page *driver.Page) {
					for i := range page.Items {
						if page.Items[i].HashKey == last.HashKey && page.Items[i].RangeKey == last.RangeKey {
							page.Items = append(page.Items[:i:i], page.Items[i+1:]...)
							return
						}
					}
				})(m)
			}, failing: "ReopenFindsEverything"},
		{name: "finds what was deleted when opened again", breaks: func(*mutant) {},
			reopened: func(m *mutant) {
				for _, c := range m.Changes() {
					if c.Kind == memorytable.Remove {
						_ = m.Table.Put(context.Background(), []driver.Item{c.Old})
					}
				}
			}, failing: "ReopenFindsNothingDeleted"},

		{name: "leaves markers when it deletes", breaks: deleting(func(_ *mutant, i driver.Item) bool { return i.RangeKey[0] != 1 }), failing: "Delete"},
		{name: "deletes the first page", breaks: deleting(func(m *mutant, i driver.Item) bool {
			items := m.Items(i.HashKey)
			return len(items) <= 1000 || i.RangeKey < items[1000].RangeKey
		}), failing: "DeleteLarge"},
		{name: "miscounts what it deleted", breaks: func(m *mutant) {
			m.del = func(ctx context.Context, hashKey string) (int, error) {
				_, err := m.Table.Delete(ctx, hashKey)
				return 1, err
			}
		}, failing: "Delete DeleteInvalidKey DeleteUnderConcurrency"},
		{name: "deletes nothing", breaks: func(m *mutant) {
			m.del = func(_ context.Context, hashKey string) (int, error) { return len(m.Items(hashKey)), nil }
		}, failing: "Delete DeleteUnderConcurrency DeleteLarge RandomOperations"},
		{name: "deletes neighbours with the same beginning", breaks: func(m *mutant) {
			m.del = func(ctx context.Context, hashKey string) (int, error) {
				for _, c := range m.Changes() {
					if c.HashKey != hashKey && strings.HasPrefix(c.HashKey, hashKey) {
						_, _ = m.Table.Delete(ctx, c.HashKey)
					}
				}
				return m.Table.Delete(ctx, hashKey)
			}
		}, failing: "DeleteOnlyItsKey"},
		{name: "repairs UTF-8 when it deletes", breaks: func(m *mutant) {
			m.del = func(ctx context.Context, hashKey string) (int, error) {
				return m.Table.Delete(ctx, strings.ToValidUTF8(hashKey, "\ufffd"))
			}
		}, failing: "DeleteInvalidKey"},

		{name: "has keys in its errors", breaks: func(m *mutant) {
			m.put = func(ctx context.Context, items []driver.Item) error {
				err := m.Table.Put(ctx, items)
				if err != nil && len(items) > 0 {
					err = fmt.Errorf("%w (%s)", err, items[0].HashKey)
				}
				return err
			}
		}, failing: "ErrorsKeepSecrets"},
		{name: "has cursors in its errors", breaks: func(m *mutant) {
			m.query = func(ctx context.Context, q driver.Query) (driver.Page, error) {
				page, err := m.Table.Query(ctx, q)
				if err != nil {
					err = fmt.Errorf("%w (%q)", err, q.Cursor)
				}
				return page, err
			}
		}, failing: "ErrorsKeepSecrets"},
	}
}

// dawdle makes a call last a little longer than its context, if that ends soon.
func dawdle(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
}

// deleting makes a mutant that deletes some of the items, and puts the others
// back, which are not counted.
func deleting(which func(m *mutant, i driver.Item) bool) func(*mutant) {
	return func(m *mutant) {
		m.del = func(ctx context.Context, hashKey string) (int, error) {
			var kept []driver.Item
			for _, i := range m.Items(hashKey) {
				if !which(m, i) {
					kept = append(kept, i)
				}
			}
			n, err := m.Table.Delete(ctx, hashKey)
			if err == nil {
				err = m.Table.Put(ctx, kept)
			}
			return n - len(kept), err
		}
	}
}
