package runner

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// A run that was cut off still gets drainGrace to record what is done, and then
// cutGrace for its calls to come back. The cut comes a little before a call that was
// begun with it would end by itself: of two that come at one instant, chance would
// decide which one it was.
const (
	drainGrace = callTimeout - 10*time.Millisecond
	cutGrace   = time.Second
)

// A DrainError says that a run ended before everything that was in hand had been
// dealt with: it took too long, or what was done could not be recorded, or a lease
// not be given back. Nothing is lost: what was not recorded as done is handled
// again by whoever reads the shard next. A handler that ignores its context may
// still be running.
type DrainError struct {
	Timeout time.Duration // of the drain: see WithDrainTimeout
	Shards  []string      // those that were not done in time, sorted
}

func (e *DrainError) Error() string {
	return fmt.Sprintf("the drain, of %v at most, was not complete: shards %s were cut off, or what was done could not be recorded", e.Timeout, strings.Join(e.Shards, ", "))
}

// drain waits until the workers, which have been told to stop, have recorded what
// they have done. When that takes too long, it aborts what they do, and in the end
// cuts what they record: a call that hangs must not outlive the run.
func (e *engine[T]) drain(abort, cut context.CancelFunc) error {
	timer := time.NewTimer(e.drainTimeout)
	defer timer.Stop()
	late := e.await(timer)
	for _, id := range late {
		e.logger.Warn("a shard is cut off, since the drain takes too long", slog.String("shard", id))
	}
	if len(late) > 0 {
		abort()
		timer.Reset(drainGrace)
		e.await(timer)
		cut()
		timer.Reset(cutGrace)
		e.await(timer)
	}
	for id, w := range e.workers {
		select {
		case <-w.done:
			if !w.recorded && e.failed() == nil && !slices.Contains(late, id) {
				late = append(late, id)
			}
		default:
		}
	}
	if len(late) == 0 {
		return nil
	}
	slices.Sort(late)
	return &DrainError{Timeout: e.drainTimeout, Shards: late}
}

// await waits for the workers until the timer fires, and returns the shards of
// those that have not ended.
func (e *engine[T]) await(timer *time.Timer) (late []string) {
	fired := false
	for id, w := range e.workers {
		if !fired {
			select {
			case <-w.done:
			case <-timer.C:
				fired = true
			}
		}
		select {
		case <-w.done: // be it at the same time
		default:
			late = append(late, id)
		}
	}
	slices.Sort(late)
	return late
}
