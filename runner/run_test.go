package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func TestMain(m *testing.M) {
	if os.Getenv(replicaVariable) != "" {
		os.Exit(replicaMain())
	}
	goleak.VerifyTestMain(iampolicy.Suite{Tests: m, Check: called.check})
}

// A fakeSource is a stream in memory. Its shards are read in the order that they
// are listed in.
type fakeSource struct {
	mu     sync.Mutex
	listed []mes.Shard
	rows   map[string][]mes.Change
	closed map[string]bool // shards that have ended
	broken func() error    // if any call is to fail
	reads  int
}

func (f *fakeSource) fail() error {
	if f.broken == nil {
		return nil
	}
	return f.broken()
}

func (f *fakeSource) Shards(context.Context) ([]mes.Shard, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.listed, f.fail()
}

func (f *fakeSource) ReadChanges(_ context.Context, shard string, after mes.Position, limit int) ([]mes.Change, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if err := f.fail(); err != nil {
		return nil, false, err
	}
	done, _ := strconv.Atoi(after.SequenceNumber)
	rows := f.rows[shard][done:]
	if len(rows) > limit {
		return rows[:limit], false, nil
	}
	return rows, f.closed[shard], nil
}

// add appends changes for events that it stores.
func (f *fakeSource) add(t *testing.T, s *mes.Store, shard, hashKey string, ids ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		e, err := mes.NewEvent(map[string]any{"id": id, "type": "t", "partitionKey": hashKey, "timestamp": 1})
		require.NoError(t, err)
		require.NoError(t, s.Save(context.Background(), e))
		f.rows[shard] = append(f.rows[shard], mes.Change{
			Kind: mes.Inserted, HashKey: hashKey, RangeKey: id,
			Meta: mes.Meta{Shard: shard, SequenceNumber: strconv.Itoa(len(f.rows[shard]) + 1)},
		})
	}
}

func newFakeSource(shards ...mes.Shard) *fakeSource {
	return &fakeSource{listed: shards, rows: make(map[string][]mes.Change), closed: make(map[string]bool)}
}

// withCheckpoints adds what a source needs to remember its consumer.
type withCheckpoints struct {
	*fakeSource
	mu   sync.Mutex
	done map[string]mes.Position

	failures int // of SetCheckpoint, before it works
}

func (w *withCheckpoints) Checkpoint(_ context.Context, shard string) (mes.Position, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done[shard], nil
}

func (w *withCheckpoints) SetCheckpoint(ctx context.Context, shard string, done mes.Position) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failures--; w.failures >= 0 {
		return errors.New("disk full")
	}
	if ctx.Err() == nil {
		w.done[shard] = done
	}
	return ctx.Err()
}

func newStore(t *testing.T) *mes.Store {
	t.Helper()
	s, err := mes.New(memorytable.New(), mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil))
	require.NoError(t, err)
	return s
}

// handled remembers the events that fired, in order.
type handled struct {
	mu  sync.Mutex
	ids []string
	do  func(ctx context.Context, id string) error
}

func (h *handled) handle(ctx context.Context, m *mes.MicroEventStore) error {
	h.mu.Lock()
	h.ids = append(h.ids, m.Current.ID)
	h.mu.Unlock()
	if h.do != nil {
		return h.do(ctx, m.Current.ID)
	}
	return nil
}

// seen returns the events so far, while a run goes on.
func (h *handled) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ids)
}

func TestTriggerHandlesEverythingAndGoesOnWhereItWas(t *testing.T) {
	s := newStore(t)
	source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)}
	source.add(t, s, "0", "p", "a", "b", "c", "d", "e")
	h := new(handled)
	trigger := mes.NewTrigger(s, h.handle)
	require.NoError(t, Trigger(t.Context(), source, trigger, UntilCaughtUp(), WithBatchSize(2)))
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, h.ids)
	require.NoError(t, Trigger(t.Context(), source, trigger, UntilCaughtUp()))
	require.Len(t, h.ids, 5, "nothing is handled again")
	source.add(t, s, "0", "p", "f")
	require.NoError(t, Trigger(t.Context(), source, trigger, UntilCaughtUp()))
	require.Equal(t, "f", h.ids[5])
}

func TestPromise01WhatFailedIsNotPassedBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)}
		source.add(t, s, "0", "p", "a", "b", "c")
		attempts := 0
		h := &handled{do: func(_ context.Context, id string) error {
			if id == "b" {
				require.Contains(t, []string{"", "1"}, source.done["0"].SequenceNumber)
				if attempts++; attempts < 5 {
					return errors.New("not now")
				}
			}
			return nil
		}}
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp()))
		require.Equal(t, []string{"a", "b", "b", "b", "b", "b", "c"}, h.ids)
		require.Equal(t, "3", source.done["0"].SequenceNumber)
	})
}

func TestParentsAreReadBeforeTheirChildren(t *testing.T) {
	s := newStore(t)
	source := newFakeSource(
		mes.Shard{ID: "merged", Parents: []string{"left", "right"}},
		mes.Shard{ID: "left", Parents: []string{"trimmed away"}},
		mes.Shard{ID: "right"},
	)
	source.add(t, s, "merged", "p", "5", "6")
	source.add(t, s, "left", "p", "1", "2")
	source.add(t, s, "right", "p", "3", "4")
	source.closed["left"], source.closed["right"] = true, true
	h := new(handled)
	require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp(), WithBatchSize(1)))
	require.ElementsMatch(t, []string{"1", "2", "3", "4"}, h.ids[:4])
	require.Equal(t, []string{"5", "6"}, h.ids[4:])
}

func TestIncidentAClosedShardIsReadToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "child", Parents: []string{"parent"}}, mes.Shard{ID: "parent"})
		source.add(t, s, "parent", "p", "a", "b")
		source.add(t, s, "child", "p", "c")
		source.closed["parent"] = true
		attempts := 0
		h := &handled{do: func(_ context.Context, id string) error {
			if attempts++; id == "b" && attempts < 5 {
				return errors.New("not now")
			}
			return nil
		}}
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp()))
		require.Equal(t, []string{"a", "b", "b", "b", "b", "c"}, h.ids)
	})
}

func TestARunEndsWithItsContextAndFinishesWhatIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)}
		source.add(t, s, "0", "p", "a", "b", "c")
		ctx, cancel := context.WithCancel(t.Context())
		h := &handled{do: func(ctx context.Context, id string) error {
			if id == "b" {
				cancel()
				time.Sleep(time.Second)
				return ctx.Err() // a handler may finish
			}
			return nil
		}}
		require.NoError(t, Trigger(ctx, source, mes.NewTrigger(s, h.handle), WithBatchSize(2)))
		require.Equal(t, []string{"a", "b"}, h.ids, "what is in hand is finished, and nothing else begun")
		require.Equal(t, "2", source.done["0"].SequenceNumber)

		began := time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		h.do = nil
		require.NoError(t, Trigger(ctx, source, mes.NewTrigger(s, h.handle)))
		require.Equal(t, time.Hour, time.Since(began))
		require.Equal(t, []string{"a", "b", "c"}, h.ids)
		require.LessOrEqual(t, source.reads, 3700, "an idle source is polled once a second")
	})
}

func TestADrainThatTakesTooLongIsATypedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}, mes.Shard{ID: "1"}), done: make(map[string]mes.Position)}
		source.add(t, s, "0", "p", "a", "b")
		source.add(t, s, "1", "q", "c")
		ctx, cancel := context.WithCancel(t.Context())
		h := &handled{do: func(ctx context.Context, id string) error {
			if id == "b" {
				time.Sleep(time.Second) // the other shard is done
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		began := time.Now()
		err := Trigger(ctx, source, mes.NewTrigger(s, h.handle), WithDrainTimeout(7*time.Second))
		var late *DrainError
		require.ErrorAs(t, err, &late)
		require.Equal(t, &DrainError{Timeout: 7 * time.Second, Shards: []string{"0"}}, late)
		require.Equal(t, 8*time.Second, time.Since(began), "one that honours its context need not be waited for any longer")
		require.Equal(t, "1", source.done["0"].SequenceNumber, "what was done before is recorded")
		require.Equal(t, "1", source.done["1"].SequenceNumber)
	})
}

func TestADrainDoesNotWaitForOneWhoIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"})
		source.add(t, s, "0", "p", "a")
		ctx, cancel := context.WithCancel(t.Context())
		awake := make(chan struct{})
		h := &handled{do: func(context.Context, string) error {
			cancel()
			<-awake
			return nil
		}}
		began := time.Now()
		var late *DrainError
		require.ErrorAs(t, Trigger(ctx, source, mes.NewTrigger(s, h.handle)), &late)
		require.Equal(t, DefaultDrainTimeout+drainGrace+cutGrace, time.Since(began))
		close(awake)
	})
}

func TestFailuresAreTriedAgainWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"})
		source.add(t, s, "0", "p", "a")
		calls := 0
		source.broken = func() error {
			if calls++; calls < 60 {
				return errors.New("throttled")
			}
			return nil
		}
		var log bytes.Buffer
		h := new(handled)
		began := time.Now()
		logger := slog.New(slog.NewTextHandler(&log, nil))
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp(), WithLogger(logger)))
		require.Equal(t, []string{"a"}, h.ids)
		require.Greater(t, time.Since(began), time.Minute)
		require.Contains(t, log.String(), "throttled")
	})
}

func TestPromise10UnusableArgumentsAreSaidAtOnce(t *testing.T) {
	s := newStore(t)
	source := newFakeSource()
	trigger := mes.NewTrigger(s, new(handled).handle)
	for name, run := range map[string]func() error{
		"nil source":    func() error { return Trigger(t.Context(), nil, trigger) },
		"nil trigger":   func() error { return Trigger(t.Context(), source, nil) },
		"wrong trigger": func() error { return Trigger(t.Context(), source, mes.NewTrigger(s, nil)) },
		"nil option":    func() error { return Trigger(t.Context(), source, trigger, nil) },
		"batch size":    func() error { return Trigger(t.Context(), source, trigger, WithBatchSize(0)) },
		"hopeless": func() error {
			source.broken = func() error { return mes.Permanent(errors.New("no such stream")) }
			defer func() { source.broken = nil }()
			return Trigger(t.Context(), source, trigger)
		},
		"closed": func() error {
			source.broken = func() error { return fmt.Errorf("read: %w", mes.ErrClosed) }
			return Trigger(t.Context(), source, trigger)
		},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, run(), "run a trigger") })
	}
}

// What is wrong with one record holds up its own shard, wherever in the batch it
// stands, until a fault handler takes it. The run and the other shards go on.
func TestPromise09APermanentFailureEndsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"}, mes.Shard{ID: "1"})
		source.add(t, s, "0", "p", "a", "b")
		source.add(t, s, "1", "q", "c")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var mu sync.Mutex
		calls := make(map[string]int)
		trigger := mes.NewTrigger(s, func(_ context.Context, m *mes.MicroEventStore) error {
			mu.Lock()
			defer mu.Unlock()
			calls[m.Current.ID]++
			if m.Current.ID == "a" {
				return mes.Permanent(errors.New("never"))
			}
			return nil
		})
		began := time.Now()
		require.NoError(t, Trigger(ctx, source, trigger))
		require.Equal(t, time.Hour, time.Since(began))
		require.Greater(t, calls["a"], 10)
		require.Zero(t, calls["b"], "it stands behind one of its hash key that failed")
		require.Equal(t, 1, calls["c"])
	})
}

func TestPromise09ASourceThatPanicsIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"})
		source.add(t, s, "0", "p", "a")
		calls := 0
		source.broken = func() error {
			if calls++; calls < 6 {
				panic("a bug")
			}
			return nil
		}
		h := new(handled)
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp()))
		require.Equal(t, []string{"a"}, h.ids)
	})
}

func TestACheckpointThatCannotBeSetIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position), failures: 3}
		source.add(t, s, "0", "p", "a")
		h := new(handled)
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp()))
		require.Equal(t, []string{"a"}, h.ids, "what is done is not done again for that")
		require.Equal(t, "1", source.done["0"].SequenceNumber)
	})
}
