package faults

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// An Option configures what a fault event holds. Options come from this package
// alone.
type Option interface{ apply(*options) error }

type option func(*options) error

func (o option) apply(to *options) error { return o(to) }

type options struct {
	source  string
	maxSize int
	payload bool
	redact  [][]string
}

// WithPayload allows the record itself to be in the event, without which it cannot
// be resubmitted; but for the values at some dotted paths, such as card.number,
// which are replaced by "[redacted]". A record that has lost something that way
// cannot be resubmitted either. With paths, a payload that is not exactly one valid
// JSON object is left out, and of members with the same name only the last is kept.
// Names are compared exactly, upper and lower case too; a dot always separates
// names, so a member with a dot in its name cannot be redacted.
func WithPayload(redact ...string) Option {
	return option(func(o *options) error {
		o.payload = true
		o.redact = nil
		for _, path := range redact {
			names := strings.Split(path, ".")
			if slices.Contains(names, "") { // it would match nothing, and hide nothing
				return errors.New("WithPayload: a path is empty, or a name in it is")
			}
			o.redact = append(o.redact, names)
		}
		return nil
	})
}

// WithMaxSize sets how large a fault event may be, in bytes; the default is
// [DefaultMaxSize], the least 65,536, which any fault fits into without its payload.
// The payload of a larger one is left out.
func WithMaxSize(size int) Option {
	return option(func(o *options) error {
		o.maxSize = size
		if size < leastMaxSize {
			return fmt.Errorf("WithMaxSize: %d is less than %d", size, leastMaxSize)
		}
		return nil
	})
}

func newOptions(source string, opts []Option) (*options, error) {
	o := &options{source: source, maxSize: DefaultMaxSize}
	var errs []error
	if source == "" {
		errs = append(errs, errors.New("the source has no name"))
	}
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
		} else if err := opt.apply(o); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	return o, nil
}

// Publish returns a handler that publishes each fault. The source is the name of
// the service that the faults are of: the event's partition key and its tag
// "source". If an option is wrong, every call of the handler says so.
func Publish(publisher mes.Publisher, source string, opts ...Option) mes.FaultHandler {
	return handler(publisher == nil, source, opts, func(ctx context.Context, e mes.Event) error {
		return publisher.Publish(ctx, e)
	})
}

// Save returns a handler that saves each fault in a store: one that [NewStore] has
// made, or any other that takes such events. See [Publish] for the rest.
//
// The event's time is when the record arrived, and a TTL policy counts from there: in
// a store of your own it must not let an event expire that has waited in its stream
// for days, or a fault is gone before anybody could read it.
//
// A fault that is itself about a stored fault is refused with an error, and so
// delivered again: it says that a trigger is woken by faults, on a table that they
// share with the events, and would only wake it again. Give that trigger
// mes.OnlyHashKeys([NotFaults]). A stored fault is known by its hash key, and by the
// change's event; where the change has none, by its range key, as long as that ends in
// the event's id. Every other fault is saved, whatever its hash key begins with.
func Save(store *mes.Store, source string, opts ...Option) mes.FaultHandler {
	save := handler(store == nil, source, opts, func(ctx context.Context, e mes.Event) error {
		return store.Save(ctx, e)
	})
	return func(ctx context.Context, fault mes.Fault) error {
		if fault.Change != nil && isFault(fault.Change) {
			return errors.New("faults: it is about a fault, and would be one again when it is stored; give the trigger mes.OnlyHashKeys(faults.NotFaults)")
		}
		return save(ctx, fault)
	}
}

func handler(isNil bool, source string, opts []Option, accept func(context.Context, mes.Event) error) mes.FaultHandler {
	o, err := newOptions(source, opts)
	if err == nil && isNil {
		err = errors.New("faults: the publisher or store is nil")
	}
	return func(ctx context.Context, fault mes.Fault) error {
		if err != nil {
			return err
		}
		e, err := o.event(fault)
		if err != nil {
			return err
		}
		return accept(ctx, e)
	}
}

// isFault says whether a change is that of a stored fault. The hash key alone does not:
// producers may have chosen it, for an event on a table without any faults.
func isFault(c *mes.Change) bool {
	if NotFaults(c.HashKey) {
		return false
	}
	for _, e := range [...]*mes.Event{c.New, c.Old} {
		if e != nil {
			return parse(e) != nil
		}
	}
	i := strings.LastIndex(c.RangeKey, idPrefix)
	if i < 0 {
		return false
	}
	hash, err := hex.DecodeString(c.RangeKey[i+len(idPrefix):])
	return err == nil && len(hash) == idSize
}

const hashKeyPrefix = "fault#"

// HashKey is the hash key that [NewStore] collects the faults of a source under.
func HashKey(source string) string { return hashKeyPrefix + source }

// NotFaults refuses the hash keys of faults. It is for [mes.OnlyHashKeys], where
// faults are on the table of the events; and only there, for it also leaves out
// whatever else is stored under such a key.
func NotFaults(hashKey string) bool { return !strings.HasPrefix(hashKey, hashKeyPrefix) }

// NewStore returns a store of faults on a table, of its own or shared with other
// stores. Where it is shared, no hash key of another store may begin with "fault#",
// which nothing enforces: an event under such a key is among the faults, and no trigger
// with [NotFaults] tells of it. Where producers choose the keys, as with
// [mes.PartitionKey], give the faults a table of their own, or the events a
// [mes.Prefix]. Each source has a collation of its
// own, see [HashKey]. A fault expires [Retention] after it was set aside, however long
// its record had waited before; [mes.WithTTL] among the options replaces that, and
// must leave no fault expired when it is saved. The options are added to those that
// make it one.
func NewStore(table driver.Table, opts ...mes.Option) (*mes.Store, error) {
	return mes.New(table, append([]mes.Option{mes.WithHashKey(mes.Prefix(hashKeyPrefix, mes.PartitionKey())), mes.WithTTL(expiry)}, opts...)...)
}

// Retention is how long [NewStore] keeps a fault.
const Retention = 33 * 24 * time.Hour

// expiry counts from now and not from the event's timestamp, which is when the record
// arrived: a fault must not have expired before anybody could read it. That the same
// fault expires later when it is saved again is meant.
func expiry(mes.Event) (time.Time, bool) { return time.Now().Add(Retention), true }
