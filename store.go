package microeventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/inflight"
)

// A Store saves events in a table and reads them back by hash key. It is safe for
// use by many goroutines at once. Use one Store for a table in a process: it
// keeps an older event from overtaking a newer one with the same keys, which two
// stores cannot. Nor can it where a write was given up, because its time was over or
// its context ended: that one may still land later, after a newer one. With
// [InsertOnce] the first stays for good.
type Store struct {
	table      driver.Table
	hashKeys   []HashKeyFunc
	rangeKey   RangeKey
	ttl        TTLPolicy
	projection func(Event) (json.RawMessage, error)
	decoder    func([]byte) (Event, error) // nil: parse
	logger     *slog.Logger                // nil: silence
	observer   Observer                    // nil: nobody

	// put is the table's Put, or its PutIfAbsent.
	put        func(context.Context, []driver.Item) error
	insertOnce bool

	// timeInKey says that range keys begin with the event's time, so that Since
	// and Until can be bounds of the query.
	timeInKey bool

	// foreign says that the items lie as another program has them.
	foreign bool

	writes      inflight.Keys[itemKey]
	secondsOnce sync.Once
}

// New returns a Store on a table. All that is wrong with the options is in one
// error. Of a Store that is nil or empty all methods give an error, or nothing.
func New(table driver.Table, opts ...Option) (*Store, error) {
	s := &Store{
		table:    table,
		hashKeys: []HashKeyFunc{PartitionKey()},
		rangeKey: TimeAndID(),
		ttl:      ExpireAfter(DefaultRetention),
	}
	var errs []error
	if isNil(table) {
		table = nil
		errs = append(errs, errors.New("the table is nil"))
	}
	errs = append(errs, applyAll(opts, func(opt Option) error { return opt.applyStore(s) }))
	absent, able := table.(driver.PutIfAbsent)
	if s.insertOnce && !able {
		errs = append(errs, errors.New("InsertOnce: the table cannot put an item only if it is absent"))
	}
	_, s.timeInKey = s.rangeKey.(*timeAndID)
	if s.foreign = driver.HasForeignLayout(table); s.foreign {
		if len(s.hashKeys) != 1 {
			errs = append(errs, errors.New("WithHashKey: the table's layout is another program's, and keeps an event under one hash key alone"))
		}
		if !s.timeInKey {
			errs = append(errs, errors.New("WithRangeKey: the table's layout is another program's, and has room for no other range key than TimeAndID"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("new store: %w", err)
	}
	s.put = table.Put
	if s.insertOnce {
		s.put = absent.PutIfAbsent
	}
	return s, nil
}

// isNil tells whether there is no table, also where a nil pointer became a
// driver.Table: that of an Open whose error nobody looked at.
func isNil(table driver.Table) bool {
	v := reflect.ValueOf(table)
	return table == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// check says that the store is none that New has made.
func (s *Store) check() error {
	if s == nil || s.table == nil {
		return errNoStore
	}
	return nil
}

// Table returns the table that the store was made with. Hosts use it to find out
// what the table can do beyond the contract.
func (s *Store) Table() driver.Table {
	if s == nil {
		return nil
	}
	return s.table
}

// Delete removes a whole collation, for good: the right to erasure, a test that
// cleans up. Triggers see each removal as one that is not an expiry. It returns
// an error that wraps errors.ErrUnsupported if the table cannot delete. Events
// that are saved while it runs may stay. So may what others have made of the events:
// copies under another hash key ([Store.Correlate]; package rules says more), and a
// stream that delivers a record again saves its event again.
func (s *Store) Delete(ctx context.Context, hashKey string) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	deleter, ok := s.table.(driver.Deleter)
	if !ok {
		return fmt.Errorf("delete: the table cannot delete: %w", errors.ErrUnsupported)
	}
	if err := driver.CheckKey("hash key", hashKey, driver.MaxHashKeySize); err != nil {
		return fmt.Errorf("delete: %w: %w", ErrInvalidQuery, err)
	}
	_, err := deleter.Delete(ctx, hashKey)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrClosed):
		return fmt.Errorf("delete: %w", err)
	default:
		return fmt.Errorf("delete: some events may be left, call it again: %w", err)
	}
}

// Close closes the table. Calling it again does nothing.
func (s *Store) Close() error {
	if err := s.check(); err != nil {
		return fmt.Errorf("close the table: %w", err)
	}
	if err := s.table.Close(); err != nil {
		return fmt.Errorf("close the table: %w", err)
	}
	return nil
}
