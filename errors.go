package microeventstore

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

// Errors of an event's own content: trying again cannot help.
var (
	// ErrNotCollated says that no hash-key function had a key for the event.
	ErrNotCollated = errors.New("no hash-key function has a key for the event; filter such events out, or give them a key")

	// ErrInvalidItem says that a key or the whole item is not what a table can
	// store: it is empty, too long or not valid UTF-8.
	ErrInvalidItem = driver.ErrInvalidItem

	// ErrConflict says, with [InsertOnce], that another event is stored under the
	// same keys.
	ErrConflict = driver.ErrConflict
)

// Errors of the store.
var (
	// ErrClosed is returned by every method that needs the table, once the store
	// or its table has been closed.
	ErrClosed = driver.ErrClosed

	// ErrInvalidQuery says that a table cannot be asked this: the hash key is
	// empty, too long or not valid UTF-8.
	ErrInvalidQuery = driver.ErrInvalidQuery

	// ErrCorrupt says that the table's answer cannot be right: it is out of
	// order, belongs to another key, or does not hold an event.
	ErrCorrupt = errors.New("the table's answer cannot be right")
)

var (
	// errNilContext is for what would look at the context itself.
	errNilContext = errors.New("the context is nil; pass context.Background if there is no other")

	// errNoStore is for a store that New did not make.
	errNoStore = errors.New("the store is nil or empty: New makes one, or says why not")
)

// A Failure is one record, change or event that was not dealt with.
type Failure struct {
	Index int // into the argument of the call
	Err   error
}

// A SaveError names the events that [Store.Save] did not save, or not under all
// their keys. All others are saved.
type SaveError struct {
	Failures []Failure // in ascending order of Index, one for an event
}

func (e *SaveError) Error() string { return describe(e.Failures, "not saved", "event") }

// Unwrap returns the error of each event.
func (e *SaveError) Unwrap() []error { return causes(e.Failures) }

// A BatchError names the records or changes of a batch that must be delivered
// again. All others are done.
type BatchError struct {
	Failures []Failure // in ascending order of Index, one for a record

	of noun // what they are; "" is ofRecords
}

// A noun is what the argument of a call holds.
type noun string

const (
	ofRecords  noun = "record"
	ofChanges  noun = "change"
	ofHashKeys noun = "hash key"
)

func (e *BatchError) Error() string {
	switch e.of {
	case ofHashKeys:
		return describe(e.Failures, "to be refired again", e.of)
	case ofChanges:
		return describe(e.Failures, "to be delivered again", e.of)
	}
	return describe(e.Failures, "to be delivered again", ofRecords)
}

// Unwrap returns the error of each record.
func (e *BatchError) Unwrap() []error { return causes(e.Failures) }

func describe(failures []Failure, fate string, of noun) string {
	if len(failures) == 0 {
		return "no " + string(of) + " is " + fate
	}
	first := failures[0]
	if len(failures) == 1 {
		return fmt.Sprintf("%s %d is %s: %v", of, first.Index, fate, first.Err)
	}
	return fmt.Sprintf("%d %ss are %s, the first is %s %d: %v", len(failures), of, fate, of, first.Index, first.Err)
}

func causes(failures []Failure) []error {
	errs := make([]error, len(failures))
	for i, failure := range failures {
		errs[i] = failure.Err
	}
	return errs
}

// A LimitError says that a read would return more than it may.
type LimitError struct {
	Option string // MaxEvents or MaxBytes
	Limit  int64  // events or bytes
}

func (e *LimitError) Error() string {
	unit := "events"
	if e.Option == "MaxBytes" {
		unit = "bytes"
	}
	return fmt.Sprintf("the history has more than %d %s; read a part of it (Last or Since; for a trigger, in WithWindow), or raise the limit with %s", e.Limit, unit, e.Option)
}

// A PanicError is what a panic in a user's function becomes. Its text leaves
// Value out unless that came from the Go runtime: it might hold a payload.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string {
	if err, ok := e.Value.(runtime.Error); ok {
		return "panic: " + err.Error()
	}
	return fmt.Sprintf("panic with a %T", e.Value)
}

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Permanent marks an error as one that trying again cannot mend: the record or
// change goes to the [FaultHandler]. A handler returns it. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent tells whether trying again cannot mend an error: it was marked by
// [Permanent], or it is the store's own about an event's content. An error that
// joins several is permanent if all of them are.
func IsPermanent(err error) bool {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case nil:
		return false
	case *permanentError:
		return true
	case *unmarkedError, *PanicError:
		return false
	case interface{ Unwrap() error }:
		return IsPermanent(e.Unwrap())
	case interface{ Unwrap() []error }:
		errs := e.Unwrap()
		return len(errs) > 0 && !slices.ContainsFunc(errs, func(err error) bool { return !IsPermanent(err) })
	}
	return false
}

type permanentError struct{ err error }

// An unmarkedError is what a handler returned without saying that it is permanent,
// whatever it is made of: that an event could never be saved elsewhere says
// nothing of the change that was handled.
type unmarkedError struct{ err error }

func (e *unmarkedError) Error() string { return e.err.Error() }
func (e *unmarkedError) Unwrap() error { return e.err }

// isMarked tells whether whoever returned an error has called it Permanent.
func isMarked(err error) bool {
	for err != nil {
		switch err.(type) { //nolint:errorlint // it walks the chain itself
		case *permanentError:
			return true
		case *SaveError, *BatchError, *PanicError:
			return false
		}
		err = errors.Unwrap(err)
	}
	return false
}

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// locate puts in front of an error where the record came from, as far as that
// is known. None of it is a secret: all are names that the service gives.
func (m *Meta) locate(err error) error {
	var where []string
	if m.Shard != "" {
		where = append(where, "shard "+m.Shard)
	}
	if m.SequenceNumber != "" {
		where = append(where, "sequence number "+m.SequenceNumber)
	}
	if m.MessageID != "" {
		where = append(where, "message "+m.MessageID)
	}
	if len(where) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w", strings.Join(where, ", "), err)
}
