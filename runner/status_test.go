package runner

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// of returns the status of a shard.
func (s Status) of(t testing.TB, shard string) ShardStatus {
	t.Helper()
	for _, one := range s.Shards {
		if strings.HasSuffix(one.Shard, shard) {
			return one
		}
	}
	require.Fail(t, "the shard is not shown", shard)
	return ShardStatus{}
}

func TestStatusShowsShardsAndTheirOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.stream.put(0, "p", eventJSON("a", "p"))
		c.stream.reshard([]int{0}, 1)
		a := c.listen(t)
		time.Sleep(time.Second)
		for _, shard := range a.monitor.Status().Shards {
			if shard.Reading {
				require.NotEmpty(t, shard.Owner, "who has just taken it is shown at once")
			}
		}
		time.Sleep(30 * time.Second)
		b := c.listen(t)
		time.Sleep(time.Minute)
		ofA, ofB := a.monitor.Status(), b.monitor.Status()
		require.Len(t, ofA.Shards, 4)
		require.True(t, ofA.of(t, "0").Ended)
		require.False(t, ofA.of(t, "0").Reading)
		rows := c.rows(t)
		for _, shard := range ofA.Shards[1:] {
			other := ofB.of(t, shard.Shard)
			require.Equal(t, fakeStream, shard.Stream)
			require.NotEqual(t, shard.Reading, other.Reading, "one of them reads it")
			require.Equal(t, value(rows[shard.Shard][attributeOwner]), shard.Owner)
			require.Equal(t, shard.Owner, other.Owner)
		}
		require.NoError(t, errors.Join(a.stop(), b.stop()))
		shown, err := json.Marshal(a.monitor.Status())
		require.NoError(t, err)
		require.JSONEq(t, `{"shards":[],"failingMillis":0}`, string(shown))
	})
}

func TestStatusShowsHowFarBehindAShardIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(1)
		hang := make(chan struct{})
		table := memorytable.NewWith(memorytable.Options{OnPut: func(_ context.Context, items []driver.Item) error {
			if items[0].RangeKey == "slow" {
				<-hang
			}
			return nil
		}})
		store, err := mes.New(table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil))
		require.NoError(t, err)
		monitor := new(Monitor)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() {
			over <- Listen(ctx, Kinesis(f, fakeStream), mes.NewListener(store, nil), WithMonitor(monitor), WithBatchSize(1))
		}()
		behind := func() time.Duration {
			return time.Duration(monitor.Status().of(t, "0").MillisBehind) * time.Millisecond
		}
		f.put(0, "p", eventJSON("a", "p"))
		time.Sleep(time.Hour)
		require.Zero(t, behind(), "there is nothing more")
		f.put(0, "p", eventJSON("slow", "p"))
		time.Sleep(time.Minute)
		f.put(0, "p", eventJSON("b", "p"))
		time.Sleep(time.Hour)
		require.Equal(t, time.Hour+time.Minute, behind(), "a handler that hangs falls behind")
		close(hang)
		time.Sleep(time.Minute)
		require.Zero(t, behind())
		cancel()
		require.NoError(t, <-over)
	})
}

func TestStatusShowsTheLastErrorAndForHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeKinesis(1)
		began := time.Now()
		f.fail = func(call string) error {
			if call == "GetRecords" && time.Since(began) < time.Minute {
				return &types.ProvisionedThroughputExceededException{Message: aws.String("slow down")}
			}
			return nil
		}
		k := newKept(t)
		monitor, log := new(Monitor), new(syncBuffer)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() {
			over <- Listen(ctx, Kinesis(f, fakeStream), mes.NewListener(k.Store, nil), WithMonitor(monitor), WithLogger(slog.New(slog.NewTextHandler(log, nil))))
		}()
		time.Sleep(30 * time.Second)
		status := monitor.Status()
		require.Contains(t, status.of(t, "0").LastError, "slow down")
		require.Contains(t, status.LastError, fakeStream+": "+f.shards[0].id+": read: ")
		require.WithinDuration(t, time.Now(), status.LastErrorAt, 11*time.Second)
		require.Equal(t, (30 * time.Second).Milliseconds(), status.FailingMillis)
		require.NotContains(t, log.String(), "goes on")
		time.Sleep(time.Minute)
		status = monitor.Status()
		require.Empty(t, status.of(t, "0").LastError)
		require.Contains(t, status.LastError, "slow down", "the last error stays")
		require.Zero(t, status.FailingMillis)
		require.Equal(t, 1, strings.Count(log.String(), `msg="what failed goes on"`))
		cancel()
		require.NoError(t, <-over)
	})
}

// Whatever becomes of a shard or a lease is in the log, with the stream and the
// shard, and nothing else is while nothing happens.
func TestEveryChangeOfStateIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.stream.put(0, "p", eventJSON("a", "p"))
		a := c.listen(t, WithConsumer("orders"))
		time.Sleep(time.Minute)
		said := func(text string) int { return strings.Count(c.log.String(), `msg="`+text) }
		require.Equal(t, 2, said("a lease was taken"))
		require.Equal(t, 2, said("a shard is begun"))
		quiet := len(c.log.String())
		time.Sleep(time.Hour)
		require.Len(t, c.log.String(), quiet, "nothing has happened")

		b := c.listen(t, WithConsumer("orders"))
		time.Sleep(time.Minute)
		require.Equal(t, 1, strings.Count(c.log.String(), "stolen=true"))
		require.Equal(t, 1, said("a lease was lost"))
		c.stream.reshard([]int{0}, 1)
		time.Sleep(time.Minute)
		require.Equal(t, 1, said("a shard has been read to its end"))
		c.stream.trim(0, 1)
		time.Sleep(time.Minute)
		b.cut.Store(true)
		time.Sleep(time.Minute)
		require.Positive(t, said("a lease could not be renewed and will be tried again"))
		require.Positive(t, said("a lease ran out"))
		require.Positive(t, said("will be tried again"))
		b.cut.Store(false)
		time.Sleep(time.Minute)
		require.Positive(t, said("what failed goes on"))
		require.NoError(t, errors.Join(a.stop(), b.stop()))
		require.Equal(t, said("a shard is begun"), said("a shard is left"))
		require.Equal(t, 2, said("the run has ended"))
		for line := range strings.Lines(c.log.String()) {
			require.Contains(t, line, "stream="+fakeStream)
			require.Contains(t, line, "consumer=orders")
			require.Regexp(t, "shard|msg=\"(will be tried|what failed|the run)", line)
		}
	})
}
