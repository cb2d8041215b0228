package rules

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/markers"
)

// A pass is one evaluation of all rules.
type pass struct {
	e    *Evaluator
	m    *mes.MicroEventStore
	once onces

	out    []mes.Event // to be published
	owners []int       // the claim that out[i] belongs to, or -1
	claims []claim
	errs   []error
}

// A claim is a rule with Once whose events this pass publishes.
type claim struct {
	rule *Rule
	ttl  int64
}

func newPass(ctx context.Context, e *Evaluator, m *mes.MicroEventStore) *pass {
	return &pass{e: e, m: m, once: onces{
		store: e.store, absent: e.absent, hashKey: m.HashKey, cache: markers.FromContext(ctx),
	}}
}

// A view is the history as one of the changes sees it.
type view struct {
	m       mes.MicroEventStore
	expired bool // it is the expiry of Current
	gone    bool // Current is no longer there
	bare    bool // and nothing is known of it but its keys
	fault   error
	last    int64 // see latest; 0: not known
}

// view returns what the change with an index sees.
func (p *pass) view(n int) *view {
	v := &view{m: *p.m}
	if len(p.m.New) > 0 {
		v.m.Current, v.m.New = p.m.New[n], p.m.New[n:n+1:n+1]
	}
	v.m.Changes = []mes.Change{{Kind: mes.Inserted}}
	if n < len(p.m.Changes) {
		v.m.Changes = p.m.Changes[n : n+1 : n+1]
	}
	switch change := &v.m.Changes[0]; {
	case change.Kind == mes.Removed && change.Old == nil:
		v.fault = errors.New("the change does not carry the event that has expired: the stream must have old images")
	case change.Kind == mes.Removed:
		v.expired = true
	case len(p.m.Changes) > 0:
		_, there := slices.BinarySearchFunc(v.m.Events, v.m.Current.RangeKey, func(e mes.Event, key string) int {
			return strings.Compare(e.RangeKey, key)
		})
		v.gone = !there
		v.bare = v.gone && isBare(&v.m.Current)
	}
	return v
}

// evaluate evaluates the rules for one change.
func (p *pass) evaluate(ctx context.Context, v *view) {
	if v.fault != nil {
		p.errs = append(p.errs, v.fault)
		return
	}
	for i := 0; i < len(p.e.rules); {
		i = p.evaluateFrom(ctx, v, i)
	}
}

// evaluateFrom evaluates the rules from an index on, and returns the index of the
// next one if a rule has ended the goroutine that it ran in.
func (p *pass) evaluateFrom(ctx context.Context, v *view, i int) (next int) {
	var running sync.WaitGroup
	running.Go(func() {
		for ; i < len(p.e.rules); i++ {
			r := &p.e.rules[i]
			if err := guard(func() error { return p.apply(ctx, r, v) }); err != nil {
				p.errs = append(p.errs, fmt.Errorf("rule %q: %w", r.ID, err))
			}
		}
	})
	running.Wait()
	if i == len(p.e.rules) {
		return i
	}
	p.errs = append(p.errs, fmt.Errorf("rule %q: %w", p.e.rules[i].ID, errGoexit))
	return i + 1
}

var errGoexit = errors.New("a function of the rule ended its goroutine (runtime.Goexit)")

// apply evaluates one rule for one change.
func (p *pass) apply(ctx context.Context, r *Rule, v *view) error {
	var awake bool
	var err error
	if v.bare {
		awake = r.Once && r.isFor(v.m.HashKey) // whatever the event was, another one's claim will do
	} else {
		awake, err = r.wakes(v.m.HashKey, &v.m.Current, v.expired)
	}
	switch {
	case err != nil:
		return err
	case !awake:
		return nil
	case r.Once:
		return p.applyOnce(ctx, r, v)
	case v.gone:
		return nil
	}
	events, err := p.decide(ctx, r, v)
	if err != nil {
		return err
	}
	p.add(events, -1)
	return nil
}

// decide asks the rule whether its condition holds, and does what it says then.
func (p *pass) decide(ctx context.Context, r *Rule, v *view) (events []mes.Event, err error) {
	m := v.m
	if w := r.window(); w.Alone && v.expired {
		m.Events = nil
	} else if w != (mes.Window{}) {
		m.Events = w.Slice(m.Events, m.Current)
	}
	causes := m.New
	if len(causes) == 0 {
		causes = []mes.Event{m.Current}
	}
	if r.When != nil {
		err := guard(func() (err error) {
			causes, err = r.When(&m)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("when: %w", err)
		}
		if len(causes) == 0 {
			return nil, nil
		}
	}
	if r.Correlate != nil {
		return nil, p.correlate(ctx, r, &m, causes)
	}
	err = guard(func() error {
		emissions, err := r.Emit(&m, causes)
		if err == nil {
			events, err = p.e.events(r, &m, causes, slices.Clone(emissions))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("emit: %w", err)
	}
	return events, nil
}

func (p *pass) correlate(ctx context.Context, r *Rule, m *mes.MicroEventStore, causes []mes.Event) error {
	var hashKey string
	err := guard(func() (err error) {
		hashKey, err = r.Correlate(m, causes)
		return err
	})
	if err == nil && hashKey != "" {
		if err = p.e.store.Correlate(ctx, hashKey, causes...); mes.IsPermanent(err) {
			err = mes.Permanent(err)
		}
	}
	if err != nil {
		return fmt.Errorf("correlate: %w", err)
	}
	return nil
}

func (p *pass) add(events []mes.Event, owner int) {
	p.out = append(p.out, events...)
	for range events {
		p.owners = append(p.owners, owner)
	}
}

// publish publishes what the rules have emitted, and writes down what has been.
func (p *pass) publish(ctx context.Context) {
	if len(p.out) == 0 {
		return
	}
	err := guard(func() error { return p.e.publisher.Publish(ctx, p.out...) })
	var partial *mes.PublishError
	if errors.As(err, &partial) && partial == nil {
		err = errors.New("the publisher returned a nil *PublishError as an error; it must return nil")
	}
	open := make([]bool, len(p.claims)) // has events that may not have been sent
	if err != nil {
		p.errs = append(p.errs, publishFailed(err))
		if partial == nil || len(partial.Failures) == 0 {
			return
		}
		for _, failure := range partial.Failures {
			if failure.Index < 0 || failure.Index >= len(p.out) {
				return
			}
			if owner := p.owners[failure.Index]; owner >= 0 {
				open[owner] = true
			}
		}
	}
	var done []claim
	for i, claim := range p.claims {
		if !open[i] {
			done = append(done, claim)
		}
	}
	if err := p.once.done(ctx, done); err != nil {
		p.errs = append(p.errs, err)
	}
}

func publishFailed(err error) error {
	if mes.IsPermanent(err) {
		return mes.Permanent(fmt.Errorf("publish: %w", err))
	}
	return fmt.Errorf("publish: %w", err)
}

// err returns what went wrong. It is permanent if all of it is.
func (p *pass) err() error {
	if len(p.errs) == 0 {
		return nil
	}
	err := errors.Join(p.errs...)
	for _, e := range p.errs {
		var panicked *mes.PanicError
		if errors.As(e, &panicked) || !mes.IsPermanent(e) {
			return err
		}
	}
	return mes.Permanent(err)
}

// guard turns a panic in a user's function into an error.
func guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &mes.PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}
