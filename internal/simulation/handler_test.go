package simulation

import (
	"context"
	"errors"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

var (
	errHopeless = errors.New("the handler will never like this event")
	errHandler  = errors.New("the handler failed")
)

// handle is the user's handler: it takes a while, fails now and then, panics now
// and then, and says of some events that there is no hope.
func (w *world) handle(ctx context.Context, m *mes.MicroEventStore) error {
	inv, r := invocationOf(ctx), replicaOf(ctx)
	if r != nil {
		inv = r.call(m)
	}
	if inv == nil {
		w.oracle.violated(&w.oracle.WrongResponse, "the handler was called with another context")
		return nil
	}
	fired := w.oracle.called(inv, m)
	about := []uint64{inv.id, text(m.HashKey), text(m.Current.RangeKey)}
	d := dice(w.dice.roll(append(about, aboutHandler)...))
	err := func() error {
		pause := time.NewTimer(d.between(time.Microsecond, w.config.handlerTime, 1))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, e := range m.New {
			if source := w.oracle.source(e.Raw); source != nil && source.hopeless {
				return mes.Permanent(errHopeless)
			}
		}
		switch {
		case w.weather.healed.Load():
		case in(w.handlerDown, time.Now()), d.hit(w.config.handlerFails, 2):
			return errHandler
		case d.hit(0.004, 3):
			return errPanic
		}
		return nil
	}()
	if r != nil && r.dead() {
		return errHandler
	}
	w.oracle.calledBack(inv, m, fired, err)
	if r != nil && err == nil {
		w.oracle.mu.Lock()
		for _, e := range m.New {
			w.oracle.handled[m.HashKey+"\x00"+e.RangeKey] = true
		}
		w.oracle.mu.Unlock()
	}
	if errors.Is(err, errPanic) {
		panic("a handler that panics, with a " + canary)
	}
	return err
}

var errPanic = errors.New("it will panic")

func (o *oracle) source(raw []byte) *event { return o.byRaw[string(raw)] }

// called checks what the handler is given, and returns the indexes of the changes
// that it is called for.
func (o *oracle) called(inv *invocation, m *mes.MicroEventStore) (fired []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sync()
	inv.mu.Lock()
	defer inv.mu.Unlock()
	now := time.Now()
	o.note("call", inv.id, text(m.HashKey), uint64(len(m.Events)))
	inv.world.totals.eventsHandedOver.Add(int64(len(m.Events)))

	of := inv.calls[m.HashKey]
	if of == nil {
		of = &calls{last: -1}
		inv.calls[m.HashKey] = of
	}
	switch {
	case of.busy:
		o.violated(&o.OutOfOrder, "two calls for %q at once", m.HashKey)
	case of.failed:
		o.violated(&o.OutOfOrder, "a call for %q after one that failed", m.HashKey)
	}
	of.busy = true

	// Which changes is it for?
	next := of.last + 1
	for _, e := range m.New {
		at := -1
		for i := next; i < len(inv.batch); i++ {
			c := inv.batch[i].change
			if c != nil && c.hashKey == m.HashKey && c.rangeKey == e.RangeKey && o.config.fires(c) {
				at = i
				break
			}
		}
		if at < 0 {
			o.violated(&o.OutOfOrder, "a call for %q that is not the next", m.HashKey)
			continue
		}
		fired = append(fired, at)
		of.last, next = at, at+1
	}
	if len(m.New) == 0 || !inv.instance.coalesce && len(m.New) != 1 || m.New[len(m.New)-1].RangeKey != m.Current.RangeKey {
		o.violated(&o.Incomplete, "%d new events, of which the last is not the current one", len(m.New))
	}
	o.history(inv, m, now)
	return fired
}

// history checks that it is complete, in order, and holds nothing else.
func (o *oracle) history(inv *invocation, m *mes.MicroEventStore, now time.Time) {
	o.calls++
	current := false
	var before *event
	for n := range m.Events {
		e := o.source(m.Events[n].Raw)
		if e == nil {
			o.violated(&o.Incomplete, "the history of %q has an event that nobody published", m.HashKey)
			return
		}
		i := e.item(m.HashKey)
		switch {
		case i == nil || !i.held(e, inv.began) && !i.wasLate():
			o.violated(&o.Incomplete, "the history of %q has event %d, which is not in the table", m.HashKey, e.n)
		case m.Events[n].ID != e.id || m.Events[n].Type != e.typ || !m.Events[n].Timestamp.Equal(e.at) || m.Events[n].PartitionKey != e.partition:
			o.violated(&o.Incomplete, "event %d was handed over as another", e.n)
		case i.given == o.calls:
			o.violated(&o.Incomplete, "the history of %q has event %d twice", m.HashKey, e.n)
		case e.expired(inv.start()):
			o.violated(&o.Incomplete, "the history of %q has event %d, which has expired", m.HashKey, e.n)
		}
		if before != nil && !o.config.inOrder(before, e) || n > 0 && m.Events[n-1].RangeKey >= m.Events[n].RangeKey {
			o.violated(&o.OutOfOrder, "in the history of %q, event %d stands behind event %d", m.HashKey, e.n, before.n)
		}
		before = e
		if i != nil {
			i.given = o.calls
		}
		current = current || m.Events[n].RangeKey == m.Current.RangeKey
	}
	if !current {
		o.violated(&o.Incomplete, "the history of %q does not have the event that fired", m.HashKey)
	}
	for _, i := range o.keys[m.HashKey] {
		was := i.at(inv.began)
		// A version that has expired may have lain over it for a while.
		if was.gone || i.given == o.calls || i.wasGone(inv.began) || i.wasExpired(inv.began, now) || i.wasLate() {
			continue
		}
		o.violated(&o.Incomplete, "the history of %q lacks event %d", m.HashKey, was.event.n)
	}
}

func (inv *invocation) start() time.Time { return inv.deadline.Add(-inv.world.timeout()) }

// calledBack notes what the handler made of it.
func (o *oracle) calledBack(inv *invocation, m *mes.MicroEventStore, fired []int, err error) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	of := inv.calls[m.HashKey]
	of.busy = false
	switch {
	case err == nil:
		inv.world.totals.handled.Add(int64(len(fired)))
		for _, i := range fired {
			inv.success[i] = true
		}
	case !errors.Is(err, errHopeless):
		inv.world.totals.handlerBad.Add(1)
		of.failed = true
	default:
		// The fault handler may not take it, and then it has failed.
		of.failed = inv.refusesAny(fired)
	}
}

// refusesAny foretells whether the fault handler will refuse one of the changes.
func (inv *invocation) refusesAny(indexes []int) bool {
	for _, i := range indexes {
		if inv.world.dice.hit(0.2, aboutFaultHandler, inv.id, uint64(i)) && !inv.world.weather.healed.Load() {
			return true
		}
	}
	return false
}
