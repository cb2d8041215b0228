package boltstore

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// A Table is a table in one file. [Open] makes one. All its methods are safe for
// use by many goroutines at once; after Close they return [driver.ErrClosed].
//
// It implements [driver.Table], [driver.Deleter], [driver.PutIfAbsent] and
// [driver.Checkpoints].
type Table struct {
	path   string
	config config
	db     *bbolt.DB
	file   *os.File // the one that db uses and closes

	calls   gate
	queue   queue
	feed    feed
	seen    seen
	beginMu sync.Mutex

	failure atomic.Pointer[error] // why the table was given up
	locked  atomic.Bool           // bbolt holds a lock that it will never release

	writer  writer    // of the goroutine that leads the queue
	pages   sync.Pool // of *pageBuilder
	batches sync.Pool // of *batch

	background sync.WaitGroup
	stop       context.CancelFunc

	// What the tests count.
	commits atomic.Int64 // transactions that were synced
	reads   atomic.Int64 // values that were read from the file
}

var (
	_ driver.Checkpoints = (*Table)(nil)
	_ driver.Table       = (*Table)(nil)
	_ driver.Deleter     = (*Table)(nil)
	_ driver.PutIfAbsent = (*Table)(nil)
)

// Close stops the background sweep, waits for calls under way, and closes the
// file. A call that waits for changes ends at once. Close returns nil when it is
// called again.
func (t *Table) Close() error {
	if t == nil || t.db == nil {
		return errNotOpen
	}
	if !t.calls.close() {
		return nil
	}
	t.stop()
	t.feed.close()
	t.background.Wait()
	t.calls.wait()
	defer t.calls.done()
	return t.closeFile()
}

// closeFile lets go of the file, with bbolt's help as long as that cannot hang.
func (t *Table) closeFile() error {
	if t.locked.Load() {
		// The map of the file stays until the process ends: only bbolt could
		// release it. The lock and the file do not.
		return errors.Join(unlockFile(t.file), t.file.Close())
	}
	return t.inFile(guarded(t.db.Close))
}

// enter begins a call: it fails when the table is closed or the context has
// ended, and returns what ends the call otherwise.
func (t *Table) enter(ctx context.Context) (leave func(), err error) {
	if t == nil || t.db == nil {
		return nil, errNotOpen
	}
	if ctx == nil {
		return nil, errors.New("the context is nil")
	}
	if err := t.calls.enter(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		t.calls.leave()
		return nil, err
	}
	return t.calls.leave, nil
}

// A gate counts the calls under way, and lets none in once it is closed.
type gate struct {
	mu     sync.RWMutex
	closed bool
	calls  sync.WaitGroup
	ended  chan struct{}
}

func (g *gate) enter() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return driver.ErrClosed
	}
	g.calls.Add(1)
	return nil
}

func (g *gate) leave() { g.calls.Done() }

// close tells whether it is the first call. A later one returns when the first
// has finished its work.
func (g *gate) close() bool {
	g.mu.Lock()
	if g.closed {
		ended := g.ended
		g.mu.Unlock()
		<-ended
		return false
	}
	g.closed, g.ended = true, make(chan struct{})
	g.mu.Unlock()
	return true
}

func (g *gate) wait() { g.calls.Wait() }
func (g *gate) done() { close(g.ended) }
