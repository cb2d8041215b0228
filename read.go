package microeventstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/arena"
	"github.com/microeventstore/microeventstore/internal/pageway"
)

// GetMicroEventStore returns the events of a hash key, oldest first, or the part
// of them that the options select. A key that has none gives an empty history,
// not an error. Events that have expired are left out, whether the table has
// deleted them yet or not.
//
// The answer is complete or it is an error: a *[LimitError] when it would be
// larger than [MaxEvents] or [MaxBytes] allow, an error that wraps [ErrCorrupt]
// when the table's answer cannot be right, or the table's own.
func (s *Store) GetMicroEventStore(ctx context.Context, hashKey string, opts ...ReadOption) (*MicroEventStore, error) {
	options, err := newReadOptions(opts)
	if err != nil {
		return nil, fmt.Errorf("get micro event store: %w", err)
	}
	options.limit(false)
	events, _, err := s.history(ctx, hashKey, options)
	if err != nil {
		return nil, fmt.Errorf("get micro event store: %w", err)
	}
	return &MicroEventStore{HashKey: hashKey, Events: events}, nil
}

// Events returns the events of a hash key one by one, oldest first, or the part
// of them that the options select. It reads page by page as the loop goes on, so
// a history of any length takes the memory of one page; for that reason it has no
// limits but those that the options set. With [Last] it has to read backwards and
// holds those n events, with the limits of [Store.GetMicroEventStore].
//
// An error is the last thing that it yields, that of a context that has ended in
// the loop among them; the events before it are right, but
// not all. Each range over the sequence reads afresh.
func (s *Store) Events(ctx context.Context, hashKey string, opts ...ReadOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		options, err := newReadOptions(opts)
		if err != nil {
			yield(Event{}, fmt.Errorf("events: %w", err))
			return
		}
		options.limit(options.last == 0)
		next := func(e *Event) bool {
			if err := ctx.Err(); err != nil {
				yield(Event{}, fmt.Errorf("events: %w", err))
				return false
			}
			return yield(*e, nil)
		}
		if options.last > 0 {
			events, _, err := s.history(ctx, hashKey, options)
			for i := range events {
				if !next(&events[i]) {
					return
				}
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("events: %w", err))
			}
			return
		}
		stopped := false
		_, err = s.scan(ctx, hashKey, options, nil, func(e *Event) bool {
			stopped = !next(e)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Event{}, fmt.Errorf("events: %w", err))
		}
	}
}

// history reads all that the options select. consistent is what the table says of
// its answer.
func (s *Store) history(ctx context.Context, hashKey string, options *readOptions) (events []Event, consistent bool, err error) {
	consistent, err = s.scan(ctx, hashKey, options, &events, func(e *Event) bool {
		return options.last == 0 || len(events) < options.last || !options.reach.IsZero() && !e.Timestamp.Before(options.reach)
	})
	if err != nil {
		return nil, false, err
	}
	if options.last > 0 {
		slices.Reverse(events)
	}
	return slices.Clip(events), consistent, nil
}

// scan calls visit for each event that the options select, oldest first, or with
// Last newest first, until visit returns false. It also appends them to into, if
// that is not nil. An event takes 280 bytes without its JSON, so it is made in its
// place there where there is room, and not moved to it.
func (s *Store) scan(ctx context.Context, hashKey string, options *readOptions, into *[]Event, visit func(e *Event) bool) (consistent bool, err error) {
	if err := s.check(); err != nil {
		return false, err
	}
	if ctx == nil {
		return false, errNilContext
	}
	query, err := s.query(hashKey, options)
	if err != nil {
		return false, err
	}
	now := time.Now()
	consistent = true
	count, size := 0, int64(0)
	var way way
	var single Event      // where there is no place for it
	var shared arena.Text // of all events
	for {
		page, err := s.page(ctx, query, &way)
		if err != nil {
			return false, err
		}
		consistent = consistent && page.Consistent
		for i := range page.Items {
			item := &page.Items[i]
			if item.Expired(now) {
				continue
			}
			if strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
				if options.onMarker != nil {
					options.onMarker(*item)
				}
				continue
			}
			if bound := item.RangeKey; bound != "" && (bound == options.after || bound == options.before) {
				continue // a bound is not among the events, and "" is none
			}
			e := &single
			if into != nil && len(*into) < cap(*into) {
				e = &(*into)[:cap(*into)][len(*into)] // again, if this one is not selected
			}
			if err := s.restore(e, item, &shared); err != nil {
				return false, err
			}
			if selected, err := options.selects(e); err != nil {
				return false, err
			} else if !selected {
				continue
			}
			count++
			size += int64(len(e.Raw))
			if count > options.maxEvents {
				return false, &LimitError{Option: "MaxEvents", Limit: int64(options.maxEvents)}
			}
			if size > options.maxBytes {
				return false, &LimitError{Option: "MaxBytes", Limit: options.maxBytes}
			}
			switch {
			case into == nil:
			case e == &single:
				// Room for the rest of the page, now that one of it was selected.
				*into = append(slices.Grow(*into, len(page.Items)-i), single)
			default:
				*into = (*into)[:len(*into)+1]
			}
			if !visit(e) {
				s.release(page)
				return consistent, nil
			}
		}
		s.release(page)
		if page.Next == "" {
			return consistent, nil
		}
		query.Cursor = page.Next
		if query.Limit > 0 {
			// The limit was a guess at how many items hold what was asked for.
			query.Limit = min(2*query.Limit, maxPageItems)
		}
	}
}

