package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/rules"
)

func TestAnEventThatHasGoneWakesNoRuleButOneThatIsPending(t *testing.T) {
	always := func(m *mes.MicroEventStore) ([]mes.Event, error) { return []mes.Event{m.Current}, nil }
	for name, last := range map[string]int{"whole": 0, "window": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := []rules.Rule{
					{ID: "once", When: always, Last: last, Emit: rules.One("x"), Once: true},
					{ID: "each", Emit: rules.One("y")},
					{ID: "each-time", When: always, Last: last, Emit: rules.One("z")},
				}
				w := newWorld(t, list, mes.WithTTL(mes.ExpireAfter(time.Hour)))
				seconds := int(time.Since(t0()).Seconds())
				w.save(event(t, "1", "a", "p", seconds), event(t, "2", "a", "q", seconds))
				w.stream.before = func([]mes.Event) error { return errCrash }
				require.Error(t, w.trigger.Handle(t.Context(), w.changes(0)[:1]))
				w.stream.before = nil
				time.Sleep(2 * time.Hour)
				require.NoError(t, w.trigger.Handle(t.Context(), w.changes(0)[:2]))
				require.Len(t, w.stream.ids(), 1, "nothing for what was never seen in time")
				require.Contains(t, w.stream.ids()[0], ".once")
			})
		})
	}
}

func TestOnceAMarkerOutlivesWhatAWindowDoesNotShow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := rules.Rule{ID: "once", Types: []string{"paid"}, When: rules.Have("paid"), Last: 1, Emit: rules.One("x"), Once: true}
		w := newWorld(t, []rules.Rule{rule}, mes.WithTTL(mes.ByType(map[string]mes.TTLPolicy{"order": mes.ExpireAfter(90 * 24 * time.Hour)}, mes.ExpireAfter(time.Hour))))
		seconds := int(time.Since(t0()).Seconds())
		w.save(event(t, "0", "order", "p", seconds), event(t, "1", "paid", "p", seconds+1))
		require.NoError(t, w.fire())
		require.Len(t, w.stream.ids(), 1)
		markers := 0
		for _, item := range w.table.Items("p") {
			if strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
				markers++
				require.GreaterOrEqual(t, item.TTL, w.latest("p"))
			}
		}
		require.Equal(t, 2, markers)
	})
}

func TestTheTagOfASourceIsNotInherited(t *testing.T) {
	w := newWorld(t, []rules.Rule{{ID: "r", Emit: rules.One("x")}})
	evaluator, err := rules.New(w.store, w.stream, []rules.Rule{{ID: "r", Emit: rules.One("x")}})
	require.NoError(t, err)
	w.trigger = evaluator.Trigger()
	w.save(event(t, "1", "a", "p", 0, `"tags":{"source":"other","region":"eu","a":"b"}`))
	require.NoError(t, w.fire())
	require.Equal(t, map[string]any{"a": "b"}, decoded(t, w.stream.take()[0])["tags"])
}

func TestAnExpiryCanActOnWhatIsLeftOfTheHistory(t *testing.T) {
	timedOut := rules.OnExpired("requested")
	timedOut.ID, timedOut.Once = "timed-out", true
	timedOut.Emit = rules.Copy("timed-out")
	timedOut.When = func(m *mes.MicroEventStore) ([]mes.Event, error) {
		if m.Has("received") {
			return nil, nil
		}
		return []mes.Event{m.Current}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, []rules.Rule{timedOut}, mes.WithTTL(mes.ByType(map[string]mes.TTLPolicy{"requested": mes.ExpireAfter(time.Hour)}, mes.NeverExpire())))
		seconds := int(time.Since(t0()).Seconds())
		w.save(event(t, "1", "requested", "p", seconds), event(t, "2", "requested", "q", seconds), event(t, "3", "received", "q", seconds))
		time.Sleep(2 * time.Hour)
		w.table.Expire(time.Now())
		require.NoError(t, w.fire())
		w.handled = 0
		require.NoError(t, w.fire())
		require.Equal(t, []string{"1.timed-out"}, w.stream.ids())
		require.EqualValues(t, t0().Unix()+int64(seconds)+3600, w.stream.take()[0].Timestamp.Unix())
	})
}

// without takes the events out of changes, as a stream of KEYS_ONLY does, and a
// boltstore table once the events have been removed.
func without(changes []mes.Change) []mes.Change {
	for i := range changes {
		changes[i].New = nil
	}
	return changes
}

func TestOnceIsPublishedThoughNothingIsLeftOfTheEventThatFired(t *testing.T) {
	always := func(m *mes.MicroEventStore) ([]mes.Event, error) { return []mes.Event{m.Current}, nil }
	for name, once := range map[string]rules.Rule{
		"whole":    {When: rules.Have("a")},
		"window":   {When: always, Last: 1},
		"within":   {When: always, Within: time.Second},
		"alone":    {},
		"filtered": {Types: []string{"a"}, Filter: mes.HasTag("x", "y"), KeyPrefix: "p"},
	} {
		for _, sweep := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, swept: %v", name, sweep), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					once.ID, once.Emit, once.Once = "once", rules.One("x"), true
					list := []rules.Rule{once, {ID: "each", Emit: rules.One("y")}, {ID: "each-time", When: always, Emit: rules.One("z")}}
					w := newWorld(t, list, mes.WithTTL(mes.ExpireAfter(time.Hour)))
					seconds := int(time.Since(t0()).Seconds())
					w.save(event(t, "1", "a", "p1", seconds, `"tags":{"x":"y"}`), event(t, "2", "a", "p2", seconds), event(t, "3", "b", "q", seconds))
					w.stream.before = func([]mes.Event) error { return errCrash }
					require.Error(t, w.trigger.Handle(t.Context(), without(w.changes(0)[:1])))
					w.stream.before = nil
					time.Sleep(2 * time.Hour)
					if sweep {
						w.table.Expire(time.Now())
					}
					w.table.ResetCounts()
					for range 2 {
						require.NoError(t, w.trigger.Handle(t.Context(), without(w.changes(0)[:3])))
						require.Equal(t, []string{"1.once"}, w.stream.ids(), "nothing for what was never seen in time")
					}
					for _, item := range w.table.Items("p1") {
						require.NotZero(t, item.TTL, "not for ever")
					}
				})
			})
		}
	}
}

