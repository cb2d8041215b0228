package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// A trial is how a record of a batch has fared so far.
type trial struct {
	since time.Time // its first failure on its own
	alone int       // failures of the record on its own
	err   error     // the last
}

// settle hands a batch to the handler, and again what fails, until everything in
// it is done. It returns false if it was told to stop before that; handled says
// then how far the shard is done without a gap.
//
// What fails is tried again together, for as long as some of it succeeds. When
// nothing does, one record may be to blame for all, so the parts become smaller,
// by half each time, until each record is tried alone. Behind a record that has
// failed nothing of its hash key, or partition key, is tried before it.
func (w *worker[T]) settle(ctx, work context.Context, batch []T) bool {
	open := make([]int, len(batch))
	for i := range open {
		open[i] = i
	}
	trials := make(map[int]*trial)
	part, failures := len(batch), 0
	for {
		before := len(open)
		open = w.attempt(ctx, work, batch, open, part, trials)
		open = w.giveUp(work, batch, open, trials)
		w.advance(batch, open)
		if len(open) == 0 {
			w.goesOn(work, w.id)
			return w.record(work, false)
		}
		if len(open) < before {
			failures = 0
		} else {
			part = max((min(part, before)+1)/2, 1)
		}
		failures++
		// What precedes the failure is safe before the wait.
		if !w.record(work, true) || !w.claim.valid() || ctx.Err() != nil {
			return false
		}
		if !w.pause(ctx, fmt.Sprintf("handle %d of %d records", len(open), len(batch)), failures, &refusal{trials[open[0]].err}) {
			return false
		}
	}
}

// attempt hands the open records of a batch to the handler, in parts, and returns
// those that are still open.
func (w *worker[T]) attempt(ctx, work context.Context, batch []T, open []int, part int, trials map[int]*trial) (still []int) {
	held := make(map[string]bool) // what has failed already, by what keeps its order
	for len(open) > 0 {
		var now []int
		for len(open) > 0 && len(now) < part {
			i := open[0]
			open = open[1:]
			if key := w.order(&batch[i]); key != "" && held[key] {
				still = append(still, i)
				continue
			}
			now = append(now, i)
		}
		if len(now) == 0 {
			break
		}
		if len(trials) > 0 && ctx.Err() != nil || !w.claim.valid() { // no new attempt at what has failed
			still = append(still, now...)
			for _, i := range now {
				if trials[i] == nil {
					trials[i] = &trial{since: time.Now(), err: errLost}
				}
			}
			continue
		}
		for i, err := range w.try(work, batch, now) {
			t := trials[i]
			if t == nil {
				t = &trial{since: time.Now()}
				trials[i] = t
			}
			t.err = err
			if len(now) == 1 {
				if t.alone == 0 { // nor is it as old as what it waited behind
					t.since = time.Now()
				}
				t.alone++
			}
			if key := w.order(&batch[i]); key != "" {
				held[key] = true
			}
			still = append(still, i)
		}
	}
	slices.Sort(still)
	return still
}

// try hands some records of a batch to the handler, and returns the errors of
// those that failed.
func (w *worker[T]) try(work context.Context, batch []T, indexes []int) map[int]error {
	part := batch
	if len(indexes) < len(batch) {
		part = make([]T, len(indexes))
		for k, i := range indexes {
			part[k] = batch[i]
		}
	}
	err := w.handle(work, part)
	if err == nil {
		return nil
	}
	failed := make(map[int]error)
	var named *mes.BatchError
	if errors.As(err, &named) {
		for _, failure := range named.Failures {
			if failure.Index >= 0 && failure.Index < len(indexes) {
				failed[indexes[failure.Index]] = failure.Err
			}
		}
	}
	if len(failed) == 0 { // whatever it means, nothing is known to be done
		for _, i := range indexes {
			failed[i] = err
		}
	}
	return failed
}

// giveUp hands the records that are beyond the user's bounds to the fault
// handler, and returns those that are still open.
func (w *worker[T]) giveUp(work context.Context, batch []T, open []int, trials map[int]*trial) (still []int) {
	if w.maxAttempts == 0 && w.maxAge == 0 {
		return open
	}
	for _, i := range open {
		t := trials[i]
		if t == nil { // it waits behind another one
			still = append(still, i)
			continue
		}
		age := time.Since(t.since)
		if t.alone == 0 || t.alone < w.maxAttempts || age < w.maxAge || work.Err() != nil {
			still = append(still, i)
			continue
		}
		err := fmt.Errorf("given up after %d attempts in %v: %w", t.alone, age.Round(time.Millisecond), t.err)
		if refused := w.stream.giveUp(work, w.fault(&batch[i], err)); refused != nil {
			t.err = fmt.Errorf("%w; and the fault handler did not accept it: %w", err, refused)
			still = append(still, i)
			continue
		}
		w.log(work, slog.LevelError, "a record was handed to the fault handler",
			slog.String("sequenceNumber", w.meta(&batch[i]).SequenceNumber), slog.Any("error", err))
	}
	return still
}

// advance notes how far the batch is done without a gap.
func (w *worker[T]) advance(batch []T, open []int) {
	done := len(batch)
	if len(open) > 0 {
		done = open[0]
	}
	if done > 0 {
		w.handled = w.meta(&batch[done-1]).Position()
	}
}

// record saves how far the shard is done, if that is due. It returns false if
// there is no point in going on. That it fails otherwise is no reason to stop: it
// is tried again soon.
func (w *worker[T]) record(work context.Context, now bool) bool {
	err := w.save(work, now)
	if err == nil {
		return true
	}
	if errors.Is(err, errLost) {
		return false
	}
	w.report(work, w.id, "record what is done", 1, err)
	return w.failed() == nil
}
