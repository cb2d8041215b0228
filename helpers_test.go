package microeventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A spyTable is a table whose calls a test can watch and break.
type spyTable struct {
	driver.Table
	beforePut   func(ctx context.Context, items []driver.Item) error
	afterPut    func(ctx context.Context, items []driver.Item) error
	beforeQuery func(ctx context.Context, query driver.Query) error
	afterQuery  func(query driver.Query, page *driver.Page)

	mu      sync.Mutex
	puts    [][]driver.Item
	queries []driver.Query
}

func newSpy() *spyTable { return &spyTable{Table: memorytable.New()} }

func (s *spyTable) Put(ctx context.Context, items []driver.Item) error {
	s.mu.Lock()
	s.puts = append(s.puts, slices.Clone(items))
	s.mu.Unlock()
	if s.beforePut != nil {
		if err := s.beforePut(ctx, items); err != nil {
			return err
		}
	}
	if err := s.Table.Put(ctx, items); err != nil {
		return err
	}
	if s.afterPut != nil {
		return s.afterPut(ctx, items)
	}
	return nil
}

func (s *spyTable) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	s.mu.Lock()
	s.queries = append(s.queries, query)
	s.mu.Unlock()
	if s.beforeQuery != nil {
		if err := s.beforeQuery(ctx, query); err != nil {
			return driver.Page{}, err
		}
	}
	page, err := s.Table.Query(ctx, query)
	if err == nil && s.afterQuery != nil {
		s.afterQuery(query, &page)
	}
	return page, err
}

// Release implements driver.Releaser.
func (s *spyTable) Release(page driver.Page) {
	if table, ok := s.Table.(driver.Releaser); ok {
		table.Release(page)
	}
}

func (s *spyTable) countPuts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.puts)
}

func (s *spyTable) countQueries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queries)
}

// items returns what is stored under a hash key, markers and expired items too.
func (s *spyTable) items(t *testing.T, hashKey string) []driver.Item {
	t.Helper()
	var items []driver.Item
	query := driver.Query{HashKey: hashKey, Consistent: true}
	for {
		page, err := s.Table.Query(context.Background(), query)
		require.NoError(t, err)
		items = append(items, page.Items...)
		if page.Next == "" {
			return items
		}
		query.Cursor = page.Next
	}
}

// An observation collects what an observer is told.
type observation struct {
	mu      sync.Mutex
	batches []BatchStats
}

func (o *observation) ObserveBatch(_ context.Context, stats BatchStats) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.batches = append(o.batches, stats)
}

// last returns the last batch without its durations.
func (o *observation) last(t *testing.T) BatchStats {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.NotEmpty(t, o.batches)
	stats := o.batches[len(o.batches)-1]
	stats.Duration, stats.TableDuration, stats.HandlerDuration = 0, 0, 0
	return stats
}

func newTestStore(t *testing.T, table driver.Table, opts ...Option) *Store {
	t.Helper()
	s, err := New(table, append([]Option{WithTTL(NeverExpire())}, opts...)...)
	require.NoError(t, err)
	return s
}

const testMilliseconds = 1_700_000_000_000

// eventJSON is an event that happened some milliseconds after testMilliseconds.
func eventJSON(id, eventType, partitionKey string, ms int) string {
	text := func(s string) []byte {
		quoted, _ := json.Marshal(s)
		return quoted
	}
	return fmt.Sprintf(`{"id":%s,"type":%s,"partitionKey":%s,"timestamp":%d}`, text(id), text(eventType), text(partitionKey), testMilliseconds+ms)
}

func testEvent(t testing.TB, id, eventType, partitionKey string, ms int) Event {
	t.Helper()
	e, err := Parse([]byte(eventJSON(id, eventType, partitionKey, ms)))
	require.NoError(t, err)
	return e
}

func testTime(ms int) time.Time { return time.UnixMilli(testMilliseconds + int64(ms)).UTC() }

func ids(events []Event) []string {
	list := make([]string, len(events))
	for i := range events {
		list[i] = events[i].ID
	}
	return list
}

func failedIndexes(t *testing.T, err error) []int {
	t.Helper()
	var failures []Failure
	var save *SaveError
	var batch *BatchError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &batch): // which may hold a SaveError of a handler's
		failures = batch.Failures
	case errors.As(err, &save):
		failures = save.Failures
	default:
		require.Fail(t, "neither a SaveError nor a BatchError", "%v", err)
	}
	require.NotEmpty(t, failures)
	indexes := make([]int, len(failures))
	for i, failure := range failures {
		require.Error(t, failure.Err)
		indexes[i] = failure.Index
	}
	require.IsIncreasing(t, append([]int{-1}, indexes...))
	return indexes
}

var errThrottled = errors.New("throttled")

func (s *Store) rangeKeyOf(e *Event) (string, error) { return s.rangeKeyIn(new(collateRoom), e) }
