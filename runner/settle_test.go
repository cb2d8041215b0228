package runner

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func TestWhatIsDoneIsNotHandledAgainForItsNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"})
		for _, id := range ids(0, 10) {
			source.add(t, s, "0", "p"+id, id)
		}
		attempts := 0
		h := &handled{do: func(_ context.Context, id string) error {
			if id == "0004" {
				if attempts++; attempts < 4 {
					return errors.New("not now")
				}
			}
			return nil
		}}
		require.NoError(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle), UntilCaughtUp()))
		slices.Sort(h.ids)
		require.Equal(t, slices.Sorted(slices.Values(append(ids(0, 10), "0004", "0004", "0004"))), h.ids)
	})
}

// given is a fault handler.
type given struct {
	faults []mes.Fault
	from   time.Time // when it begins to accept them
}

func (g *given) take(_ context.Context, f mes.Fault) error {
	if time.Now().Before(g.from) {
		return errors.New("the queue is full")
	}
	g.faults = append(g.faults, f)
	return nil
}

func TestPromise09OnePoisonRecordStopsNeitherItsNeighboursNorItsShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)}
		source.add(t, s, "0", "p", ids(0, 32)...) // all under one key: one call of the handler
		done := make(map[string]bool)
		calls := 0
		handler := func(_ context.Context, m *mes.MicroEventStore) error {
			calls++
			for _, e := range m.New {
				if e.ID == "0013" {
					return errors.New("a bug that nobody has called permanent")
				}
			}
			for _, e := range m.New {
				done[e.ID] = true
			}
			return nil
		}
		g := new(given)
		trigger := mes.NewTrigger(s, handler, mes.Coalesce(), mes.WithFaultHandler(g.take))
		require.NoError(t, Trigger(t.Context(), source, trigger, UntilCaughtUp(), WithMaxAttempts(3)))
		require.Len(t, done, 31)
		require.Len(t, g.faults, 1)
		require.Equal(t, "0013", g.faults[0].Change.RangeKey)
		require.ErrorContains(t, g.faults[0].Err, "given up after 3 attempts")
		require.Equal(t, "32", source.done["0"].SequenceNumber)
		require.Less(t, calls, 60, "the batch is halved until the one is alone")
	})
}

func TestNothingIsGivenUpUnlessTheUserSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)}
		source.add(t, s, "0", "p", "a", "b")
		g := new(given)
		attempts := 0
		h := &handled{do: func(context.Context, string) error {
			attempts++
			return errors.New("the table is not there")
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, Trigger(ctx, source, mes.NewTrigger(s, h.handle, mes.WithFaultHandler(g.take))))
		require.Empty(t, g.faults)
		require.Empty(t, source.done)
		require.Greater(t, attempts, 500)
	})
}

func TestARecordIsGivenUpAfterItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"})
		source.add(t, s, "0", "p", "a", "b")
		h := &handled{do: func(_ context.Context, id string) error {
			if id == "a" {
				return errors.New("no")
			}
			return nil
		}}
		began := time.Now()
		g := &given{from: began.Add(2 * time.Hour)}
		trigger := mes.NewTrigger(s, h.handle, mes.WithFaultHandler(g.take))
		require.NoError(t, Trigger(t.Context(), source, trigger, UntilCaughtUp(), WithMaxAge(time.Hour)))
		require.Greater(t, time.Since(began), 2*time.Hour, "a fault that is not accepted stays")
		require.Len(t, g.faults, 1)
		require.Equal(t, "a", g.faults[0].Change.RangeKey)
		require.Equal(t, "b", h.ids[len(h.ids)-1])
	})
}

// What has waited behind a record that was given up is not as old as that.
func TestWhatWaitedIsNotGivenUpForItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "0"})
		source.add(t, s, "0", "p", "a", "b")
		failed := false
		h := &handled{do: func(_ context.Context, id string) error {
			if id == "a" || !failed {
				failed = id == "b"
				return errors.New("not now")
			}
			return nil
		}}
		g := new(given)
		trigger := mes.NewTrigger(s, h.handle, mes.WithFaultHandler(g.take))
		require.NoError(t, Trigger(t.Context(), source, trigger, UntilCaughtUp(), WithMaxAge(time.Hour)))
		require.Len(t, g.faults, 1)
		require.Equal(t, "a", g.faults[0].Change.RangeKey)
		require.Equal(t, []string{"b", "b"}, h.ids[len(h.ids)-2:])
	})
}

