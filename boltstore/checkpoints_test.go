package boltstore

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

func TestCheckpointsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	table, err := Open(path)
	require.NoError(t, err)
	value, err := table.Checkpoint(t.Context(), "stream/shard")
	require.NoError(t, err)
	require.Empty(t, value)
	require.NoError(t, table.SetCheckpoint(t.Context(), "stream/shard", "1"))
	require.NoError(t, table.SetCheckpoint(t.Context(), "stream/shard", "22"))
	require.NoError(t, table.SetCheckpoint(t.Context(), "stream/other", "3"))
	for _, name := range []string{"", "\xff", strings.Repeat("x", 1025)} {
		require.ErrorIs(t, table.SetCheckpoint(t.Context(), name, "1"), driver.ErrInvalidItem)
		require.ErrorIs(t, table.SetCheckpoint(t.Context(), "name", name), driver.ErrInvalidItem)
	}
	require.NoError(t, table.Close())
	require.ErrorIs(t, table.SetCheckpoint(t.Context(), "stream/shard", "4"), driver.ErrClosed)

	table, err = Open(path)
	require.NoError(t, err)
	value, err = table.Checkpoint(t.Context(), "stream/shard")
	require.NoError(t, err)
	require.Equal(t, "22", value)
	require.NoError(t, table.Close())

	file, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, file.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(checkpointsBucket).Put([]byte("stream/shard"), []byte("\x01\x00\x00\x00\x0023"))
	}))
	require.NoError(t, file.Close())
	_, err = Open(path)
	require.ErrorIs(t, err, ErrDamaged)
}
