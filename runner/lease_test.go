package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func TestLeasesHaveTheLayoutOfTheKinesisClientLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.stream.put(0, "p", aggregate("p", eventJSON("a", "p"), eventJSON("b", "p")))
		c.stream.reshard([]int{0}, 1)
		c.stream.put(1, "p", aggregate("p", eventJSON("c", "p"), eventJSON("d", "p"), eventJSON("e", "p")))
		r := c.start(t, mes.NewListener(c.store.Store, nil), nil, []LeaseOption{KCLLeaseKeys(), LeaseOwner("worker")})
		time.Sleep(30 * time.Second)
		rows := c.rows(t)
		require.Equal(t, []string{"checkpoint", "checkpointSubSequenceNumber", "leaseCounter", "leaseKey", "ownerSwitchesSinceCheckpoint"}, names(rows["shardId-000000000000"]))
		require.Equal(t, "SHARD_END", value(rows["shardId-000000000000"][attributeCheckpoint]))
		child := rows["shardId-000000000001"]
		require.Equal(t, []string{"checkpoint", "checkpointSubSequenceNumber", "leaseCounter", "leaseKey", "leaseOwner", "ownerSwitchesSinceCheckpoint", "parentShardId"}, names(child))
		require.Equal(t, "shardId-000000000001", value(child["leaseKey"]))
		require.Equal(t, "shardId-000000000000", value(child["parentShardId"]))
		require.Regexp(t, "^worker-[0-9a-z]{5,13}$", value(child["leaseOwner"]))
		require.Equal(t, "14", value(child["checkpoint"]))
		require.Equal(t, "2", value(child["checkpointSubSequenceNumber"]))
		require.Equal(t, "0", value(child["ownerSwitchesSinceCheckpoint"]))
		require.NoError(t, r.stop())
		require.Equal(t, []string{"", ""}, c.owners(t), "leases are given back")
	})
}

func names(row attributes) []string { return slices.Sorted(maps.Keys(row)) }

func TestReplicasBalanceThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 6)
		a := c.listen(t)
		time.Sleep(5 * time.Second)
		require.Equal(t, 6, a.reading(), "nobody else is there")
		b := c.listen(t)
		time.Sleep(time.Minute)
		require.Equal(t, []int{3, 3}, []int{a.reading(), b.reading()})
		d := c.listen(t)
		time.Sleep(time.Minute)
		require.Equal(t, []int{2, 2, 2}, []int{a.reading(), b.reading(), d.reading()})
		stolen := strings.Count(c.log.String(), "stolen=true")
		time.Sleep(10 * time.Minute)
		require.Equal(t, stolen, strings.Count(c.log.String(), "stolen=true"), "and then they leave each other alone")

		require.NoError(t, a.stop())
		time.Sleep(DefaultLeaseDuration / 2) // less than a lease
		require.Equal(t, []int{3, 3}, []int{b.reading(), d.reading()}, "what was given back is taken at once")
		require.NoError(t, b.stop())
		require.NoError(t, d.stop())
		require.Equal(t, make([]string, 6), c.owners(t))
	})
}

func TestTheLeasesOfADeadReplicaAreTakenWhenTheyRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 4)
		a := c.listen(t, WithDrainTimeout(time.Second))
		time.Sleep(5 * time.Second)
		a.cut.Store(true)
		a.cancel()
		b := c.listen(t)
		time.Sleep(DefaultLeaseDuration - time.Second)
		require.Equal(t, 2, b.reading(), "a fair share is stolen from who seems to be alive")
		time.Sleep(DefaultLeaseDuration / 2)
		require.Equal(t, 4, b.reading())
		<-a.over
		var late *DrainError
		require.ErrorAs(t, a.err, &late)
		require.Len(t, late.Shards, 4)
		for i, id := range ids(0, 20) {
			c.stream.put(i%4, "p", eventJSON(id, "p"))
		}
		time.Sleep(5 * time.Second)
		require.NoError(t, b.stop())
		require.Equal(t, ids(0, 20), c.store.ids(t, "p"))
	})
}

func TestPromise21NoCallOutlivesARunThatWasCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		// The first try to give a lease back is under way when the drain is cut off,
		// and the second when the run has to end.
		a := c.listen(t, WithDrainTimeout(3*time.Second))
		time.Sleep(5 * time.Second)
		a.cut.Store(true)
		var late *DrainError
		require.ErrorAs(t, a.stop(), &late)
		require.Len(t, late.Shards, 2)
	}) // which fails if anything is left
}

