package boltstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

func TestOpenInUseByAnotherTable(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	within(t, func() {
		_, err := Open(path)
		assert.ErrorIs(t, err, ErrInUse)
		assert.ErrorContains(t, err, path)
	})
	require.NoError(t, table.Close())
	openTable(t, path)
}

func TestOpenCreatesAPrivateFile(t *testing.T) {
	path := tempPath(t)
	openTable(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), info.Mode())
}

// Who made the file has said who may read it; an empty one too.
func TestOpenLeavesTheModeOfAFileAlone(t *testing.T) {
	path := tempPath(t)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Chmod(path, 0o640)) // whatever the umask is
	for range 2 {
		table, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, table.Close())
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o640), info.Mode())
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string, mode fs.FileMode) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	foreign := filepath.Join(folder, "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}))
	require.NoError(t, db.Close())
	newer := tempPath(t)
	table := openTable(t, newer)
	require.NoError(t, table.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, []byte("microeventstore/boltstore 2"))
	}))
	require.NoError(t, table.Close())

	for name, test := range map[string]struct {
		path string
		want error
		hint string
	}{
		"text":              {file("notes.txt", "these are my notes", 0o600), ErrFormat, "name another file"},
		"long text":         {file("long.txt", string(make([]byte, 100_000))+"x", 0o600), ErrFormat, ""},
		"another program's": {foreign, ErrFormat, ""},
		"newer format":      {newer, ErrFormat, "the version that wrote it"},
		"folder":            {folder, nil, "is a folder"},
		"folder is missing": {filepath.Join(folder, "no", "events.db"), fs.ErrNotExist, "create its folder"},
		"file as folder":    {filepath.Join(file("plain", "", 0o600), "events.db"), nil, "plain"},
		"device":            {os.DevNull, nil, "not a regular file"},
		"empty path":        {"", nil, "path"},
		"not to be read":    {file("read-only.db", "", 0o400), fs.ErrPermission, "readable and writable"},
	} {
		t.Run(name, func(t *testing.T) {
			if errors.Is(test.want, fs.ErrPermission) && os.Geteuid() == 0 {
				t.Skip("root may write everything")
			}
			before, _ := os.ReadFile(test.path)
			_, err := Open(test.path)
			require.Error(t, err)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			assert.Contains(t, err.Error(), test.path)
			assert.Contains(t, err.Error(), test.hint)
			after, _ := os.ReadFile(test.path)
			assert.Equal(t, before, after, "it has been changed")
		})
	}
}

func TestOpenTakesAnEmptyFile(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 16384} { // as a power cut may leave it
		path := tempPath(t)
		require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
		put(t, openTable(t, path), testItem("h", "r"))
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	path := tempPath(t)
	_, err := Open(path, WithSweepInterval(-1), WithRetention(-time.Hour), nil)
	require.Error(t, err)
	for _, want := range []string{"WithSweepInterval", "WithRetention(-1h0m0s)", "nil"} {
		assert.Contains(t, err.Error(), want)
	}
	assert.NoFileExists(t, path)
	table, err := Open(path, WithLogger(nil), WithRetention(0))
	require.NoError(t, err)
	require.NoError(t, table.Close())
}

func TestPromise21ClosedTable(t *testing.T) {
	table, err := Open(tempPath(t))
	require.NoError(t, err)
	feed := table.Changes("c")
	require.NoError(t, table.Close())
	require.NoError(t, table.Close())
	ctx := context.Background()
	require.ErrorIs(t, table.Put(ctx, []driver.Item{testItem("h", "r")}), driver.ErrClosed)
	_, err = table.Query(ctx, driver.Query{})
	require.ErrorIs(t, err, driver.ErrClosed)
	_, err = table.Delete(ctx, "")
	require.ErrorIs(t, err, driver.ErrClosed)
	_, err = table.Sweep(ctx)
	require.ErrorIs(t, err, driver.ErrClosed)
	_, err = feed.Shards(ctx)
	require.ErrorIs(t, err, driver.ErrClosed)
	_, _, err = feed.ReadChanges(ctx, "0", mes.Position{}, 1)
	require.ErrorIs(t, err, driver.ErrClosed)
	_, err = feed.Checkpoint(ctx, "0")
	require.ErrorIs(t, err, driver.ErrClosed)
	require.ErrorIs(t, feed.SetCheckpoint(ctx, "0", mes.Position{}), driver.ErrClosed)
	require.ErrorIs(t, feed.Wait(ctx, "0", mes.Position{}), driver.ErrClosed)
}

func TestPromise10ATableThatOpenDidNotMake(t *testing.T) {
	for _, table := range []*Table{nil, {}} {
		_, err := table.Query(t.Context(), driver.Query{HashKey: "h"})
		require.ErrorIs(t, err, errNotOpen)
		require.ErrorIs(t, table.Put(t.Context(), []driver.Item{{HashKey: "h", RangeKey: "r", Event: []byte("{}")}}), errNotOpen)
		_, err = table.Delete(t.Context(), "h")
		require.ErrorIs(t, err, errNotOpen)
		_, err = table.Sweep(t.Context())
		require.ErrorIs(t, err, errNotOpen)
		_, err = table.Checkpoint(t.Context(), "c")
		require.ErrorIs(t, err, errNotOpen)
		_, _, err = table.Changes("c").ReadChanges(t.Context(), "0", mes.Position{}, 1)
		require.ErrorIs(t, err, errNotOpen)
		require.ErrorIs(t, table.Close(), errNotOpen)
	}
	_, err := new(Changes).Shards(t.Context())
	require.ErrorIs(t, err, errNotOpen)
}
