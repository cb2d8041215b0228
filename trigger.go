package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Handler is the user's logic: it is given the history of a hash key after
// something was added to it.
//
// It is called at least once for each change that fires (see [OnKinds]), also for one
// it was called for before, and also when what it looks for was already there: it must
// be idempotent. It may be called for several hash keys at once. nil means that the
// change is done; an error that it will be delivered again, unless the error is
// marked [Permanent] by the handler: one of a Store that it passes on is not, since
// the event that could not be saved is not the one that fired.
//
// It should return soon after ctx ends: Handle waits for it. A handler that
// returns after ctx has ended counts as failed, since the host may have given up
// on it by then.
type Handler func(ctx context.Context, m *MicroEventStore) error

// A Trigger reads the history of each hash key that has changed and hands it to a
// handler. It is safe for use by many goroutines at once. It keeps nothing of
// what it has read between two calls, but for [WithHistoryCache].
type Trigger struct {
	handlerOptions
	store        *Store
	handler      Handler
	kinds        []ChangeKind
	onlyHashKeys func(string) bool // nil: all
	coalesce     bool
	concurrency  int
	window       *readOptions
	windows      func(Change) (Window, bool) // nil: window alone
	cache        *historyCache               // nil: none
	err          error                       // of the options
}

// DefaultConcurrency is how many hash keys a trigger deals with at once. Each may
// hold a history of up to [MaxBytes].
const DefaultConcurrency = 8

// A TriggerOption configures a Trigger.
type TriggerOption interface {
	applyTrigger(*Trigger) error
}

type triggerOption func(*Trigger) error

func (o triggerOption) applyTrigger(t *Trigger) error { return o(t) }

// Coalesce makes one call of the handler for all the changes of a hash key in a
// batch, with all that fired in New. The default is a call for each change. What
// the handler returns holds for all of them, [Permanent] too.
func Coalesce() TriggerOption {
	return triggerOption(func(t *Trigger) error {
		t.coalesce = true
		return nil
	})
}

// OnlyHashKeys leaves out the changes of other hash keys, so that an event that
// is stored under two keys need not fire twice; also those that could not be decoded,
// as far as their hash key is known. nil, the default, leaves out none.
func OnlyHashKeys(accept func(hashKey string) bool) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		t.onlyHashKeys = accept
		return nil
	})
}

// OnKinds says which kinds of change fire; the default is [Inserted] alone. For
// [Removed] the Current event is the one that was removed, as far as the change
// stream tells (and even if it has expired), and it is no longer in the history.
func OnKinds(kinds ...ChangeKind) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		if len(kinds) == 0 {
			return errors.New("OnKinds: no kind is given")
		}
		for _, kind := range kinds {
			if kind < Inserted || kind > Removed {
				return fmt.Errorf("OnKinds: there is no %v", kind)
			}
		}
		t.kinds = append([]ChangeKind(nil), kinds...)
		return nil
	})
}

// WithConcurrency sets how many hash keys of a batch are dealt with at once; the
// default is [DefaultConcurrency].
func WithConcurrency(n int) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		if n < 1 {
			return fmt.Errorf("WithConcurrency: %d is less than 1", n)
		}
		t.concurrency = n
		return nil
	})
}

// WithWindow makes the handler see a part of the history only, so that its cost
// does not grow without end: the last n events, or those since a time. The event
// that fired is always in it; where it lies outside of what the options select it
// costs a read of its own: WithWindow(Last(100)) gives the latest 100 events, or
// these and an older one that fired. [MaxEvents] and [MaxBytes] set the trigger's limits: a
// history over them is a fault. [EventuallyConsistent] is ignored.
func WithWindow(opts ...ReadOption) TriggerOption {
	return triggerOption(func(t *Trigger) error {
		window, err := newReadOptions(opts)
		if err != nil {
			return fmt.Errorf("WithWindow: %w", err)
		}
		t.window = window
		return nil
	})
}

// NewTrigger returns a trigger that hands the histories in a store to a handler.
// If an option is wrong, every call of Handle says so.
func NewTrigger(s *Store, h Handler, opts ...TriggerOption) *Trigger {
	t := &Trigger{
		store:       s,
		handler:     h,
		kinds:       []ChangeKind{Inserted},
		concurrency: DefaultConcurrency,
		window:      new(readOptions),
	}
	errs := []error{s.check()}
	if h == nil {
		errs = append(errs, errors.New("the handler is nil"))
	}
	errs = append(errs, applyAll(opts, func(opt TriggerOption) error { return opt.applyTrigger(t) }))
	if t.windows != nil && t.window.windowed() {
		errs = append(errs, errors.New("WithWindow and WithWindows both select events; choose one"))
	}
	errs = append(errs, t.checkCache())
	t.window.eventual = false
	t.window.limit(false)
	if err := errors.Join(errs...); err != nil {
		t.err = fmt.Errorf("new trigger: %w", err)
	}
	return t
}

// check says what keeps the trigger from handling anything.
func (t *Trigger) check(ctx context.Context) error {
	switch {
	case t == nil:
		return errors.New("the trigger is nil: NewTrigger makes one")
	case t.err != nil:
		return t.err
	case t.store == nil:
		return errors.New("the trigger is empty: NewTrigger makes one")
	case ctx == nil:
		return errNilContext
	}
	return nil
}

// Store returns the store that the trigger was made with. Hosts find in it what
// they need to make changes of what a stream delivers.
func (t *Trigger) Store() *Store {
	if t == nil {
		return nil
	}
	return t.store
}

// FaultHandler is to changes what [Listener.FaultHandler] is to records.
func (t *Trigger) FaultHandler() FaultHandler {
	if t == nil {
		return nil
	}
	return t.faultHandler()
}

// Handle calls the handler for a batch of changes, in stream order for each hash
// key and for several hash keys at once. The history of a key is read once for
// the whole batch.
//
// nil means that all changes are done. Otherwise a *[BatchError] names each that
// must be delivered again; all others are done. After a change that failed, the
// later ones of its hash key are not handled, and named too. A change whose event
// has since expired or been deleted is done; it fires nothing. A change that
// could not be decoded, one whose history is over the limits, and one that the
// handler called [Permanent] go to the fault handler.
//
// When ctx ends, Handle starts no more calls of the handler and returns as soon
// as those under way have returned.
//
// Without changes it does nothing but say what is wrong with the trigger's options.
func (t *Trigger) Handle(ctx context.Context, changes []Change) error {
	if err := t.check(ctx); err != nil || len(changes) == 0 {
		return failAll(ofChanges, len(changes), err)
	}
	began := time.Now()
	t.cache.observe(changes)
	batch := newTriggerBatch(t, changes)
	keys := batch.keys()
	t.inParallel(ctx, len(keys), func(i int) { batch.handle(ctx, keys[i]) })
	failures := batch.count()
	t.store.observe(ctx, &batch.stats, began)
	if len(failures) > 0 {
		return &BatchError{Failures: failures, of: ofChanges}
	}
	return nil
}