func TestAReplicaThatSleepsLongerThanItsLeaseMayNotCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		asleep, awake := make(chan struct{}), make(chan struct{})
		table := memorytable.NewWith(memorytable.Options{OnPut: func(_ context.Context, items []driver.Item) error {
			if items[0].RangeKey == "a" {
				close(asleep)
				<-awake // whatever becomes of the context
			}
			return nil
		}})
		store, err := mes.New(table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(nil))
		require.NoError(t, err)
		c.stream.put(0, "p", eventJSON("0", "p"))
		c.stream.put(0, "p", eventJSON("a", "p"))
		a := c.start(t, mes.NewListener(store, nil), nil, nil, WithBatchSize(1))
		<-asleep // one is done, and not recorded yet
		a.cut.Store(true)
		b := c.listen(t)
		c.stream.put(0, "p", eventJSON("b", "p"))
		time.Sleep(3 * DefaultLeaseDuration)
		require.Equal(t, []string{"0", "a", "b"}, c.store.ids(t, "p"))
		before := c.rows(t)["shardId-000000000000"]
		require.Equal(t, "21", value(before[attributeCheckpoint]))

		a.cut.Store(false)
		close(awake)
		require.NoError(t, b.stop())
		time.Sleep(time.Second)
		require.Contains(t, c.log.String(), "a checkpoint was refused")
		require.Equal(t, "21", value(c.rows(t)["shardId-000000000000"][attributeCheckpoint]))
		require.NoError(t, a.stop())
	})
}

// lone returns what one replica knows of leases.
func (c *cluster) lone(t testing.TB, fault func(fakedynamodb.Call) fakedynamodb.Fault) *leases {
	t.Helper()
	o, err := newOptions([]Option{WithLeases(new(replica).client(c.server, fault), leaseTable)})
	require.NoError(t, err)
	return newLeases(context.Background(), o, fakeStream)
}

func (l *leases) takeOne(t testing.TB) *lease {
	t.Helper()
	shards := []mes.Shard{{ID: "shardId-000000000000"}}
	_, err := l.refresh(context.Background(), shards)
	require.NoError(t, err)
	claims, err := l.take(context.Background(), shards, nil)
	require.NoError(t, err)
	if len(claims) == 0 {
		return nil
	}
	return claims[0].(*lease)
}

func TestACheckpointIsFencedByTheCounterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		ctx := t.Context()
		mine := c.lone(t, nil).takeOne(t)
		require.NoError(t, mine.checkpoint(ctx, mes.Position{SequenceNumber: "7", SubSequence: 3}))
		other := c.lone(t, nil)
		require.Nil(t, other.takeOne(t), "it is held")
		time.Sleep(DefaultLeaseDuration)
		theirs := other.takeOne(t)
		require.Equal(t, mes.Position{SequenceNumber: "7", SubSequence: 3}, theirs.from())
		require.False(t, mine.valid())
		require.ErrorIs(t, mine.checkpoint(ctx, mes.Position{SequenceNumber: "9"}), errLost)
		require.ErrorIs(t, mine.end(ctx, mes.Position{SequenceNumber: "9"}), errLost)
		row := c.rows(t)["shardId-000000000000"]
		require.Equal(t, []string{"7", "3"}, []string{value(row[attributeCheckpoint]), value(row[attributeSubSequence])})
		require.Equal(t, "1", value(row[attributeSwitches]))
		require.NoError(t, theirs.checkpoint(ctx, mes.Position{SequenceNumber: "8"}))
		require.ErrorIs(t, mine.release(ctx), errLost)
		require.NoError(t, theirs.release(ctx))
	})
}

func TestALeaseThatRanOutAndNobodyTookStillKeepsItsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		mine := c.lone(t, nil).takeOne(t)
		time.Sleep(time.Hour)
		<-mine.lost()
		require.NoError(t, mine.checkpoint(t.Context(), mes.Position{SequenceNumber: "7"}))
		require.NoError(t, mine.release(t.Context()))
	})
}

