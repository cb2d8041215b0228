package rules_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/rules"
)

// ready is a rule that emits once when an order has been paid and packed.
func ready() rules.Rule {
	return rules.Rule{ID: "ready", When: rules.Have("paid", "packed"), Emit: rules.One("order-ready"), Once: true}
}

func TestOnceEmitsOnceHoweverOftenTheConditionHolds(t *testing.T) {
	w := newWorld(t, []rules.Rule{ready()})
	w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2), event(t, "3", "packed", "q", 1))
	require.NoError(t, w.fire())
	require.Len(t, w.stream.ids(), 1)
	require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
	require.Empty(t, w.markersIn("q"))

	w.save(event(t, "4", "paid", "p", 3))
	require.NoError(t, w.fire())
	w.handled = 0
	require.NoError(t, w.fire())
	w.use([]rules.Rule{ready()}, mes.Coalesce())
	w.handled = 0
	require.NoError(t, w.fire())
	require.Len(t, w.stream.ids(), 1)

	// The markers are in no history and count nowhere.
	m, err := w.store.GetMicroEventStore(t.Context(), "p", mes.MaxEvents(3))
	require.NoError(t, err)
	require.Len(t, m.Events, 3)
	m, err = w.store.GetMicroEventStore(t.Context(), "p", mes.Last(3))
	require.NoError(t, err)
	require.Equal(t, "1", m.Events[0].ID)

	// A removal takes them along, and wakes nobody.
	require.NoError(t, w.store.Delete(t.Context(), "p"))
	require.NoError(t, w.fire())
	require.Empty(t, w.markersIn("p"))
}

func TestOnceReadsNoMoreThanTheHistory(t *testing.T) {
	w := newWorld(t, []rules.Rule{ready()})
	for i := range 50 {
		w.save(event(t, fmt.Sprint(i), []string{"paid", "packed"}[i%2], "p", i))
	}
	w.table.ResetCounts()
	require.NoError(t, w.fire())
	require.Equal(t, 1, w.table.Counts().Queries)
	require.Equal(t, 2, w.table.Counts().ItemsPut)

	// A window does not come by the markers: they are read once.
	windowed := ready()
	windowed.Last = 5
	w.use([]rules.Rule{windowed})
	w.table.ResetCounts()
	require.NoError(t, w.trigger.Handle(t.Context(), w.changes(0)[45:50]))
	require.Equal(t, 2, w.table.Counts().Queries)
	require.Zero(t, w.table.Counts().ItemsPut)
	require.Len(t, w.stream.ids(), 1)
}

// A publisher that names an event that it was not given has lost count: nothing of
// what it was given counts as sent.
func TestPromise01OnceBelievesNoFailureOfAnEventThatIsNotThere(t *testing.T) {
	for _, index := range []int{-1, 1, 7} {
		w := newWorld(t, []rules.Rule{ready()})
		w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
		w.stream.before = func([]mes.Event) error {
			return &mes.PublishError{Failures: []mes.Failure{{Index: index, Err: errCrash}}}
		}
		require.Error(t, w.fire())
		require.Equal(t, []string{"claim"}, w.markersIn("p"))
		w.stream.before = nil
		require.NoError(t, w.fire())
		require.Len(t, w.stream.ids(), 1)
		require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
	}
}

func TestOnceAfterACrashPublishesTheSameBytes(t *testing.T) {
	list := []rules.Rule{{ID: "ready", When: rules.Have("paid", "packed"), Once: true,
		Emit: func(m *mes.MicroEventStore, _ []mes.Event) ([]rules.Emission, error) {
			return []rules.Emission{{Type: "order-ready", Fields: map[string]any{"events": len(m.Events), "text": "<\u2028\"é"}}, {Type: "label"}}, nil
		}}}
	for name, crash := range map[string]func(w *world){
		"before they are sent": func(w *world) { w.stream.before = func([]mes.Event) error { return errCrash } },
		"after they were sent": func(w *world) { w.stream.after = func([]mes.Event) error { return errCrash } },
		"one is not sent": func(w *world) {
			w.stream.after = func([]mes.Event) error {
				return &mes.PublishError{Failures: []mes.Failure{{Index: 1, Err: errCrash}}}
			}
		},
		"before it is written down": func(w *world) {
			w.stream.after = func([]mes.Event) error { w.breakPuts(true); return nil }
		},
		"when the claim has been written": func(w *world) { w.breakPuts(false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, breakable(), list)
			w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
			crash(w)
			require.Error(t, w.fire())
			require.Equal(t, []string{"claim"}, w.markersIn("p"))
			sent := w.stream.take()

			// Another event comes first now; it does not make events of its own.
			w.stream.before, w.stream.after = nil, nil
			w.mend()
			w.save(event(t, "0", "paid", "p", 0))
			changes := w.changes(0)
			require.NoError(t, w.trigger.Handle(t.Context(), changes[len(changes)-1:]))
			again := w.stream.take()
			require.Len(t, again, 2)
			require.NotContains(t, again[0].ID, "0.")
			require.Contains(t, string(again[0].Raw), `"events":2`)
			if len(sent) > 0 {
				require.Equal(t, sent, again)
			}
			require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
			require.NoError(t, w.fire())
			require.Empty(t, w.stream.ids())
		})
	}
}

