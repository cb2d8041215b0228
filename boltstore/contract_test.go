package boltstore

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/drivertest"
)

// The crash tests are about the disk. Here syncs would only take time: on a busy
// machine a minute of them, so they are kept for the long runs.
func TestPromise18TheContract(t *testing.T) {
	open := func(t testing.TB, path string) driver.Table {
		t.Helper()
		var opts []Option
		if effort == 1 {
			opts = append(opts, withoutSync())
		}
		table, err := Open(path, opts...)
		require.NoError(t, err)
		return table
	}
	drivertest.Run(t, drivertest.Harness{
		Open: func(t testing.TB) driver.Table {
			return open(t, filepath.Join(t.TempDir(), "events.db"))
		},
		Reopen: func(t testing.TB, table driver.Table) driver.Table {
			require.NoError(t, table.Close())
			return open(t, table.(*Table).path)
		},
	})
}

func BenchmarkContract(b *testing.B) {
	drivertest.Benchmark(b, func(b testing.TB) driver.Table {
		table, err := Open(filepath.Join(b.TempDir(), "events.db"))
		require.NoError(b, err)
		return table
	})
}
