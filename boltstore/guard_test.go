package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

func TestPanicOfAReaderIsItsOwn(t *testing.T) {
	table := openTable(t, tempPath(t))
	put(t, table, testItem("h", "r"))
	err := table.view(func(*bbolt.Tx) error { panic("secret") })
	require.ErrorIs(t, err, ErrDamaged)
	assert.NotContains(t, err.Error(), "secret")
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "h"}), 1)
	put(t, table, testItem("h", "s"))
}

func TestPanicOfAWriterGivesTheTableUp(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	put(t, table, testItem("h", "r"))
	waiting := make(chan error, 1)
	go func() { waiting <- table.Changes("c").Wait(context.Background(), "0", position(1)) }()
	err := table.submit(context.Background(), 0, func(*writer) error { panic("secret") })
	require.ErrorIs(t, err, ErrDamaged)
	within(t, func() {
		require.ErrorIs(t, <-waiting, ErrDamaged)
		require.ErrorIs(t, table.Put(context.Background(), []driver.Item{testItem("h", "s")}), ErrDamaged)
		_, err := table.Query(context.Background(), driver.Query{HashKey: "h"})
		require.ErrorIs(t, err, ErrDamaged)
		_, err = table.Changes("c").Checkpoint(context.Background(), "0")
		require.ErrorIs(t, err, ErrDamaged)
		require.NoError(t, table.Close())
	})
	table = openTable(t, path)
	assert.Equal(t, []string{"r"}, rangeKeys(readAll(t, table, driver.Query{HashKey: "h"})))
}

func TestCloseReturnsThoughBoltHoldsALock(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	table.fail(ErrDamaged)
	table.locked.Store(true)
	tx, err := table.db.Begin(true) // is never ended
	require.NoError(t, err)
	require.NotNil(t, tx)
	within(t, func() { require.NoError(t, table.Close()) })
	openTable(t, path)
}

func TestFailedSyncGivesTheTableUp(t *testing.T) {
	assert.True(t, isWriteError(fmt.Errorf("x: %w", &fs.PathError{Op: "write", Path: "p", Err: syscall.ENOSPC})))
	assert.True(t, isWriteError(&fs.PathError{Op: "truncate", Path: "p", Err: syscall.ENOSPC}))
	assert.False(t, isWriteError(syscall.EIO))
	assert.False(t, isWriteError(&fs.PathError{Op: "sync", Path: "p", Err: syscall.EIO}))
	assert.False(t, isWriteError(errors.New("file sync error")))
}
