package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// TestPromise01NoScheduleLosesARecord runs replicas through random schedules of
// everything that goes wrong: they are stopped, killed, cut off and slow; shards
// are split, merged and trimmed; Kinesis throttles, DynamoDB loses answers, the
// store fails, iterators expire. An oracle, which knows the stream, sees every
// checkpoint before it is written, and looks at the store in the end.
//
// MES_RUNNER_SEEDS sets how many schedules, and MES_RUNNER_SEED the first of them;
// that alone picks one.
func TestPromise01NoScheduleLosesARecord(t *testing.T) {
	first, n := 0, 100
	if testing.Short() || raceDetector {
		n = 25
	}
	if s := os.Getenv("MES_RUNNER_SEED"); s != "" {
		first, _ = strconv.Atoi(s)
		n = 1
	}
	if s := os.Getenv("MES_RUNNER_SEEDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	var all tally
	for seed := first; seed < first+n; seed++ {
		synctest.Test(t, func(t *testing.T) { simulate(t, uint64(seed), &all) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d schedules: %+v", n, all)
	if n >= 20 { // what the schedules are for has happened
		require.Positive(t, all.Checkpoints)
		require.Positive(t, all.Ends)
		require.Positive(t, all.Refused)
		require.Positive(t, all.Stolen)
		require.Positive(t, all.Trimmed)
		require.Positive(t, all.Again)
	}
}

// A tally counts what has happened.
type tally struct {
	Events, Checkpoints, Ends, Refused, Stolen, Trimmed, Again, Lives int
}

// A simulation is one schedule. Its oracle is the stream itself.
type simulation struct {
	t        *testing.T
	rng      *rand.Rand
	all      *tally
	stream   *fakeKinesis
	leases   *fakeLeases
	listener *mes.Listener
	log      *syncBuffer

	mu     sync.Mutex
	calm   bool
	dice   *rand.Rand      // for faults, whose order is not the schedule's
	stored map[string]bool // ids
	order  map[string][][]string
	next   int
	trims  int

	alive, gone []*replica
}

func newSimulation(t *testing.T, seed uint64, all *tally) *simulation {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &simulation{t: t, rng: rng, all: all, dice: rand.New(rand.NewPCG(seed, 2)), stored: make(map[string]bool), order: make(map[string][][]string)}
	s.stream, s.log = newFakeKinesis(1+rng.IntN(4)), new(syncBuffer)
	s.leases = &fakeLeases{rows: make(map[string]attributes), check: s.checkCheckpoint}
	s.stream.pageSize = 1 + rng.IntN(5)
	if rng.IntN(2) == 0 { // a page need not hold all that there is
		s.stream.perPage = 1 + rng.IntN(8)
	}
	table := memorytable.NewWith(memorytable.Options{OnPut: s.beforePut, AfterPut: s.afterPut})
	store, err := mes.New(table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil))
	require.NoError(t, err)
	s.stream.fail = s.kinesisFault
	s.listener = mes.NewListener(store, nil)
	return s
}

func simulate(t *testing.T, seed uint64, all *tally) {
	s := newSimulation(t, seed, all)
	for range 30 + s.rng.IntN(30) {
		s.step()
	}
	s.recover()
}

// step does one thing and lets some time go by.
func (s *simulation) step() {
	switch n := s.rng.IntN(20); {
	case n < 8:
		s.publish(1 + s.rng.IntN(20))
	case n < 11 && len(s.alive) < 4 || len(s.alive) == 0:
		s.all.Lives++
		s.alive = append(s.alive, s.launch(WithBatchSize(1+s.rng.IntN(20)), WithCheckpointInterval(time.Duration(1+s.rng.IntN(3000))*time.Millisecond), WithPollInterval(time.Duration(1+s.rng.IntN(10))*time.Second)))
	case n < 13: // as by SIGTERM
		s.remove().cancel()
	case n < 15: // as by SIGKILL
		r := s.remove()
		r.cut.Store(true)
		r.cancel()
	case n < 16: // longer than a lease
		r := s.alive[s.rng.IntN(len(s.alive))]
		r.slow.Store(int64(20 * time.Second))
		s.publish(5)
		time.Sleep(time.Duration(10+s.rng.IntN(20)) * time.Second)
		r.slow.Store(0)
	case n < 17:
		s.reshard()
	case n < 18:
		s.trim()
	default:
		s.mu.Lock()
		s.calm = !s.calm
		s.mu.Unlock()
	}
	pause := time.Duration(s.rng.IntN(8000)) * time.Millisecond
	if s.rng.IntN(25) == 0 {
		pause += 6 * time.Minute // iterators expire
	}
	time.Sleep(pause)
}

func (s *simulation) remove() *replica {
	i := s.rng.IntN(len(s.alive))
	r := s.alive[i]
	s.alive = append(s.alive[:i], s.alive[i+1:]...)
	s.gone = append(s.gone, r)
	return r
}

// publish puts events in open shards, some of them several to a record.
func (s *simulation) publish(n int) {
	open := s.stream.openShards()
	for range n {
		shard := open[s.rng.IntN(len(open))]
		var ids []string
		var events [][]byte
		for range 1 + max(0, s.rng.IntN(8)-4) {
			id := fmt.Sprintf("%05d", s.next)
			s.next++
			ids = append(ids, id)
			events = append(events, eventJSON(id, "p"+strconv.Itoa(s.next%5)))
		}
		data := events[0]
		if len(events) > 1 {
			data = aggregate("a", events...)
		}
		s.mu.Lock()
		id := s.stream.shards[shard].id
		s.order[id] = append(s.order[id], ids)
		s.mu.Unlock()
		s.stream.put(shard, ids[0], data)
	}
}

func (s *simulation) reshard() {
	open := s.stream.openShards()
	i := s.rng.IntN(len(open))
	if len(open) > 1 && s.rng.IntN(2) == 0 {
		s.stream.reshard([]int{open[i], open[(i+1)%len(open)]}, 1)
	} else if len(open) < 6 {
		s.stream.reshard([]int{open[i]}, 2)
	}
}

// trim forgets records that are stored, as a stream does after its retention,
// whether or not a checkpoint says so.
func (s *simulation) trim() {
	s.stream.mu.Lock() // before s.mu, as everywhere
	defer s.stream.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, shard := range s.stream.shards {
		n := 0
		for n < len(shard.records) && s.isStored(s.order[shard.id][n]) {
			n++
		}
		if n > shard.trimmed && s.rng.IntN(2) == 0 {
			shard.trimmed = n
			s.all.Trimmed++
			s.trims++
		}
	}
}

func (s *simulation) isStored(ids []string) bool {
	for _, id := range ids {
		if !s.stored[id] {
			return false
		}
	}
	return true
}

// chance is for faults: never when it is calm.
func (s *simulation) chance(one int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.calm && s.dice.IntN(one) == 0
}

func (s *simulation) upTo(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.IntN(n)
}

func (s *simulation) kinesisFault(string) error {
	if !s.chance(8) {
		return nil
	}
	return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
}

// launch starts a replica with leases behind a network that is not perfect.
func (s *simulation) launch(opts ...Option) *replica {
	r := &replica{monitor: new(Monitor), over: make(chan struct{})}
	client := &leaseClient{fakeLeases: s.leases, skip: func(i int) bool { return i%2 == 1 && s.chance(20) }}
	client.before = func(ctx context.Context) error {
		if r.cut.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if slow := time.Duration(r.slow.Load()); slow > 0 {
			return sleep(ctx, slow)
		}
		switch {
		case s.chance(30):
			return errors.New("reset before")
		case s.chance(30):
			return sleep(ctx, time.Duration(s.upTo(6000))*time.Millisecond)
		}
		return nil
	}
	client.after = func(ctx context.Context) error {
		switch {
		case s.chance(30):
			return errors.New("reset after")
		case s.chance(30):
			return sleep(ctx, time.Duration(s.upTo(6000))*time.Millisecond)
		case s.chance(60):
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	lease := WithLeases(client, leaseTable, LeaseDuration(time.Duration(3+s.rng.IntN(10))*time.Second))
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	opts = append([]Option{lease, WithMonitor(r.monitor), WithLogger(slog.New(slog.NewTextHandler(s.log, nil))), WithDiscoveryInterval(5 * time.Second)}, opts...)
	go func() {
		defer close(r.over)
		r.err = Listen(ctx, Kinesis(s.stream, fakeStream), s.listener, opts...)
	}()
	return r
}

// beforePut makes some saves fail, slow, or fail in part.
func (s *simulation) beforePut(ctx context.Context, items []driver.Item) error {
	if s.chance(10) {
		if err := sleep(ctx, time.Duration(s.upTo(4000))*time.Millisecond); err != nil {
			return err
		}
	}
	if !s.chance(6) {
		return nil
	}
	if s.upTo(2) == 0 {
		return errors.New("the table is not there")
	}
	failed := &driver.PutError{}
	failed.Failures = append(failed.Failures, driver.PutFailure{Index: s.upTo(len(items)), Err: errors.New("throttled")})
	return failed
}

func (s *simulation) afterPut(_ context.Context, items []driver.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range items {
		if s.stored[items[i].RangeKey] {
			s.all.Again++
		}
		s.stored[items[i].RangeKey] = true
	}
	return nil
}

// checkCheckpoint sees that everything up to a checkpoint is stored before it is
// even sent.
func (s *simulation) checkCheckpoint(in *dynamodb.UpdateItemInput) {
	checkpoint := value(in.ExpressionAttributeValues[":checkpoint"])
	if checkpoint == "" {
		return
	}
	id := value(in.Key[attributeKey])
	sub, _ := strconv.ParseInt(value(in.ExpressionAttributeValues[":sub"]), 10, 64)
	s.checkPassed(id[strings.LastIndex(id, "/")+1:], checkpoint, sub)
}

func (s *simulation) checkPassed(id, checkpoint string, upToSub int64) {
	s.stream.mu.Lock()
	defer s.stream.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	shard, err := s.stream.shard(id)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.all.Checkpoints++
	if checkpoint == checkpointEnd {
		s.all.Ends++
		if !shard.closed {
			s.t.Errorf("%s is open and said to have ended", id)
		}
	}
	upTo, _ := strconv.Atoi(checkpoint)
	for i, record := range shard.records {
		sequence, _ := strconv.Atoi(*record.SequenceNumber)
		ids := s.order[id][i]
		switch {
		case checkpoint == checkpointEnd || sequence < upTo:
		case sequence == upTo && int(upToSub) < len(ids):
			ids = ids[:upToSub+1]
		default:
			return
		}
		if !s.isStored(ids) {
			s.t.Errorf("shard %s: the checkpoint %s passes %v, which is not stored", id, checkpoint, ids)
		}
	}
}

// recover lets the weather clear up, and sees that everything gets stored and all
// leases are given back.
func (s *simulation) recover() {
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	s.alive = append(s.alive, s.launch())
	for range 240 {
		time.Sleep(5 * time.Second)
		if s.left() == 0 {
			break
		}
	}
	time.Sleep(time.Minute) // what is done is recorded, and shards that have ended are seen to have
	for _, r := range s.alive {
		if err := r.stop(); err != nil {
			s.t.Errorf("a drain without trouble: %v", err)
		}
	}
	for _, r := range s.gone {
		var late *DrainError
		if err := r.stop(); err != nil && !errors.As(err, &late) {
			s.t.Errorf("a replica has ended with %v", err)
		}
	}
	if left := s.left(); left > 0 {
		s.t.Errorf("%d of %d events were never stored", left, s.next)
	}
	for id, row := range s.leases.rows {
		shard, err := s.stream.shard(id[strings.LastIndex(id, "/")+1:])
		require.NoError(s.t, err)
		// A replica that is late may make a row of a shard anew that is gone.
		if owner := value(row[attributeOwner]); owner != "" && !shard.gone() {
			s.t.Errorf("%s is still leased by %s", id, owner)
		}
	}
	if s.stream.tight > 0 && len(s.gone)+len(s.alive) == 1 {
		s.t.Errorf("%d reads were too soon", s.stream.tight)
	}
	log := s.log.String()
	if s.trims == 0 && strings.Contains(log, "no longer keeps") {
		s.t.Error("nothing was trimmed, and a reader believes that")
	}
	s.all.Refused += strings.Count(log, "a checkpoint was refused")
	s.all.Stolen += strings.Count(log, "stolen=true")
	s.all.Events += s.next
	if s.t.Failed() {
		s.t.Log(log)
	}
}

// left counts events that are not stored.
func (s *simulation) left() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.next {
		if !s.stored[fmt.Sprintf("%05d", id)] {
			n++
		}
	}
	return n
}
