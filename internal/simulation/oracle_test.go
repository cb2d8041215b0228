package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// counts are what must not be.
type counts struct {
	Lost           int // an event that is nowhere
	Doubled        int // a change of the table without a change of an event, or a second item
	OutOfOrder     int // a history, or the calls of one key within an invocation
	Incomplete     int // a history that lacks something, or has what is not in it
	WrongResponse  int // names what is done, or what is not in the batch
	Unhandled      int // acknowledged without having been stored or handled
	Overrun        int // not back at the deadline
	WrongItem      int // in the table: another place, another TTL, other bytes
	WronglyAside   int // given to the fault handler, though it was not the record's fault
	Stuck          int // never acknowledged, although everything works again
	Leaked         int // a payload, a key or a credential in a text
	descriptions   []string
	descriptionsMu sync.Mutex
}

func (c *counts) total() int {
	return c.Lost + c.Doubled + c.OutOfOrder + c.Incomplete + c.WrongResponse + c.Unhandled + c.Overrun +
		c.WrongItem + c.WronglyAside + c.Stuck + c.Leaked
}

func (c *counts) add(o *counts) {
	c.Lost += o.Lost
	c.Doubled += o.Doubled
	c.OutOfOrder += o.OutOfOrder
	c.Incomplete += o.Incomplete
	c.WrongResponse += o.WrongResponse
	c.Unhandled += o.Unhandled
	c.Overrun += o.Overrun
	c.WrongItem += o.WrongItem
	c.WronglyAside += o.WronglyAside
	c.Stuck += o.Stuck
	c.Leaked += o.Leaked
}

// totals are what happened.
type totals struct {
	events, published   atomic.Int64
	records, changes    atomic.Int64 // deliveries
	redelivered         atomic.Int64
	invocations         atomic.Int64
	crashes, deadlines  atomic.Int64
	partial             atomic.Int64 // responses
	calls, faulted      atomic.Int64 // of the table
	handled, handlerBad atomic.Int64
	asides              atomic.Int64
	eventsHandedOver    atomic.Int64
}

// An item of the table as the oracle has seen it change.
type item struct {
	hashKey string
	id      string
	states  []state
	wrote   map[*event]int // the last write of each version, also one that changed nothing
	given   int            // the last history that had it
}

// A state holds from a write until the next.
type state struct {
	since    int // number of the write
	event    *event
	rangeKey string
	gone     bool
	late     bool // a cache need not know of it: see oracle.isLate
}

func (i *item) now() state {
	if len(i.states) == 0 {
		return state{gone: true}
	}
	return i.states[len(i.states)-1]
}

// at is the state after the first n writes.
func (i *item) at(n int) state {
	for at := len(i.states) - 1; at >= 0; at-- {
		if i.states[at].since < n {
			return i.states[at]
		}
	}
	return state{gone: true}
}

// held tells whether an event was in the item at any time since the first n
// writes.
func (i *item) held(e *event, n int) bool {
	for at := len(i.states) - 1; at >= 0; at-- {
		if i.states[at].event == e && !i.states[at].gone {
			return true
		}
		if i.states[at].since < n {
			return false
		}
	}
	return false
}

// wasGone tells whether the item was not there at any time since the first n
// writes.
func (i *item) wasGone(n int) bool {
	for at := len(i.states) - 1; at >= 0; at-- {
		if i.states[at].gone {
			return true
		}
		if i.states[at].since < n {
			return false
		}
	}
	return true
}

// wasExpired tells whether an event that was in the item at any time since the
// first n writes has expired.
func (i *item) wasExpired(n int, now time.Time) bool {
	for at := len(i.states) - 1; at >= 0; at-- {
		if e := i.states[at].event; e != nil && e.expired(now) {
			return true
		}
		if i.states[at].since < n {
			return false
		}
	}
	return false
}

// expiredOnce tells whether any event that was in the item has expired.
func (i *item) expiredOnce(now time.Time) bool {
	return slices.ContainsFunc(i.states, func(s state) bool { return s.event != nil && s.event.expired(now) })
}

type itemID struct{ hashKey, id string }

// The oracle watches the table and everything that is acknowledged.
type oracle struct {
	counts
	server *fakedynamodb.Server
	config *config

	mu     sync.Mutex
	writes int // that were looked at
	byRaw  map[string]*event
	items  map[itemID]*item
	keys   map[string][]*item
	newest map[string]time.Time // that any event under a hash key happened
	calls  int                  // of handlers
	feeds  map[string]feed      // by the table that has its checkpoints

	// Of replicas, which have no invocations:
	verified map[string]int  // records of a shard that were found to be done
	handled  map[string]bool // changes for which the handler succeeded
	aside    map[*event]bool // by the fault handler

	trace *[]string // of everything that happened, to the nanosecond; nil where nobody compares
}

func newOracle(server *fakedynamodb.Server, config *config, events []*event) *oracle {
	o := &oracle{
		server: server, config: config, byRaw: make(map[string]*event, len(events)),
		items: make(map[itemID]*item), keys: make(map[string][]*item), newest: make(map[string]time.Time),
		verified: make(map[string]int), handled: make(map[string]bool), aside: make(map[*event]bool),
	}
	for _, e := range events {
		o.byRaw[e.raw] = e
	}
	return o
}

// note adds what happened, and when, to the trace.
func (o *oracle) note(what string, about ...uint64) {
	if o.trace != nil {
		*o.trace = append(*o.trace, fmt.Sprintf("%s %s %x", time.Now().Format("15:04:05.000000000"), what, about))
	}
}

