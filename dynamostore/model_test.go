package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// TestPromise18AllTablesBehaveAlike does the same random things to the table in
// DynamoDB, the one in a file and the one in memory, and looks for a difference.
func TestPromise18AllTablesBehaveAlike(t *testing.T) {
	s := newServer(t)
	s.opts = []Option{WithoutTTL(), WithoutStream()}
	remote, _ := s.table(t)
	file, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"), boltstore.WithSweepInterval(0))
	require.NoError(t, err)
	defer file.Close()
	tables := map[string]driver.Table{"memory": memorytable.New(), "file": file, "DynamoDB": remote}
	if !s.fake { // then that is the table in DynamoDB already
		fake, _ := server{Client: newFakeClient()}.table(t)
		tables["fake"] = fake
	}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++ // each run has hash keys of its own
		t.Repeat(map[string]func(*rapid.T){
			"put":           func(t *rapid.T) { alike(t, tables, putSome(t, run, false)) },
			"put if absent": func(t *rapid.T) { alike(t, tables, putSome(t, run, true)) },
			"query":         func(t *rapid.T) { alike(t, tables, querySome(t, run)) },
			"delete": func(t *rapid.T) {
				hashKey := drawHashKey(t, run)
				alike(t, tables, func(table driver.Table) string {
					n, err := table.(driver.Deleter).Delete(context.Background(), hashKey)
					return fmt.Sprint(n, kindOf(err))
				})
			},
		})
	})
}

// alike runs an operation on each table and compares what it says.
func alike(t *rapid.T, tables map[string]driver.Table, operation func(driver.Table) string) {
	want := operation(tables["memory"])
	for name, table := range tables {
		if name != "memory" {
			require.Equal(t, want, operation(table), name)
		}
	}
}

func drawHashKey(t *rapid.T, run int) string {
	return fmt.Sprint(run, rapid.SampledFrom([]string{"p", "p\x00", "é"}).Draw(t, "hash key"))
}

func putSome(t *rapid.T, run int, onlyAbsent bool) func(driver.Table) string {
	var list []driver.Item
	used := make(map[[2]string]bool)
	for range rapid.IntRange(1, 6).Draw(t, "items") {
		item := driver.Item{
			HashKey:  drawHashKey(t, run),
			RangeKey: rapid.SampledFrom([]string{"a", "b", "b\x00", "ä", "\U0001F600", "z", ""}).Draw(t, "range key"),
			Event:    fmt.Appendf(nil, `{"v":%d}`, rapid.IntRange(0, 2).Draw(t, "event")),
			Type:     rapid.SampledFrom([]string{"", "t"}).Draw(t, "type"),
			TTL:      rapid.SampledFrom([]int64{0, 1_000_000_000, 4_102_444_800}).Draw(t, "ttl"),
		}
		if rapid.Bool().Draw(t, "timestamp") {
			item.Timestamp = time.UnixMilli(1_700_000_000_123).UTC()
		}
		if key := [2]string{item.HashKey, item.RangeKey}; !used[key] {
			used[key] = true
			list = append(list, item)
		}
	}
	return func(table driver.Table) string {
		if onlyAbsent {
			return kindOf(table.(driver.PutIfAbsent).PutIfAbsent(context.Background(), slices.Clone(list)))
		}
		return kindOf(table.Put(context.Background(), slices.Clone(list)))
	}
}

func querySome(t *rapid.T, run int) func(driver.Table) string {
	bound := rapid.SampledFrom([]string{"", "", "a", "b", "c", "ä", "zz"})
	query := driver.Query{
		HashKey: drawHashKey(t, run), From: bound.Draw(t, "from"), To: bound.Draw(t, "to"),
		Descending: rapid.Bool().Draw(t, "descending"), Limit: rapid.IntRange(0, 3).Draw(t, "limit"), Consistent: true,
	}
	return func(table driver.Table) string {
		said := ""
		for query := query; ; {
			page, err := table.Query(context.Background(), query)
			if err != nil {
				return said + kindOf(err)
			}
			for _, item := range page.Items {
				said += fmt.Sprintf("%q %s %q %d %v\n", item.RangeKey, item.Event, item.Type, item.TTL, item.Timestamp.IsZero())
			}
			if page.Next == "" {
				return said
			}
			query.Cursor = page.Next
		}
	}
}

// kindOf says of an error what the contract says of it.
func kindOf(err error) string {
	var failed *driver.PutError
	if !errors.As(err, &failed) {
		return fmt.Sprint(err == nil, errors.Is(err, driver.ErrInvalidQuery))
	}
	said := ""
	for _, failure := range failed.Failures {
		said += fmt.Sprint(failure.Index, errors.Is(failure.Err, driver.ErrInvalidItem), errors.Is(failure.Err, driver.ErrConflict), ";")
	}
	return said
}
