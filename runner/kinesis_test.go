package runner

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// kept is a store, and which events of it a listener has saved.
type kept struct {
	*mes.Store
	table *memorytable.Table
}

func newKept(t testing.TB) *kept {
	t.Helper()
	table := memorytable.New()
	store, err := mes.New(table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil))
	require.NoError(t, err)
	return &kept{store, table}
}

func (k *kept) ids(t testing.TB, hashKeys ...string) (ids []string) {
	t.Helper()
	for _, hashKey := range hashKeys {
		m, err := k.GetMicroEventStore(context.Background(), hashKey)
		require.NoError(t, err)
		for _, e := range m.Events {
			ids = append(ids, e.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func eventJSON(id, partitionKey string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"type":"t","partitionKey":%q,"timestamp":1}`, id, partitionKey)
}

func TestAKinesisStreamIsReadThroughSplitsAndMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(2)
		f.pageSize = 2
		k := newKept(t)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- Listen(ctx, Kinesis(f, fakeStream), mes.NewListener(k.Store, nil)) }()
		want := ids(0, 60)
		for i, id := range want {
			open := f.openShards()
			f.put(open[i%len(open)], "p", eventJSON(id, "p"))
			switch i {
			case 10:
				f.reshard([]int{0}, 2)
			case 20:
				f.reshard([]int{1, 2}, 1)
			case 30:
				f.reshard([]int{3, 4}, 2)
				time.Sleep(time.Minute)
			}
		}
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-over)
		require.Equal(t, want, k.ids(t, "p"))
		require.Zero(t, f.tight, "five reads a second and shard")
	})
}

// Shards that never held a record: closed ones are seen to have ended, and what
// follows them is read; open ones are waited for.
func TestEmptyShardsHoldUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.stream.reshard([]int{0, 1}, 1)
		c.stream.reshard([]int{3}, 2)
		a := c.listen(t)
		time.Sleep(30 * time.Second)
		require.Equal(t, 3, a.reading())
		rows := c.rows(t)
		for i, want := range []string{checkpointEnd, checkpointEnd, checkpointOldest, checkpointEnd, checkpointOldest, checkpointOldest} {
			require.Equal(t, want, value(rows[c.stream.shards[i].id][attributeCheckpoint]), i)
		}
		for i, shard := range []int{2, 4, 5} {
			c.stream.put(shard, "p", eventJSON(ids(i, i+1)[0], "p"))
		}
		time.Sleep(5 * time.Second)
		require.NoError(t, a.stop())
		require.Equal(t, ids(0, 3), c.store.ids(t, "p"))

		f, k := newFakeKinesis(2), newKept(t) // in one process, and nothing in it at all
		f.reshard([]int{0}, 2)
		require.NoError(t, Listen(t.Context(), Kinesis(f, fakeStream), mes.NewListener(k.Store, nil), UntilCaughtUp()))
	})
}

func TestATrimmedCheckpointIsWarnedOfAndReadingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		put := func(from, to int) {
			for _, id := range ids(from, to) {
				c.stream.put(0, "p", eventJSON(id, "p"))
			}
		}
		put(0, 10)
		a := c.listen(t)
		time.Sleep(5 * time.Second)
		require.NoError(t, a.stop())
		put(10, 30)
		c.stream.trim(0, 20)
		b := c.listen(t)
		time.Sleep(5 * time.Second)
		require.NoError(t, b.stop())
		require.Equal(t, append(ids(0, 10), ids(20, 30)...), c.store.ids(t, "p"))
		require.Regexp(t, `level=WARN msg="the stream no longer keeps what follows the checkpoint.* shard=shardId-000000000000`, c.log.String())
		require.Equal(t, "210", value(c.rows(t)["shardId-000000000000"][attributeCheckpoint]))
	})
}

func TestAnIdleWaitIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		a := c.listen(t, WithPollInterval(time.Hour), WithDiscoveryInterval(time.Hour))
		time.Sleep(time.Minute)
		began := time.Now()
		require.NoError(t, a.stop())
		require.Less(t, time.Since(began), time.Second)
	})
}

func TestTheReadLimitOfKinesisIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(1)
		source := Kinesis(f, fakeStream)
		for i := range 30 {
			f.put(0, "p", eventJSON(fmt.Sprint(i), "p"))
		}
		began := time.Now()
		after := mes.Position{}
		for range 30 {
			records, _, err := source.ReadRecords(t.Context(), f.shards[0].id, after, 1)
			require.NoError(t, err)
			after = records[0].Meta.Position()
		}
		require.Equal(t, 29*kinesisReadEvery, time.Since(began))
		require.Zero(t, f.tight)
		require.Equal(t, 1, f.called("GetShardIterator"))

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, _, err := source.ReadRecords(ctx, f.shards[0].id, after, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the wait can be interrupted")
	})
}

func TestAPositionInTheMiddleOfAnAggregate(t *testing.T) {
	f := newFakeKinesis(1)
	f.put(0, "a", eventJSON("first", "p"))
	f.put(0, "a", aggregate("agg", eventJSON("0", "p"), eventJSON("1", "p"), eventJSON("2", "p")))
	f.put(0, "a", eventJSON("last", "p"))
	read := func(after mes.Position) (ids []string, positions []mes.Position) {
		records, end, err := Kinesis(f, fakeStream).ReadRecords(t.Context(), f.shards[0].id, after, 100)
		require.NoError(t, err)
		require.False(t, end)
		for _, r := range records {
			e, err := mes.Parse(r.Data)
			require.NoError(t, err)
			ids = append(ids, e.ID)
			positions = append(positions, r.Meta.Position())
			require.Equal(t, "eu-west-1", r.Meta.Region)
			require.Equal(t, fakeStream, r.Meta.Stream)
		}
		return ids, positions
	}
	all, positions := read(mes.Position{})
	require.Equal(t, []string{"first", "0", "1", "2", "last"}, all)
	for i, position := range positions {
		rest, _ := read(position)
		require.Equal(t, all[i+1:], append([]string{}, rest...), "behind %v", position)
	}
}

func TestATrimmedKinesisCheckpointFallsBackToTheOldest(t *testing.T) {
	f := newFakeKinesis(1)
	for i := range 10 {
		f.put(0, "p", eventJSON(fmt.Sprint(i), "p"))
	}
	source := Kinesis(f, fakeStream)
	records, _, err := source.ReadRecords(t.Context(), f.shards[0].id, mes.Position{}, 3)
	require.NoError(t, err)
	f.trim(0, 6)
	for _, after := range []mes.Position{records[2].Meta.Position(), {SequenceNumber: "of another kind"}} {
		_, _, err = Kinesis(f, fakeStream).ReadRecords(t.Context(), f.shards[0].id, after, 10)
		require.ErrorIs(t, err, mes.ErrTrimmed)
	}
	records, _, err = source.ReadRecords(t.Context(), f.shards[0].id, mes.Position{}, 10)
	require.NoError(t, err)
	require.Len(t, records, 4)
}

// A page that holds nothing but the record of the position has found it: what
// comes in the next page stands behind it.
func TestAPageOfThePositionAloneIsNoSignOfTrimming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(1)
		f.put(0, "p", eventJSON("a", "p"))
		f.put(0, "p", eventJSON("b", "p"))
		f.perPage = 1
		at := mes.Position{SequenceNumber: "7"}
		records, _, err := Kinesis(f, fakeStream).ReadRecords(t.Context(), f.shards[0].id, at, 10)
		require.NoError(t, err)
		require.Len(t, records, 1)
		require.Equal(t, "14", records[0].Meta.SequenceNumber)
		f.trim(0, 1)
		_, _, err = Kinesis(f, fakeStream).ReadRecords(t.Context(), f.shards[0].id, at, 10)
		require.ErrorIs(t, err, mes.ErrTrimmed)
	})
}