func TestOnceAClaimThatCannotBePublishedDoesNotExpire(t *testing.T) {
	for name, keysOnly := range map[string]bool{"with the event": false, "with its keys": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, []rules.Rule{ready()}, mes.WithTTL(mes.ExpireAfter(time.Hour)))
				seconds := int(time.Since(t0()).Seconds())
				w.save(event(t, "1", "packed", "p", seconds), event(t, "2", "paid", "p", seconds))
				changes := w.changes(0)
				if keysOnly {
					without(changes)
				}
				w.stream.before = func([]mes.Event) error { return errCrash }
				for range 20 { // ten days
					require.Error(t, w.trigger.Handle(t.Context(), changes))
					time.Sleep(12 * time.Hour)
					w.table.Expire(time.Now())
				}
				w.stream.before = nil
				require.NoError(t, w.trigger.Handle(t.Context(), changes))
				require.Len(t, w.stream.ids(), 1)
				time.Sleep(72 * time.Hour)
				w.table.Expire(time.Now())
				require.Empty(t, w.table.Items("p"), "once it has been, it does")
			})
		})
	}
}

// Between the change and its handling the collation is erased.
func TestWhatWasErasedIsNotPutBack(t *testing.T) {
	other := func(*mes.MicroEventStore, []mes.Event) (string, error) { return "other", nil }
	always := func(m *mes.MicroEventStore) ([]mes.Event, error) { return []mes.Event{m.Current}, nil }
	for name, rule := range map[string]rules.Rule{
		"Correlate":              {Correlate: other},
		"Correlate, a condition": {Correlate: other, When: always},
		"Correlate, a window":    {Correlate: other, When: always, Last: 1},
		"Once":                   {Emit: rules.Copy("x"), Once: true},
		"Once, a condition":      {Emit: rules.Copy("x"), When: always, Once: true},
		"Once, a window":         {Emit: rules.Copy("x"), When: always, Last: 1, Once: true},
	} {
		t.Run(name, func(t *testing.T) {
			rule.ID = "r"
			for _, keysOnly := range []bool{false, true} {
				for _, key := range []mes.RangeKey{mes.TimeAndID(), mes.EventID()} {
					w := newWorld(t, []rules.Rule{rule}, mes.WithRangeKey(key))
					w.save(event(t, "1", "a", "p", 0), event(t, "2", "a", "p", 1))
					changes := w.changes(0)
					if keysOnly {
						without(changes)
					}
					require.NoError(t, w.store.Delete(t.Context(), "p"))
					require.NoError(t, w.trigger.Handle(t.Context(), changes))
					require.Zero(t, w.table.Len())
					require.Empty(t, w.stream.ids())

					w.save(event(t, "1", "a", "p", 0))
					require.NoError(t, w.trigger.Handle(t.Context(), changes), "of the two, one is there again")
					require.Equal(t, rule.Correlate != nil, len(w.table.Items("other")) == 1)
					require.Equal(t, rule.Once, len(w.stream.ids()) == 1)
				}
			}
		})
	}
}

func TestARuleThatEndsItsGoroutineKeepsNoOtherFromPublishing(t *testing.T) {
	end := func() { runtime.Goexit() }
	for name, bad := range map[string]rules.Rule{
		"in a filter":  {Filter: func(mes.Event) bool { end(); return false }, Emit: rules.One("x")},
		"in When":      {When: func(*mes.MicroEventStore) ([]mes.Event, error) { end(); return nil, nil }, Emit: rules.One("x")},
		"in Emit":      {Emit: func(*mes.MicroEventStore, []mes.Event) ([]rules.Emission, error) { end(); return nil, nil }},
		"in Correlate": {Correlate: func(*mes.MicroEventStore, []mes.Event) (string, error) { end(); return "", nil }},
	} {
		t.Run(name, func(t *testing.T) {
			bad.ID = "bad"
			worse := bad
			worse.ID = "worse"
			w := newWorld(t, []rules.Rule{{ID: "first", Emit: rules.One("y")}, bad, worse, ready(), {ID: "last", Emit: rules.One("z")}})
			w.save(event(t, "1", "paid", "p", 0), event(t, "2", "packed", "p", 1))
			err := w.trigger.Handle(t.Context(), w.changes(0)[:1])
			require.ErrorContains(t, err, `rule "bad"`)
			require.False(t, mes.IsPermanent(err))
			require.Equal(t, []string{"1.first", "1.ready", "1.last"}, w.stream.ids())
			require.Equal(t, []string{"claim", "done"}, w.markersIn("p"))
		})
	}
}
