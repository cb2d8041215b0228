package runner

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// A stopping is a simulation in fair weather whose run is told to end at some
// instant: at a call of whatever kind, or at a time.
type stopping struct {
	*simulation
	mu     sync.Mutex
	calls  int
	at     int // the call that ends it; 0 for none
	cancel context.CancelFunc
}

// call is made before and after everything that the run asks of others.
func (s *stopping) call() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls == s.at {
		s.cancel()
	}
}

// after is call, some time later.
func (s *stopping) after(d time.Duration) {
	time.Sleep(d)
	s.call()
}

func newStopping(t *testing.T, seed uint64) *stopping {
	s := &stopping{simulation: newSimulation(t, seed, new(tally))}
	s.calm = true
	s.stream.fail = func(string) error {
		s.call()
		return nil
	}
	table := memorytable.NewWith(memorytable.Options{
		OnPut: func(context.Context, []driver.Item) error {
			s.after(70 * time.Millisecond)
			return nil
		},
		AfterPut: func(ctx context.Context, items []driver.Item) error {
			defer s.call()
			return s.afterPut(ctx, items)
		},
	})
	store, err := mes.New(table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil))
	require.NoError(t, err)
	s.listener = mes.NewListener(store, nil)
	s.publish(30)
	s.reshard()
	s.publish(20)
	return s
}

// run runs for some seconds, if it is not stopped before. A run that is stopped has
// recorded all that it has done, so the next one does nothing again; and between
// them they lose nothing.
func (s *stopping) run(source mes.RecordSource, opts ...Option) {
	stop := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(s.t.Context(), d)
		defer cancel()
		s.cancel = cancel
		require.NoError(s.t, Listen(ctx, source, s.listener, append(opts, WithBatchSize(7), WithLogger(slog.New(slog.NewTextHandler(s.log, nil))))...))
	}
	if s.at == 0 {
		stop(time.Duration(s.rng.Int64N(int64(6 * time.Second))))
	} else {
		stop(6 * time.Second)
	}
	for id, row := range s.leases.rows {
		require.Empty(s.t, value(row[attributeOwner]), "the lease of %s is given back", id)
	}
	reached := s.calls
	s.at = 0
	stop(time.Minute)
	s.calls = reached
	require.Zero(s.t, s.left(), "nothing is lost")
	require.Zero(s.t, s.all.Again, "nothing that was done is done again")
	if s.t.Failed() {
		s.t.Log(s.log.String())
	}
}

// remembering adds a memory for checkpoints to a source.
type remembering struct {
	mes.RecordSource
	s    *stopping
	done map[string]mes.Position
}

func (r *remembering) Checkpoint(_ context.Context, shard string) (mes.Position, error) {
	r.s.after(20 * time.Millisecond)
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.done[shard], nil
}

func (r *remembering) SetCheckpoint(_ context.Context, shard string, done mes.Position) error {
	r.s.checkPassed(shard, done.SequenceNumber, done.SubSequence)
	r.s.after(20 * time.Millisecond)
	defer r.s.call()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.done[shard] = done
	return nil
}

func TestPromise01ShutdownAtAnyInstantLosesNothing(t *testing.T) {
	for name, run := range map[string]func(*stopping){
		"with leases": func(s *stopping) {
			client := &leaseClient{fakeLeases: s.leases, skip: func(int) bool { return false }}
			client.before = func(context.Context) error {
				s.after(20 * time.Millisecond)
				return nil
			}
			client.after = client.before
			s.run(Kinesis(s.stream, fakeStream), WithLeases(client, leaseTable))
		},
		"in one process": func(s *stopping) {
			s.run(&remembering{Kinesis(s.stream, fakeStream), s, make(map[string]mes.Position)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) { // at each call in turn
				for at, calls := 1, 1; at <= calls; at++ {
					synctest.Test(t, func(t *testing.T) {
						s := newStopping(t, seed)
						s.at = at
						run(s)
						calls = s.calls
					})
					if t.Failed() {
						t.Fatalf("seed %d, stopped at call %d", seed, at)
					}
				}
			}
			for seed := range uint64(100) { // and at any time
				synctest.Test(t, func(t *testing.T) { run(newStopping(t, seed)) })
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// Everything that a run is given may be given to others at the same time, and
// again.
func TestStartingStoppingAndStartingAgainFromAnyGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1, new(tally))
		s.calm = true
		s.publish(50)
		client := &leaseClient{fakeLeases: s.leases, skip: func(int) bool { return false }}
		client.before = func(ctx context.Context) error { return sleep(ctx, 5*time.Millisecond) }
		client.after = client.before
		source, monitor := Kinesis(s.stream, fakeStream), new(Monitor)
		leases := []Option{WithMonitor(monitor), WithLeases(client, leaseTable), WithBatchSize(5)}
		alone := []Option{WithMonitor(monitor), WithConsumer("alone")}
		var all sync.WaitGroup
		for i := range 12 {
			opts := leases
			if i%3 == 0 {
				opts = alone
			}
			all.Go(func() {
				for range 5 {
					ctx, cancel := context.WithCancel(t.Context())
					over := make(chan error, 1)
					go func() { over <- Listen(ctx, source, s.listener, opts...) }()
					time.Sleep(time.Duration(s.upTo(3000)) * time.Millisecond)
					go cancel() // by whoever, and as often as you like
					cancel()
					if err := <-over; err != nil {
						t.Errorf("a run ended with %v", err)
					}
				}
			})
		}
		for range 20 {
			s.publish(5)
			_ = monitor.Status()
			time.Sleep(300 * time.Millisecond)
		}
		all.Wait()
		require.Empty(t, monitor.Status().Shards, "a run that has ended is not shown")
		require.NoError(t, Listen(t.Context(), source, s.listener, append(slices.Clone(leases), UntilCaughtUp())...))
		require.Zero(t, s.left())
		for id, row := range s.leases.rows {
			require.Empty(t, value(row[attributeOwner]), "the lease of %s", id)
		}
		require.Zero(t, s.stream.tight, "five reads a second and shard, by all runs together")
	})
}
