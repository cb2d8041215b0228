package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// absentMutants overwrite what they should leave, or leave what they should store.
func absentMutants() []mutation {
	return []mutation{
		{name: "overwrites what is there", breaks: func(m *mutant) {
			m.absent = func(ctx context.Context, items []driver.Item) error { return m.Table.Put(ctx, items) }
		}, failing: "PutIfAbsent PutIfAbsentConflicts PutIfAbsentExpired PutIfAbsentUnderConcurrency"},
		{name: "says nothing of a conflict", breaks: onAbsentError(func(e *driver.PutError, _ []driver.Item) error {
			e.Failures = slices.DeleteFunc(e.Failures, func(f driver.PutFailure) bool { return errors.Is(f.Err, driver.ErrConflict) })
			if len(e.Failures) == 0 {
				return nil
			}
			return e
		}), failing: "PutIfAbsentConflicts PutIfAbsentExpired PutIfAbsentUnderConcurrency"},
		{name: "takes a conflict for an invalid item", breaks: onAbsentError(func(e *driver.PutError, _ []driver.Item) error {
			for i := range e.Failures {
				e.Failures[i].Err = fmt.Errorf("%w: %w", driver.ErrInvalidItem, e.Failures[i].Err)
			}
			return e
		}), failing: "PutIfAbsentConflicts"},
		{name: "has keys in the error of a conflict", breaks: onAbsentError(func(e *driver.PutError, items []driver.Item) error {
			for i, f := range e.Failures {
				e.Failures[i].Err = fmt.Errorf("%w: %s", f.Err, items[f.Index].RangeKey)
			}
			return e
		}), failing: "PutIfAbsentManners"},
		{name: "stores nothing when one item conflicts", breaks: func(m *mutant) {
			m.absent = func(ctx context.Context, items []driver.Item) error {
				for i, item := range items {
					for _, there := range m.Items(item.HashKey) {
						if there.RangeKey == item.RangeKey && !bytes.Equal(there.Event, item.Event) && !there.Expired(time.Now()) {
							return &driver.PutError{Failures: []driver.PutFailure{{Index: i, Err: driver.ErrConflict}}}
						}
					}
				}
				return m.Table.PutIfAbsent(ctx, items)
			}
		}, failing: "PutIfAbsentConflicts"},
		{name: "takes the same event for a conflict", breaks: func(m *mutant) {
			m.absent = func(ctx context.Context, items []driver.Item) error {
				before := len(m.Changes())
				err := m.Table.PutIfAbsent(ctx, items)
				if err == nil && len(items) > 0 && len(m.Changes()) < before+len(items) {
					return &driver.PutError{Failures: []driver.PutFailure{{Index: 0, Err: driver.ErrConflict}}}
				}
				return err
			}
		}, failing: "PutIfAbsent"},
		{name: "leaves an item that has expired", breaks: func(m *mutant) {
			m.absent = func(ctx context.Context, items []driver.Item) error {
				for i, item := range items {
					for _, there := range m.Items(item.HashKey) {
						if there.RangeKey == item.RangeKey && there.Expired(time.Now()) {
							return &driver.PutError{Failures: []driver.PutFailure{{Index: i, Err: driver.ErrConflict}}}
						}
					}
				}
				return m.Table.PutIfAbsent(ctx, items)
			}
		}, failing: "PutIfAbsentExpired"},
		{name: "looks first and puts then", breaks: func(m *mutant) {
			m.absent = func(ctx context.Context, items []driver.Item) error {
				if err := m.Table.PutIfAbsent(ctx, nil); err != nil {
					return err
				}
				for _, item := range items {
					if page, err := m.Table.Query(ctx, driver.Query{HashKey: item.HashKey, From: item.RangeKey, To: item.RangeKey}); err == nil && len(page.Items) > 0 {
						return m.Table.PutIfAbsent(ctx, items)
					}
				}
				time.Sleep(time.Millisecond)
				return m.Table.Put(ctx, items)
			}
		}, failing: "PutIfAbsentUnderConcurrency"},
		{name: "ignores the context and Close", breaks: func(m *mutant) {
			m.absent = func(ctx context.Context, items []driver.Item) error {
				err := m.Table.PutIfAbsent(context.WithoutCancel(ctx), items)
				if errors.Is(err, driver.ErrClosed) {
					return nil
				}
				return err
			}
		}, failing: "PutIfAbsentManners"},
	}
}

func onAbsentError(change func(e *driver.PutError, items []driver.Item) error) func(*mutant) {
	return func(m *mutant) {
		m.absent = func(ctx context.Context, items []driver.Item) error {
			err := m.Table.PutIfAbsent(ctx, items)
			var partial *driver.PutError
			if errors.As(err, &partial) {
				return change(partial, items)
			}
			return err
		}
	}
}
