// Package drivertest is the contract of package driver as a test suite. Whoever
// writes a table proves with it that the table behaves like all others:
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, drivertest.Harness{
//			Open: func(t testing.TB) driver.Table {
//				table, err := mytable.Open(t.TempDir())
//				if err != nil {
//					t.Fatal(err)
//				}
//				return table
//			},
//		})
//	}
//
//	func BenchmarkTable(b *testing.B) { drivertest.Benchmark(b, open) }
//
// Every case is a subtest with a rule in words; a failure says what happened and
// which rule that broke. Run it with -race as well: much of the contract is about
// many goroutines.
//
// Besides its own rule, every case watches all calls for what must always hold:
// pages in order and within their bounds, errors that name the right items, no
// panic. The suite needs nothing but the standard library.
package drivertest

import (
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// A Harness is how the suite gets at the tables that it tests.
type Harness struct {
	// Open returns a new, empty table. Each case calls it, most of them once.
	// The suite closes the table; what else needs cleaning up is for t.Cleanup.
	// Required.
	Open func(t testing.TB) driver.Table

	// Reopen closes a table that Open or Reopen returned, which may have been
	// closed already, and opens the same one again, as a process that starts
	// again would. nil: the cases that are about durability are skipped.
	Reopen func(t testing.TB, table driver.Table) driver.Table

	// Slow makes the cases that take many calls do with fewer, for a table
	// behind a network.
	Slow bool

	// Skip names cases that do not apply, each with the reason, which is
	// printed. It is for a server that is known to differ. A name that no case
	// has fails the test.
	Skip map[string]string

	// Seed makes the random cases repeat a run that failed: its failure prints
	// the seed. 0: another one each time.
	Seed uint64
}

// Run runs the suite, each case as a subtest of t, one after the other.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Open == nil {
		t.Fatal("drivertest: Harness.Open is nil")
	}
	all := cases()
	for _, name := range unknown(h.Skip, all) {
		t.Errorf("drivertest: Harness.Skip names %q, and there is no such case", name)
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if reason, ok := h.Skip[c.name]; ok {
				t.Skipf("skipped by the harness: %s\nthe rule: %s", reason, c.rule)
			}
			s := &suite{
				reporter: t,
				rule:     c.rule,
				newTable: func() driver.Table { return h.Open(t) },
				slow:     h.Slow,
				seed:     h.Seed,
			}
			if h.Reopen != nil {
				s.reopenTable = func(table driver.Table) driver.Table { return h.Reopen(t, table) }
			}
			s.run(c)
		})
	}
}

// A testCase checks one rule.
type testCase struct {
	name string
	rule string // what the contract asks for, as a sentence
	run  func(s *suite)

	needsReopen bool
}

// cases returns all cases, those first that explain the failures of others.
func cases() []testCase {
	var all []testCase
	for _, topic := range [][]testCase{
		fieldCases(), keyCases(), limitCases(), putCases(),
		queryCases(), pagingCases(), cursorCases(),
		consistencyCases(), contextCases(), ownershipCases(),
		deleteCases(), absentCases(), closeCases(), secretCases(), modelCases(),
	} {
		all = append(all, topic...)
	}
	return all
}

func unknown(skip map[string]string, all []testCase) []string {
	known := make(map[string]bool, len(all))
	for _, c := range all {
		known[c.name] = true
	}
	var names []string
	for name := range skip {
		if !known[name] {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// patience is how long a call may take to return once its context has ended,
// and how long a table that cannot read consistently may take to show a write.
func (s *suite) patience() time.Duration {
	if s.slow {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// fewer returns n, or less of it for a slow table.
func (s *suite) fewer(n, whenSlow int) int {
	if s.slow {
		return whenSlow
	}
	return n
}

// text names an index in a way that sorts.
func text(i int) string { return fmt.Sprintf("%08d", i) }
