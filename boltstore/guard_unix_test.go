//go:build unix

package boltstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// The disk is full where a process may not have a file that is larger than this.
// The limit holds for all that the process writes, so it is a child that has it.
const fullAt = 64 << 10

func TestFullDiskIsNotTheEnd(t *testing.T) {
	out, err := child(t, "fill the disk", tempPath(t)).Output()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "ok\n", string(out))
}

// fillDisk is the child's part.
func fillDisk(path string) error {
	ctx := context.Background()
	table, err := Open(path, WithSweepInterval(0))
	if err != nil {
		return err
	}
	if err := table.Put(ctx, []driver.Item{testItem("h", "1")}); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	full := limit
	full.Cur = fullAt
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	big := testItem("h", "2")
	big.Event = make([]byte, 300_000)
	refused := table.Put(ctx, []driver.Item{big})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if refused == nil || errors.Is(refused, ErrDamaged) {
		return fmt.Errorf("a Put on a full disk returned %w", refused)
	}
	if err := holds(table, "1"); err != nil {
		return err
	}
	if err := errors.Join(table.Put(ctx, []driver.Item{big}), table.Close()); err != nil {
		return err
	}
	again, err := Open(path, WithSweepInterval(0))
	if err != nil {
		return err
	}
	return errors.Join(holds(again, "1", "2"), again.Close())
}

func holds(table *Table, want ...string) error {
	items, err := readPages(table, driver.Query{HashKey: "h"})
	if err != nil {
		return err
	}
	if got := rangeKeys(items); !slices.Equal(got, want) {
		return fmt.Errorf("the table holds %q, not %q", got, want)
	}
	return nil
}
