package inflight

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func of(keys ...string) (int, func(int) string) {
	return len(keys), func(i int) string { return keys[i] }
}

func acquire(ctx context.Context, k *Keys[string], keys ...string) (func(), error) {
	n, key := of(keys...)
	return k.Acquire(ctx, n, key)
}

func TestPromise05AKeyIsClaimedOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys Keys[string]
		first, err := acquire(t.Context(), &keys, "a", "b", "a")
		require.NoError(t, err)
		other, err := acquire(t.Context(), &keys, "c")
		require.NoError(t, err, "other keys go on")

		claimed := false
		go func() {
			release, err := acquire(t.Context(), &keys, "d", "b")
			if err != nil {
				t.Error(err)
				return
			}
			claimed = true
			release()
		}()
		synctest.Wait()
		require.False(t, claimed)
		free, err := acquire(t.Context(), &keys, "d")
		require.NoError(t, err, "who waits holds nothing")
		free()

		first()
		synctest.Wait()
		require.True(t, claimed)
		other()
		require.Zero(t, keys.Len(), "nothing is kept")
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	var keys Keys[string]
	release, err := acquire(t.Context(), &keys, "a")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = acquire(ctx, &keys, "b", "a")
	require.ErrorIs(t, err, context.Canceled)
	release()
	require.Zero(t, keys.Len())
}
