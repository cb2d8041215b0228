package runner

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

const (
	endlessShards = 4                     // at once
	endlessLife   = 40 * time.Second      // of a shard, after which another one takes its place
	endlessEvery  = 40 * time.Millisecond // a record of a shard
	endlessKeeps  = 100 * time.Second     // what the stream keeps
	endlessKeys   = 500                   // events that come again and again
)

// An endlessKinesis is a stream that never ends and takes no memory: what stands
// in it follows from the time. Its shards live for a while, one follows upon
// another, and are gone some time later; every so often it throttles.
type endlessKinesis struct {
	began time.Time
	calls atomic.Int64
}

func (f *endlessKinesis) fail(ctx context.Context) error {
	if f.calls.Add(1)%23 == 0 {
		return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
	}
	return ctx.Err()
}

func (f *endlessKinesis) id(n int) string { return fmt.Sprintf("shardId-%012d", n) }

// span returns when a shard is open.
func (f *endlessKinesis) span(n int) (from, to time.Time) {
	from = f.began.Add(time.Duration(n/endlessShards) * endlessLife)
	return from, from.Add(endlessLife)
}

func (f *endlessKinesis) ListShards(ctx context.Context, _ *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	if err := f.fail(ctx); err != nil {
		return nil, err
	}
	now := time.Now()
	out := &kinesis.ListShardsOutput{Shards: []types.Shard{}}
	first := max(0, int(now.Sub(f.began)-endlessKeeps)/int(endlessLife)) * endlessShards
	for n := first; ; n++ {
		if from, _ := f.span(n); from.After(now) {
			return out, nil
		}
		shard := types.Shard{ShardId: aws.String(f.id(n))}
		if n >= endlessShards {
			shard.ParentShardId = aws.String(f.id(n - endlessShards))
		}
		out.Shards = append(out.Shards, shard)
	}
}

func (f *endlessKinesis) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	if err := f.fail(ctx); err != nil {
		return nil, err
	}
	at := 0
	if in.StartingSequenceNumber != nil {
		at, _ = strconv.Atoi(*in.StartingSequenceNumber)
		at--
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(fmt.Sprintf("%s/%d", *in.ShardId, at))}, nil
}

func (f *endlessKinesis) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	if err := f.fail(ctx); err != nil {
		return nil, err
	}
	id, place, _ := strings.Cut(*in.ShardIterator, "/")
	n, _ := strconv.Atoi(strings.TrimPrefix(id, "shardId-"))
	at, _ := strconv.Atoi(place)
	from, to := f.span(n)
	now := time.Now()
	if now.After(to.Add(endlessKeeps)) {
		return nil, &types.ResourceNotFoundException{Message: aws.String("no such shard")}
	}
	end := int(min(now.Sub(from), endlessLife) / endlessEvery)
	out := &kinesis.GetRecordsOutput{Records: []types.Record{}, MillisBehindLatest: aws.Int64(0)}
	for ; at < end; at++ {
		event := fmt.Sprintf(`{"id":"%d","type":"t","partitionKey":"p%d","timestamp":1,"padding":%q}`, at%endlessKeys, at%endlessKeys, strings.Repeat("x", 900))
		out.Records = append(out.Records, types.Record{
			Data: []byte(event), PartitionKey: aws.String("p"), SequenceNumber: aws.String(strconv.Itoa(at + 1)), ApproximateArrivalTimestamp: aws.Time(now),
		})
	}
	if now.Before(to) || at < int(endlessLife/endlessEvery) {
		out.NextShardIterator = aws.String(fmt.Sprintf("%s/%d", id, at))
	}
	return out, nil
}

// endlessChanges are changes that come again and again.
type endlessChanges struct{ began time.Time }

func (f *endlessChanges) Shards(context.Context) ([]mes.Shard, error) {
	return []mes.Shard{{ID: "0"}}, nil
}

func (f *endlessChanges) ReadChanges(_ context.Context, shard string, after mes.Position, limit int) (changes []mes.Change, end bool, err error) {
	at, _ := strconv.Atoi(after.SequenceNumber)
	for ; at < int(time.Since(f.began)/endlessEvery) && len(changes) < limit; at++ {
		changes = append(changes, mes.Change{
			Kind: mes.Inserted, HashKey: fmt.Sprintf("p%d", at%endlessKeys), RangeKey: strconv.Itoa(at % endlessKeys),
			Meta: mes.Meta{Shard: shard, SequenceNumber: strconv.Itoa(at + 1), Arrived: time.Now()},
		})
	}
	return changes, false, nil
}

