package simulation

import (
	"context"
	"errors"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/backoff"
	"github.com/microeventstore/microeventstore/runner"
)

const (
	streamLeases = "leases-of-the-stream"
	tableLeases  = "leases-of-the-table"
)

// A replica is a process that listens and triggers, one of several that share the
// shards.
type replica struct {
	world *world
	id    uint64
	*instance

	mu    sync.Mutex
	reads map[string]mark // of the changes that it was given
}

// A mark is when a change was given to a replica, and how many writes there were.
type mark struct {
	writes int
	at     time.Time
	change *change
}

type replicaKey struct{}

func replicaOf(ctx context.Context) *replica {
	r, _ := ctx.Value(replicaKey{}).(*replica)
	return r
}

func (r *replica) dead() bool {
	select {
	case <-r.network.dead:
		return true
	default:
		return false
	}
}

// replicas keeps one replica after another running until ctx ends.
func (w *world) replicas(ctx context.Context, n uint64) {
	for life := uint64(0); ctx.Err() == nil; life++ {
		d := dice(w.dice.roll(aboutCrash, n, life))
		pause(ctx, d.between(time.Millisecond, 5*time.Second, 1))
		r := &replica{world: w, id: d.roll(2), instance: w.newInstance(w.config.coalesce), reads: make(map[string]mark)}
		living, kill := context.WithCancel(context.WithValue(ctx, replicaKey{}, r))
		living = backoff.Drawn(living, func(most time.Duration) time.Duration {
			return d.between(0, most+1, aboutWait, r.id, uint64(time.Now().UnixNano()))
		})
		var parts sync.WaitGroup
		parts.Go(func() { r.run(living, streamLeases) })
		parts.Go(func() { r.run(living, tableLeases) })
		ended := make(chan struct{})
		go func() { parts.Wait(); close(ended) }()
		crash := time.NewTimer(d.between(20*time.Second, 4*time.Minute, 3))
		select {
		case <-crash.C:
			if !w.weather.healed.Load() {
				w.totals.crashes.Add(1)
				close(r.network.dead)
				kill()
			}
		case <-ended:
		}
		crash.Stop()
		<-ended
		kill()
	}
}

// run is what the process does, until it is stopped or dies.
func (r *replica) run(ctx context.Context, leases string) {
	client := dynamodb.New(sdk(r.network), func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.Backoff = r })
	})
	opts := []runner.Option{
		runner.WithLeases(client, leases, runner.KCLLeaseKeys(), runner.LeaseOwner("replica")), runner.WithLogger(r.world.logger()),
		runner.WithDrainTimeout(r.world.dice.between(4*time.Second, 5*time.Second, aboutWait, r.id)), runner.WithPollInterval(3 * time.Second),
	}
	var err error
	if leases == streamLeases {
		err = runner.Listen(ctx, &recordSource{r}, r.listener, append(opts, runner.WithBatchSize(r.world.config.listenBatch))...)
	} else {
		err = runner.Trigger(ctx, &changeSource{r}, r.trigger, append(opts, runner.WithBatchSize(r.world.config.triggerBatch))...)
	}
	r.world.leaks("end of a run", err)
	var drain *runner.DrainError
	if err != nil && ctx.Err() == nil && !errors.As(err, &drain) {
		r.world.oracle.violated(&r.world.oracle.Stuck, "a run ended: %v", err)
	}
}

// BackoffDelay is how long the SDK waits before another attempt: its own way would
// be another one each time.
func (r *replica) BackoffDelay(attempt int, _ error) (time.Duration, error) {
	return r.world.dice.between(0, min(20*time.Second, time.Second<<attempt), aboutWait, r.id, uint64(time.Now().UnixNano())), nil
}

var errStream = errors.New("the stream does not answer")

// answer is how a stream takes its time, and fails.
func (r *replica) answer(ctx context.Context, about ...uint64) error {
	d := dice(r.world.dice.roll(append(about, aboutPoller, r.id, uint64(time.Now().UnixNano()))...))
	pause(ctx, d.between(time.Millisecond, 30*time.Millisecond, 1))
	switch {
	case r.dead():
		<-ctx.Done()
		return ctx.Err()
	case ctx.Err() != nil:
		return ctx.Err()
	case r.world.weather.healed.Load():
		return nil
	case in(r.world.weather.brownouts, time.Now()), d.hit(r.world.config.faults, 2):
		return errStream
	}
	return nil
}

func shardsOf(f feed) []mes.Shard {
	var shards []mes.Shard
	for _, s := range f.shards() {
		shards = append(shards, mes.Shard{ID: s.id, Parents: s.parents})
	}
	return shards
}

// behind are the records of a shard behind a sequence number.
func behind(f feed, shard, sequence string, limit int) (batch []record, end bool) {
	batch, end = f.records(shard, 0)
	if sequence != "" {
		batch = batch[sort.Search(len(batch), func(i int) bool { return later(batch[i].sequence, sequence) }):]
	}
	if len(batch) > limit {
		return batch[:limit], false
	}
	return batch, end
}

