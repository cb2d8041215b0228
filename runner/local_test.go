package runner

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
)

func TestTheTableKeepsCheckpointsForAStreamThatDoesNot(t *testing.T) {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	defer table.Close()
	read := 0
	store, err := mes.New(table, mes.WithTTL(nil), mes.WithObserver(observer(func(stats mes.BatchStats) { read += stats.Read })))
	require.NoError(t, err)
	f := newFakeKinesis(1)
	f.put(0, "p", aggregate("p", eventJSON("a", "p"), eventJSON("b", "p")))
	listen := func(opts ...Option) int {
		read = 0
		require.NoError(t, Listen(t.Context(), Kinesis(f, fakeStream), mes.NewListener(store, nil), append(opts, UntilCaughtUp())...))
		return read
	}
	require.Equal(t, 2, listen())
	require.Zero(t, listen(), "it goes on where it was")
	require.Equal(t, 2, listen(WithConsumer("another")))
	f.put(0, "p", eventJSON("c", "p"))
	f.reshard([]int{0}, 2)
	f.put(1, "p", eventJSON("d", "p"))
	require.Equal(t, 2, listen())
	require.Zero(t, listen())
	value, err := table.Checkpoint(t.Context(), fmt.Sprintf("another/%s/%s", fakeStream, f.shards[0].id))
	require.NoError(t, err)
	require.Equal(t, "7/1", value)
}
