package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func absentCases() []testCase {
	return []testCase{
		{name: "PutIfAbsent", rule: "PutIfAbsent stores the items whose keys are free; where the same event is, it changes nothing, not even the other attributes.", run: testPutIfAbsent},
		{name: "PutIfAbsentConflicts", rule: "PutIfAbsent fails with ErrConflict for just the items whose keys another event has, and with ErrInvalidItem for just those that are invalid; all others are stored.", run: testPutIfAbsentConflicts},
		{name: "PutIfAbsentExpired", rule: "To PutIfAbsent an item that has expired does not count as there.", run: testPutIfAbsentExpired},
		{name: "PutIfAbsentUnderConcurrency", rule: "Of several different events that are put at once under the same keys, one stays and the others are conflicts.", run: testPutIfAbsentUnderConcurrency},
		{name: "PutIfAbsentManners", rule: "PutIfAbsent copies what it keeps, honours its context, and returns ErrClosed after Close, as Put does.", run: testPutIfAbsentManners},
	}
}

// absent returns the table as a PutIfAbsent, or skips the case.
func (s *suite) absent(t *watched) driver.PutIfAbsent {
	s.Helper()
	if _, ok := t.Table.(driver.PutIfAbsent); !ok {
		s.Skipf("skipped because the table is no driver.PutIfAbsent\nthe rule: %s", s.rule)
	}
	return t
}

func testPutIfAbsent(s *suite) {
	t := s.open()
	absent := s.absent(t)
	check := func(err error) {
		s.Helper()
		if err != nil {
			s.failf("PutIfAbsent: %v; want nil", err)
		}
	}
	items := newItems("absent", 60)
	check(absent.PutIfAbsent(s.ctx, nil))
	check(absent.PutIfAbsent(s.ctx, items[:30]))
	s.want(t, driver.Query{HashKey: "absent"}, items[:30]...)
	check(absent.PutIfAbsent(s.ctx, items))
	s.want(t, driver.Query{HashKey: "absent"}, items...)

	changed := clone(items)
	for i := range changed { // the event alone is compared
		changed[i].Type, changed[i].TTL = "another type", 0
		changed[i].Timestamp = changed[i].Timestamp.Add(time.Hour)
	}
	check(absent.PutIfAbsent(s.ctx, changed))
	s.want(t, driver.Query{HashKey: "absent"}, items...)
}

func testPutIfAbsentConflicts(s *suite) {
	t := s.open()
	absent := s.absent(t)
	items := newItems("conflicts", 60)
	s.put(t, items[:40]...)
	again := clone(items)
	for _, i := range []int{0, 26, 39} {
		again[i] = newItem("conflicts", again[i].RangeKey, 1000+i)
	}
	again[30].Event = append(again[30].Event, ' ') // its bytes are compared, not what they mean
	again[41].RangeKey = ""
	err := absent.PutIfAbsent(s.ctx, again)
	var partial *driver.PutError
	if !errors.As(err, &partial) {
		s.fatalf("PutIfAbsent: %v; want a *driver.PutError", err)
	}
	var conflicts, invalid []int
	for _, failure := range partial.Failures {
		switch {
		case errors.Is(failure.Err, driver.ErrConflict) && !errors.Is(failure.Err, driver.ErrInvalidItem):
			conflicts = append(conflicts, failure.Index)
		case errors.Is(failure.Err, driver.ErrInvalidItem):
			invalid = append(invalid, failure.Index)
		default:
			s.failf("item %d: %v; want an error that wraps ErrConflict or ErrInvalidItem", failure.Index, failure.Err)
		}
	}
	if !slices.Equal(conflicts, []int{0, 26, 30, 39}) || !slices.Equal(invalid, []int{41}) {
		s.failf("PutIfAbsent named items %v as conflicts and %v as invalid; want [0 26 30 39] and [41]", conflicts, invalid)
	}
	s.want(t, driver.Query{HashKey: "conflicts"}, slices.Delete(slices.Clone(items), 41, 42)...)
}

func testPutIfAbsentExpired(s *suite) {
	t := s.open()
	absent := s.absent(t)
	for i, ttl := range []int64{1, time.Now().Add(-time.Minute).Unix()} {
		old := newItem("expired", text(i), 0)
		old.TTL = ttl
		s.put(t, old)
		item := newItem("expired", text(i), 1)
		if err := absent.PutIfAbsent(s.ctx, []driver.Item{item}); err != nil {
			s.failf("PutIfAbsent in the place of an item that has expired: %v; want nil", err)
		}
		s.want(t, driver.Query{HashKey: "expired", From: text(i)}, item)
	}
	living := newItem("expired", "living", 0)
	living.TTL = 0
	s.put(t, living)
	if err := absent.PutIfAbsent(s.ctx, []driver.Item{newItem("expired", "living", 1)}); !errors.Is(err, driver.ErrConflict) {
		s.failf("PutIfAbsent in the place of an item that never expires: %v; want ErrConflict", err)
	}
}

func testPutIfAbsentUnderConcurrency(s *suite) {
	t := s.open()
	absent := s.absent(t)
	const writers = 4
	for round := range s.fewer(30, 5) {
		var (
			wg     sync.WaitGroup
			errs   [writers]error
			stored []int
		)
		key := text(round)
		for w := range writers {
			wg.Go(func() { errs[w] = absent.PutIfAbsent(s.ctx, []driver.Item{newItem("race", key, w)}) })
		}
		wg.Wait()
		for w, err := range errs {
			if err == nil {
				stored = append(stored, w)
			} else if !errors.Is(err, driver.ErrConflict) {
				s.failf("PutIfAbsent: %v; want nil or ErrConflict", err)
			}
		}
		if len(stored) != 1 {
			s.fatalf("of %d different events %d were stored under the same keys; want 1", writers, len(stored))
		}
		s.want(t, driver.Query{HashKey: "race", From: key, To: key}, newItem("race", key, stored[0]))
	}
}

func testPutIfAbsentManners(s *suite) {
	t := s.open()
	absent := s.absent(t)
	items := newItems("manners", 30)
	given := clone(items)
	if err := absent.PutIfAbsent(s.ctx, given); err != nil {
		s.failf("PutIfAbsent: %v; want nil", err)
	}
	scribble(given)
	s.want(t, driver.Query{HashKey: "manners"}, items...)

	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	late := []driver.Item{newItem("manners", "late", 0)}
	if err := absent.PutIfAbsent(ended, late); !errors.Is(err, context.Canceled) || errors.Is(err, driver.ErrInvalidItem) {
		s.failf("PutIfAbsent with a context that has ended: %v; want one that is %v alone", err, context.Canceled)
	}
	s.want(t, driver.Query{HashKey: "manners"}, items...)

	secret := newItem("manners", items[0].RangeKey, 1)
	if err := absent.PutIfAbsent(s.ctx, []driver.Item{secret}); err != nil {
		for _, private := range []string{secret.HashKey, secret.RangeKey, secret.ID} {
			if strings.Contains(fmt.Sprintf("%+v", err), private) {
				s.failf("the error of a conflict contains what is the user's: %v", err)
			}
		}
	}
	if err := t.Close(); err != nil {
		s.failf("Close: %v", err)
	}
	if err := absent.PutIfAbsent(s.ctx, late); !errors.Is(err, driver.ErrClosed) {
		s.failf("PutIfAbsent after Close: %v; want ErrClosed", err)
	}
}
