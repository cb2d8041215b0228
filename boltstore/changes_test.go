package boltstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

func position(sequence int) mes.Position {
	return mes.Position{SequenceNumber: strconv.Itoa(sequence)}
}

// allChanges reads the feed from its oldest change to its end.
func allChanges(feed *Changes) ([]mes.Change, error) {
	var all []mes.Change
	var after mes.Position
	for {
		changes, _, err := feed.ReadChanges(context.Background(), "0", after, 7)
		if err != nil || len(changes) == 0 {
			return all, err
		}
		all = append(all, changes...)
		after = changes[len(changes)-1].Meta.Position()
	}
}

func sequences(changes []mes.Change) []string {
	numbers := []string{}
	for _, change := range changes {
		numbers = append(numbers, change.Meta.SequenceNumber)
	}
	return numbers
}

func TestChangesTellWhatHappened(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_500)
	table := openTable(t, tempPath(t), withNow(func() time.Time { return now }))
	ctx := context.Background()
	kept := testItem("h", "kept")
	first, second := testItem("h", "r"), testItem("h", "r")
	second.Event = []byte("second")
	expiring := testItem("h", "x")
	expiring.TTL = now.Unix()
	put(t, table, kept)
	put(t, table, first)
	put(t, table, second)
	put(t, table, testItem("h", driver.MarkerPrefix+"marker"), expiring)
	removed, err := table.Sweep(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	_, err = table.Delete(ctx, "h")
	require.NoError(t, err)
	put(t, table, kept)

	event := modelEvent
	change := func(sequence int, kind mes.ChangeKind, rangeKey string, newEvent, oldEvent *mes.Event, expired bool) mes.Change {
		return mes.Change{
			Kind: kind, HashKey: "h", RangeKey: rangeKey, New: newEvent, Old: oldEvent, Expired: expired,
			Meta: mes.Meta{Stream: StreamName, Shard: "0", SequenceNumber: strconv.Itoa(sequence), Arrived: now.UTC()},
		}
	}
	changes, err := allChanges(table.Changes("c"))
	require.NoError(t, err)
	assert.Equal(t, []mes.Change{
		change(1, mes.Inserted, "kept", nil, nil, false),
		change(2, mes.Inserted, "r", nil, nil, false),
		change(3, mes.Modified, "r", nil, event(first), false),
		change(4, mes.Inserted, "\x01marker", nil, nil, false),
		change(5, mes.Inserted, "x", nil, nil, false),
		change(6, mes.Removed, "x", nil, event(expiring), true),
		change(7, mes.Removed, "\x01marker", nil, event(testItem("h", "\x01marker")), false),
		change(8, mes.Removed, "kept", nil, event(kept), false),
		change(9, mes.Removed, "r", nil, event(second), false),
		change(10, mes.Inserted, "kept", event(kept), nil, false),
	}, changes)
}

func TestChangesResumeAfterRestart(t *testing.T) {
	path := tempPath(t)
	ctx := context.Background()
	table := openTable(t, path)
	for n := range 5 {
		put(t, table, testItem("h", fmt.Sprint(n)))
	}
	require.NoError(t, table.Changes("a").SetCheckpoint(ctx, "0", position(3)))
	require.NoError(t, table.Changes("a").SetCheckpoint(ctx, "0", position(2))) // changes nothing
	require.NoError(t, table.Changes("b").SetCheckpoint(ctx, "0", mes.Position{}))
	require.NoError(t, table.Close())

	table = openTable(t, path)
	for consumer, want := range map[string][]string{"a": {"4", "5"}, "b": {"1", "2", "3", "4", "5"}, "new": {"1", "2", "3", "4", "5"}} {
		feed := table.Changes(consumer)
		shards, err := feed.Shards(ctx)
		require.NoError(t, err)
		require.Equal(t, []mes.Shard{{ID: "0"}}, shards)
		checkpoint, err := feed.Checkpoint(ctx, "0")
		require.NoError(t, err)
		changes, end, err := feed.ReadChanges(ctx, "0", checkpoint, 10)
		require.NoError(t, err)
		assert.False(t, end)
		assert.Equal(t, want, sequences(changes), consumer)
	}
}

