package boltstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"go.etcd.io/bbolt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// A clock is set by the test.
type clock struct{ millis atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.millis.Store(1_800_000_000_000)
	return c
}

func (c *clock) now() time.Time           { return time.UnixMilli(c.millis.Load()) }
func (c *clock) advance(by time.Duration) { c.millis.Add(by.Milliseconds()) }

func TestSweepRemovesWhatHasExpired(t *testing.T) {
	clock, path := newClock(), tempPath(t)
	table := openTable(t, path, withNow(clock.now), withoutSync())
	var items []driver.Item
	for n := range 2500 { // more than one transaction
		item := testItem("h", fmt.Sprintf("%04d", n))
		item.TTL = clock.now().Unix() + int64(n/2000)
		items = append(items, item)
	}
	put(t, table, items...)
	forever := testItem("h", "forever")
	put(t, table, forever)

	removed, err := table.Sweep(context.Background())
	require.NoError(t, err)
	assert.Equal(t, 2000, removed)
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "h"}), 501)
	clock.advance(time.Second)
	removed, err = table.Sweep(context.Background())
	require.NoError(t, err)
	assert.Equal(t, 500, removed)
	assert.Equal(t, []driver.Item{forever}, readAll(t, table, driver.Query{HashKey: "h"}))

	changes, err := allChanges(table.Changes("c"))
	require.NoError(t, err)
	require.Len(t, changes, 5001)
	for _, change := range changes[2501:] {
		require.Equal(t, mes.Removed, change.Kind)
		require.True(t, change.Expired)
		require.NotNil(t, change.Old)
	}

	// The changes go as well, in more than one transaction, once nobody needs them.
	clock.advance(ConsumerLifetime)
	_, err = table.Sweep(context.Background())
	require.NoError(t, err)
	changes, err = allChanges(table.Changes("d"))
	require.NoError(t, err)
	require.Empty(t, changes)
	require.NoError(t, table.Close())
	openTable(t, path)
}

func TestSweepHonoursItsContext(t *testing.T) {
	table := openTable(t, tempPath(t), withoutSync())
	items := make([]driver.Item, 1500)
	for n := range items {
		items[n] = testItem("h", fmt.Sprintf("%04d", n))
		items[n].TTL = 1
	}
	put(t, table, items...)
	ctx, cancel := context.WithCancel(context.Background())
	table.config.now = func() time.Time { cancel(); return time.Now() } // in the first transaction
	removed, err := table.Sweep(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1000, removed)
}

func TestRetention(t *testing.T) {
	clock, path := newClock(), tempPath(t)
	table := openTable(t, path, withNow(clock.now), withoutSync())
	ctx := context.Background()
	kept := func() []string {
		t.Helper()
		_, err := table.Sweep(ctx)
		require.NoError(t, err)
		var numbers []string
		require.NoError(t, table.view(func(tx *bbolt.Tx) error {
			return tx.Bucket(changesBucket).ForEach(func(key, value []byte) error {
				change, err := decodeChange(key, value)
				numbers = append(numbers, fmt.Sprint(change.sequence))
				return err
			})
		}))
		return numbers
	}
	put(t, table, testItem("h", "1"), testItem("h", "2"))
	clock.advance(time.Hour)
	put(t, table, testItem("h", "3"))
	slow, fast := table.Changes("slow"), table.Changes("fast")
	_, _, err := slow.ReadChanges(ctx, "0", mes.Position{}, 1)
	require.NoError(t, err)
	require.NoError(t, fast.SetCheckpoint(ctx, "0", position(3)))
	assert.Equal(t, []string{"1", "2", "3"}, kept())

	clock.advance(DefaultRetention - time.Hour)
	assert.Equal(t, []string{"1", "2", "3"}, kept(), "the slow consumer has acknowledged nothing")
	require.NoError(t, slow.SetCheckpoint(ctx, "0", position(1)))
	assert.Equal(t, []string{"2", "3"}, kept())
	require.NoError(t, slow.SetCheckpoint(ctx, "0", position(3)))
	assert.Equal(t, []string{"3"}, kept(), "the third is younger than the retention")
	clock.advance(time.Hour)
	assert.Empty(t, kept())

	// What was dropped is skipped, and not waited for.
	changes, _, err := slow.ReadChanges(ctx, "0", mes.Position{}, 10)
	require.NoError(t, err)
	assert.Empty(t, changes)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, slow.Wait(short, "0", mes.Position{}), context.DeadlineExceeded)
	require.NoError(t, table.Close())
	table = openTable(t, path, withNow(clock.now), withoutSync())
	short, cancel = context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, table.Changes("slow").Wait(short, "0", mes.Position{}), context.DeadlineExceeded)

	// A consumer that stays away is live for its lifetime, across restarts.
	put(t, table, testItem("h", "4"), testItem("h", "5"))
	require.NoError(t, table.Changes("fast").SetCheckpoint(ctx, "0", position(5)))
	clock.advance(ConsumerLifetime - 25*time.Hour)
	assert.Equal(t, []string{"4", "5"}, kept())
	clock.advance(25 * time.Hour)
	assert.Empty(t, kept())
	put(t, table, testItem("h", "6"))
	changes, _, err = table.Changes("slow").ReadChanges(ctx, "0", position(3), 10)
	require.NoError(t, err)
	assert.Equal(t, []string{"6"}, sequences(changes), "it goes on at the oldest that is kept")
	clock.advance(48 * time.Hour)
	assert.Equal(t, []string{"6"}, kept(), "it is live again")
}

func TestConsumerThatOnlyReadsStaysLive(t *testing.T) {
	clock, path := newClock(), tempPath(t)
	table := openTable(t, path, withNow(clock.now), withoutSync())
	put(t, table, testItem("h", "1"))
	for range 10 {
		_, _, err := table.Changes("c").ReadChanges(context.Background(), "0", mes.Position{}, 1)
		require.NoError(t, err)
		_, err = table.Sweep(context.Background())
		require.NoError(t, err)
		require.NoError(t, table.Close())
		clock.advance(ConsumerLifetime - time.Hour)
		table = openTable(t, path, withNow(clock.now), withoutSync())
	}
	_, err := table.Sweep(context.Background())
	require.NoError(t, err)
	changes, err := allChanges(table.Changes("c"))
	require.NoError(t, err)
	assert.Len(t, changes, 1)
}

// That a consumer only reads is written down every hour. Until then it counts all
// the same.
func TestConsumerThatHasJustReadIsLive(t *testing.T) {
	clock := newClock()
	table := openTable(t, tempPath(t), withNow(clock.now), withoutSync())
	put(t, table, testItem("h", "1"))
	read := func() []mes.Change {
		changes, _, err := table.Changes("c").ReadChanges(context.Background(), "0", mes.Position{}, 1)
		require.NoError(t, err)
		return changes
	}
	require.Len(t, read(), 1)
	clock.advance(50 * time.Minute)
	require.Len(t, read(), 1)
	clock.advance(ConsumerLifetime - 20*time.Minute)
	_, err := table.Sweep(context.Background())
	require.NoError(t, err)
	require.Len(t, read(), 1)
}

func TestBackgroundSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := Open(tempPath(t), withoutSync())
		require.NoError(t, err)
		item := testItem("h", "r")
		item.TTL = time.Now().Add(90 * time.Second).Unix()
		put(t, table, item)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		assert.Len(t, readAll(t, table, driver.Query{HashKey: "h"}), 1)
		time.Sleep(60 * time.Second)
		synctest.Wait()
		assert.Empty(t, readAll(t, table, driver.Query{HashKey: "h"}))
		require.NoError(t, table.Close())
	})
}
