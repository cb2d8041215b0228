package microeventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func TestAnUnknownHashKeyHasAnEmptyHistory(t *testing.T) {
	m, err := newTestStore(t, newSpy()).GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, "p", m.HashKey)
	require.Empty(t, m.Events)
	require.Zero(t, m.Current)
}

// TestPromise06ReadOptions compares every combination of options with a filter
// over the whole list.
func TestPromise06ReadOptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		byTime := rapid.Bool().Draw(t, "by time")
		rangeKey := EventID()
		if byTime {
			rangeKey = TimeAndID()
		}
		spy := newSpy()
		// Small pages, some of them empty, and markers among the items.
		pageSize := rapid.IntRange(1, 5).Draw(t, "page size")
		spy.Table = smallPages{spy.Table, pageSize}
		s, err := New(spy, WithRangeKey(rangeKey), WithTTL(NeverExpire()))
		require.NoError(t, err)
		var all []Event
		for i := range rapid.IntRange(0, 12).Draw(t, "events") {
			e, err := Parse([]byte(eventJSON(fmt.Sprintf("%02d", i), fmt.Sprint("t", i%3), "p", rapid.IntRange(0, 5).Draw(t, "ms"))))
			require.NoError(t, err)
			require.NoError(t, s.Save(context.Background(), e))
			key, err := rangeKey.AppendRangeKey(nil, &e)
			require.NoError(t, err)
			e.RangeKey = string(key)
			all = append(all, e)
		}
		marker := driver.Item{HashKey: "p", RangeKey: driver.MarkerPrefix + "rule", Event: []byte(`{}`)}
		require.NoError(t, spy.Table.Put(context.Background(), []driver.Item{marker}))
		slices.SortFunc(all, func(a, b Event) int { return strings.Compare(a.RangeKey, b.RangeKey) })

		var opts []ReadOption
		want := all
		keep := func(f func(Event) bool) {
			want = slices.DeleteFunc(slices.Clone(want), func(e Event) bool { return !f(e) })
		}
		bound := func(label string) string {
			if len(all) == 0 {
				return "x"
			}
			return rapid.SampledFrom(all).Draw(t, label).RangeKey
		}
		if rapid.Bool().Draw(t, "has after") {
			key := bound("after")
			opts = append(opts, After(key))
			keep(func(e Event) bool { return e.RangeKey > key })
		}
		if rapid.Bool().Draw(t, "has before") {
			key := bound("before")
			opts = append(opts, Before(key))
			keep(func(e Event) bool { return e.RangeKey < key })
		}
		micros := rapid.SampledFrom([]time.Duration{0, time.Microsecond, 999 * time.Microsecond})
		if rapid.Bool().Draw(t, "has since") {
			at := testTime(rapid.IntRange(-1, 6).Draw(t, "since")).Add(micros.Draw(t, "since µs"))
			opts = append(opts, Since(at))
			keep(func(e Event) bool { return !e.Timestamp.Before(at) })
		}
		if rapid.Bool().Draw(t, "has until") {
			at := testTime(rapid.IntRange(-1, 6).Draw(t, "until")).Add(micros.Draw(t, "until µs"))
			opts = append(opts, Until(at))
			keep(func(e Event) bool { return !e.Timestamp.After(at) })
		}
		if rapid.Bool().Draw(t, "has matching") {
			opts = append(opts, Matching(Types("t1")))
			keep(func(e Event) bool { return e.Type == "t1" })
		}
		if rapid.Bool().Draw(t, "has last") {
			n := rapid.IntRange(1, 6).Draw(t, "last")
			opts = append(opts, Last(n))
			want = want[max(0, len(want)-n):]
		}
		if rapid.Bool().Draw(t, "eventual") {
			opts = append(opts, EventuallyConsistent())
		}
		m, err := s.GetMicroEventStore(context.Background(), "p", opts...)
		require.NoError(t, err)
		require.Equal(t, ids(want), ids(m.Events))
		require.Equal(t, len(m.Events), cap(m.Events))
		for i := range want {
			require.Equal(t, want[i], m.Events[i])
		}
		var streamed []Event
		for e, err := range s.Events(context.Background(), "p", opts...) {
			require.NoError(t, err)
			streamed = append(streamed, e)
		}
		require.Equal(t, ids(want), ids(streamed))

		if len(want) > 0 {
			_, err = s.GetMicroEventStore(context.Background(), "p", append(opts, MaxEvents(len(want)))...)
			require.NoError(t, err, "exactly the limit")
		}
		if len(want) > 1 {
			_, err = s.GetMicroEventStore(context.Background(), "p", append(opts, MaxEvents(len(want)-1))...)
			var limited *LimitError
			require.ErrorAs(t, err, &limited)
		}
	})
}

