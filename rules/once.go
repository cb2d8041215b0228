package rules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/markers"
	"github.com/microeventstore/microeventstore/internal/pageway"
)

// The markers of a rule with Once. A claim is put if it is absent and never
// changes but for its ttl, so there is one set of bytes to publish. That it has
// been done is said by other items, one for each time until which it holds, so
// that no write can undo another one: the latest counts.
//
//	U+0001 once U+0001 rule U+0001 claim        {"rule":…,"events":["…",…]}
//	U+0001 once U+0001 rule U+0001 done <ttl>   {"rule":…,"done":true}
const (
	oncePrefix = driver.MarkerPrefix + "once" + driver.MarkerPrefix
	claimKey   = "claim"
	doneKey    = "done "
	never      = math.MaxInt64 // the ttl of what does not expire
)

func prefixOf(r *Rule) string { return oncePrefix + r.ID + driver.MarkerPrefix }

// A record is what a marker holds. It has the id and type of an event, so that
// whoever looks at the table finds nothing strange.
type record struct {
	ID     string   `json:"id"`
	Type   string   `json:"type"`
	Rule   string   `json:"rule"`
	Events []string `json:"events,omitempty"` // as text: also a table of maps keeps the bytes
}

// onces are the markers of one collation.
type onces struct {
	store   *mes.Store
	absent  driver.PutIfAbsent
	hashKey string
	cache   *markers.Cache
}

// A state is how far a rule has come. Expired markers are absent.
type state struct {
	done    int64 // until when it is known to be done; 0: it is not
	pending *driver.Item
}

// applyOnce evaluates a rule that emits once for a collation.
func (p *pass) applyOnce(ctx context.Context, r *Rule, v *view) error {
	for i := range p.claims {
		if p.claims[i].rule == r {
			return nil // by an earlier change of this pass
		}
	}
	s, err := p.once.state(ctx, r)
	if err != nil {
		return err
	}
	switch {
	case s.done != 0:
		return p.once.renew(ctx, r, s.done, v.latest())
	case s.pending != nil:
		return p.resume(ctx, r, s.pending, v.latest())
	case v.gone:
		return nil
	}
	events, err := p.decide(ctx, r, v)
	if err != nil || len(events) == 0 {
		return err
	}
	ttl := v.latest()
	if w := r.window(); w != (mes.Window{}) {
		// What lies outside of the window may live longer than what is in it.
		if ttl, err = p.once.latestOfAll(ctx, ttl); err != nil {
			return err
		}
	}
	s, err = p.once.claim(ctx, r, events, roundUp(ttl))
	switch {
	case err != nil:
		return err
	case s.done != 0:
		return p.once.renew(ctx, r, s.done, ttl)
	}
	return p.resume(ctx, r, s.pending, ttl)
}

// resume publishes the events of a claim, be it this pass's own or not.
func (p *pass) resume(ctx context.Context, r *Rule, item *driver.Item, ttl int64) error {
	events, err := eventsOf(item)
	if err != nil {
		return err
	}
	// It must not expire before its events are sent, however long that may take.
	soon := time.Now().Add(day).Unix()
	if until := untilOf(item.TTL); until < max(ttl, soon) {
		longer := *item
		longer.TTL = ttlOf(roundUp(ttl))
		if err := p.once.put(ctx, longer); err != nil {
			return err
		}
		item = &longer
	}
	p.claims = append(p.claims, claim{rule: r, ttl: max(untilOf(item.TTL), roundUp(ttl))})
	p.add(events, len(p.claims)-1)
	return nil
}

// latest is when the last of the events expires that the change sees.
func (v *view) latest() int64 {
	if v.last == 0 {
		if !v.bare {
			v.last = expiryOf(&v.m.Current)
		}
		for i := range v.m.Events {
			v.last = max(v.last, expiryOf(&v.m.Events[i]))
		}
	}
	return v.last
}

// latestOfAll reads the whole collation, page by page.
func (o *onces) latestOfAll(ctx context.Context, ttl int64) (int64, error) {
	for e, err := range o.store.Events(ctx, o.hashKey) {
		if err != nil {
			return 0, err
		}
		ttl = max(ttl, expiryOf(&e))
	}
	return ttl, nil
}

func expiryOf(e *mes.Event) int64 {
	if e.Expires.IsZero() {
		return never
	}
	return e.Expires.Unix()
}

// roundUp makes a marker outlive what it is for by one to two days: longer than a
// stream delivers a change again, and so that it needs to be renewed once a day
// at most. What has expired already, which is handled late, counts as of now.
func roundUp(ttl int64) int64 {
	const seconds = int64(day / time.Second)
	ttl = max(ttl, time.Now().Unix())
	if ttl > never-2*seconds {
		return never
	}
	return (ttl/seconds + 2) * seconds
}

const day = 24 * time.Hour

func ttlOf(until int64) int64 {
	if until == never {
		return 0
	}
	return until
}

func untilOf(ttl int64) int64 {
	if ttl == 0 {
		return never
	}
	return ttl
}

// state finds out how far a rule has come, from what the read of the history came
// by, or else by a read of the markers of all rules.
func (o *onces) state(ctx context.Context, r *Rule) (state, error) {
	items, known := o.cache.Get(prefixOf(r))
	if !known {
		if _, known = o.cache.Get(oncePrefix); !known {
			if err := o.read(ctx, oncePrefix); err != nil {
				return state{}, err
			}
		}
		items, _ = o.cache.Get(prefixOf(r))
	}
	return stateOf(items), nil
}