// later compares decimal numbers of any length.
func later(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

type recordSource struct{ *replica }

// Shards implements mes.RecordSource.
func (s *recordSource) Shards(ctx context.Context) ([]mes.Shard, error) {
	return shardsOf(s.world.stream), s.answer(ctx, 1)
}

// ReadRecords implements mes.RecordSource.
func (s *recordSource) ReadRecords(ctx context.Context, shard string, after mes.Position, limit int) ([]mes.Record, bool, error) {
	if err := s.answer(ctx, 2, text(shard)); err != nil {
		return nil, false, err
	}
	batch, end := behind(s.world.stream, shard, after.SequenceNumber, limit)
	s.world.count(streamLeases+shard, batch)
	records := recordsOf(batch)
	for i := range records {
		records[i].Meta.Shard = shard
	}
	s.world.totals.records.Add(int64(len(records)))
	return records, end, nil
}

// count counts the records of a shard that some replica was given before.
func (w *world) count(shard string, batch []record) {
	w.givenMu.Lock()
	defer w.givenMu.Unlock()
	for _, r := range batch {
		if later(r.sequence, w.given[shard]) {
			w.given[shard] = r.sequence
		} else {
			w.totals.redelivered.Add(1)
		}
	}
}

type changeSource struct{ *replica }

// Shards implements mes.ChangeSource.
func (s *changeSource) Shards(ctx context.Context) ([]mes.Shard, error) {
	return shardsOf(s.world.changes), s.answer(ctx, 3)
}

// ReadChanges implements mes.ChangeSource.
func (s *changeSource) ReadChanges(ctx context.Context, shard string, after mes.Position, limit int) ([]mes.Change, bool, error) {
	if err := s.answer(ctx, 4, text(shard)); err != nil {
		return nil, false, err
	}
	batch, end := behind(s.world.changes, shard, after.SequenceNumber, limit)
	s.world.count(tableLeases+shard, batch)
	changes := changesOf(batch)
	writes := s.world.oracle.began()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		changes[i].Meta.Shard = shard
		s.reads[changes[i].HashKey+"\x00"+changes[i].RangeKey] = mark{writes, time.Now(), batch[i].change}
	}
	s.world.totals.changes.Add(int64(len(changes)))
	return changes, end, nil
}

// call makes an invocation of one call of the handler, so that what it is given
// can be judged: by what was in the table when its oldest change was read.
func (r *replica) call(m *mes.MicroEventStore) *invocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	inv := &invocation{
		world: r.world, instance: r.instance, id: mix(r.id ^ uint64(time.Now().UnixNano()) ^ text(m.HashKey)),
		accepted: make(map[part]bool), refused: make(map[int]bool), calls: make(map[string]*calls), success: make(map[int]bool),
	}
	for i, e := range m.New {
		mark := r.reads[m.HashKey+"\x00"+e.RangeKey]
		if i == 0 || mark.writes < inv.began {
			inv.began, inv.deadline = mark.writes, mark.at.Add(r.world.timeout())
		}
		inv.batch = append(inv.batch, record{change: mark.change})
	}
	return inv
}

// setAside is the fault handler of a replica.
func (r *replica) setAside(fault mes.Fault) error {
	w, o := r.world, r.world.oracle
	w.leaks("fault", fault.Err)
	if r.dead() || w.dice.hit(0.2, aboutFaultHandler, r.id, uint64(time.Now().UnixNano())) && !w.weather.healed.Load() {
		return errRefused
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if fault.Change != nil {
		if !errors.Is(fault.Err, errHopeless) {
			o.violated(&o.WronglyAside, "a change was set aside: %v", fault.Err)
		}
		o.handled[fault.Change.HashKey+"\x00"+fault.Change.RangeKey] = true
		return nil
	}
	w.totals.asides.Add(1)
	before := "0"
	if n, err := strconv.ParseUint(fault.Record.Meta.SequenceNumber, 10, 64); err == nil {
		before = strconv.FormatUint(n-1, 10)
	}
	batch, _ := behind(w.stream, fault.Record.Meta.Shard, before, 1)
	if len(batch) != 1 || batch[0].sequence != fault.Record.Meta.SequenceNumber {
		o.violated(&o.WronglyAside, "a fault that is not in the stream")
		return nil
	}
	e := batch[0].events[0]
	if e.class != poison {
		o.violated(&o.WronglyAside, "event %d was set aside: %v", e.n, fault.Err)
	}
	o.aside[e] = true
	return nil
}

// checkpointed judges a checkpoint: all that is up to there has to be done. o.mu is
// held.
func (o *oracle) checkpointed(f feed, shard, checkpoint string) {
	if checkpoint == "" || checkpoint == "TRIM_HORIZON" || checkpoint == "LATEST" {
		return
	}
	records, _ := f.records(shard, o.verified[shard])
	for _, r := range records {
		if checkpoint != "SHARD_END" && later(r.sequence, checkpoint) {
			return
		}
		o.verified[shard]++
		if why := o.notDone(r); why != "" {
			o.violated(&o.Unhandled, "the checkpoint of %s is behind %s, but %s", shard, r, why)
		}
	}
}

func (o *oracle) notDone(r record) string {
	if c := r.change; c != nil {
		if !o.config.fires(c) || o.handled[c.hashKey+"\x00"+c.rangeKey] {
			return ""
		}
		for _, i := range o.keys[c.hashKey] {
			if i.now().rangeKey == c.rangeKey && !i.now().event.expired(time.Now()) && len(i.states) == 1 {
				return "the handler has not succeeded for it"
			}
		}
		return ""
	}
	e := r.events[0]
	switch {
	case e.class == filtered, e.class == tooOld, o.aside[e]:
		return ""
	case e.class == poison:
		return "its event can never be stored"
	}
	for _, hashKey := range e.keys {
		if i := o.items[itemID{hashKey, e.id}]; i == nil {
			return "its event was not stored"
		}
	}
	return ""
}

// caughtUp tells whether all shards have been read to their end, as far as the
// checkpoints say.
func (o *oracle) caughtUp(feeds ...feed) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sync()
	for _, f := range feeds {
		for _, s := range f.shards() {
			if records, _ := f.records(s.id, o.verified[s.id]); len(records) > 0 {
				return false
			}
		}
	}
	return true
}