// smallPages cuts pages down, and puts empty ones in between.
type smallPages struct {
	driver.Table
	size int
}

func (p smallPages) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	cursor, empty := strings.CutPrefix(query.Cursor, "empty:")
	query.Cursor = cursor
	if query.Limit == 0 || query.Limit > p.size {
		query.Limit = p.size
	}
	if query.Cursor != "" && !empty {
		return driver.Page{Next: "empty:" + query.Cursor, Consistent: true}, nil
	}
	return p.Table.Query(ctx, query)
}

func TestTimesAreBoundsOfTheQueryWithTimeAndID(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	_, err := s.GetMicroEventStore(t.Context(), "p", Since(testTime(5)), Until(testTime(7)), EventuallyConsistent())
	require.NoError(t, err)
	require.Equal(t, driver.Query{HashKey: "p", From: "0001700000000005", To: "0001700000000008"}, spy.queries[0])

	s = newTestStore(t, spy, WithRangeKey(EventID()))
	_, err = s.GetMicroEventStore(t.Context(), "p", Since(testTime(5)), Last(3))
	require.NoError(t, err)
	require.Equal(t, driver.Query{HashKey: "p", Descending: true, Limit: 3, Consistent: true}, spy.queries[1])
}

func TestLastBeforeAnEventIsOnePage(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy, WithRangeKey(EventID()))
	for i := range 9 {
		require.NoError(t, s.Save(t.Context(), testEvent(t, fmt.Sprint(i), "t", "p", i)))
	}
	m, err := s.GetMicroEventStore(t.Context(), "p", Last(3), Before("5"))
	require.NoError(t, err)
	require.Equal(t, []string{"2", "3", "4"}, ids(m.Events))
	require.Len(t, spy.queries, 1)
}

func TestWhatADecoderSaysOfTheDeliveryIsNotRead(t *testing.T) {
	s := newTestStore(t, newSpy(), WithDecoder(func(b []byte) (Event, error) {
		e, err := Parse(b)
		e.Meta.Shard = "a guess"
		return e, err
	}))
	require.NoError(t, s.Save(t.Context(), testEvent(t, "a", "t", "p", 1)))
	m, err := s.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.Zero(t, m.Events[0].Meta)
}

func TestEventsWithoutATimeAreOutsideOfEveryTime(t *testing.T) {
	s := newTestStore(t, newSpy(), WithRangeKey(EventID()))
	timeless, err := Parse([]byte(`{"id":"0","type":"t","partitionKey":"p"}`))
	require.NoError(t, err)
	require.NoError(t, s.Save(t.Context(), timeless, testEvent(t, "1", "t", "p", 1)))
	for _, opt := range []ReadOption{Since(time.Unix(-1<<40, 0)), Until(testTime(9))} {
		m, err := s.GetMicroEventStore(t.Context(), "p", opt)
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, ids(m.Events))
	}
}

func TestPromise16LimitsOfARead(t *testing.T) {
	s := newTestStore(t, newSpy())
	size := int64(0)
	for i := range 5 {
		e := testEvent(t, fmt.Sprint(i), "t", "p", i)
		size += int64(len(e.Raw))
		require.NoError(t, s.Save(t.Context(), e))
	}
	_, err := s.GetMicroEventStore(t.Context(), "p", MaxBytes(size), MaxEvents(5))
	require.NoError(t, err)
	var limited *LimitError
	_, err = s.GetMicroEventStore(t.Context(), "p", MaxBytes(size-1))
	require.ErrorAs(t, err, &limited)
	require.Equal(t, LimitError{"MaxBytes", size - 1}, *limited)
	_, err = s.GetMicroEventStore(t.Context(), "p", MaxEvents(4))
	require.ErrorAs(t, err, &limited)
	require.Equal(t, LimitError{"MaxEvents", 4}, *limited)
	_, err = s.GetMicroEventStore(t.Context(), "p", MaxEvents(4), Last(4))
	require.NoError(t, err, "it is what is returned that counts")

	var got []string
	for e, err := range s.Events(t.Context(), "p", MaxEvents(2)) {
		if err != nil {
			require.ErrorAs(t, err, &limited)
			got = append(got, "error")
			continue
		}
		got = append(got, e.ID)
	}
	require.Equal(t, []string{"0", "1", "error"}, got)
	_, err = s.GetMicroEventStore(t.Context(), "p", MaxEvents(math.MaxInt), MaxBytes(math.MaxInt64))
	require.NoError(t, err)
}

