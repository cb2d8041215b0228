package main

import (
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const resubmitted = `record 1 of shard 0: done
record 2 of shard 0: done
record 3 of shard 0: still a fault: shard 0, sequence number 3: no hash-key function has a key for the event; filter such events out, or give them a key
order 42 has 2 events
order 43 has 1 events
`

func TestTheStory(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), nil, &out))
	require.Equal(t, "order 42 has 1 events\norder 43 has 0 events\n"+resubmitted, out.String())
}

func TestATableOfYourOwn(t *testing.T) {
	db := filepath.Join(t.TempDir(), "events.db")
	var out strings.Builder
	require.NoError(t, onTable(db, func(table driver.Table) error { return firstVersion(t.Context(), table, "shop", &out) }))
	for range 2 { // doing it again changes nothing
		out.Reset()
		require.NoError(t, run(t.Context(), []string{"-db", db, "-source", "shop"}, &out))
		require.Equal(t, resubmitted, out.String())
	}
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-db", db, "-source", "nobody"}, &out))
	require.Equal(t, "there are no faults of nobody\n", out.String())
	require.Error(t, run(t.Context(), []string{"-nonsense"}, &out))
	require.Error(t, run(t.Context(), []string{"-db", filepath.Join(db, "nothing")}, &out))
}

func TestATableThatIsNotThereIsNotMade(t *testing.T) {
	db := filepath.Join(t.TempDir(), "events.db")
	require.ErrorIs(t, run(t.Context(), []string{"-db", db}, io.Discard), fs.ErrNotExist)
	require.NoFileExists(t, db)
}
