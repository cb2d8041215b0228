package microeventstore

import (
	"fmt"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/arena"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// DecodeItem turns an item of the store's table back into the event that was
// saved. It is for hosts, which meet items in a table's change stream (see
// [driver.ImageDecoder]). An item without an event is an error that wraps
// [ErrCorrupt], and so is one whose event the store's decoder does not read. The
// event shares the item's memory.
func (s *Store) DecodeItem(item driver.Item) (Event, error) {
	if err := s.check(); err != nil {
		return Event{}, err
	}
	var e Event
	if err := s.restore(&e, &item, nil); err != nil {
		return Event{}, err
	}
	return e, nil
}

// ItemDecoder returns a function that does as [Store.DecodeItem] does, for the
// items of one batch, at less cost: the events share memory with one another. It
// must not be called by several goroutines at once.
func (s *Store) ItemDecoder() func(item driver.Item) (Event, error) {
	if err := s.check(); err != nil {
		return func(driver.Item) (Event, error) { return Event{}, err }
	}
	shared := new(arena.Text)
	return func(item driver.Item) (e Event, err error) {
		if err := s.restore(&e, &item, shared); err != nil {
			return Event{}, err
		}
		return e, nil
	}
}

// restore turns an item back into the event that was saved.
func (s *Store) restore(e *Event, item *driver.Item, shared *arena.Text) error {
	if !item.Complete {
		if err := s.decodeItem(e, shared, item); err != nil {
			return fmt.Errorf("%w: an item does not hold an event: %w", ErrCorrupt, err)
		}
		e.RangeKey = item.RangeKey
		e.Expires = expires(item.TTL)
		e.Meta = Meta{}
		return nil
	}
	e.ID, e.Type, e.PartitionKey, e.RangeKey = item.ID, item.Type, item.PartitionKey, item.RangeKey
	e.Timestamp = item.Timestamp
	e.Raw = item.Event
	e.Expires = expires(item.TTL)
	return nil
}

// decodeItem makes an event of what an item holds, of which its table may have
// looked at all already.
func (s *Store) decodeItem(e *Event, shared *arena.Text, item *driver.Item) error {
	if s.decoder == nil {
		outline, _ := item.Outline.(*jsonscan.Outline)
		if places, ok := outline.Of(item.Event); ok {
			env := envelope{raw: item.Event}
			env.outlined(places)
			if env.isOf(e, item) {
				return nil
			}
			return env.event(e, shared)
		}
	}
	return s.decodeIn(e, shared, item.Event)
}

// isOf makes the event of an item whose keys and attributes are what the event itself says,
// as nearly all are, of their strings. It is false for all others, and has then set some of e.
func (env *envelope) isOf(e *Event, item *driver.Item) bool {
	id := env.of(env.id)
	begin := len(item.RangeKey) - (len(id) - len(`""`))
	if !isText(id) || begin < 0 {
		return false
	}
	e.ID, e.Type, e.PartitionKey, e.Timestamp = item.RangeKey[begin:], item.Type, item.HashKey, item.Timestamp
	e.Raw = item.Event[:len(item.Event):len(item.Event)]
	return env.says(e)
}

// expires makes a time of an item's TTL.
func expires(ttl int64) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return time.Unix(ttl, 0).UTC()
}