func TestDefaultLimits(t *testing.T) {
	spy := newSpy()
	s := newTestStore(t, spy)
	items := make([]driver.Item, DefaultMaxEvents+1)
	for i := range items {
		items[i] = driver.Item{HashKey: "p", RangeKey: fmt.Sprintf("%06d", i), Event: []byte(`{}`), ID: "x", Complete: true}
	}
	require.NoError(t, spy.Table.Put(t.Context(), items))
	_, err := s.GetMicroEventStore(t.Context(), "p")
	var limited *LimitError
	require.ErrorAs(t, err, &limited)
	n := 0
	for _, err := range s.Events(t.Context(), "p") {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, len(items), n, "page by page there is no need for a limit")
}

func TestPromise14AnAnswerThatCannotBeRightIsNotBelieved(t *testing.T) {
	for name, spoil := range map[string]func(page *driver.Page){
		"order":            func(p *driver.Page) { p.Items[0], p.Items[1] = p.Items[1], p.Items[0] },
		"repetition":       func(p *driver.Page) { p.Items[1] = p.Items[0] },
		"another key":      func(p *driver.Page) { p.Items[1].HashKey = "q" },
		"no range key":     func(p *driver.Page) { p.Items[0].RangeKey = "" },
		"no event":         func(p *driver.Page) { p.Items[1].Complete, p.Items[1].Event = false, []byte(`{"id":`) },
		"no event at all":  func(p *driver.Page) { p.Items[1].Complete, p.Items[1].Event = false, nil },
		"leads to itself":  func(p *driver.Page) { *p = driver.Page{Next: "again"} },
		"repeats for ever": func(p *driver.Page) { p.Next = "again" },
	} {
		t.Run(name, func(t *testing.T) {
			spy := newSpy()
			s := newTestStore(t, spy)
			events := []Event{testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "p", 2)}
			require.NoError(t, s.Save(t.Context(), events...))
			spy.beforeQuery = func(context.Context, driver.Query) error { return nil }
			table := spy.Table
			spy.Table = ignoresCursor{table}
			spy.afterQuery = func(_ driver.Query, page *driver.Page) {
				page.Items = slices.Clone(page.Items)
				spoil(page)
			}
			for _, opts := range [][]ReadOption{nil, {Last(3)}} {
				_, err := s.GetMicroEventStore(t.Context(), "p", opts...)
				require.ErrorIs(t, err, ErrCorrupt)
				require.False(t, IsPermanent(err))
			}
			handler := new(calls)
			require.Equal(t, []int{0}, failedIndexes(t, NewTrigger(s, handler.handle).Handle(t.Context(), inserted(t, s, events[0]))))
			require.Empty(t, handler.list)
		})
	}
}

// Pages without items may come, however many. Those that go in a circle would keep a
// read that has no deadline for ever.
func TestPromise14EmptyPagesDoNotGoInACircle(t *testing.T) {
	for _, before := range []int{0, 1, 5, 300} {
		for _, circle := range []int{0, 1, 2, 3, 7, 100} { // 0: none
			spy := newSpy()
			s := newTestStore(t, spy)
			spy.Table = ignoresCursor{spy.Table}
			n := 0
			spy.afterQuery = func(_ driver.Query, page *driver.Page) {
				*page = driver.Page{Next: strconv.Itoa(n)}
				switch n++; {
				case circle == 0 && n == before+500:
					page.Next = ""
				case circle > 0 && n > before:
					page.Next = fmt.Sprint("round ", n%circle)
				}
			}
			_, err := s.GetMicroEventStore(t.Context(), "p")
			if circle == 0 {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, ErrCorrupt)
			require.Less(t, n, 4*(before+circle+1))
		}
	}
}

type ignoresCursor struct{ driver.Table }

func (i ignoresCursor) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	query.Cursor = ""
	return i.Table.Query(ctx, query)
}

func TestPromise06AFailureOnAnyPageFailsTheRead(t *testing.T) {
	for failing := range 4 {
		spy := newSpy()
		spy.Table = smallPages{spy.Table, 3}
		s := newTestStore(t, spy)
		for i := range 12 {
			require.NoError(t, s.Save(t.Context(), testEvent(t, fmt.Sprintf("%02d", i), "t", "p", i)))
		}
		spy.beforeQuery = func(context.Context, driver.Query) error {
			if len(spy.queries) == failing+1 {
				return errThrottled
			}
			return nil
		}
		m, err := s.GetMicroEventStore(t.Context(), "p")
		require.ErrorIs(t, err, errThrottled)
		require.Nil(t, m)
	}
}

