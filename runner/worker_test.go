package runner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// A batch window waits for more. At the end of a shard there is no more: nobody
// reads it again, so what waits must be handled before it counts as ended.
func TestPromise01TheLastRecordsOfAClosedShardWaitForNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{
			fakeSource: newFakeSource(mes.Shard{ID: "parent"}, mes.Shard{ID: "child", Parents: []string{"parent"}}),
			done:       make(map[string]mes.Position),
		}
		source.add(t, s, "parent", "p", "a", "b")
		source.add(t, s, "child", "p", "c")
		source.closed["parent"], source.closed["child"] = true, true
		h := new(handled)
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp(), WithBatchWindow(time.Minute)))
		require.Equal(t, []string{"a", "b", "c"}, h.ids)
		require.Equal(t, "2", source.done["parent"].SequenceNumber)
	})
}

// Nor is there any more of a shard that the stream no longer has. What was read of
// it and waits can be read by nobody any more.
func TestPromise01WhatWaitsOfAShardThatHasGoneIsHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "old"}, mes.Shard{ID: "other"})
		source.add(t, s, "old", "p", "a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		h := new(handled)
		over := make(chan error, 1)
		go func() {
			over <- Trigger(ctx, source, mes.NewTrigger(s, h.handle), WithBatchWindow(time.Hour))
		}()
		time.Sleep(time.Second)
		require.Empty(t, h.seen(), "the batch waits for more")
		source.mu.Lock()
		source.listed = []mes.Shard{{ID: "other"}}
		source.mu.Unlock()
		time.Sleep(10 * time.Minute)
		require.Equal(t, []string{"a", "b"}, h.seen())
		cancel()
		require.NoError(t, <-over)
	})
}
