package backoff

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelayGrowsToItsCapWithFullJitter(t *testing.T) {
	policy := Policy{First: 100 * time.Millisecond, Most: time.Second}
	for failures, most := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond,
		4: 800 * time.Millisecond, 5: time.Second, 1_000_000: time.Second,
	} {
		var longest, shortest time.Duration = 0, most
		for range 2000 {
			delay := policy.Delay(failures)
			require.LessOrEqual(t, delay, most)
			require.GreaterOrEqual(t, delay, time.Duration(0))
			longest, shortest = max(longest, delay), min(shortest, delay)
		}
		require.Greater(t, longest, most*9/10, "after %d failures", failures)
		require.Less(t, shortest, most/10, "full jitter begins at zero")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		policy := Policy{First: time.Hour, Most: time.Hour}
		began := time.Now()
		require.ErrorIs(t, policy.Wait(ctx, 1), context.DeadlineExceeded)
		require.Equal(t, time.Millisecond, time.Since(began))
		require.NoError(t, policy.Wait(context.Background(), 1))
	})
}

func TestADrawnDelayIsNotLeftToChance(t *testing.T) {
	policy := Policy{First: 100 * time.Millisecond, Most: time.Second}
	var asked []time.Duration
	ctx := Drawn(t.Context(), func(most time.Duration) time.Duration {
		asked = append(asked, most)
		return most / 2
	})
	require.Equal(t, 50*time.Millisecond, policy.DelayIn(ctx, 1))
	require.Equal(t, 500*time.Millisecond, policy.DelayIn(ctx, 9))
	require.EqualValues(t, 5, Chance(ctx, 11))
	require.Equal(t, []time.Duration{100 * time.Millisecond, time.Second, 10}, asked)
	for range 100 {
		require.Less(t, Chance(t.Context(), 3), int64(3))
	}
	require.LessOrEqual(t, policy.DelayIn(t.Context(), 1), 100*time.Millisecond)
}
