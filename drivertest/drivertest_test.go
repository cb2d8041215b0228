package drivertest

import (
	"strings"
	"testing"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// TestRun runs the suite as the authors of drivers do, on tables that keep the
// contract in different ways.
func TestRun(t *testing.T) {
	for name, opts := range map[string]memorytable.Options{
		"Plain":      {},
		"SmallPages": {PageSize: 3},
		"EmptyPages": {PageSize: 5, EmptyPages: true, KeepComplete: true},
		"Lag":        {Lag: 2},
		"Eventual":   {Lag: 1, Eventual: true},
	} {
		t.Run(name, func(t *testing.T) {
			Run(t, Harness{
				Open: func(testing.TB) driver.Table { return memorytable.NewWith(opts) },
				Reopen: func(_ testing.TB, table driver.Table) driver.Table {
					return table.(*memorytable.Table).Reopen()
				},
				Slow: true, // memorytable's own test runs the suite in full
			})
		})
	}
}

// TestRunWithout runs the suite for a table that can neither be opened again nor
// delete; the cases about that are skipped.
func TestRunWithout(t *testing.T) {
	Run(t, Harness{
		Open: func(testing.TB) driver.Table {
			return struct{ driver.Table }{memorytable.New()}
		},
		Slow: true,
		Skip: map[string]string{"ItemOneByteTooLarge": "to see it skipped"},
	})
	for _, c := range cases() {
		r := record(c, func() driver.Table {
			return struct{ driver.Table }{memorytable.New()}
		}, nil)
		skips := c.needsReopen || strings.HasPrefix(c.name, "Delete") || strings.HasPrefix(c.name, "PutIfAbsent") || c.name == "CursorAfterDeletion" || c.name == "ReleasedPages"
		if len(r.failures) > 0 || (r.skipped != "") != skips {
			t.Errorf("%s: skipped because %q, want it skipped: %v; failures %q", c.name, r.skipped, skips, r.failures)
		}
	}
}

func TestNamesAndRules(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range cases() {
		if c.name == "" || strings.ContainsAny(c.name, " /") || seen[c.name] {
			t.Errorf("%q is no name for a case, or not a name for one case", c.name)
		}
		if !strings.HasSuffix(strings.TrimSuffix(c.rule, ")"), ".") {
			t.Errorf("the rule of %s is no sentence: %q", c.name, c.rule)
		}
		seen[c.name] = true
	}
	if got := unknown(map[string]string{"Fields": "", "Nonsense": "", "fields": ""}, cases()); len(got) != 2 {
		t.Errorf("unknown names: %q, want two", got)
	}
}

func BenchmarkMemoryTable(b *testing.B) {
	Benchmark(b, func(testing.TB) driver.Table { return memorytable.New() })
}
