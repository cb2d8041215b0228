package boltstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestPutRoundTrip(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	items := []driver.Item{
		testItem("order-1", "1"),
		{HashKey: "order-1", RangeKey: "2", Event: []byte{}},
		{HashKey: "order-1", RangeKey: "3\x00\n", Event: []byte("\xff\x00"), Timestamp: time.UnixMilli(-5).UTC(), TTL: 1 << 60},
		{HashKey: "order-1", RangeKey: driver.MarkerPrefix + "m", Event: []byte("{}"), ID: "i", PartitionKey: "p"},
		{HashKey: "order-1", RangeKey: "4", Event: []byte("{}"), Timestamp: time.UnixMilli(-1 << 63).UTC()},
		{HashKey: "order-1", RangeKey: "5", Event: []byte("{}"), Timestamp: time.UnixMilli(1<<63 - 1).UTC()},
	}
	put(t, table, items...)
	items[3].ID, items[3].PartitionKey = "", "" // nobody says that they are right
	want := append([]driver.Item{items[3]}, items[0], items[1], items[2], items[4], items[5])
	assert.Equal(t, want, readAll(t, table, driver.Query{HashKey: "order-1"}))
	require.NoError(t, table.Close())
	table = openTable(t, path)
	assert.Equal(t, want, readAll(t, table, driver.Query{HashKey: "order-1"}))
}

func TestPutCopiesWhatItWasGiven(t *testing.T) {
	table := openTable(t, tempPath(t))
	item := testItem("h", "r")
	event := string(item.Event)
	put(t, table, item)
	copy(item.Event, "xxxxxxxxxxxx")
	put(t, table, testItem("h", "s"))
	assert.Equal(t, event, string(readAll(t, table, driver.Query{HashKey: "h", To: "r"})[0].Event))
}

func TestKeysDoNotCollide(t *testing.T) {
	table := openTable(t, tempPath(t))
	put(t, table, testItem("a", "bc"), testItem("ab", "c"), testItem("a\x00", "b"), testItem("a", "\x00b"), testItem("a\x00b", "c"))
	assert.Equal(t, []string{"\x00b", "bc"}, rangeKeys(readAll(t, table, driver.Query{HashKey: "a"})))
	assert.Equal(t, []string{"c"}, rangeKeys(readAll(t, table, driver.Query{HashKey: "ab"})))
	assert.Equal(t, []string{"b"}, rangeKeys(readAll(t, table, driver.Query{HashKey: "a\x00"})))
}

func TestPutSameKeyTwiceInOneCall(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	first, second := testItem("h", "r"), testItem("h", "r")
	first.TTL, second.TTL, second.Event = 5, 7, []byte("the second")
	put(t, table, first, testItem("h", "a"), second)
	assert.Equal(t, second, readAll(t, table, driver.Query{HashKey: "h"})[1])
	require.NoError(t, table.Close())
	openTable(t, path) // is verified
}

func TestPutIdenticalWritesNothing(t *testing.T) {
	table := openTable(t, tempPath(t))
	item := testItem("h", "r")
	item.TTL = 1 << 40
	put(t, table, item)
	commits := table.commits.Load()
	put(t, table, item)
	assert.Equal(t, commits, table.commits.Load())
	changed := item
	changed.TTL++
	put(t, table, changed, testItem("h", "s"))
	changes, _, err := table.Changes("c").ReadChanges(context.Background(), "0", position(1), 10)
	require.NoError(t, err)
	require.Len(t, changes, 2)
	assert.Equal(t, "MODIFY", changes[0].Kind.String())
	assert.Equal(t, "INSERT", changes[1].Kind.String())
}

func TestPromise11InvalidItemsDoNotKeepOthersFromBeingStored(t *testing.T) {
	table := openTable(t, tempPath(t))
	bad := func(change func(*driver.Item)) driver.Item {
		item := testItem("secret", "secret")
		change(&item)
		return item
	}
	items := []driver.Item{
		bad(func(i *driver.Item) { i.HashKey = "" }),
		testItem("good", "1"),
		bad(func(i *driver.Item) { i.RangeKey = "secret\xff" }),
		bad(func(i *driver.Item) { i.Event = make([]byte, driver.MaxItemSize) }),
		bad(func(i *driver.Item) { i.HashKey = strings.Repeat("k", driver.MaxHashKeySize+1) }),
		bad(func(i *driver.Item) { i.TTL = -1 }),
		bad(func(i *driver.Item) { i.ID = strings.Repeat("k", driver.MaxItemSize) }),
		testItem(strings.Repeat("k", driver.MaxHashKeySize), strings.Repeat("r", driver.MaxRangeKeySize)),
	}
	err := table.Put(context.Background(), items)
	var putError *driver.PutError
	require.ErrorAs(t, err, &putError)
	indexes := []int{}
	for _, failure := range putError.Failures {
		indexes = append(indexes, failure.Index)
		require.ErrorIs(t, failure.Err, driver.ErrInvalidItem)
		assert.NotContains(t, failure.Err.Error(), "secret")
	}
	assert.Equal(t, []int{0, 2, 3, 4, 5, 6}, indexes)
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "good"}), 1)
	assert.Len(t, readAll(t, table, driver.Query{HashKey: items[7].HashKey}), 1)
}

func TestPutIfAbsentFromTheSecondInWhichAnItemExpires(t *testing.T) {
	clock := newClock()
	table := openTable(t, tempPath(t), withNow(clock.now), withoutSync())
	old, other := testItem("h", "r"), testItem("h", "r")
	old.TTL = clock.now().Unix() + 1
	other.Event = []byte(`{"id":"other"}`)
	put(t, table, old)
	require.ErrorIs(t, table.PutIfAbsent(context.Background(), []driver.Item{other}), driver.ErrConflict)
	clock.advance(time.Second)
	require.NoError(t, table.PutIfAbsent(context.Background(), []driver.Item{other}))
	assert.Equal(t, []driver.Item{other}, readAll(t, table, driver.Query{HashKey: "h"}))
}

func TestPutOfTheLargestItem(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	item := testItem("h", "r")
	item.Event = make([]byte, driver.MaxItemSize-200)
	item.ID = strings.Repeat("i", driver.MaxItemSize-100)
	item.PartitionKey = strings.Repeat("p", 100)
	put(t, table, item)
	assert.Equal(t, []driver.Item{item}, readAll(t, table, driver.Query{HashKey: "h"}))
	removed, err := table.Delete(context.Background(), "h")
	require.NoError(t, err)
	assert.Equal(t, 1, removed)
	require.NoError(t, table.Close())
	openTable(t, path)
}

func TestEndedContext(t *testing.T) {
	table := openTable(t, tempPath(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, table.Put(ctx, []driver.Item{testItem("h", "r")}), context.Canceled)
	_, err := table.Query(ctx, driver.Query{HashKey: "h"})
	require.ErrorIs(t, err, context.Canceled)
	_, err = table.Delete(ctx, "h")
	require.ErrorIs(t, err, context.Canceled)
	_, err = table.Sweep(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, readAll(t, table, driver.Query{HashKey: "h"}))
}

func TestPutNothing(t *testing.T) {
	table := openTable(t, tempPath(t))
	require.NoError(t, table.Put(context.Background(), nil))
	require.NoError(t, table.Close())
	require.True(t, errors.Is(table.Put(context.Background(), nil), driver.ErrClosed))
}