func stateOf(items []driver.Item) state {
	var s state
	now := time.Now()
	for i := range items {
		item := &items[i]
		if item.Expired(now) {
			continue
		}
		switch _, kind, _ := strings.Cut(item.RangeKey[len(oncePrefix):], driver.MarkerPrefix); {
		case kind == claimKey:
			s.pending = item
		case strings.HasPrefix(kind, doneKey):
			s.done = max(s.done, untilOf(item.TTL))
		}
	}
	return s
}

// read reads the markers that begin with a prefix.
func (o *onces) read(ctx context.Context, prefix string) error {
	var items []driver.Item
	var way pageway.Way
	query := driver.Query{HashKey: o.hashKey, From: prefix, To: prefix + "\U0010FFFF", Consistent: true}
	for {
		page, err := o.store.Table().Query(ctx, query)
		if err != nil {
			return fmt.Errorf("read the markers: %w", err)
		}
		if err := way.Check(&query, &page); err != nil {
			return fmt.Errorf("read the markers: %w: %w", mes.ErrCorrupt, err)
		}
		for _, item := range page.Items {
			if strings.HasPrefix(item.RangeKey, prefix) {
				items = append(items, item)
			}
		}
		if page.Next == "" {
			o.cache.Know(prefix, items)
			return nil
		}
		query.Cursor = page.Next
	}
}

// claim puts a claim if there is none, and returns the state then: with a claim,
// which may be another's, or done.
func (o *onces) claim(ctx context.Context, r *Rule, events []mes.Event, until int64) (state, error) {
	texts := make([]string, len(events))
	for i := range events {
		texts[i] = string(events[i].Raw)
	}
	item, err := o.item(r, claimKey, until, texts)
	if err != nil {
		return state{}, err
	}
	const tries = 3 // a claim that was in the way and has gone is rare enough
	for range tries {
		err := o.absent.PutIfAbsent(ctx, []driver.Item{item})
		switch {
		case err == nil:
			o.cache.Set(item)
			return state{pending: &item}, nil
		case errors.Is(err, driver.ErrInvalidItem):
			return state{}, mes.Permanent(refused(&item, err))
		case !errors.Is(err, driver.ErrConflict):
			return state{}, fmt.Errorf("put the marker: %w", err)
		}
		if err := o.read(ctx, prefixOf(r)); err != nil {
			return state{}, err
		}
		items, _ := o.cache.Get(prefixOf(r))
		if s := stateOf(items); s.done != 0 || s.pending != nil {
			return s, nil
		}
	}
	return state{}, errors.New("put the marker: it is taken, and gone when it is looked at; try again")
}

// refused says why a table can never store a claim. A table's own advice is for the
// events of users, which a projection makes smaller.
func refused(item *driver.Item, err error) error {
	const what = "Once: the events cannot be recorded before they are published"
	if size := item.Size(); size > driver.MaxItemSize {
		return fmt.Errorf("%s: together they make an item of %d bytes, and one can be at most %d; emit fewer or smaller ones, or without Once: %w",
			what, size, driver.MaxItemSize, driver.ErrInvalidItem)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// renew sees to it that a rule that is done stays so for as long as the collation.
func (o *onces) renew(ctx context.Context, r *Rule, until, ttl int64) error {
	if until >= ttl {
		return nil
	}
	return o.done(ctx, []claim{{rule: r, ttl: roundUp(ttl)}})
}

// done writes down that the events of rules have been published.
func (o *onces) done(ctx context.Context, rules []claim) error {
	if len(rules) == 0 {
		return nil
	}
	items := make([]driver.Item, len(rules))
	for i, c := range rules {
		var err error
		if items[i], err = o.item(c.rule, fmt.Sprintf("%s%020d", doneKey, c.ttl), c.ttl, nil); err != nil {
			return err
		}
	}
	return o.put(ctx, items...)
}

func (o *onces) put(ctx context.Context, items ...driver.Item) error {
	if err := o.store.Table().Put(ctx, items); err != nil {
		return fmt.Errorf("put the marker: %w", err)
	}
	for _, item := range items {
		o.cache.Set(item)
	}
	return nil
}

func (o *onces) item(r *Rule, kind string, until int64, events []string) (driver.Item, error) {
	raw, err := json.Marshal(record{ID: "once." + r.ID, Type: "rule-" + strings.TrimSpace(kind[:len(doneKey)]), Rule: r.ID, Events: events})
	if err != nil {
		return driver.Item{}, err
	}
	return driver.Item{HashKey: o.hashKey, RangeKey: prefixOf(r) + kind, Event: raw, TTL: ttlOf(until)}, nil
}

// eventsOf returns the events of a claim.
func eventsOf(item *driver.Item) ([]mes.Event, error) {
	var record record
	if err := json.Unmarshal(item.Event, &record); err != nil || len(record.Events) == 0 {
		return nil, fmt.Errorf("%w: a marker does not hold the events to publish", mes.ErrCorrupt)
	}
	events := make([]mes.Event, len(record.Events))
	for i, text := range record.Events {
		var err error
		if events[i], err = mes.Parse([]byte(text)); err != nil {
			return nil, fmt.Errorf("%w: a marker does not hold the events to publish: %w", mes.ErrCorrupt, err)
		}
	}
	return events, nil
}
