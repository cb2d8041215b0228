//go:build unix

package rules_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/rules"
)

// manyRules are rules that wake for every event, each with a condition of its own.
func manyRules(n int) []rules.Rule {
	list := make([]rules.Rule, n)
	for i := range list {
		list[i] = rules.Rule{ID: fmt.Sprintf("rule-%d", i), When: rules.Have("thing-created", "thing-packed", fmt.Sprintf("thing-missing-%d", i)), Emit: rules.One("x"), Once: i%2 == 0}
	}
	return list
}

// hotKey stores 1,000 events of about 1 KB under one key, and returns the changes
// of the last 100.
func hotKey(b testing.TB, store *mes.Store) []mes.Change {
	b.Helper()
	var events []mes.Event
	var changes []mes.Change
	for i := range 1000 {
		events = append(events, event(b, fmt.Sprintf("%04d", i), []string{"thing-created", "thing-packed", "thing-moved"}[i%3], "p", i,
			`"thing":"`+strings.Repeat("abcdefg ", 100)+`"`))
	}
	require.NoError(b, store.Save(b.Context(), events...))
	m, err := store.GetMicroEventStore(b.Context(), "p")
	require.NoError(b, err)
	for _, e := range m.Events[900:] {
		changes = append(changes, mes.Change{Kind: mes.Inserted, HashKey: "p", RangeKey: e.RangeKey, New: &e})
	}
	return changes
}

func TestOneHundredChangesAndTenRulesReadOnce(t *testing.T) {
	w := newWorld(t, manyRules(10))
	changes := hotKey(t, w.store)
	w.table.ResetCounts()
	require.NoError(t, w.trigger.Handle(t.Context(), changes))
	require.Equal(t, 1, w.table.Counts().Queries)
	require.Zero(t, w.table.Counts().Puts)
}

// BenchmarkTenRules handles 100 changes of one key with 1,000 stored events, with
// ten rules and with one, turn by turn. Its figure is the metric "ratio": CPU of
// ten by that of one.
func BenchmarkTenRules(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) driver.Table{
		"memory": func(*testing.B) driver.Table { return memorytable.NewWith(memorytable.Options{KeepComplete: true}) },
		"bolt": func(b *testing.B) driver.Table {
			table, err := boltstore.Open(filepath.Join(b.TempDir(), "events.db"))
			require.NoError(b, err)
			b.Cleanup(func() { _ = table.Close() })
			return table
		},
	} {
		b.Run(name, func(b *testing.B) {
			store, err := mes.New(open(b), mes.WithTTL(mes.NeverExpire()))
			require.NoError(b, err)
			changes := hotKey(b, store)
			var triggers [2]*mes.Trigger
			for i, n := range []int{1, 10} {
				evaluator, err := rules.New(store, new(stream), manyRules(n))
				require.NoError(b, err)
				triggers[i] = evaluator.Trigger()
			}
			var spent [2]time.Duration
			for b.Loop() {
				for i, trigger := range triggers {
					began := cpu()
					if err := trigger.Handle(b.Context(), changes); err != nil {
						b.Fatal(err)
					}
					spent[i] += cpu() - began
				}
			}
			b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
			b.ReportMetric(float64(spent[0].Microseconds())/float64(b.N), "µs-one")
			b.ReportMetric(float64(spent[1].Microseconds())/float64(b.N), "µs-ten")
		})
	}
}

func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
