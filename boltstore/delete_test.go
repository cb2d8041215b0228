package boltstore

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestDeleteRemovesACollation(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path, withoutSync())
	items := make([]driver.Item, 2300)
	for n := range items {
		items[n] = testItem("h", fmt.Sprintf("%04d", n))
		items[n].TTL = int64(n%2) * 5_000_000_000
	}
	put(t, table, items...)
	put(t, table, testItem("h", driver.MarkerPrefix), testItem("g", "1"), testItem("hh", "1"))
	commits := table.commits.Load()
	removed, err := table.Delete(context.Background(), "h")
	require.NoError(t, err)
	assert.Equal(t, 2301, removed)
	assert.Equal(t, int64(3), table.commits.Load()-commits)
	assert.Empty(t, readAll(t, table, driver.Query{HashKey: "h"}))
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "g"}), 1)
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "hh"}), 1)
	removed, err = table.Delete(context.Background(), "h")
	require.NoError(t, err)
	assert.Zero(t, removed)
	changes, err := allChanges(table.Changes("c"))
	require.NoError(t, err)
	require.Len(t, changes, 2303+2301)
	for _, change := range changes[2303:] {
		require.False(t, change.Expired)
	}
	require.NoError(t, table.Close())
	openTable(t, path)
}

func TestDeleteRefusesABadHashKey(t *testing.T) {
	table := openTable(t, tempPath(t))
	for _, key := range []string{"", "\xff"} {
		_, err := table.Delete(context.Background(), key)
		require.ErrorIs(t, err, driver.ErrInvalidQuery)
	}
}
