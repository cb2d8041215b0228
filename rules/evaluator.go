package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// An Evaluator evaluates rules over the histories of a store. It is safe for use
// by many goroutines at once.
type Evaluator struct {
	store     *mes.Store
	absent    driver.PutIfAbsent // nil: no rule needs it
	publisher mes.Publisher
	rules     []Rule
	source    string
}

// An Option configures an Evaluator. Options come from this package alone.
type Option interface{ apply(*Evaluator) error }

type option func(*Evaluator) error

func (o option) apply(e *Evaluator) error { return o(e) }

// WithSource sets the tag "source" of every emitted event, which [mes.NotFrom]
// knows this service's own events by. "", the default, sets none.
func WithSource(source string) Option {
	return option(func(e *Evaluator) error {
		e.source = source
		return nil
	})
}

// New returns an evaluator of rules. The publisher may be nil if no rule emits.
// All that is wrong with the rules is in one error.
func New(store *mes.Store, publisher mes.Publisher, rules []Rule, opts ...Option) (*Evaluator, error) {
	e := &Evaluator{store: store, publisher: publisher, rules: slices.Clone(rules)}
	var errs []error
	wrong := func(format string, values ...any) { errs = append(errs, fmt.Errorf(format, values...)) }
	if f, ok := publisher.(mes.PublisherFunc); ok && f == nil {
		publisher = nil
	}
	if store.Table() == nil {
		wrong("the store is nil or empty")
	}
	if len(rules) == 0 {
		wrong("there are no rules")
	}
	ids := make(map[string]bool)
	for i := range e.rules {
		r := &e.rules[i]
		r.Types = slices.Clone(r.Types)
		if err := r.check(); err != nil {
			errs = append(errs, err)
		}
		if ids[r.ID] {
			wrong("two rules have the ID %q", r.ID)
		}
		ids[r.ID] = true
		if r.Emit != nil && publisher == nil {
			wrong("rule %q emits, but the publisher is nil", r.ID)
		}
		if r.Once && store.Table() != nil {
			var able bool
			if e.absent, able = store.Table().(driver.PutIfAbsent); !able {
				wrong("rule %q: Once: the table cannot put an item only if it is absent", r.ID)
			} else if driver.HasForeignLayout(store.Table()) {
				wrong("rule %q: Once: the layout of the table has no place for markers", r.ID)
			}
		}
	}
	for i, opt := range opts {
		if opt == nil {
			wrong("option %d is nil", i)
		} else if err := opt.apply(e); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("new evaluator: %w", err)
	}
	return e, nil
}

// Trigger returns a trigger that evaluates the rules. It fires for what is
// inserted, and where a rule is for expiries, for what is removed by TTL, and
// reads as much as the rules need.
//
// Options are those of any trigger, but for [mes.WithWindows]. [mes.OnKinds] takes
// the place of these kinds, so where a rule is for expiries it must name
// [mes.Removed], too. With
// [mes.Coalesce], the rules are evaluated for each of the changes as well, and
// what they emit is published together; an error then holds for all of them.
func (e *Evaluator) Trigger(opts ...mes.TriggerOption) *mes.Trigger {
	kinds := []mes.ChangeKind{mes.Inserted}
	if slices.ContainsFunc(e.rules, func(r Rule) bool { return r.OnExpiry }) {
		kinds = append(kinds, mes.Removed)
	}
	opts = append([]mes.TriggerOption{mes.OnKinds(kinds...)}, opts...)
	return mes.NewTrigger(e.store, e.Handle, append(opts, mes.WithWindows(e.window))...)
}

// window says how much of the history the rules need that a change wakes.
func (e *Evaluator) window(change mes.Change) (window mes.Window, fires bool) {
	event := change.New
	if change.Kind == mes.Removed {
		if event = change.Old; event == nil {
			// Handle says what is wrong.
			return mes.Window{Alone: true}, change.Expired
		}
	}
	if change.Kind == mes.Removed && !change.Expired {
		return window, false
	}
	if change.Kind != mes.Removed && isBare(event) {
		// It has gone. What has been claimed for it must be published even so.
		once := func(r Rule) bool { return r.Once && r.isFor(change.HashKey) }
		return mes.Window{Alone: true, EvenGone: true}, slices.ContainsFunc(e.rules, once)
	}
	window.Alone = true
	for i := range e.rules {
		r := &e.rules[i]
		awake, err := r.wakes(change.HashKey, event, change.Kind == mes.Removed)
		if err != nil {
			fires = true // Handle says so
			continue
		}
		if !awake {
			continue
		}
		fires = true
		window.EvenGone = window.EvenGone || r.Once
		switch w := r.reads(); {
		case w.Alone:
		case w.Last == 0 && w.Within == 0:
			return mes.Window{EvenGone: window.EvenGone || e.anyOnce(i)}, true
		default:
			window.Last, window.Within = max(window.Last, w.Last), max(window.Within, w.Within)
		}
	}
	return window, fires
}

// isBare says of an event that the change stream did not carry it, and that it has
// gone: see [mes.Window.EvenGone].
func isBare(e *mes.Event) bool { return len(e.Raw) == 0 }

// anyOnce says whether a rule from an index on has Once.
func (e *Evaluator) anyOnce(from int) bool {
	return slices.ContainsFunc(e.rules[from:], func(r Rule) bool { return r.Once })
}

// Handle evaluates the rules that an event wakes. It is a [mes.Handler], for
// triggers and tests of your own; [Evaluator.Trigger] makes one that fits.
func (e *Evaluator) Handle(ctx context.Context, m *mes.MicroEventStore) error {
	if m == nil {
		return errors.New("evaluate: the micro event store is nil")
	}
	p := newPass(ctx, e, m)
	for n := range max(1, len(m.New)) {
		p.evaluate(ctx, p.view(n))
	}
	p.publish(ctx)
	return p.err()
}