func TestBoundsNeedAFaultHandler(t *testing.T) {
	s := newStore(t)
	for _, opt := range []Option{WithMaxAttempts(3), WithMaxAge(time.Hour)} {
		require.ErrorContains(t, Trigger(t.Context(), newFakeSource(), mes.NewTrigger(s, new(handled).handle), opt), "fault handler")
		require.ErrorContains(t, Listen(t.Context(), Kinesis(newFakeKinesis(1), fakeStream), mes.NewListener(s, nil), opt), "fault handler")
	}
}

func TestALaterVersionIsNotTriedBeforeAnEarlierOneThatFails(t *testing.T) {
	w := &worker[mes.Record]{engine: &engine[mes.Record]{stream: &stream[mes.Record]{
		order: func(r *mes.Record) string { return r.Meta.PartitionKey },
	}}, claim: &localClaim{}}
	var tried []string
	w.handle = func(_ context.Context, records []mes.Record) error {
		for _, r := range records {
			tried = append(tried, string(r.Data))
			if string(r.Data) == "a1" {
				return errors.New("the whole call failed")
			}
		}
		return nil
	}
	batch := make([]mes.Record, 0, 6)
	for _, data := range []string{"a1", "b1", "a2", "b2", "c1", "a3"} {
		batch = append(batch, mes.Record{Data: []byte(data), Meta: mes.Meta{PartitionKey: data[:1]}})
	}
	open := w.attempt(t.Context(), t.Context(), batch, []int{0, 1, 2, 3, 4, 5}, 1, make(map[int]*trial))
	require.Equal(t, []int{0, 2, 5}, open)
	require.Equal(t, []string{"a1", "b1", "b2", "c1"}, tried)
}

func TestBatchesAreBoundedByCountBytesAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(publish func(f *fakeKinesis), opts ...Option) (sizes []int) {
			f := newFakeKinesis(1)
			store, err := mes.New(memorytable.New(), mes.WithTTL(nil), mes.WithObserver(observer(func(stats mes.BatchStats) {
				if stats.Read > 0 {
					sizes = append(sizes, stats.Read)
				}
			})))
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan error, 1)
			go func() {
				time.Sleep(time.Millisecond) // what is published at once is there before it reads
				over <- Listen(ctx, Kinesis(f, fakeStream), mes.NewListener(store, nil), opts...)
			}()
			publish(f)
			time.Sleep(time.Minute)
			cancel()
			require.NoError(t, <-over)
			return sizes
		}
		ten := func(f *fakeKinesis) {
			for _, id := range ids(0, 10) {
				f.put(0, "p", eventJSON(id, "p"))
			}
		}
		size := len(eventJSON("0000", "p"))
		require.Equal(t, []int{10}, run(ten))
		require.Equal(t, []int{4, 4, 2}, run(ten, WithBatchSize(4)))
		require.Equal(t, []int{3, 3, 3, 1}, run(ten, WithBatchBytes(3*size+1)))
		require.Equal(t, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, run(ten, WithBatchBytes(1)), "a record that is larger is handled alone")
		slowly := func(f *fakeKinesis) {
			for _, id := range ids(0, 10) {
				f.put(0, "p", eventJSON(id, "p"))
				time.Sleep(1500 * time.Millisecond)
			}
		}
		require.Len(t, run(slowly), 10)
		require.Equal(t, []int{5, 5}, run(slowly, WithBatchSize(5), WithBatchWindow(30*time.Second)))
		require.Equal(t, []int{4, 4, 2}, run(slowly, WithBatchWindow(5*time.Second), WithPollInterval(100*time.Millisecond)))
	})
}

type observer func(mes.BatchStats)

func (o observer) ObserveBatch(_ context.Context, stats mes.BatchStats) { o(stats) }