func TestChangesRefuseBadArguments(t *testing.T) {
	table := openTable(t, tempPath(t))
	ctx := context.Background()
	put(t, table, testItem("h", "r"))
	for _, name := range []string{"", strings.Repeat("n", 256), "\xff"} {
		feed := table.Changes(name)
		_, err := feed.Shards(ctx)
		require.ErrorIs(t, err, ErrInvalidConsumer)
		_, _, err = feed.ReadChanges(ctx, "0", mes.Position{}, 1)
		require.ErrorIs(t, err, ErrInvalidConsumer)
		_, err = feed.Checkpoint(ctx, "0")
		require.ErrorIs(t, err, ErrInvalidConsumer)
		require.ErrorIs(t, feed.SetCheckpoint(ctx, "0", position(1)), ErrInvalidConsumer)
		require.ErrorIs(t, feed.Wait(ctx, "0", mes.Position{}), ErrInvalidConsumer)
	}
	feed := table.Changes("c")
	for _, bad := range []mes.Position{
		{SequenceNumber: "x"}, {SequenceNumber: "-1"}, {SequenceNumber: "1.5"}, {SequenceNumber: " 1"},
		{SequenceNumber: "99999999999999999999999"}, {SequenceNumber: "1", SubSequence: 1}, {SubSequence: 1},
	} {
		_, _, err := feed.ReadChanges(ctx, "0", bad, 1)
		require.ErrorIs(t, err, ErrInvalidPosition)
		require.ErrorIs(t, feed.SetCheckpoint(ctx, "0", bad), ErrInvalidPosition)
		require.ErrorIs(t, feed.Wait(ctx, "0", bad), ErrInvalidPosition)
	}
	_, _, err := feed.ReadChanges(ctx, "0", position(2), 1) // of another file
	require.ErrorIs(t, err, ErrInvalidPosition)
	require.ErrorIs(t, feed.SetCheckpoint(ctx, "0", position(2)), ErrInvalidPosition)
	_, _, err = feed.ReadChanges(ctx, "1", mes.Position{}, 1)
	require.ErrorIs(t, err, ErrUnknownShard)
	_, _, err = feed.ReadChanges(ctx, "0", mes.Position{}, 0)
	require.Error(t, err)
}

func TestPromise14AFeedThatLacksItsEndIsNotBelieved(t *testing.T) {
	table := openTable(t, tempPath(t))
	put(t, table, testItem("h", "1"), testItem("h", "2"))
	require.NoError(t, table.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(changesBucket).Delete(appendSequence(nil, 2))
	}))
	_, _, err := table.Changes("c").ReadChanges(context.Background(), "0", mes.Position{}, 10)
	require.ErrorIs(t, err, ErrDamaged)
}

func TestAWriteThatFailsIsNoNews(t *testing.T) {
	table := openTable(t, tempPath(t))
	failure := errors.New("it fails behind the change")
	item := testItem("h", "r")
	encoded, _ := encodeItem(nil, &item)
	require.ErrorIs(t, table.submit(context.Background(), 1, func(w *writer) error {
		require.NoError(t, w.record(kindInsert, encoded.key, nil))
		return failure
	}), failure)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, table.Changes("c").Wait(ctx, "0", mes.Position{}), context.DeadlineExceeded)
}

func TestWaitWakesOnPut(t *testing.T) {
	table := openTable(t, tempPath(t))
	feed := table.Changes("c")
	woken := make(chan error, 1)
	go func() { woken <- feed.Wait(context.Background(), "0", mes.Position{}) }()
	select {
	case err := <-woken:
		require.FailNow(t, "there is nothing to wake for", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	put(t, table, testItem("h", "r"))
	within(t, func() { require.NoError(t, <-woken) })
	require.NoError(t, feed.Wait(context.Background(), "0", mes.Position{}))

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, feed.Wait(ctx, "0", position(1)), context.DeadlineExceeded)

	go func() { woken <- feed.Wait(context.Background(), "0", position(1)) }()
	time.Sleep(10 * time.Millisecond)
	require.NoError(t, table.Close())
	within(t, func() { require.ErrorIs(t, <-woken, driver.ErrClosed) })
	require.ErrorIs(t, feed.Wait(context.Background(), "0", position(1)), driver.ErrClosed)
}

func TestChangesPagesAreBounded(t *testing.T) {
	table := openTable(t, tempPath(t), withoutSync())
	item := testItem("h", "")
	item.Event = make([]byte, 300_000)
	for n := range 8 {
		item.RangeKey = fmt.Sprint(n)
		put(t, table, item)
	}
	changes, _, err := table.Changes("c").ReadChanges(context.Background(), "0", mes.Position{}, 100)
	require.NoError(t, err)
	assert.Len(t, changes, 4)
	all, err := allChanges(table.Changes("c"))
	require.NoError(t, err)
	assert.Len(t, all, 8)
}