// Its end and the tick that renews it can fall on one instant; it must not depend on
// which comes first whether it is renewed once more.
func TestALeaseThatRunsOutJustNowIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newCluster(t, 1).lone(t, nil)
		mine := l.takeOne(t)
		time.Sleep(DefaultLeaseDuration - time.Nanosecond)
		require.Len(t, l.due(), 1)
		mine.mu.Lock()
		mine.expiry.Stop() // as if it came second
		mine.mu.Unlock()
		time.Sleep(time.Nanosecond)
		require.Empty(t, l.due())
		require.NoError(t, mine.release(t.Context()))
	})
}

func TestAWriteThatLandsAfterItsTimeChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		late := false
		mine := c.lone(t, func(fakedynamodb.Call) fakedynamodb.Fault {
			if late {
				return fakedynamodb.LandLater()
			}
			return fakedynamodb.Fault{}
		}).takeOne(t)
		late = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, mine.checkpoint(ctx, mes.Position{SequenceNumber: "9"}), context.DeadlineExceeded)
		time.Sleep(DefaultLeaseDuration)
		theirs := c.lone(t, nil)
		require.Nil(t, theirs.takeOne(t), "it was just seen for the first time")
		time.Sleep(DefaultLeaseDuration)
		require.NotNil(t, theirs.takeOne(t))
		c.server.Land()
		require.Equal(t, checkpointOldest, value(c.rows(t)["shardId-000000000000"][attributeCheckpoint]))
		for _, l := range theirs.held {
			require.NoError(t, l.release(t.Context()))
		}
	})
}

func TestAnAnswerThatIsLostCostsNoLease(t *testing.T) {
	for _, fault := range []fakedynamodb.Fault{fakedynamodb.ResetAfter(), fakedynamodb.EmptyBody(), fakedynamodb.CutBody(9)} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 1)
			once := true
			l := c.lone(t, func(call fakedynamodb.Call) fakedynamodb.Fault {
				if call.Operation == "UpdateItem" && once {
					once = false
					return fault
				}
				return fakedynamodb.Fault{}
			})
			ctx := t.Context()
			shards := []mes.Shard{{ID: "shardId-000000000000"}}
			_, err := l.refresh(ctx, shards)
			require.NoError(t, err)
			_, err = l.take(ctx, shards, nil)
			require.Error(t, err, "whatever the server did")
			mine := l.takeOne(t)
			require.NotNil(t, mine)
			for n := range 5 {
				once = true
				require.Error(t, mine.checkpoint(ctx, mes.Position{SequenceNumber: fmt.Sprint(n)}))
				require.NoError(t, mine.checkpoint(ctx, mes.Position{SequenceNumber: fmt.Sprint(n + 100)}))
				require.Equal(t, fmt.Sprint(n+100), value(c.rows(t)["shardId-000000000000"][attributeCheckpoint]))
			}
			once = true
			require.Error(t, mine.end(ctx, mes.Position{}))
			require.NoError(t, mine.end(ctx, mes.Position{}), "it has landed")
		})
	}
}

func TestIncidentACheckpointNamespaceIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseTable(t)
		seen := make(map[string]bool)
		for _, consumer := range []string{"", "a", "b"} {
			for _, stream := range []string{"s", "t"} {
				o, err := newOptions([]Option{WithLeases(watchedClient(server, &called.leases), leaseTable), WithConsumer(consumer)})
				require.NoError(t, err)
				mine := newLeases(t.Context(), o, stream).takeOne(t)
				require.NotNil(t, mine, "another's lease is in the way")
				require.Empty(t, mine.from())
				require.NoError(t, mine.checkpoint(t.Context(), mes.Position{SequenceNumber: consumer + stream}))
				require.NoError(t, mine.release(t.Context()))
				seen[checkpointName(consumer, stream, "0")] = true
			}
		}
		require.Len(t, seen, 6)
	})
}

// Two sources without a name would go on where the other one has stopped.
func TestIncidentLeasesOfASourceWithoutANameNeedAConsumer(t *testing.T) {
	s := newStore(t)
	server := newLeaseTable(t)
	lease := func(opts ...LeaseOption) Option {
		return WithLeases(watchedClient(server, &called.leases), leaseTable, opts...)
	}
	for i := range 2 {
		source := newFakeSource(mes.Shard{ID: "0"})
		source.add(t, s, "0", "p", "a", "b")
		h := new(handled)
		trigger := mes.NewTrigger(s, h.handle)
		require.ErrorContains(t, Trigger(t.Context(), source, trigger, lease(), UntilCaughtUp()), "WithConsumer")
		require.NoError(t, Trigger(t.Context(), source, trigger, lease(), UntilCaughtUp(), WithConsumer(fmt.Sprint(i))))
		require.Equal(t, []string{"a", "b"}, h.ids)
	}
	own := &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)}
	require.ErrorContains(t, Trigger(t.Context(), own, mes.NewTrigger(s, new(handled).handle), lease(), WithConsumer("c")), "keeps its checkpoints itself")
}

func TestIncidentLeasesAreGivenBackOnShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 4)
		a := c.listen(t)
		time.Sleep(5 * time.Second)
		require.NotContains(t, c.owners(t), "")
		require.NoError(t, a.stop())
		require.Equal(t, make([]string, 4), c.owners(t))
		began := time.Now()
		b := c.listen(t)
		for b.reading() < 4 {
			time.Sleep(time.Millisecond)
		}
		require.Less(t, time.Since(began), time.Second, "the next one need not wait for anything")
		require.NoError(t, b.stop())
	})
}

func TestADrainThatCannotRecordIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		a := c.start(t, mes.NewListener(c.store.Store, nil), nil, nil)
		time.Sleep(time.Second)
		a.cut.Store(true)
		c.stream.put(0, "p", eventJSON("a", "p"))
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, []string{"a"}, c.store.ids(t, "p"))
		var late *DrainError
		require.ErrorAs(t, a.stop(), &late)
		require.Equal(t, []string{c.stream.shards[0].id}, late.Shards)
		require.Contains(t, c.log.String(), `level=ERROR msg="the run has ended"`)
	})
}

func TestManyLeasesAreFoundInBatchesAndWithoutScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 250)
		calls := 0
		r := c.start(t, mes.NewListener(c.store.Store, nil), func(call fakedynamodb.Call) fakedynamodb.Fault {
			if call.Operation == "BatchGetItem" {
				if calls++; calls%2 == 0 {
					return fakedynamodb.Unprocessed(func(i int) bool { return i%3 == 0 })
				}
			}
			return fakedynamodb.Fault{}
		}, nil)
		time.Sleep(20 * time.Second)
		require.Equal(t, 250, r.reading())
		require.NoError(t, r.stop())
		for target := range c.server.Targets() {
			require.Contains(t, []string{"DynamoDB_20120810.BatchGetItem", "DynamoDB_20120810.UpdateItem", "DynamoDB_20120810.CreateTable", "DynamoDB_20120810.DescribeTable"}, target)
		}
		require.Equal(t, make([]string, 250), c.owners(t))
	})
}

// A listingTwice lists each shard twice.
type listingTwice struct{ mes.RecordSource }

// Shards implements mes.RecordSource.
func (l listingTwice) Shards(ctx context.Context) ([]mes.Shard, error) {
	shards, err := l.RecordSource.Shards(ctx)
	return append(shards, shards...), err
}

func TestAShardThatIsListedTwiceIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.stream.put(0, "p", eventJSON("a", "p"))
		client := new(replica).client(c.server, nil)
		source := listingTwice{Kinesis(c.stream, fakeStream)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		monitor := new(Monitor)
		ended := make(chan error)
		go func() {
			ended <- Listen(ctx, source, mes.NewListener(c.store.Store, nil), WithLeases(client, leaseTable), WithConsumer("c"), WithMonitor(monitor))
		}()
		time.Sleep(30 * time.Second)
		require.Equal(t, 2, (&replica{monitor: monitor}).reading())
		require.Len(t, monitor.Status().Shards, 2)
		require.NoError(t, <-ended)
	})
}

func TestTheLeasesOfShardsThatAreGoneAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.stream.put(0, "p", eventJSON("a", "p"))
		r := c.listen(t)
		time.Sleep(5 * time.Second)
		c.stream.reshard([]int{0}, 2)
		time.Sleep(time.Minute)
		require.Len(t, c.rows(t), 3)
		c.stream.trim(0, 1)
		time.Sleep(time.Minute)
		require.Len(t, c.rows(t), 2)
		require.NoError(t, r.stop())
	})
}

