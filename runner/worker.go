package runner

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

const (
	// readLimit is how many records one read asks for. Kinesis gives no more
	// than 10,000, or 10 MB, and allows 5 reads a second; a smaller limit would
	// keep a shard of many small records from ever catching up. Sources with a
	// lower limit of their own keep to that.
	readLimit = 10_000

	// callTimeout bounds one call that records something, and readTimeout one of
	// the source: the SDK has no limit of its own, and a connection that hangs
	// would keep a shard from being read for ever.
	callTimeout = 5 * time.Second
	readTimeout = time.Minute
)

// outcome is why a worker has ended.
type outcome int

const (
	stopped  outcome = iota // it was told to, lost its claim, or the run is hopeless
	ended                   // the shard has no more
	caughtUp                // nothing is left for now, and the run ends with that
)

// A worker reads one shard: read, handle, record, again. A single goroutine runs
// it.
type worker[T any] struct {
	*engine[T]
	claim   claim
	id      string
	gone    atomic.Bool   // the stream no longer has the shard: nothing is left to read
	closed  bool          // other shards follow it: there is an end to read to
	done    chan struct{} // closed when it has ended; what follows is valid then
	outcome outcome
	// recorded says that what was done is recorded and the claim given back, or
	// that they are somebody else's.
	recorded bool

	position mes.Position // behind what was read last
	pending  []T          // read, and not handled yet
	since    time.Time    // when the first of them was read
	handled  mes.Position // everything up to here is done
	saved    mes.Position // what the checkpoint says
	savedAt  time.Time    // when it was last tried
}

func (e *engine[T]) begin(ctx, work context.Context, c claim) *worker[T] {
	w := &worker[T]{engine: e, claim: c, id: c.shard(), closed: e.shards.hasChild(c.shard()), done: make(chan struct{})}
	reading, stop := context.WithCancel(ctx)
	work, abort := context.WithCancel(work)
	if lost := c.lost(); lost != nil {
		go func() {
			select {
			case <-lost:
				abort() // first: who finds that it was stopped looks whether it may still take its time
				stop()
			case <-w.done:
			}
		}()
	}
	go func() {
		defer e.nudge()
		defer close(w.done)
		defer abort()
		defer stop()
		w.run(reading, work)
	}()
	return w
}

func (w *worker[T]) run(ctx, work context.Context) {
	w.position = w.claim.from()
	w.handled, w.saved = w.position, w.position
	w.savedAt = time.Now()
	w.log(ctx, slog.LevelInfo, "a shard is begun")
	w.board.begin(w.id)
	w.outcome = w.read(ctx, work)
	w.finish(work)
	w.board.end(w.id)
}

// read reads the shard until it ends or ctx does.
func (w *worker[T]) read(ctx, work context.Context) outcome {
	failures := 0
	for {
		if w.gone.Load() {
			w.drainPending(ctx, work, true)
			return stopped
		}
		records, end, err := w.once(ctx)
		if ctx.Err() != nil {
			return stopped
		}
		switch {
		case errors.Is(err, mes.ErrTrimmed) && w.position != (mes.Position{}):
			w.log(ctx, slog.LevelWarn, "the stream no longer keeps what follows the checkpoint; reading goes on with the oldest that it keeps", slog.Any("error", err))
			w.board.failed(w.id, err)
			w.position = mes.Position{}
			continue
		case err != nil:
			failures++
			if !w.pause(ctx, "read", failures, err) {
				return stopped
			}
			continue
		}
		w.add(records)
		if !w.drainPending(ctx, work, end || w.untilCaughtUp && len(records) == 0) {
			return stopped
		}
		if err := w.upToDate(work, end, len(records)); err != nil {
			failures++
			if !w.pause(ctx, "record what is done", failures, err) {
				return stopped
			}
			continue
		}
		failures = 0
		w.goesOn(ctx, w.id)
		if len(records) == 0 && !end && w.lags() {
			continue
		}
		switch {
		case end:
			return ended
		case len(records) == 0 && w.untilCaughtUp && !w.closed:
			return caughtUp
		case len(records) == 0:
			w.idle(ctx)
		}
	}
}

// once reads once.
func (w *worker[T]) once(ctx context.Context) (records []T, end bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = guard(func() error {
		records, end, err = w.engine.read(ctx, w.id, w.position, readLimit)
		return err
	})
	return records, end, err
}

func (w *worker[T]) add(records []T) {
	if len(records) == 0 {
		if len(w.pending) == 0 {
			w.board.behind(w.id, time.Time{})
		}
		return
	}
	w.position = w.meta(&records[len(records)-1]).Position()
	if len(w.pending) == 0 {
		w.board.behind(w.id, w.meta(&records[0]).Arrived)
		w.pending, w.since = records, time.Now()
		return
	}
	w.pending = append(slices.Clip(w.pending), records...) // the source may own what it returned
}