func TestReadArguments(t *testing.T) {
	s := newTestStore(t, newSpy())
	for name, read := range map[string]func() error{
		"no hash key":   func() error { _, err := s.GetMicroEventStore(t.Context(), ""); return err },
		"long hash key": func() error { _, err := s.GetMicroEventStore(t.Context(), strings.Repeat("k", 2049)); return err },
		"bad hash key":  func() error { _, err := s.GetMicroEventStore(t.Context(), "h\xff"); return err },
		"last":          func() error { _, err := s.GetMicroEventStore(t.Context(), "p", Last(0)); return err },
		"max events":    func() error { _, err := s.GetMicroEventStore(t.Context(), "p", MaxEvents(0)); return err },
		"max bytes":     func() error { _, err := s.GetMicroEventStore(t.Context(), "p", MaxBytes(-1)); return err },
		"after":         func() error { _, err := s.GetMicroEventStore(t.Context(), "p", After("h\xff")); return err },
		"before": func() error {
			_, err := s.GetMicroEventStore(t.Context(), "p", Before(strings.Repeat("k", 1025)))
			return err
		},
		"nil option":     func() error { _, err := s.GetMicroEventStore(t.Context(), "p", nil); return err },
		"filter panics":  func() error { return filterPanics(t, s) },
		"delete no key":  func() error { return s.Delete(t.Context(), "") },
		"events options": func() error { return firstError(s, Last(-1)) },
	} {
		t.Run(name, func(t *testing.T) { require.Error(t, read()) })
	}
}

func filterPanics(t *testing.T, s *Store) error {
	require.NoError(t, s.Save(t.Context(), testEvent(t, "a", "t", "p", 1)))
	_, err := s.GetMicroEventStore(t.Context(), "p", Matching(func(Event) bool { panic("boom") }))
	return err
}

func firstError(s *Store, opts ...ReadOption) error {
	for _, err := range s.Events(context.Background(), "p", opts...) {
		return err
	}
	return nil
}

func TestReadsHonourTheContext(t *testing.T) {
	s := newTestStore(t, newSpy())
	require.NoError(t, s.Save(t.Context(), testEvent(t, "a", "t", "p", 1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.GetMicroEventStore(ctx, "p")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Save(ctx, testEvent(t, "b", "t", "p", 2)), context.Canceled)
}

func TestEventsCanBeLeftAtAnyTime(t *testing.T) {
	spy := newSpy()
	spy.Table = smallPages{spy.Table, 2}
	s := newTestStore(t, spy)
	for i := range 10 {
		require.NoError(t, s.Save(t.Context(), testEvent(t, fmt.Sprint(i), "t", "p", i)))
	}
	for _, opts := range [][]ReadOption{nil, {Last(9)}} {
		n := 0
		for _, err := range s.Events(t.Context(), "p", opts...) {
			require.NoError(t, err)
			if n++; n == 3 {
				break
			}
		}
		require.Equal(t, 3, n)
	}
	require.Panics(t, func() {
		for _, err := range s.Events(t.Context(), "p") {
			require.NoError(t, err)
			panic("the loop's own")
		}
	})
}

func TestTheStoreClosesItsTable(t *testing.T) {
	s := newTestStore(t, newSpy().Table)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Save(t.Context(), testEvent(t, "a", "t", "p", 1)), ErrClosed)
	_, err := s.GetMicroEventStore(t.Context(), "p")
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.Delete(t.Context(), "p"), ErrClosed)
}

func TestDelete(t *testing.T) {
	spy := newSpy()
	table := spy.Table
	s := newTestStore(t, table)
	require.NoError(t, s.Save(t.Context(), testEvent(t, "a", "t", "p", 1), testEvent(t, "b", "t", "q", 1)))
	require.NoError(t, s.Delete(t.Context(), "p"))
	require.NoError(t, s.Delete(t.Context(), "p"))
	require.Empty(t, spy.items(t, "p"))
	require.Len(t, spy.items(t, "q"), 1)
	require.ErrorIs(t, newTestStore(t, struct{ driver.Table }{table}).Delete(t.Context(), "q"), errors.ErrUnsupported)
	require.Same(t, table, s.Table())
	require.ErrorIs(t, s.Delete(t.Context(), ""), ErrInvalidQuery)
	require.NoError(t, s.Close())
	err := s.Delete(t.Context(), "q")
	require.ErrorIs(t, err, ErrClosed)
	require.NotContains(t, err.Error(), "again")
}