// breakable makes a table whose puts can be broken by breakPuts.
func breakable() *memorytable.Table {
	var b breaks
	return memorytable.NewWith(memorytable.Options{OnPut: b.check(&b.before), AfterPut: b.check(&b.after), OnQuery: b.register})
}

// breaks is found again by asking the table with a context that wants it.
type breaks struct {
	mu            sync.Mutex
	before, after bool
}

type wantsBreaks struct{}

func (b *breaks) register(ctx context.Context, _ driver.Query) error {
	if found, ok := ctx.Value(wantsBreaks{}).(**breaks); ok {
		*found = b
	}
	return nil
}

func (b *breaks) check(broken *bool) func(context.Context, []driver.Item) error {
	return func(_ context.Context, items []driver.Item) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if *broken && strings.HasPrefix(items[0].RangeKey, driver.MarkerPrefix) {
			return errCrash
		}
		return nil
	}
}

func (w *world) breaks() *breaks {
	var found *breaks
	_, _ = w.table.Query(context.WithValue(context.Background(), wantsBreaks{}, &found), driver.Query{HashKey: "x"})
	return found
}

// breakPuts makes the puts of markers fail, before or after they take effect.
func (w *world) breakPuts(before bool) {
	b := w.breaks()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = before, !before
}

func (w *world) mend() {
	b := w.breaks()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = false, false
}

func TestOnceIsPublishedThoughTheEventThatFiredHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, []rules.Rule{ready()}, mes.WithTTL(mes.ExpireAfter(time.Hour)))
		seconds := int(time.Since(t0()).Seconds())
		w.save(event(t, "1", "packed", "p", seconds), event(t, "2", "paid", "p", seconds))
		w.stream.before = func([]mes.Event) error { return errCrash }
		require.Error(t, w.fire())
		w.stream.before = nil
		time.Sleep(2 * time.Hour)
		require.NoError(t, w.fire())
		require.NotEmpty(t, w.stream.ids())
		w.handled = 0
		require.NoError(t, w.fire())
		require.Len(t, w.stream.ids(), 1)
	})
}

func TestOnceWhenManyRace(t *testing.T) {
	w := newWorld(t, []rules.Rule{ready()})
	for i := range 20 {
		w.save(event(t, fmt.Sprint(i), []string{"paid", "packed"}[i%2], "p", i))
	}
	changes := w.changes(0)
	var racers sync.WaitGroup
	for i := range changes {
		racers.Go(func() {
			if err := w.trigger.Handle(t.Context(), changes[i:i+1]); err != nil {
				t.Error(err)
			}
		})
	}
	racers.Wait()
	emitted := w.stream.take()
	require.NotEmpty(t, emitted)
	for _, e := range emitted {
		require.Equal(t, emitted[0], e)
	}
	require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
}