// drainPending handles what has been read, but for a batch that is not full and
// may wait for more. It returns false if it was told to stop.
func (w *worker[T]) drainPending(ctx, work context.Context, all bool) bool {
	for len(w.pending) > 0 {
		n, full := w.batch()
		if !full && !all && time.Since(w.since) < w.batchWindow {
			return true
		}
		if ctx.Err() != nil || !w.settle(ctx, work, w.pending[:n]) {
			return false
		}
		w.pending = w.pending[n:]
		w.since = time.Now()
		if len(w.pending) > 0 { // else the next read says whether there is more
			w.board.behind(w.id, w.meta(&w.pending[0]).Arrived)
		}
	}
	w.pending = nil
	return true
}

// batch returns how many of the pending records make the next batch, and whether
// no more would go into it.
func (w *worker[T]) batch() (n int, full bool) {
	size := 0
	for n < len(w.pending) && n < w.batchSize {
		size += w.size(&w.pending[n])
		if n > 0 && size > w.batchBytes {
			return n, true
		}
		n++
	}
	return n, n == w.batchSize || size >= w.batchBytes
}

// lags tells whether the source says that there is more, though it returned
// nothing.
func (w *worker[T]) lags() bool {
	source, ok := w.source.(interface {
		lag(shard string) time.Duration
	})
	if !ok {
		return false
	}
	lag := source.lag(w.id)
	if lag > 0 && len(w.pending) == 0 {
		w.board.behind(w.id, time.Now().Add(-lag))
	}
	return lag > 0
}

// upToDate records what is done, where there is nothing more to do for now.
func (w *worker[T]) upToDate(work context.Context, end bool, read int) error {
	switch {
	case end:
		ctx, cancel := context.WithTimeout(work, callTimeout)
		defer cancel()
		if w.handled == (mes.Position{}) {
			w.handled = w.position // the shard was empty
		}
		err := w.claim.end(ctx, w.handled)
		if err == nil {
			w.saved = w.handled
			w.log(work, slog.LevelInfo, "a shard has been read to its end")
		}
		return err
	case read == 0:
		return w.save(work, true)
	}
	return nil
}

// save records what is done, if that is due.
func (w *worker[T]) save(ctx context.Context, now bool) error {
	if w.handled == w.saved || !now && time.Since(w.savedAt) < w.checkpointEvery {
		return nil
	}
	w.savedAt = time.Now()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := w.claim.checkpoint(ctx, w.handled)
	if err == nil {
		w.saved = w.handled
	}
	return err
}

// idle waits until there may be something new.
func (w *worker[T]) idle(ctx context.Context) {
	rest := w.pollEvery
	if len(w.pending) > 0 {
		rest = min(rest, max(w.batchWindow-time.Since(w.since), 0))
	}
	ctx, cancel := context.WithTimeout(ctx, rest)
	defer cancel()
	waiter, ok := w.source.(mes.Waiter)
	if ok && guard(func() error { return waiter.Wait(ctx, w.id, w.position) }) == nil {
		return
	}
	<-ctx.Done()
}

// pause waits before another attempt. It returns false if there will be none.
func (w *worker[T]) pause(ctx context.Context, doing string, failures int, err error) bool {
	if errors.Is(err, errLost) {
		return false
	}
	w.report(ctx, w.id, doing, failures, err)
	return w.failed() == nil && w.retry.Wait(ctx, failures) == nil
}

// finish records what is done and gives the claim back. It tries until it works
// or the work is to end, and then once more.
func (w *worker[T]) finish(work context.Context) {
	saved := w.persist(work, "record what is done", func(ctx context.Context) error { return w.save(ctx, true) })
	w.recorded = w.persist(work, "give the shard back", w.claim.release) && saved
	w.log(work, slog.LevelInfo, "a shard is left")
}

func (w *worker[T]) persist(work context.Context, doing string, do func(context.Context) error) bool {
	for failures := 1; ; failures++ {
		last := work.Err() != nil
		ctx, cancel := context.WithTimeout(w.recording, callTimeout)
		err := do(ctx) //nolint:contextcheck // what records outlives the work
		cancel()
		if err == nil || errors.Is(err, errLost) {
			return true
		}
		w.report(work, w.id, doing, failures, err)
		if last || w.failed() != nil {
			return false
		}
		_ = w.retry.Wait(work, failures) // if that ends, once more
	}
}

func (w *worker[T]) log(ctx context.Context, level slog.Level, text string, attrs ...slog.Attr) {
	w.logger.LogAttrs(ctx, level, text, append(attrs, slog.String("shard", w.id))...)
}
