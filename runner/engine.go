package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// An engine reads the shards of a stream. Its loop lists the shards, asks the
// owner which of them to read, and starts a worker for each; the workers do the
// rest. What is not behind mu belongs to the loop.
type engine[T any] struct {
	*options
	*stream[T]
	name  string // of the stream, "" if it has none
	owner owner

	shards  discovery
	workers map[string]*worker[T]
	caught  map[string]bool // those that a run until caught up has done with
	trouble int             // rounds in a row that failed
	board   *board
	news    chan struct{} // something has happened that the loop should look at

	recording context.Context // of what records that something is done; it outlives the work

	mu       sync.Mutex
	hopeless error
}

func (e *engine[T]) run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	e.news = make(chan struct{}, 1)
	e.workers = make(map[string]*worker[T])
	e.caught = make(map[string]bool)
	e.board = e.monitor.join(e.name)
	defer e.monitor.leave(e.board)

	keeping, stopKeeping := context.WithCancel(base)
	var keeper sync.WaitGroup
	keeper.Go(func() { e.owner.keep(keeping) })
	defer keeper.Wait()
	defer stopKeeping()

	work, abort := context.WithCancel(base)
	defer abort()
	recording, cut := context.WithCancel(base)
	defer cut()
	e.recording = recording
	reading, stop := context.WithCancel(ctx)
	defer stop()
	err := e.loop(reading, work)
	stop()
	e.logger.LogAttrs(base, slog.LevelInfo, "the run drains", slog.Int("inHand", len(e.workers)))
	err = errors.Join(err, e.drain(abort, cut))
	if err == nil {
		e.logger.LogAttrs(base, slog.LevelInfo, "the run has ended")
	} else {
		e.logger.LogAttrs(base, slog.LevelError, "the run has ended", slog.Any("error", err))
	}
	return err
}

// loop returns nil when ctx ends or everything is done, and an error when trying
// again cannot help.
func (e *engine[T]) loop(ctx, work context.Context) error {
	for {
		e.reap(ctx)
		e.discover(ctx)
		if err := e.failed(); err != nil || ctx.Err() != nil {
			return err
		}
		settled := e.share(ctx, work)
		if err := e.failed(); err != nil {
			return err
		}
		if ctx.Err() != nil || e.untilCaughtUp && settled && len(e.workers) == 0 && e.shards.settled() {
			return nil
		}
		timer := time.NewTimer(e.rest(ctx))
		select {
		case <-ctx.Done():
		case <-e.news:
		case <-timer.C:
		}
		timer.Stop()
		// It is about to look. Where both were ready, the news would be old by the
		// next round, and which of the two it was is up to chance.
		select {
		case <-e.news:
		default:
		}
	}
}

// rest is how long the loop has nothing to do unless there is news.
func (e *engine[T]) rest(ctx context.Context) time.Duration {
	rest := time.Until(e.shards.next)
	if every := e.owner.every(); every > 0 {
		rest = min(rest, every)
	}
	if e.trouble > 0 {
		rest = min(rest, e.retry.DelayIn(ctx, e.trouble))
	}
	return max(rest, 0)
}

// nudge makes the loop look again.
func (e *engine[T]) nudge() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// reap takes note of the workers that have ended.
func (e *engine[T]) reap(ctx context.Context) {
	for id, w := range e.workers {
		select {
		case <-w.done:
		default:
			continue
		}
		delete(e.workers, id)
		if w.gone.Load() {
			e.forget(ctx, id)
		}
		switch w.outcome {
		case ended:
			e.shards.next = time.Time{} // its children may be read now
		case caughtUp:
			e.caught[id] = true
		}
	}
}