func TestOnceTheLoserOfARacePublishesWhatTheWinnerHasWritten(t *testing.T) {
	// The loser has read the history before the winner puts its claim.
	for name, winnerIsDone := range map[string]bool{"the winner has not published": false, "the winner is done": true} {
		t.Run(name, func(t *testing.T) {
			var w *world
			raced := false
			table := memorytable.NewWith(memorytable.Options{OnPut: func(ctx context.Context, items []driver.Item) error {
				if raced || !strings.HasPrefix(items[0].RangeKey, driver.MarkerPrefix) {
					return nil
				}
				raced = true
				if !winnerIsDone {
					w.stream.before = func([]mes.Event) error { return errCrash }
				}
				err := w.trigger.Handle(ctx, w.changes(0)[1:2])
				w.stream.before = nil
				if !winnerIsDone {
					require.Error(t, err)
					return nil
				}
				return err
			}})
			w = newWorldOn(t, table, []rules.Rule{ready()})
			w.save(event(t, "1", "packed", "p", 1))
			w.save(event(t, "2", "paid", "p", 2))
			require.NoError(t, w.trigger.Handle(t.Context(), w.changes(0)[:1]))
			require.Equal(t, []string{"2.ready"}, w.stream.ids())
			require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
		})
	}
}

func TestOnceMarkersOutliveTheCollation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Under a window, too, where the longest-lived event is not in sight.
		for name, last := range map[string]int{"whole": 0, "window": 2} {
			rule := ready()
			rule.Last = last
			w := newWorld(t, []rules.Rule{rule}, mes.WithTTL(mes.ByType(map[string]mes.TTLPolicy{"order": mes.ExpireAfter(90 * 24 * time.Hour)}, mes.ExpireAfter(time.Hour))))
			seconds := func() int { return int(time.Since(t0()).Seconds()) }
			w.save(event(t, "0", "order", "p", seconds()), event(t, "1", "packed", "p", seconds()), event(t, "2", "paid", "p", seconds()))
			require.NoError(t, w.fire(), name)
			latest := w.latest("p")
			for _, item := range w.table.Items("p") {
				if strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
					require.GreaterOrEqual(t, item.TTL, latest, name)
				}
			}
			require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))

			// They are renewed when the rule wakes, not more often than needed.
			time.Sleep(24 * time.Hour)
			w.save(event(t, "3", "order", "p", seconds()))
			require.NoError(t, w.fire())
			require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
			time.Sleep(48 * time.Hour)
			w.save(event(t, "4", "order", "p", seconds()))
			require.NoError(t, w.fire())
			require.Equal(t, []string{"claim", "done", "done"}, w.markersIn("p"))
			require.Len(t, w.stream.ids(), 1)

			// When all has expired, all begins anew; no expiry wakes a rule.
			time.Sleep(95 * 24 * time.Hour)
			require.Empty(t, w.markersIn("p"))
			w.save(event(t, "5", "packed", "p", seconds()), event(t, "6", "paid", "p", seconds()))
			require.NoError(t, w.fire())
			require.Len(t, w.stream.ids(), 2, "an expired marker counts as absent, though it is still there")
			w.table.Expire(time.Now())
			require.NoError(t, w.fire())
			require.Len(t, w.stream.ids(), 2)
		}
	})
}

// latest is the latest ttl of the events of a collation.
func (w *world) latest(hashKey string) (latest int64) {
	for _, item := range w.table.Items(hashKey) {
		if !strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
			latest = max(latest, item.TTL)
		}
	}
	return latest
}

func TestOnceAPendingClaimIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, []rules.Rule{ready()}, mes.WithTTL(mes.ExpireAfter(time.Hour)))
		seconds := func() int { return int(time.Since(t0()).Seconds()) }
		w.save(event(t, "1", "packed", "p", seconds()), event(t, "2", "paid", "p", seconds()))
		w.stream.before = func([]mes.Event) error { return errCrash }
		for range 100 { // more than three days
			require.Error(t, w.fire())
			time.Sleep(50 * time.Minute)
			w.save(event(t, "3", "paid", "p", seconds()))
		}
		w.stream.before = nil
		require.NoError(t, w.fire())
		for _, id := range w.stream.ids() {
			require.Contains(t, []string{"1.ready", "2.ready"}, id)
		}
		require.NotEmpty(t, w.stream.ids())
	})
}

func TestOnceEventsThatCannotBeRecordedAreAFault(t *testing.T) {
	huge := ready()
	huge.Emit = func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) {
		return []rules.Emission{{Type: "x", Fields: map[string]string{"text": strings.Repeat("x", driver.MaxItemSize)}}}, nil
	}
	w := newWorld(t, []rules.Rule{huge})
	w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
	err := w.fire()
	require.True(t, mes.IsPermanent(errors.Unwrap(firstFailure(t, err))), "%v", err)
	require.ErrorIs(t, err, driver.ErrInvalidItem)
	require.ErrorContains(t, err, "emit fewer or smaller ones, or without Once")
	require.NotContains(t, err.Error(), "projection", "that is for the events of users")
	require.Empty(t, w.stream.ids())
	require.Empty(t, w.markersIn("p"))
}