// violated counts what must not be and describes the first few.
func (o *oracle) violated(count *int, format string, args ...any) {
	o.descriptionsMu.Lock()
	defer o.descriptionsMu.Unlock()
	*count++
	if len(o.descriptions) < 10 {
		o.descriptions = append(o.descriptions, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// sync looks at what was written since, and returns how many writes there were.
// o.mu is held.
func (o *oracle) sync() int {
	for _, w := range o.server.AppliedFrom(o.writes) {
		o.write(o.writes, w)
		o.writes++
	}
	return o.writes
}

// began notes the beginning of an invocation.
func (o *oracle) began() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sync()
}

func (o *oracle) write(n int, w fakedynamodb.Applied) {
	if f := o.feeds[w.Table]; f != nil {
		if !w.Removed {
			o.checkpointed(f, w.Image.Text("leaseKey"), w.Image.Text("checkpoint"))
		}
		return
	}
	hashKey, rangeKey := w.Image.Text("partitionKey"), w.Image.Text("eventId")
	o.note("write", text(hashKey), text(rangeKey), text(w.Image.Text("event")))
	if w.Removed {
		for _, i := range o.keys[hashKey] {
			if now := i.now(); !now.gone && now.rangeKey == rangeKey {
				i.states = append(i.states, state{since: n, gone: true, late: o.isLate(hashKey, now.event)})
			}
		}
		return
	}
	e := o.byRaw[w.Image.Text("event")]
	switch {
	case e == nil:
		o.violated(&o.WrongItem, "the item %q/%q holds no event that was published", hashKey, rangeKey)
		return
	case e.class != good:
		o.violated(&o.WrongItem, "event %d is stored, though its class is %d", e.n, e.class)
		return
	case !slices.Contains(e.keys, hashKey):
		o.violated(&o.WrongItem, "event %d is stored under %q, where it does not belong", e.n, hashKey)
		return
	}
	ttl, typ, at := w.Image.Text("ttl"), w.Image.Text("type"), w.Image.Text("timestamp")
	if ttl != strconv.FormatInt(e.ttl(), 10) || typ != e.typ || at != strconv.FormatInt(e.at.UnixMilli(), 10) {
		o.violated(&o.WrongItem, "event %d is stored with ttl %s (it is %d), type %q, timestamp %s", e.n, ttl, e.ttl(), typ, at)
	}
	key := itemID{hashKey, e.id}
	i := o.items[key]
	if i == nil {
		i = &item{hashKey: hashKey, id: e.id, wrote: make(map[*event]int)}
		o.items[key] = i
		o.keys[hashKey] = append(o.keys[hashKey], i)
	}
	before := i.now()
	if !before.gone && before.rangeKey != rangeKey {
		o.violated(&o.Doubled, "event %d is stored twice under %q", e.n, hashKey)
	}
	i.wrote[e] = n
	e.setItem(i)
	if w.Changed {
		if !before.gone && before.event == e {
			o.violated(&o.Doubled, "event %d was written again under %q and is another item", e.n, hashKey)
		}
		i.states = append(i.states, state{since: n, event: e, rangeKey: rangeKey, late: o.isLate(hashKey, e)})
	}
	if e.at.After(o.newest[hashKey]) {
		o.newest[hashKey] = e.at
	}
}

// isLate tells whether what happens to an event in the table does so when a history
// cache no longer looks that far back: it is promised nothing then, unless it is
// given the change.
func (o *oracle) isLate(hashKey string, e *event) bool {
	return o.config.cache > 0 && o.newest[hashKey].Sub(e.at) >= o.config.lateness
}

// wasLate tells whether a cache may have the item as it was before.
func (i *item) wasLate() bool {
	return slices.ContainsFunc(i.states, func(s state) bool { return s.late })
}

// item is what the oracle has seen of an event under one of its keys, nil if it was
// never written there.
func (e *event) item(hashKey string) *item {
	for _, i := range e.items {
		if i.hashKey == hashKey {
			return i
		}
	}
	return nil
}

func (e *event) setItem(i *item) {
	if e.item(i.hashKey) == nil {
		e.items = append(e.items, i)
	}
}

// end looks at the table when all is over.
func (o *oracle) end(published []*event, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sync()
	last := make(map[itemID]*event)
	for _, e := range published {
		if e.class != good {
			continue
		}
		for _, hashKey := range e.keys {
			key := itemID{hashKey, e.id}
			if before := last[key]; before == nil || before.version < e.version {
				last[key] = e
			}
		}
	}
	for key, e := range last {
		i := o.items[key]
		switch {
		case i == nil:
			o.violated(&o.Lost, "event %d was never stored under %q", e.n, key.hashKey)
		case e.erasable:
		case o.config.insertOnce && i.expiredOnce(now): // what came second was set aside
		case i.now().gone && !e.expired(now):
			o.violated(&o.Lost, "event %d is no longer under %q", e.n, key.hashKey)
		case !i.now().gone && i.now().event != e && !o.config.insertOnce:
			o.violated(&o.Lost, "version %d of event %d lies over version %d", i.now().event.version, e.n, e.version)
		case o.config.insertOnce && !i.now().gone && i.states[0].event != i.now().event:
			o.violated(&o.Lost, "the first version of event %d did not stay", e.n)
		}
	}
}
