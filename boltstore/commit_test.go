package boltstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// blockWriter keeps the queue's leader busy until the function it returns is
// called.
func blockWriter(t *testing.T, table *Table) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		_ = table.submit(context.Background(), 0, func(*writer) error {
			close(begun)
			<-end
			return nil
		})
	})
	<-begun
	var once sync.Once
	release = func() { once.Do(func() { close(end); group.Wait() }) }
	t.Cleanup(release)
	return release
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func TestPromise17GroupCommit(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	const savers, rounds = 64, 10
	var group sync.WaitGroup
	for saver := range savers {
		group.Go(func() {
			for round := range rounds {
				assert.NoError(t, table.Put(context.Background(), []driver.Item{crashItem(fmt.Sprint(saver), round)}))
			}
		})
	}
	group.Wait()
	t.Logf("%d puts in %d transactions", savers*rounds, table.commits.Load())
	require.NoError(t, table.Close())
	acknowledged := acks{}
	for saver := range savers {
		acknowledged[fmt.Sprint(saver)] = rounds - 1
	}
	require.NoError(t, acknowledged.missing(path))
}

func TestQueuedPutsShareOneTransaction(t *testing.T) {
	table := openTable(t, tempPath(t))
	release := blockWriter(t, table)
	commits := table.commits.Load()
	var group sync.WaitGroup
	for n := range 10 {
		group.Go(func() {
			assert.NoError(t, table.Put(context.Background(), []driver.Item{testItem("h", fmt.Sprint(n))}))
		})
	}
	require.Eventually(t, func() bool { return table.queue.length() == 10 }, hang, time.Millisecond)
	release()
	group.Wait()
	assert.Equal(t, int64(1), table.commits.Load()-commits)
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "h"}), 10)
}

func TestPutLeavesTheQueueWhenItsContextEnds(t *testing.T) {
	table := openTable(t, tempPath(t))
	release := blockWriter(t, table)
	ctx, cancel := context.WithCancel(context.Background())
	first, second := make(chan error), make(chan error)
	go func() { first <- table.Put(ctx, []driver.Item{testItem("h", "1")}) }()
	require.Eventually(t, func() bool { return table.queue.length() == 1 }, hang, time.Millisecond)
	go func() { second <- table.Put(context.Background(), []driver.Item{testItem("h", "2")}) }()
	require.Eventually(t, func() bool { return table.queue.length() == 2 }, hang, time.Millisecond)
	cancel()
	within(t, func() { require.ErrorIs(t, <-first, context.Canceled) })
	release()
	within(t, func() { require.NoError(t, <-second) })
	assert.Equal(t, []string{"2"}, rangeKeys(readAll(t, table, driver.Query{HashKey: "h"})))
}

func TestContextsThatEndUnderLoad(t *testing.T) {
	table := openTable(t, tempPath(t))
	var group sync.WaitGroup
	for saver := range 32 {
		group.Go(func() {
			for round := range 30 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(saver*20)*time.Microsecond)
				err := table.Put(ctx, []driver.Item{testItem("h", fmt.Sprintf("%d-%d", saver, round))})
				cancel()
				if err != nil {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
			}
		})
	}
	within(t, group.Wait)
	put(t, table, testItem("h", "last"))
}

func TestFailedWriteIsNobodyElses(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	release := blockWriter(t, table)
	failure := errors.New("this one fails")
	var group sync.WaitGroup
	for n := range 6 {
		group.Go(func() {
			if n%2 == 0 {
				assert.NoError(t, table.Put(context.Background(), []driver.Item{testItem("h", fmt.Sprint(n))}))
				return
			}
			assert.ErrorIs(t, table.submit(context.Background(), 1, func(w *writer) error {
				w.dirty = true
				return failure
			}), failure)
		})
	}
	require.Eventually(t, func() bool { return table.queue.length() == 6 }, hang, time.Millisecond)
	release()
	group.Wait()
	assert.Equal(t, []string{"0", "2", "4"}, rangeKeys(readAll(t, table, driver.Query{HashKey: "h"})))
	changes, err := allChanges(table.Changes("c"))
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2", "3"}, sequences(changes))
	require.NoError(t, table.Close())
	openTable(t, path)
}

func TestAWriteThatIsTakenBackPassesTheLeadOn(t *testing.T) {
	first := &write{lead: true, ready: make(chan struct{}, 1)}
	second := &write{ready: make(chan struct{}, 1)}
	q := &queue{led: true, waiting: []*write{first, second}}
	require.True(t, q.takeBack(first))
	require.True(t, second.lead)
	require.Len(t, second.ready, 1)
	require.True(t, q.takeBack(second))
	require.False(t, q.led, "the next one need not wait")
	require.False(t, q.takeBack(second))
}

func TestCloseWaitsForCallsUnderWay(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	release := blockWriter(t, table)
	saved, closed := make(chan error, 1), make(chan error, 2)
	go func() { saved <- table.Put(context.Background(), []driver.Item{testItem("h", "1")}) }()
	require.Eventually(t, func() bool { return table.queue.length() == 1 }, hang, time.Millisecond)
	for range 2 {
		go func() { closed <- table.Close() }()
	}
	select {
	case err := <-closed:
		require.FailNow(t, "a call is under way", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	require.ErrorIs(t, table.Put(context.Background(), []driver.Item{testItem("h", "2")}), driver.ErrClosed)
	release()
	require.NoError(t, <-saved)
	require.NoError(t, <-closed)
	require.NoError(t, <-closed)
	table = openTable(t, path)
	assert.Len(t, readAll(t, table, driver.Query{HashKey: "h"}), 1)
}