func TestEventsEndWithTheirContext(t *testing.T) {
	s := newTestStore(t, newSpy())
	storeHistory(t, s, 5)
	for _, opts := range [][]ReadOption{nil, {Last(4)}} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var events, errs int
		for _, err := range s.Events(ctx, "p", opts...) {
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				errs++
				continue
			}
			events++
			cancel()
		}
		require.Equal(t, 1, events)
		require.Equal(t, 1, errs)
	}
}

func TestNewJoinsAllThatIsWrong(t *testing.T) {
	_, err := New(nil, nil, WithHashKey(), WithHashKey(nil), WithRangeKey(nil))
	for _, says := range []string{"table is nil", "option 0 is nil", "no function is given", "function 0 is nil", "range key is nil"} {
		require.ErrorContains(t, err, says)
	}
	_, err = New(newSpy(), WithTTL(nil), WithProjection(nil), WithDecoder(nil), WithLogger(nil), WithObserver(nil))
	require.NoError(t, err, "where nil has a meaning it is fine")
}

// A releasingTable counts what it is given back, which is spoilt then, and may panic.
type releasingTable struct {
	*memorytable.Table
	queries, released atomic.Int64
	panics            bool
}

func (r *releasingTable) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	r.queries.Add(1)
	page, err := r.Table.Query(ctx, query)
	page.Room = r
	return page, err
}

// Release implements driver.Releaser.
func (r *releasingTable) Release(page driver.Page) {
	if page.Room != r {
		panic("it is a page of another table")
	}
	r.Table.Release(page)
	r.released.Add(1)
	if r.panics {
		panic("in Release")
	}
}

// A table may use a page again once the store has made events of it, which nothing in them
// may show.
func TestPagesAreGivenBack(t *testing.T) {
	for _, panics := range []bool{false, true} {
		table := &releasingTable{Table: memorytable.NewWith(memorytable.Options{PageSize: 7, EmptyPages: true}), panics: panics}
		s, err := New(table, WithTTL(NeverExpire()))
		require.NoError(t, err)
		var want []string
		var changes []Change
		for i := range 40 {
			e := testEvent(t, fmt.Sprint(10+i), "t", "p", i)
			require.NoError(t, s.Save(t.Context(), e))
			key, err := s.rangeKeyOf(&e)
			require.NoError(t, err)
			changes = append(changes, Change{Kind: Inserted, HashKey: "p", RangeKey: key})
			want = append(want, string(e.Raw))
		}
		raws := func(events []Event) (raws []string) {
			for i := range events {
				raws = append(raws, string(events[i].Raw))
			}
			return raws
		}
		m, err := s.GetMicroEventStore(t.Context(), "p")
		require.NoError(t, err)
		require.Equal(t, want, raws(m.Events))
		require.Equal(t, table.queries.Load(), table.released.Load())
		m, err = s.GetMicroEventStore(t.Context(), "p", Last(20))
		require.NoError(t, err)
		require.Equal(t, want[20:], raws(m.Events))
		require.Equal(t, table.queries.Load(), table.released.Load(), "where the reader stops, too")
		var single []Event
		for e, err := range s.Events(t.Context(), "p") {
			require.NoError(t, err)
			single = append(single, e)
		}
		require.Equal(t, want, raws(single))
		for _, opts := range [][]TriggerOption{nil, {WithHistoryCache(1<<20, time.Hour)}} {
			handled := 0
			trigger := NewTrigger(s, func(_ context.Context, m *MicroEventStore) error {
				handled++
				require.Equal(t, want, raws(m.Events))
				return nil
			}, opts...)
			for i := range changes {
				require.NoError(t, trigger.Handle(t.Context(), changes[i:i+1]))
			}
			require.Equal(t, len(changes), handled)
		}
	}
}

// Items that are lost under the store's hands, by whoever breaks the contract, are not taken
// for bounds that were not set.
func TestPromise14LostItemsAreAnError(t *testing.T) {
	spy := newSpy()
	var items []driver.Item
	spy.afterQuery = func(_ driver.Query, page *driver.Page) { items = page.Items }
	s := newTestStore(t, spy)
	for i := range 3 {
		require.NoError(t, s.Save(t.Context(), testEvent(t, fmt.Sprint(i), "t", "p", i)))
	}
	_, err := s.GetMicroEventStore(t.Context(), "p", Matching(func(Event) bool {
		clear(items)
		return true
	}))
	require.ErrorIs(t, err, ErrCorrupt)
}