// The publisher refuses for good what a claim holds. The way out is the one in the
// comment of Rule.Once.
func TestOnceThatIsRefusedForGoodCanBeGivenUp(t *testing.T) {
	w := newWorld(t, []rules.Rule{ready()})
	errTooLarge := mes.Permanent(errors.New("too large"))
	w.stream.before = func(events []mes.Event) error {
		return &mes.PublishError{Failures: []mes.Failure{{Index: len(events) - 1, Err: errTooLarge}}}
	}
	w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
	for n := range 2 {
		err := w.fire()
		require.True(t, mes.IsPermanent(firstFailure(t, err)), "%v", err)
		require.Equal(t, []string{"claim"}, w.markersIn("p"))
		w.save(event(t, fmt.Sprint(n+3), "returned", "p", n+3))
	}

	var aside []string
	evaluator, err := rules.New(w.store, mes.PublisherFunc(func(ctx context.Context, events ...mes.Event) error {
		err := w.stream.Publish(ctx, events...)
		var partial *mes.PublishError
		if !errors.As(err, &partial) {
			return err
		}
		var left []mes.Failure
		for _, failure := range partial.Failures {
			if mes.IsPermanent(failure.Err) {
				aside = append(aside, events[failure.Index].ID)
			} else {
				left = append(left, failure)
			}
		}
		if len(left) == 0 {
			return nil
		}
		return &mes.PublishError{Failures: left}
	}), []rules.Rule{ready()})
	require.NoError(t, err)
	w.trigger = evaluator.Trigger()
	require.NoError(t, w.fire())
	require.Equal(t, []string{"1.ready"}, aside, "once, for all the changes")
	require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
	require.Empty(t, w.stream.ids())
}

func firstFailure(t *testing.T, err error) error {
	t.Helper()
	var batch *mes.BatchError
	require.ErrorAs(t, err, &batch)
	return batch.Failures[0].Err
}

func TestOnceAMarkerThatCannotBeReadFails(t *testing.T) {
	w := newWorld(t, []rules.Rule{ready()})
	w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
	require.NoError(t, w.table.Put(t.Context(), []driver.Item{{HashKey: "p", RangeKey: "\x01once\x01ready\x01claim", Event: []byte(`{}`)}}))
	require.ErrorIs(t, w.fire(), mes.ErrCorrupt)
}

// A circling answers queries of markers with pages that lead nowhere.
type circling struct {
	*memorytable.Table
	circle, queries int
	other           bool // what it answers belongs to another hash key
}

func (c *circling) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	if !strings.HasPrefix(query.From, driver.MarkerPrefix) {
		return c.Table.Query(ctx, query)
	}
	c.queries++
	if c.other {
		return driver.Page{Items: []driver.Item{{HashKey: "other", RangeKey: query.From + "claim"}}, Consistent: true}, nil
	}
	return driver.Page{Next: fmt.Sprint("round ", c.queries%c.circle), Consistent: true}, nil
}

func TestPromise14MarkersAreNotReadInACircle(t *testing.T) {
	for _, circle := range []int{0, 1, 2, 7, 100} { // 0: another hash key's
		w := newWorld(t, []rules.Rule{ready()})
		table := &circling{Table: w.table, circle: circle, other: circle == 0}
		var err error
		w.store, err = mes.New(table, mes.WithTTL(mes.NeverExpire()))
		require.NoError(t, err)
		windowed := ready()
		windowed.Last = 5 // which does not come by the markers
		w.use([]rules.Rule{windowed})
		w.save(event(t, "1", "packed", "p", 1), event(t, "2", "paid", "p", 2))
		err = w.fire()
		require.ErrorIs(t, err, mes.ErrCorrupt)
		require.ErrorContains(t, err, "read the markers")
		require.Empty(t, w.stream.ids(), "nobody knows whether it was done")
		require.LessOrEqual(t, table.queries, 2*4*(circle+1), "two changes")
	}
}
