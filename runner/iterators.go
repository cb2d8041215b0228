package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// A cursor reads the shards of a service that hands out iterators, as Kinesis and
// DynamoDB Streams do. It remembers where the last read of each shard ended, so
// that the next one need not ask for an iterator.
type cursor[T any] struct {
	// open asks for an iterator; "" is an error.
	open func(ctx context.Context, shard string, after mes.Position) (string, error)
	// get reads a page. fresh says that the iterator was made for the position,
	// and that no page since has held a record.
	get func(ctx context.Context, shard, iterator string, after mes.Position, fresh bool, limit int) (page[T], error)
	// expired tells whether an error says that an iterator is too old.
	expired func(error) bool
	// hops is how many empty pages in a row are followed at once behind an
	// iterator that was just made: Kinesis and DynamoDB Streams answer with
	// empty pages though there is something behind them, mostly at the start of
	// a shard.
	hops int
	meta func(*T) *mes.Meta

	mu     sync.Mutex
	places map[string]place
}

// A page is what one call returns. Only a page without a next iterator is the
// last of a shard.
type page[T any] struct {
	records []T
	next    string
	behind  time.Duration // how far, as the service says; 0 where it does not
	held    bool          // it had records, be it that none of them is new
	whole   bool          // it had a list of records, be it an empty one
	cut     bool          // it had more of them than fit in memory
}

// A place is an iterator, and what has been read before it.
type place struct {
	after    mes.Position
	iterator string
	fresh    bool          // see cursor.get
	behind   time.Duration // see page
	failures int           // in a row
}

const (
	// maxHops is how many empty pages with more behind them one read follows, so
	// that it ends in time. The next one goes on from there: a sparse shard may
	// have thousands.
	maxHops = 50

	// maxFailures is how often an iterator may fail before another one is asked
	// for. It is not thrown away for one failure: all the empty pages behind it
	// would have to be read again.
	maxFailures = 5
)

// read returns the records behind a position: see [mes.RecordSource].
func (c *cursor[T]) read(ctx context.Context, shard string, after mes.Position, limit int) (records []T, end bool, err error) {
	p := c.take(shard, after)
	made := false
	for hops := 1; ; hops++ {
		if p.iterator == "" {
			made, p = true, place{after: after, fresh: true}
			if p.iterator, err = c.open(ctx, shard, after); err != nil {
				return nil, false, fmt.Errorf("get a shard iterator: %w", err)
			}
		}
		got, err := c.get(ctx, shard, p.iterator, after, p.fresh, limit)
		switch {
		case err != nil && c.expired(err) && !made:
			p.iterator = ""
			continue
		case err != nil:
			if p.failures++; p.failures < maxFailures && !errors.Is(err, mes.ErrTrimmed) {
				c.put(shard, p)
				if hops > 1 && p.behind > 0 { // it has come nearer: the next read says whether it still fails
					return nil, false, nil
				}
			}
			return nil, false, fmt.Errorf("get records: %w", err)
		case got.cut: // the next read begins behind the last of them
			return got.records, false, nil
		case got.next == "" && !got.whole: // an empty answer must not end a shard for good
			return nil, false, fmt.Errorf("get records: %w: there are none in it, and no end of them", mes.ErrCorrupt)
		case got.next == "":
			return got.records, true, nil
		}
		p = place{after: after, iterator: got.next, fresh: p.fresh && !got.held, behind: got.behind}
		if len(got.records) > 0 {
			p.after = c.meta(&got.records[len(got.records)-1]).Position()
			c.put(shard, p)
			return got.records, false, nil
		}
		if hops >= maxHops || got.behind == 0 && (!made || hops >= c.hops) {
			c.put(shard, p)
			return nil, false, nil
		}
	}
}

// lag is how far behind a shard is after a read that returned nothing, as the
// service says, or 0.
func (c *cursor[T]) lag(shard string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.places[shard].behind
}

// take returns the place of a position, if there is one, and forgets it.
func (c *cursor[T]) take(shard string, after mes.Position) place {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.places[shard]
	delete(c.places, shard)
	if p.after != after {
		return place{}
	}
	return p
}

func (c *cursor[T]) put(shard string, p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places == nil {
		c.places = make(map[string]place)
	}
	c.places[shard] = p
}

// keep forgets all shards but those.
func (c *cursor[T]) keep(shards []mes.Shard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keepOnly(c.places, shards)
}

func keepOnly[V any](all map[string]V, shards []mes.Shard) {
	kept := make(map[string]bool, len(shards))
	for _, s := range shards {
		kept[s.ID] = true
	}
	maps.DeleteFunc(all, func(id string, _ V) bool { return !kept[id] })
}

// A listing lists the shards of a stream, page by page. One that fails is gone on
// with, so that a stream of many pages is listed in the end though the service
// throttles every few calls.
type listing struct {
	// page returns the shards behind another one, "" for the first, and whether
	// there are more; nil where the answer had no list of them.
	page func(ctx context.Context, behind string) (shards []mes.Shard, more bool, err error)

	mu    sync.Mutex
	found []mes.Shard // before it failed
}

func (l *listing) list(ctx context.Context) ([]mes.Shard, error) {
	l.mu.Lock()
	found := l.found
	l.found = nil
	l.mu.Unlock()
	for {
		behind := ""
		if len(found) > 0 {
			behind = found[len(found)-1].ID
		}
		shards, more, err := l.page(ctx, behind)
		if err != nil {
			l.mu.Lock()
			l.found = found
			l.mu.Unlock()
			return found[:len(found):len(found)], err
		}
		found = append(found, shards...)
		if len(shards) == 0 && (more || shards == nil) {
			return found, fmt.Errorf("%w: a page of shards is empty and should not be", mes.ErrCorrupt)
		}
		if !more {
			return found, nil
		}
	}
}