// A gappy stream has empty pages before the first record of each shard, as sparse
// shards do.
type gappy struct {
	*fakeKinesis
	pages int
}

func (g *gappy) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, opts ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	out, err := g.fakeKinesis.GetShardIterator(ctx, in, opts...)
	if err == nil && in.ShardIteratorType == types.ShardIteratorTypeTrimHorizon {
		out.ShardIterator = aws.String(fmt.Sprintf("gap %d %s", g.pages, *out.ShardIterator))
	}
	return out, err
}

func (g *gappy) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	var left int
	var behind string
	if n, _ := fmt.Sscanf(*in.ShardIterator, "gap %d %s", &left, &behind); n < 2 {
		return g.fakeKinesis.GetRecords(ctx, in, opts...)
	}
	next := behind
	if left > 1 {
		next = fmt.Sprintf("gap %d %s", left-1, behind)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.enter(ctx, "GetRecords"); err != nil {
		return nil, err
	}
	return &kinesis.GetRecordsOutput{Records: []types.Record{}, NextShardIterator: aws.String(next), MillisBehindLatest: aws.Int64(3_600_000)}, nil
}

func TestAGapOfAnyLengthIsGotOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(1)
		f.put(0, "p", eventJSON("a", "p"))
		calls := 0
		f.fail = func(string) error {
			if calls++; calls%50 == 0 {
				return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
			}
			return nil
		}
		k, monitor := newKept(t), new(Monitor)
		over := make(chan error, 1)
		go func() {
			over <- Listen(t.Context(), Kinesis(&gappy{f, 1000}, fakeStream), mes.NewListener(k.Store, nil), UntilCaughtUp(), WithMonitor(monitor))
		}()
		time.Sleep(time.Minute)
		require.Equal(t, time.Hour.Milliseconds(), monitor.Status().of(t, "0").MillisBehind/60_000*60_000)
		require.NoError(t, <-over)
		require.Equal(t, []string{"a"}, k.ids(t, "p"))
		require.Equal(t, 1, f.called("GetShardIterator"), "what was got over is not read again")
		require.Zero(t, f.tight)
	})
}

func TestAKinesisIteratorThatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(1)
		source := Kinesis(f, fakeStream)
		f.put(0, "p", eventJSON("a", "p"))
		records, _, err := source.ReadRecords(t.Context(), f.shards[0].id, mes.Position{}, 10)
		require.NoError(t, err)
		f.put(0, "p", eventJSON("b", "p"))
		time.Sleep(6 * time.Minute)
		records, _, err = source.ReadRecords(t.Context(), f.shards[0].id, records[0].Meta.Position(), 10)
		require.NoError(t, err)
		require.Len(t, records, 1)
		require.Equal(t, 2, f.called("GetShardIterator"))
	})
}

func TestThrottlingForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(2)
		k := newKept(t)
		began := time.Now()
		f.fail = func(call string) error {
			if time.Since(began) > 30*time.Second && time.Since(began) < 10*time.Minute {
				return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
			}
			return nil
		}
		monitor := new(Monitor)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() {
			over <- Listen(ctx, Kinesis(f, fakeStream), mes.NewListener(k.Store, nil), WithMonitor(monitor))
		}()
		want := ids(0, 40)
		for i, id := range want {
			f.put(i%2, "p", eventJSON(id, "p"))
			time.Sleep(10 * time.Second)
		}
		status := monitor.Status()
		require.Contains(t, status.LastError, "slow down")
		require.Greater(t, status.FailingMillis, (5 * time.Minute).Milliseconds())
		require.Less(t, f.called("GetRecords"), 400, "attempts become rare")
		time.Sleep(5 * time.Minute)
		require.Zero(t, monitor.Status().FailingMillis)
		cancel()
		require.NoError(t, <-over)
		require.Equal(t, want, k.ids(t, "p"))
	})
}
