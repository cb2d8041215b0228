package microeventstore

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/arena"
)

// errTooOld says that an event is not stored because its item would stay for
// ever: DynamoDB's TTL leaves items alone whose time is further back than this.
// Source: "Using time to live (TTL) in DynamoDB", Amazon DynamoDB Developer Guide.
var errTooOld = errors.New("the event expired more than five years ago")

const deletableFor = 5 * 365 * 24 * time.Hour

// decodeIn makes an event of the bytes of a record, of which its strings may share
// memory with those of others: see parseIn.
func (s *Store) decodeIn(e *Event, shared *arena.Text, data []byte) error {
	if s.decoder == nil {
		return parseIn(e, shared, data)
	}
	return guard(func() (err error) {
		*e, err = s.decoder(data)
		return err
	})
}

// A collateRoom is what the events of a batch share: making the items of one event
// takes no allocations of its own.
type collateRoom struct {
	rangeKeys, checked arena.Text
	key                []byte

	calling string // which of the user's functions, for who recovers a panic in it
	number  int    // of the hash-key function
}

// collate appends to items one item for each of the event's hash keys; two that
// are equal become one write like any others with the same keys. Every
// error is one of the event's own content, so permanent; errTooOld is among them.
//
// The item is a function of the event's bytes and the configuration alone. That
// is what makes a redelivery harmless: DynamoDB writes no stream record for a Put
// that changes nothing.
func (s *Store) collate(items []driver.Item, e *Event, now time.Time, trusted bool, room *collateRoom) (result []driver.Item, err error) {
	err = guard(func() error {
		result, err = s.appendItems(items, e, now, trusted, room)
		return err
	})
	if err != nil {
		return items, Permanent(room.locate(err))
	}
	return result, nil
}

// locate says which function has panicked, if that is what the error is.
func (r *collateRoom) locate(err error) error {
	switch _, panicked := err.(*PanicError); { //nolint:errorlint // one that is wrapped is located already
	case !panicked || r.calling == "":
		return err
	case r.calling == callingHashKey:
		return fmt.Errorf("%s %d: %w", r.calling, r.number, err)
	}
	return fmt.Errorf("%s: %w", r.calling, err)
}

const callingHashKey = "hash-key function"

func (s *Store) appendItems(items []driver.Item, e *Event, now time.Time, trusted bool, room *collateRoom) ([]driver.Item, error) {
	room.calling = ""
	item := driver.Item{
		ID:           e.ID,
		Type:         e.Type,
		Timestamp:    e.Timestamp,
		PartitionKey: e.PartitionKey,
		Complete:     true,
	}
	if s.foreign {
		item.SequenceNumber = e.Meta.SequenceNumber
	}
	if !trusted {
		if err := s.checkReadsBack(room, e.Raw, e, "the event's fields and its Raw differ; make events with Parse or NewEvent"); err != nil {
			return items, err
		}
	}
	s.warnOfSeconds(e) // before its time makes the event one that is too old to keep
	var err error
	if item.Event, err = s.project(room, e); err != nil {
		return items, err
	}
	room.calling = "TTL policy"
	if item.TTL, err = s.expiry(e, now); err != nil {
		return items, err
	}
	room.calling = "range key"
	if item.RangeKey, err = s.rangeKeyIn(room, e); err != nil {
		return items, err
	}
	begin := len(items)
	room.calling = callingHashKey
	for i, hashKeyOf := range s.hashKeys {
		room.number = i
		item.HashKey, err = hashKeyOf(*e)
		if err != nil {
			return items[:begin], fmt.Errorf("%s %d: %w", callingHashKey, i, err)
		}
		if item.HashKey == "" {
			continue
		}
		if err := item.CheckKeys(); err != nil {
			return items[:begin], err
		}
		items = append(items, item)
	}
	if len(items) == begin {
		return items, ErrNotCollated
	}
	return items, nil
}

// project returns the JSON to store.
func (s *Store) project(room *collateRoom, e *Event) ([]byte, error) {
	if s.projection == nil {
		return e.Raw, nil
	}
	room.calling = "projection"
	kept, err := s.projection(*e)
	if err != nil {
		return nil, fmt.Errorf("projection: %w", err)
	}
	if err := s.checkReadsBack(room, kept, e, "the projection must keep id, type, timestamp and partition key"); err != nil {
		return nil, err
	}
	return kept, nil
}

// checkReadsBack sees to it that what is stored will be read as the same event.
func (s *Store) checkReadsBack(room *collateRoom, stored []byte, e *Event, advice string) error {
	if s.decoder != nil {
		stored = bytes.Clone(stored) // a user's decoder may do anything with it
	} else if env := (envelope{raw: stored}); env.read() == nil && env.says(e) {
		return nil
	}
	var back Event
	if err := s.decodeIn(&back, &room.checked, stored); err != nil {
		return fmt.Errorf("the event could not be read back: %w (%s)", err, advice)
	}
	var differs string
	switch {
	case back.ID != e.ID:
		differs = "id"
	case back.Type != e.Type:
		differs = "type"
	case !back.Timestamp.Equal(e.Timestamp):
		differs = "timestamp"
	case back.PartitionKey != e.PartitionKey:
		differs = "partition key"
	default:
		return nil
	}
	return fmt.Errorf("the event would be read back with another %s (%s)", differs, advice)
}

// expiry returns the item's TTL in seconds, rounded up so that no event expires
// early; 0 for never.
func (s *Store) expiry(e *Event, now time.Time) (int64, error) {
	at, expires := s.ttl(*e)
	switch {
	case !expires:
		return 0, nil
	case at.IsZero() && e.Timestamp.IsZero():
		return 0, errors.New("the event has no timestamp, which the TTL policy needs; give it one, or use NeverExpire")
	case at.IsZero():
		return 0, errors.New("the TTL policy cannot tell when the event expires: the time that it needs is missing or is no time")
	case at.Before(now.Add(-deletableFor)):
		return 0, errTooOld
	}
	ttl := at.Unix()
	if at.Nanosecond() > 0 {
		ttl++
	}
	return ttl, nil
}

func (s *Store) rangeKeyIn(room *collateRoom, e *Event) (string, error) {
	if room.key == nil {
		room.key = make([]byte, 0, 256)
	}
	// What comes back need not lie in the room: a user's function may return
	// something of its own.
	key, err := s.rangeKey.AppendRangeKey(room.key[:0], e)
	if err != nil {
		return "", err
	}
	if bytes.HasPrefix(key, []byte(driver.MarkerPrefix)) {
		return "", errors.New("the range key begins with U+0001, which is reserved")
	}
	return room.rangeKeys.String(key), nil
}

// warnOfSeconds reports the commonest mistake of producers, once.
func (s *Store) warnOfSeconds(e *Event) {
	const year2000 = 946_684_800
	if s.logger == nil || e.Timestamp.IsZero() || e.Timestamp.Unix() >= year2000 {
		return
	}
	s.secondsOnce.Do(func() {
		// What a logger does decides over no event.
		_ = guard(func() error {
			s.logger.Warn("an event has a timestamp before the year 2000: its producer probably sends seconds, not milliseconds; this is said once",
				slog.Time("timestamp", e.Timestamp))
			return nil
		})
	})
}