// maxPageItems bounds the pages that are asked for by number.
const maxPageItems = 1000

// query turns the options into bounds that the table can use. What a table cannot
// express is looked at again when the items come.
func (s *Store) query(hashKey string, options *readOptions) (driver.Query, error) {
	q := driver.Query{
		HashKey:    hashKey,
		From:       options.after,
		To:         options.before,
		Descending: options.last > 0,
		Limit:      min(options.last, maxPageItems),
		Consistent: !options.eventual,
	}
	if options.exactly != "" {
		q.From, q.To = options.exactly, options.exactly
	}
	if q.Limit > 0 && q.To != "" {
		q.Limit++ // the bound itself may be among them
	}
	if s.timeInKey {
		if !options.since.IsZero() {
			if from, ok := appendTimePrefix(nil, ceilMilliseconds(options.since)); ok {
				q.From = max(q.From, string(from))
			}
		}
		if !options.until.IsZero() {
			// No range key is as short as a bare time, so this bound lies
			// between the last event of one millisecond and the first of the
			// next.
			if to, ok := appendTimePrefix(nil, options.until.Add(time.Millisecond)); ok {
				if q.To == "" || string(to) < q.To {
					q.To = string(to)
				}
			}
		}
	}
	if err := q.Check(); err != nil {
		return q, err
	}
	return q, nil
}

func ceilMilliseconds(t time.Time) time.Time {
	if t.Nanosecond()%int(time.Millisecond) == 0 {
		return t
	}
	return t.Add(time.Millisecond)
}

// A way is what is remembered of the pages before.
type way = pageway.Way

// page reads one page and sees that it can be right.
func (s *Store) page(ctx context.Context, query driver.Query, way *way) (driver.Page, error) {
	if err := ctx.Err(); err != nil {
		return driver.Page{}, err
	}
	var page driver.Page
	err := guard(func() (err error) {
		page, err = s.table.Query(ctx, query)
		return err
	})
	if err != nil {
		return driver.Page{}, fmt.Errorf("query: %w", err)
	}
	if err := way.Check(&query, &page); err != nil {
		return driver.Page{}, fmt.Errorf("query: %w: %w", ErrCorrupt, err)
	}
	return page, nil
}

// release gives a page back to the table, which may use its memory again. Where that
// goes wrong the page is lost, and nothing else.
func (s *Store) release(page driver.Page) {
	if table, ok := s.table.(driver.Releaser); ok {
		_ = guard(func() error {
			table.Release(page)
			return nil
		})
	}
}

// selects applies the options that need the event itself.
func (r *readOptions) selects(e *Event) (selected bool, err error) {
	if !r.since.IsZero() && (e.Timestamp.IsZero() || e.Timestamp.Before(r.since)) {
		return false, nil
	}
	if !r.until.IsZero() && (e.Timestamp.IsZero() || e.Timestamp.After(r.until)) {
		return false, nil
	}
	if r.matching == nil {
		return true, nil
	}
	err = guard(func() error {
		selected = r.matching(*e)
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("Matching: %w", err)
	}
	return selected, nil
}
