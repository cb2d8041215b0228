package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/microeventstore/microeventstore/internal/arena"
)

// A Listener saves the records of a stream: those whose events a filter accepts.
// It is safe for use by many goroutines at once. Hosts call Handle: a Lambda
// function, a container, or your own loop.
type Listener struct {
	handlerOptions
	store  *Store
	filter Filter
	err    error // of the options
}

// A ListenerOption configures a Listener.
type ListenerOption interface {
	applyListener(*Listener) error
}

// NewListener returns a listener that saves in a store what a filter accepts; a
// nil filter accepts all. If an option is wrong, every call of Handle says so.
func NewListener(s *Store, f Filter, opts ...ListenerOption) *Listener {
	l := &Listener{store: s, filter: f}
	if err := errors.Join(s.check(), applyAll(opts, func(opt ListenerOption) error { return opt.applyListener(l) })); err != nil {
		l.err = fmt.Errorf("new listener: %w", err)
	}
	return l
}

// Store returns the store that the listener was made with.
func (l *Listener) Store() *Store {
	if l == nil {
		return nil
	}
	return l.store
}

// FaultHandler returns the fault handler that [WithFaultHandler] set, or nil if
// there is none. A host that has given up on a record, within the bounds that its
// user gave it, hands the record to it. A panic in it becomes an error.
func (l *Listener) FaultHandler() FaultHandler {
	if l == nil {
		return nil
	}
	return l.faultHandler()
}

// Handle saves the events of a batch of records. A record is done once its event
// is stored, filtered out, too old to be kept, or accepted by the fault handler.
//
// nil means that all are done. Otherwise a *[BatchError] names each record that
// must be delivered again; all others are done. A record that cannot be decoded,
// or whose event can never be stored, is a fault: it does not keep the others
// from being saved, and goes to the fault handler. So does a record without a
// type that the filter does not accept: nobody can have meant to drop it.
//
// When ctx ends, Handle returns soon, with what is saved by then.
//
// Without records it does nothing but say what is wrong with the listener's options.
func (l *Listener) Handle(ctx context.Context, records []Record) error {
	if err := l.check(ctx); err != nil || len(records) == 0 {
		return failAll(ofRecords, len(records), err)
	}
	began := time.Now()
	stats := BatchStats{Operation: OperationListen, Read: len(records)}
	batch := newSaveBatch(l.store, len(records))
	var shared arena.Text // of all events
	var kept Event        // one for all: add takes its address, so it is not on the stack
	forEach(len(records), func(i int) {
		e := Event{Meta: records[i].Meta} // set here, where it is known that this is the stack
		keep, err := l.read(&e, &shared, &records[i])
		switch {
		case err != nil:
			batch.outcomes[i].err = Permanent(err)
		case !keep:
			batch.outcomes[i].filtered = true
		default:
			// The event comes from the decoder, so what it holds is what its
			// bytes say; unless that is the user's own.
			kept = e
			batch.add(i, &kept, began, l.store.decoder == nil)
		}
	}, func(i int, err error) {
		batch.outcomes[i] = outcome{err: Permanent(fmt.Errorf("the filter, or a function of the store's options: %w", err))}
	})
	batch.write(ctx)
	var failures []Failure
	for i := range records {
		err := batch.outcomes[i].count(&stats)
		if err == nil {
			continue
		}
		if err = l.settle(ctx, Fault{Err: err, Record: &records[i]}); err == nil {
			stats.Faults++
			continue
		}
		stats.Failed++
		failures = append(failures, Failure{Index: i, Err: records[i].Meta.locate(err)})
	}
	batch.count(&stats)
	l.store.observe(ctx, &stats, began)
	if len(failures) > 0 {
		return &BatchError{Failures: failures}
	}
	return nil
}

// check says what keeps the listener from handling anything.
func (l *Listener) check(ctx context.Context) error {
	switch {
	case l == nil:
		return errors.New("the listener is nil: NewListener makes one")
	case l.err != nil:
		return l.err
	case l.store == nil:
		return errors.New("the listener is empty: NewListener makes one")
	case ctx == nil:
		return errNilContext
	}
	return nil
}

// read makes an event of a record and asks the filter. An error is one of the
// record's content.
func (l *Listener) read(e *Event, shared *arena.Text, record *Record) (keep bool, err error) {
	if record.Err != nil {
		return false, record.Err
	}
	if err := l.store.decodeIn(e, shared, record.Data); err != nil {
		return false, fmt.Errorf("decode: %w", err)
	}
	if l.store.decoder != nil {
		e.Meta = record.Meta
	}
	err = guard(func() error {
		keep = l.filter.accepts(*e)
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("filter: %w", err)
	}
	if !keep && e.Type == "" {
		return false, errors.New("the event has no type, and the filter does not accept it")
	}
	return keep, nil
}

// failAll reports all that a call was given as failed, if there is an error.
func failAll(of noun, n int, err error) error {
	if n == 0 || err == nil {
		return err
	}
	return &BatchError{Failures: failEach(n, err), of: of}
}

func failEach(n int, err error) []Failure {
	failures := make([]Failure, n)
	for i := range failures {
		failures[i] = Failure{Index: i, Err: err}
	}
	return failures
}
