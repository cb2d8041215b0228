package boltstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/driver"
)

// roleVariable makes a process of this test binary play a part in a test.
const roleVariable = "BOLTSTORE_TEST_ROLE"

// effort multiplies the rounds of the long tests.
var effort = func() int {
	n, err := strconv.Atoi(os.Getenv("MES_TEST_EFFORT"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}()

// setting is a number from the environment.
func setting(t testing.TB, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, variable)
	return n
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[len(os.Args)-1]))
	}
	goleak.VerifyTestMain(m)
}

// withoutSync lets tests that are not about durability run fast.
func withoutSync() Option { return option(func(c *config) { c.noSync = true }) }

func withNow(now func() time.Time) Option { return option(func(c *config) { c.now = now }) }

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "events.db") }

func openTable(t testing.TB, path string, opts ...Option) *Table {
	t.Helper()
	table, err := Open(path, append([]Option{WithSweepInterval(0)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	return table
}

func testItem(hashKey, rangeKey string) driver.Item {
	return driver.Item{
		HashKey: hashKey, RangeKey: rangeKey,
		Event: []byte(fmt.Sprintf(`{"id":%q,"type":"thing-created"}`, rangeKey)),
		Type:  "thing-created", Timestamp: time.UnixMilli(1_700_000_000_123).UTC(),
		ID: rangeKey, PartitionKey: hashKey, Complete: true,
	}
}

func put(t testing.TB, table *Table, items ...driver.Item) {
	t.Helper()
	require.NoError(t, table.Put(context.Background(), items))
}

// readAll reads all pages of a query.
func readAll(t testing.TB, table *Table, query driver.Query) []driver.Item {
	t.Helper()
	items, err := readPages(table, query)
	require.NoError(t, err)
	return items
}

func readPages(table *Table, query driver.Query) ([]driver.Item, error) {
	var items []driver.Item
	for {
		page, err := table.Query(context.Background(), query)
		if err != nil {
			return items, err
		}
		items = append(items, page.Items...)
		if page.Next == "" {
			return items, nil
		}
		query.Cursor = page.Next
	}
}

func rangeKeys(items []driver.Item) []string {
	keys := []string{}
	for _, item := range items {
		keys = append(keys, item.RangeKey)
	}
	return keys
}

// hang is when a test gives up waiting. Nothing here takes nearly as long, on a
// machine that has time for it.
const hang = time.Minute

// within fails the test when fn does not return.
func within(t testing.TB, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(hang):
		stacks := make([]byte, 1<<20)
		require.FailNow(t, "it hangs", "%s", stacks[:runtime.Stack(stacks, true)])
	}
}