// discover lists the shards when it is time to.
func (e *engine[T]) discover(ctx context.Context) {
	if time.Now().Before(e.shards.next) || ctx.Err() != nil {
		return
	}
	listing, cancel := context.WithTimeout(ctx, readTimeout)
	var listed []mes.Shard
	err := guard(func() (err error) {
		listed, err = e.source.Shards(listing)
		return err
	})
	cancel()
	if ctx.Err() != nil {
		return
	}
	gone := e.shards.update(listed, err == nil)
	if err != nil {
		e.shards.failures++
		e.shards.next = time.Now().Add(e.retry.DelayIn(ctx, e.shards.failures))
		e.report(ctx, "", "list the shards", e.shards.failures, err)
		return
	}
	e.shards.failures = 0
	e.shards.next = time.Now().Add(e.discoverEvery)
	for _, id := range gone {
		if w := e.workers[id]; w != nil {
			w.log(ctx, slog.LevelWarn, "the stream no longer has the shard; what was not read of it is lost")
			w.gone.Store(true) // what was read is still handled
			continue
		}
		e.forget(ctx, id)
	}
	e.owner.forget(ctx, e.shards.orphaned())
}

// forget drops what is known of a shard that the stream no longer has.
func (e *engine[T]) forget(ctx context.Context, id string) {
	delete(e.caught, id)
	e.board.drop(id)
	e.owner.forget(ctx, []string{id})
}

// share asks the owner which shards to read and starts a worker for each that is
// new. settled says that it worked, and that there was nothing new.
func (e *engine[T]) share(ctx, work context.Context) (settled bool) {
	states, err := e.owner.refresh(ctx, e.shards.listed)
	var open []mes.Shard
	for _, s := range e.shards.listed {
		state, known := states[s.ID]
		if known {
			e.board.state(s.ID, state)
		}
		if known && !state.ended && !e.caught[s.ID] && e.shards.ready(&s, states) && !e.inHand(s.Parents) {
			open = append(open, s)
		}
	}
	busy := make(map[string]bool, len(e.workers))
	for id := range e.workers {
		busy[id] = true
	}
	claims, failed := e.owner.take(ctx, open, busy)
	for _, c := range claims {
		e.board.state(c.shard(), shardState{owner: e.owner.name()})
		e.workers[c.shard()] = e.begin(ctx, work, c)
	}
	if err = errors.Join(err, failed); err == nil || ctx.Err() != nil {
		e.trouble = 0
		if e.shards.complete {
			e.goesOn(ctx, "")
		}
		return len(claims) == 0
	}
	e.trouble++
	e.report(ctx, "", "share the shards", e.trouble, err)
	return false
}

// inHand tells whether a worker has one of the shards, be it gone.
func (e *engine[T]) inHand(shards []string) bool {
	return slices.ContainsFunc(shards, func(id string) bool { return e.workers[id] != nil })
}

// report notes an error that will be tried again, or ends the run if that cannot
// help.
func (e *engine[T]) report(ctx context.Context, shard, doing string, attempt int, err error) {
	err = fmt.Errorf("%s: %w", doing, public(err))
	e.board.failed(shard, err)
	if hopeless(err) {
		e.mu.Lock()
		if e.hopeless == nil {
			e.hopeless = err
		}
		e.mu.Unlock()
		e.nudge()
		return
	}
	attrs := []slog.Attr{slog.Int("attempt", attempt), slog.Any("error", err)}
	if shard != "" {
		attrs = append(attrs, slog.String("shard", shard))
	}
	e.logger.LogAttrs(ctx, slog.LevelWarn, "will be tried again", attrs...)
}

// goesOn notes that a shard, or the run, does not fail any more.
func (e *engine[T]) goesOn(ctx context.Context, shard string) {
	since := e.board.succeeded(shard)
	if since.IsZero() {
		return
	}
	attrs := []slog.Attr{slog.Duration("after", time.Since(since).Round(time.Millisecond))}
	if shard != "" {
		attrs = append(attrs, slog.String("shard", shard))
	}
	e.logger.LogAttrs(ctx, slog.LevelInfo, "what failed goes on", attrs...)
}

// hopeless tells whether an error ends the run: what is closed stays closed, and a
// source has said that trying again cannot help. What is wrong with a record ends
// nothing: see refusal.
func hopeless(err error) bool {
	var refused *refusal
	return errors.Is(err, mes.ErrClosed) || !errors.As(err, &refused) && mes.IsPermanent(err)
}

// A refusal is what the handler says of a record. Be it permanent or not, it
// concerns that record alone, which holds up its shard until it succeeds or the
// fault handler accepts it.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// failed returns what ends the run.
func (e *engine[T]) failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hopeless
}