// To one replica a shard seems to be gone that another one reads.
func TestALeaseThatSomebodyHasIsNotRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		mine := c.lone(t, nil).takeOne(t)
		require.NoError(t, mine.checkpoint(t.Context(), mes.Position{SequenceNumber: "7"}))
		other := c.lone(t, nil)
		other.forget(t.Context(), []string{mine.id})
		require.NoError(t, mine.checkpoint(t.Context(), mes.Position{SequenceNumber: "8"}))
		require.NoError(t, mine.release(t.Context()))
		other.forget(t.Context(), []string{mine.id})
		require.Empty(t, c.rows(t))
	})
}

func TestARenewalBehindAReleaseIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		l := c.lone(t, func(fakedynamodb.Call) fakedynamodb.Fault { return fakedynamodb.Delay(time.Second) })
		l.logger = slog.New(slog.NewTextHandler(c.log, nil))
		mine := l.takeOne(t)
		over := make(chan struct{})
		go func() {
			defer close(over)
			require.NoError(t, mine.release(t.Context()))
		}()
		time.Sleep(time.Millisecond)
		mine.renew(t.Context())
		<-over
		require.NotContains(t, c.log.String(), "WARN")
		require.Equal(t, []string{""}, c.owners(t))
	})
}

func TestALeaseTableThatIsNoneIsSaid(t *testing.T) {
	c := newCluster(t, 1)
	_, err := c.server.Client().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(leaseTable), Item: attributes{
		attributeKey: text(fakeStream + "/shardId-000000000000"), "other": text("thing"),
	}})
	require.NoError(t, err)
	states, err := c.lone(t, nil).refresh(t.Context(), []mes.Shard{{ID: "shardId-000000000000"}, {ID: "shardId-000000000001"}})
	require.ErrorIs(t, err, errNoLease)
	require.Equal(t, map[string]shardState{"shardId-000000000001": {}}, states, "the others can be read")

	_, err = c.server.Client().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(leaseTable), Item: attributes{
		attributeKey: text(fakeStream + "/shardId-000000000001"), attributeCounter: number(5), attributeCheckpoint: text("LATEST"),
	}})
	require.NoError(t, err)
	rows, err := c.lone(t, nil).rows(t.Context(), []mes.Shard{{ID: "shardId-000000000001"}})
	require.NoError(t, err)
	require.Equal(t, leaseRow{exists: true, counter: 5}, rows["shardId-000000000001"])

	for _, owner := range []types.AttributeValue{text(""), &types.AttributeValueMemberNULL{Value: true}} {
		_, err := decodeLease(attributes{attributeOwner: owner, attributeCounter: number(5), attributeCheckpoint: text("7")})
		require.ErrorIs(t, err, errNoLease, "nobody could take it")
	}
	_, err = newLeases(t.Context(), &options{leases: &leaseOptions{client: watchedClient(c.server, &called.leases), table: "none"}}, "").refresh(t.Context(), []mes.Shard{{ID: "0"}})
	require.ErrorContains(t, err, "read the leases in table none, which ProvisionLeases makes")

	table := fakedynamodb.New()
	require.NoError(t, ProvisionLeases(t.Context(), watchedClient(table, &called.provision), leaseTable))
	require.NoError(t, ProvisionLeases(t.Context(), watchedClient(table, &called.provision), leaseTable))
	for name, opt := range map[string]Option{
		"no client": WithLeases(nil, "leases"), "no table": WithLeases(table.Client(), ""), "nil option": WithLeases(table.Client(), "leases", nil),
		"too short": WithLeases(table.Client(), "leases", LeaseDuration(time.Millisecond)),
	} {
		_, err := newOptions([]Option{opt})
		require.Error(t, err, name)
	}
}

func TestClocksThatRunAtDifferentSpeedsLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		slow := c.start(t, mes.NewListener(c.store.Store, nil), nil, []LeaseOption{LeaseDuration(40 * time.Second)})
		time.Sleep(5 * time.Second)
		// To this one a lease has run out long before the other renews it.
		fast := c.start(t, mes.NewListener(c.store.Store, nil), nil, []LeaseOption{LeaseDuration(4 * time.Second)})
		want := ids(0, 300)
		for i, id := range want {
			c.stream.put(i%3, "p", eventJSON(id, "p"))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		require.NoError(t, errors.Join(slow.stop(), fast.stop()))
		require.Equal(t, want, c.store.ids(t, "p"))
		require.Contains(t, c.log.String(), "a lease was lost")
		require.Equal(t, make([]string, 3), c.owners(t))
	})
}