// A reading is what a process holds, once the garbage is gone.
type reading struct {
	at         time.Duration
	heap       uint64 // bytes
	objects    uint64
	goroutines int
}

func look(since time.Time) reading {
	runtime.GC()
	runtime.GC() // what had a finalizer, and what a sync.Pool held
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return reading{time.Since(since).Round(time.Second), stats.HeapAlloc, stats.HeapObjects, runtime.NumGoroutine()}
}

// soak runs replicas that listen, one of which is started anew now and then, and a
// trigger; and sees that in the last third it takes no more than in the first.
func soak(t *testing.T, duration time.Duration) {
	k := newKept(t)
	var listened, fired atomic.Int64
	store, err := mes.New(k.table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil), mes.WithObserver(observer(func(stats mes.BatchStats) {
		if stats.Operation == mes.OperationListen {
			listened.Add(int64(stats.Read))
		}
	})))
	require.NoError(t, err)
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error {
		fired.Add(1)
		return nil
	})
	leases := &fakeLeases{rows: make(map[string]attributes)}
	began := time.Now()
	source, monitor := Kinesis(&endlessKinesis{began: began}, fakeStream), new(Monitor)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var all sync.WaitGroup
	run := func(restart time.Duration) {
		never := func(context.Context) error { return nil }
		client := &leaseClient{fakeLeases: leases, skip: func(int) bool { return false }, before: never, after: never}
		for ctx.Err() == nil {
			life, end := context.WithTimeout(ctx, restart)
			if err := Listen(life, source, mes.NewListener(store, nil), WithLeases(client, leaseTable), WithMonitor(monitor), WithDiscoveryInterval(10*time.Second), WithLogger(slog.New(slog.DiscardHandler))); err != nil {
				t.Errorf("a run ended with %v", err)
			}
			end()
		}
	}
	all.Go(func() { run(duration) })
	all.Go(func() { run(duration) })
	all.Go(func() { run(17 * time.Second) })
	all.Go(func() {
		if err := Trigger(ctx, &endlessChanges{began}, trigger, WithMonitor(monitor)); err != nil {
			t.Errorf("the trigger ended with %v", err)
		}
	})
	var readings []reading
	for range 30 {
		time.Sleep(duration/30 - time.Millisecond)
		readings = append(readings, look(began))
	}
	shards := len(monitor.Status().Shards)
	cancel()
	all.Wait()
	for _, r := range readings {
		t.Logf("%8v: %6.2f MB in %6d objects, %3d goroutines", r.at, float64(r.heap)/1e6, r.objects, r.goroutines)
	}
	most := func(readings []reading) (most reading) {
		for _, r := range readings {
			most = reading{0, max(most.heap, r.heap), max(most.objects, r.objects), max(most.goroutines, r.goroutines)}
		}
		return most
	}
	first, last := most(readings[5:15]), most(readings[20:])
	t.Logf("%v: listened to %d records, fired %d times; %d shards shown, %d leases; at most %.2f MB, then %.2f MB",
		duration, listened.Load(), fired.Load(), shards, len(leases.rows), float64(first.heap)/1e6, float64(last.heap)/1e6)
	records := int64(duration/endlessEvery) * endlessShards
	require.Greater(t, listened.Load(), records*9/10)
	require.Greater(t, fired.Load(), int64(duration/endlessEvery)*9/10)
	require.LessOrEqual(t, last.heap, first.heap+first.heap/4+1<<20)
	require.LessOrEqual(t, last.objects, first.objects+first.objects/4+10_000)
	require.LessOrEqual(t, last.goroutines, first.goroutines+20)
	require.LessOrEqual(t, shards, 60)
	require.LessOrEqual(t, len(leases.rows), 20)
}

func TestMemoryStaysFlat(t *testing.T) {
	duration := 10 * time.Minute
	if testing.Short() || raceDetector {
		duration = 4 * time.Minute
	}
	synctest.Test(t, func(t *testing.T) { soak(t, duration) })
}

// TestSoak is the same by the clock on the wall.
func TestSoak(t *testing.T) {
	duration, err := time.ParseDuration(os.Getenv("MES_RUNNER_SOAK"))
	if err != nil {
		t.Skip("MES_RUNNER_SOAK is not set to a duration: make soak-runner does that")
	}
	soak(t, duration)
}
