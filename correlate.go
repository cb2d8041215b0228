package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// Correlate stores events that were read from the store under another hash key
// as well: one that they do not name themselves, but that a history has revealed.
// Each keeps its range key, its bytes and the time when it expires. Doing it again
// changes nothing.
//
// nil means that all are stored. Otherwise a *[SaveError] names each event that is
// not; see [Store.Save]. An event that was not read from a store, and so has no
// range key, is an error. A table in another program's layout ([driver.ForeignLayout])
// keeps an event under one hash key alone: there every event is refused, for good.
func (s *Store) Correlate(ctx context.Context, hashKey string, events ...Event) error {
	if err := s.check(); err != nil {
		return failSave(len(events), err)
	}
	began := time.Now()
	batch := newSaveBatch(s, len(events))
	batch.reserve(0)
	for i := range events {
		item, err := correlated(hashKey, &events[i])
		if err == nil && s.foreign {
			err = errors.New("the table's layout is another program's, and keeps an event under one hash key alone")
		}
		if err != nil {
			batch.outcomes[i].err = Permanent(fmt.Errorf("correlate: %w", err))
			continue
		}
		batch.take(i, append(batch.items, item))
	}
	return batch.finish(ctx, began)
}

// correlated makes the item of an event that was read, under another hash key.
func correlated(hashKey string, e *Event) (driver.Item, error) {
	item := driver.Item{
		HashKey:      hashKey,
		RangeKey:     e.RangeKey,
		Event:        e.Raw,
		ID:           e.ID,
		Type:         e.Type,
		Timestamp:    e.Timestamp,
		PartitionKey: e.PartitionKey,
		Complete:     true,
	}
	if !e.Expires.IsZero() {
		item.TTL = e.Expires.Unix()
	}
	switch {
	case e.RangeKey == "":
		return item, errors.New("the event has no range key: only one that was read can be put under another hash key")
	case strings.HasPrefix(e.RangeKey, driver.MarkerPrefix):
		return item, errors.New("the range key begins with U+0001, which is reserved")
	}
	return item, item.CheckKeys()
}
