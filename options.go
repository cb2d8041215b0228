package microeventstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// An Option configures a Store. Options come from this package alone; [New]
// checks them all at once.
type Option interface {
	applyStore(*Store) error
}

// applyAll applies options in order and returns all that is wrong with them.
func applyAll[O any](opts []O, apply func(O) error) error {
	var errs []error
	for i, opt := range opts {
		if any(opt) == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		if err := apply(opt); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

type storeOption func(*Store) error

func (o storeOption) applyStore(s *Store) error { return o(s) }

// DefaultRetention is how long events are kept where no TTL policy is set. It is
// a little more than a month, so that a monthly event still meets the one before
// (John Gilbert, JavaScript Cloud Native Development Cookbook).
const DefaultRetention = 33 * 24 * time.Hour

// WithHashKey sets the functions that say what an event belongs to; the default
// is [PartitionKey]. The event is stored once under each key that they return.
// Where keys of different functions could be equal, tell them apart with
// [Prefix].
func WithHashKey(functions ...HashKeyFunc) Option {
	return storeOption(func(s *Store) error {
		if len(functions) == 0 {
			return errors.New("WithHashKey: no function is given")
		}
		for i, f := range functions {
			if f == nil {
				return fmt.Errorf("WithHashKey: function %d is nil", i)
			}
		}
		s.hashKeys = append([]HashKeyFunc(nil), functions...)
		return nil
	})
}

// WithRangeKey sets what orders the events of a collation and tells them apart;
// the default is [TimeAndID]. Changing it splits the histories of a table that is
// already in use: use a new table.
func WithRangeKey(k RangeKey) Option {
	return storeOption(func(s *Store) error {
		if k == nil {
			return errors.New("WithRangeKey: the range key is nil")
		}
		s.rangeKey = k
		return nil
	})
}

// WithTTL sets when events expire; the default is [ExpireAfter] with
// [DefaultRetention]. A nil policy is NeverExpire.
func WithTTL(policy TTLPolicy) Option {
	return storeOption(func(s *Store) error {
		if policy == nil {
			policy = NeverExpire()
		}
		s.ttl = policy
		return nil
	})
}

// WithProjection sets a function that returns the JSON to keep of an event, for
// those who do not need all of it; nil, the default, keeps Raw. What it returns
// must hold the same id, type, timestamp and partition key, as the decoder sees
// them, or the event is a fault. It must depend on nothing but the event: that is
// what makes redelivery harmless.
//
// An event that names no id has the hash of its bytes for one, which any
// projection changes: put the ID of the event into the JSON.
func WithProjection(projection func(Event) (json.RawMessage, error)) Option {
	return storeOption(func(s *Store) error {
		s.projection = projection
		return nil
	})
}

// InsertOnce lets the first event with given keys stay for good: where the last
// would take its place otherwise. It costs a conditional write for each event,
// instead of one for a batch. The same event again changes nothing; another one
// with the same keys is a fault, for [ErrConflict]. An event that has expired does
// not count as there; taking its place is a modification, which a trigger sees with
// [OnKinds]. [New] fails if the table cannot do this.
func InsertOnce() Option {
	return storeOption(func(s *Store) error {
		s.insertOnce = true
		return nil
	})
}

// WithDecoder sets the function that makes an event of a record's bytes; nil, the
// default, is [Parse]. The events it returns have JSON as Raw. It is also used on
// that JSON, when events are read from a table that does not keep what was found in
// them (DynamoDB; a file does), and must then return the same event: saving one for
// which it does not is a fault. It may keep the bytes it is given only until the events
// that it made of them are saved.
func WithDecoder(decoder func([]byte) (Event, error)) Option {
	return storeOption(func(s *Store) error {
		s.decoder = decoder
		return nil
	})
}

// WithLogger sets where the store, its listeners and its triggers report what no
// error can: there is very little of it. nil, the default, is silence. Keys and
// payloads are never logged.
func WithLogger(logger *slog.Logger) Option {
	return storeOption(func(s *Store) error {
		s.logger = logger
		return nil
	})
}

// WithObserver sets who is told about every batch; nil, the default, is nobody.
func WithObserver(observer Observer) Option {
	return storeOption(func(s *Store) error {
		s.observer = observer
		return nil
	})
}
