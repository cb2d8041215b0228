package simulation

import (
	"context"
	"errors"
	"sync"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/backoff"
)

// An invocation is one call of a function with a batch.
type invocation struct {
	world    *world
	instance *instance
	id       uint64
	batch    []record
	deadline time.Time // when the function is to be back
	began    int       // writes there were
	spoiled  int64     // faults of the instance's network there were

	mu       sync.Mutex
	accepted map[part]bool     // by the fault handler
	refused  map[int]bool      // by the fault handler
	calls    map[string]*calls // of the handler, by hash key
	success  map[int]bool      // changes for which the handler returned nil
}

// A part is one event of a record.
type part struct{ index, sub int }

// calls of the handler for one hash key.
type calls struct {
	busy   bool
	last   int // index of the last change
	failed bool
}

type invocationKey struct{}

func invocationOf(ctx context.Context) *invocation {
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	return inv
}

// response is what the event source mapping gets to see.
type response struct {
	err    bool // the function failed, or is no more
	lowest int  // index of the first record to deliver again; len(batch) if all are done
}

// invoke calls a function with a batch.
func (p *poller) invoke(ctx context.Context, batch []record, about uint64) response {
	w := p.world
	d := dice(w.dice.roll(aboutCrash, about, uint64(time.Now().UnixNano())))
	instance := p.take()
	inv := &invocation{
		world: w, instance: instance, id: d.roll(1), batch: batch, deadline: time.Now().Add(p.timeout),
		accepted: make(map[part]bool), refused: make(map[int]bool), calls: make(map[string]*calls), success: make(map[int]bool),
	}
	w.totals.invocations.Add(1)
	if p.kind == "kinesis" {
		w.totals.records.Add(int64(len(batch)))
	} else {
		w.totals.changes.Add(int64(len(batch)))
	}
	inv.began = w.oracle.began()
	inv.spoiled = instance.network.spoiled.Load()

	ctx, cancel := context.WithDeadline(ctx, inv.deadline)
	defer cancel()
	ctx = context.WithValue(ctx, invocationKey{}, inv)
	ctx = backoff.Drawn(ctx, func(most time.Duration) time.Duration {
		return w.dice.between(0, most+1, aboutWait, inv.id, uint64(time.Now().UnixNano()))
	})
	crash := make(<-chan time.Time)
	if !w.weather.healed.Load() && d.hit(w.config.crashes, 2) {
		timer := time.NewTimer(d.between(0, []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 3 * time.Second}[d.below(3, 4)], 3))
		defer timer.Stop()
		crash = timer.C
	}
	type outcome struct {
		answer
		back time.Time
	}
	done := make(chan outcome, 1)
	go func() {
		answer := instance.serve(ctx, p.kind, batch)
		done <- outcome{answer, time.Now()}
	}()
	select {
	case <-crash:
		w.totals.crashes.Add(1)
		close(instance.network.dead)
		cancel()
		<-done // what is left of it touches nothing any more
		return response{err: true}
	case o := <-done:
		if ctx.Err() != nil {
			w.totals.deadlines.Add(1)
		}
		r := w.oracle.returned(inv, o.answer, o.back)
		p.give(instance)
		return r
	}
}

// returned judges what an invocation came to.
func (o *oracle) returned(inv *invocation, a answer, back time.Time) response {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sync()
	inv.mu.Lock()
	defer inv.mu.Unlock()
	o.note("return", inv.id, uint64(len(a.failures)))
	if back.After(inv.deadline) {
		o.violated(&o.Overrun, "back %v after the deadline", back.Sub(inv.deadline))
		return response{err: true}
	}
	if a.wrong != "" {
		o.violated(&o.WrongResponse, "%s", a.wrong)
		return response{err: true}
	}
	named := make(map[int]bool, len(a.failures))
	for n, i := range a.failures {
		if i < 0 || i >= len(inv.batch) || n > 0 && i <= a.failures[n-1] {
			o.violated(&o.WrongResponse, "failure %d of %d names record %d of %d", n, len(a.failures), i, len(inv.batch))
			return response{err: true}
		}
		named[i] = true
	}
	lowest := len(inv.batch)
	if len(a.failures) > 0 {
		lowest = a.failures[0]
		inv.world.totals.partial.Add(1)
	}
	cause := inv.instance.network.spoiled.Load() != inv.spoiled || inv.timeIsUp(back)
	for i := range inv.batch {
		switch {
		case a.lowest && i > lowest: // it comes again, whatever became of it
		case !named[i]:
			if why := o.undone(inv, i); why != "" {
				o.violated(&o.Unhandled, "a record counts as done, but %s", why)
			}
		case !cause && !o.mayFail(inv, i):
			o.violated(&o.WrongResponse, "%s is named, and nothing had gone wrong with it", inv.batch[i])
		}
	}
	return response{lowest: lowest}
}

