package drivertest

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/microeventstore/microeventstore/driver"
)

// A recorder takes the place of *testing.T, so that a case can fail without the
// test that looks at it failing too.
type recorder struct {
	mu       sync.Mutex
	failures []string
	skipped  string
	cleanups []func()
}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Cleanup(f func())    { r.cleanups = append(r.cleanups, f) }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// record runs one case and returns what it reported.
func record(c testCase, open func() driver.Table, reopen func(driver.Table) driver.Table) *recorder {
	r := &recorder{}
	done := make(chan struct{})
	go func() { // Fatalf ends the goroutine, as it does in package testing
		defer close(done)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		s := &suite{reporter: r, rule: c.rule, newTable: open, reopenTable: reopen, slow: true, seed: 1}
		s.run(c)
	}()
	<-done
	return r
}
