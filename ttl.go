package microeventstore

import (
	"maps"
	"math"
	"time"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A TTLPolicy says when an event may be deleted; false means never. A nil
// policy means never, wherever one is taken.
//
// A zero time together with true is a policy's way to say that it cannot tell:
// the store sets the event aside as a fault, rather than keep it for ever or
// lose it at once.
//
// The answer must follow from the event's bytes alone, never from the clock: an
// event that is delivered again must get the same answer, or its item changes.
// A TTLPolicy is called from many goroutines at once.
type TTLPolicy func(Event) (time.Time, bool)

// expiry calls p; a nil policy means never.
func (p TTLPolicy) expiry(e Event) (time.Time, bool) {
	if p == nil {
		return time.Time{}, false
	}
	return p(e)
}

// NeverExpire keeps every event for ever. Nothing then bounds a collation, so
// use it for keys that get few events, and for examples on old data.
func NeverExpire() TTLPolicy {
	return func(Event) (time.Time, bool) { return time.Time{}, false }
}

// ExpireAfter lets an event expire d after it happened, by [Event.Timestamp]
// and not by when it arrived: a replay of an old stream brings nothing back to
// life. With a d of zero or less an event has expired as soon as it happened; or up to
// a second later, since the time of expiry is kept in seconds, rounded up.
//
// An event without a timestamp is a fault. A time beyond what [time.Time] holds
// becomes the last (or first) one that it holds.
func ExpireAfter(d time.Duration) TTLPolicy {
	return func(e Event) (time.Time, bool) {
		if e.Timestamp.IsZero() {
			return time.Time{}, true
		}
		return addTime(e.Timestamp, d), true
	}
}

// ExpireAt takes the time of expiry from the event, at a dotted path such as
// offer.validUntil. Where the value is absent or null, otherwise decides.
//
// A string is a time in RFC 3339. A number is epoch milliseconds, except that
// numbers below 10^11 (negative ones, too) are epoch seconds: as milliseconds
// they would lie before March 1973, as seconds they reach the year 5138. Numbers
// are read exactly and rounded down; 0 is the beginning of 1970, not never.
//
// Anything else is a fault: another type, a string that is no such time, a number
// beyond the year 318857 (nanoseconds, say), an empty path.
func ExpireAt(path string, otherwise TTLPolicy) TTLPolicy {
	return func(e Event) (time.Time, bool) {
		if path == "" {
			return time.Time{}, true
		}
		value, _ := e.Field(path)
		switch jsonscan.KindOf(value) {
		case jsonscan.Number:
			n, ok := millis(value)
			if !ok {
				return time.Time{}, true
			}
			if n < 100_000_000_000 {
				return time.Unix(n, 0).UTC(), true
			}
			return time.UnixMilli(n).UTC(), true
		case jsonscan.Str:
			t, err := parseTimeString(value)
			if err != nil {
				return time.Time{}, true
			}
			return t, true
		case jsonscan.Null, jsonscan.Invalid:
			return otherwise.expiry(e)
		}
		return time.Time{}, true
	}
}

// ByType gives each type of event a policy of its own; other types get
// otherwise. A nil policy in the map means never. The map is copied.
func ByType(policies map[string]TTLPolicy, otherwise TTLPolicy) TTLPolicy {
	policies = maps.Clone(policies)
	return func(e Event) (time.Time, bool) {
		if p, ok := policies[e.Type]; ok {
			return p.expiry(e)
		}
		return otherwise.expiry(e)
	}
}

// firstTime is the first time that has Unix seconds: time.Time counts from the year 1,
// and holds earlier ones, too.
func firstTime() time.Time { return time.Unix(math.MinInt64, 0).UTC() }

// addTime returns t+d, and does not wrap around.
func addTime(t time.Time, d time.Duration) time.Time {
	sum := t.Round(0).UTC().Add(d) // only the wall clock counts
	// Add itself stops at the last second, but below the first that has a Unix
	// time.
	if first := firstTime(); sum.Before(first) {
		return first
	}
	return sum
}