// timeIsUp tells whether the margin before the deadline had begun.
func (inv *invocation) timeIsUp(now time.Time) bool {
	return !now.Before(inv.deadline.Add(-max(time.Second, inv.world.config.timeout/8)))
}

// mayFail tells whether a record had a reason of its own.
func (o *oracle) mayFail(inv *invocation, i int) bool {
	if inv.refused[i] {
		return true
	}
	if c := inv.batch[i].change; c != nil {
		calls := inv.calls[c.hashKey]
		return calls != nil && calls.failed
	}
	return false
}

// undone says why a record is not done, "" if it is.
func (o *oracle) undone(inv *invocation, i int) string {
	if c := inv.batch[i].change; c != nil {
		if inv.accepted[part{index: i}] {
			return ""
		}
		return o.changeUndone(inv, i, c)
	}
	for sub, e := range inv.batch[i].events {
		if inv.accepted[part{i, sub}] {
			continue
		}
		switch e.class {
		case filtered, tooOld:
			continue
		case poison:
			return "its event can never be stored"
		}
		for _, hashKey := range e.keys {
			if !o.stored(inv, e, hashKey) {
				return "its event was not stored under " + hashKey
			}
		}
	}
	return ""
}

// stored tells whether an invocation has seen to it that an event is stored.
func (o *oracle) stored(inv *invocation, e *event, hashKey string) bool {
	i := o.items[itemID{hashKey, e.id}]
	if i == nil {
		return false
	}
	if o.config.insertOnce { // what is there already is not written
		return i.held(e, inv.began) || e.erasable && i.wasGone(inv.began)
	}
	for other, n := range i.wrote {
		// Of several in one batch the last is written.
		if n >= inv.began && other.version >= e.version {
			return true
		}
	}
	return false
}

func (o *oracle) changeUndone(inv *invocation, i int, c *change) string {
	if !o.config.fires(c) || inv.success[i] {
		return ""
	}
	for _, item := range o.keys[c.hashKey] {
		if item.at(inv.began).rangeKey == c.rangeKey || item.now().rangeKey == c.rangeKey {
			if item.now().gone || item.wasGone(inv.began) || item.wasExpired(inv.began, time.Now()) {
				return ""
			}
			return "the handler has not succeeded for it"
		}
	}
	return "" // gone for long
}

// setAside is the user's fault handler.
func (w *world) setAside(ctx context.Context, fault mes.Fault) error {
	if r := replicaOf(ctx); r != nil {
		return r.setAside(fault)
	}
	inv := invocationOf(ctx)
	if inv == nil {
		w.oracle.violated(&w.oracle.WronglyAside, "the fault handler was called with another context")
		return nil
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	index, sub := -1, 0
	for i := range inv.batch {
		r := &inv.batch[i]
		switch {
		case fault.Record != nil && r.change == nil && r.sequence == fault.Record.Meta.SequenceNumber:
			index, sub = i, int(fault.Record.Meta.SubSequence)
		case fault.Change != nil && r.change != nil && r.sequence == fault.Change.Meta.SequenceNumber:
			index = i
		}
	}
	if index < 0 || inv.batch[index].change == nil && sub >= len(inv.batch[index].events) {
		w.oracle.violated(&w.oracle.WronglyAside, "a fault that is not in the batch")
		return nil
	}
	w.leaks("fault", fault.Err)
	if inv.batch[index].change == nil {
		e := inv.batch[index].events[sub]
		taken := w.config.insertOnce && errors.Is(fault.Err, mes.ErrConflict)
		if e.class != poison && !taken {
			w.oracle.violated(&w.oracle.WronglyAside, "event %d was set aside: %v", e.n, fault.Err)
		}
	} else if !errors.Is(fault.Err, errHopeless) {
		w.oracle.violated(&w.oracle.WronglyAside, "a change was set aside: %v", fault.Err)
	}
	if w.dice.hit(0.2, aboutFaultHandler, inv.id, uint64(index)) && !w.weather.healed.Load() {
		inv.refused[index] = true
		return errRefused
	}
	w.totals.asides.Add(1)
	inv.accepted[part{index, sub}] = true
	return nil
}

var errRefused = errors.New("the fault handler has no time")
