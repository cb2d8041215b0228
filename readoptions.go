package microeventstore

import (
	"fmt"
	"math"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// The limits of a read that sets none. They bound the memory of a trigger that
// meets an endless history; 10,000 events is what a Lambda function of the
// smallest kind still handles.
const (
	DefaultMaxEvents = 10_000
	DefaultMaxBytes  = 64 << 20
)

// A ReadOption says which part of a collation to read. Options that select add
// up: an event is returned if all of them let it through. Of two of the same kind
// the later one holds.
type ReadOption interface {
	applyRead(*readOptions) error
}

type readOption func(*readOptions) error

func (o readOption) applyRead(r *readOptions) error { return o(r) }

type readOptions struct {
	exactly       string // a trigger's own: the event with this range key
	after, before string
	since, until  time.Time
	matching      Filter
	last          int
	maxEvents     int   // 0: not set
	maxBytes      int64 // 0: not set
	eventual      bool

	reach    time.Time         // with last: those since then, too, however many
	onMarker func(driver.Item) // is told of the markers on the way
}

// seesMarkers says that a read comes by all markers of the collation.
func (r *readOptions) seesMarkers() bool {
	return r.exactly == "" && r.after == "" && r.before == "" && r.since.IsZero() && r.until.IsZero() && r.last == 0
}

// windowed says that the options leave out events of the history.
func (r *readOptions) windowed() bool {
	return r.after != "" || r.before != "" || !r.since.IsZero() || !r.until.IsZero() ||
		r.matching != nil || r.last > 0
}

func newReadOptions(opts []ReadOption) (*readOptions, error) {
	r := new(readOptions)
	return r, applyAll(opts, func(opt ReadOption) error { return opt.applyRead(r) })
}

// limit sets the limits that the options have not set. Only a read that holds a
// page at a time needs none.
func (r *readOptions) limit(pageByPage bool) {
	maxEvents, maxBytes := DefaultMaxEvents, int64(DefaultMaxBytes)
	if pageByPage {
		maxEvents, maxBytes = math.MaxInt, math.MaxInt64
	}
	if r.maxEvents == 0 {
		r.maxEvents = maxEvents
	}
	if r.maxBytes == 0 {
		r.maxBytes = maxBytes
	}
}

// After selects the events whose range key is greater than one that was read
// before. "" selects all.
func After(rangeKey string) ReadOption {
	return readOption(func(r *readOptions) error {
		r.after = rangeKey
		return checkBound("After", rangeKey)
	})
}

// Before selects the events whose range key is less than one that was read
// before. "" selects all.
func Before(rangeKey string) ReadOption {
	return readOption(func(r *readOptions) error {
		r.before = rangeKey
		return checkBound("Before", rangeKey)
	})
}

func checkBound(option, rangeKey string) error {
	if rangeKey == "" {
		return nil
	}
	if err := driver.CheckKey("range key", rangeKey, driver.MaxRangeKeySize); err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	return nil
}

// Since selects the events that happened at a time or later. With [TimeAndID] the
// table reads no others; with other range keys they are read and left out, events
// without a timestamp too. The zero time selects all.
func Since(t time.Time) ReadOption {
	return readOption(func(r *readOptions) error {
		r.since = t
		return nil
	})
}

// Until selects the events that happened at a time or earlier; see [Since].
func Until(t time.Time) ReadOption {
	return readOption(func(r *readOptions) error {
		r.until = t
		return nil
	})
}

// Matching selects the events that a filter accepts; nil accepts all. It is
// applied before [Last] counts.
func Matching(f Filter) ReadOption {
	return readOption(func(r *readOptions) error {
		r.matching = f
		return nil
	})
}

// Last selects the n latest of the events that the other options select. They
// still come oldest first. Little more than those n is read from the table, unless
// Matching, or a time that is not in the range key, leaves many out.
func Last(n int) ReadOption {
	return readOption(func(r *readOptions) error {
		r.last = n
		if n < 1 {
			return fmt.Errorf("Last: %d is less than 1", n)
		}
		return nil
	})
}

// MaxEvents is how many events a read may return: one more is a [*LimitError].
// The default is [DefaultMaxEvents]; math.MaxInt sets no limit.
func MaxEvents(n int) ReadOption {
	return readOption(func(r *readOptions) error {
		r.maxEvents = n
		if n < 1 {
			return fmt.Errorf("MaxEvents: %d is less than 1", n)
		}
		return nil
	})
}

// MaxBytes is how many bytes of Raw a read may return in all: one more is a
// [*LimitError]. The default is [DefaultMaxBytes]; math.MaxInt64 sets no limit.
func MaxBytes(n int64) ReadOption {
	return readOption(func(r *readOptions) error {
		r.maxBytes = n
		if n < 1 {
			return fmt.Errorf("MaxBytes: %d is less than 1", n)
		}
		return nil
	})
}

// EventuallyConsistent lets the table answer without what was saved a moment
// ago, at half the price on DynamoDB. Triggers ignore it: a history without the
// event that fired would be wrong.
func EventuallyConsistent() ReadOption {
	return readOption(func(r *readOptions) error {
		r.eventual = true
		return nil
	})
}
