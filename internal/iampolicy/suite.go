package iampolicy

import (
	"flag"
	"fmt"
	"os"
)

// A Suite is all tests of a package, and then what they have called together.
type Suite struct {
	Tests interface{ Run() int } // a *testing.M

	// Check is asked when all tests have passed. Where only some have run, all is
	// false: something may not have been called. A test has to read the files that
	// it reads, too: go test takes an old result for good until a file changes that
	// was opened while tests ran.
	Check func(all bool) error
}

// Run runs the tests, and fails when they have called anything else than they should.
func (s Suite) Run() int {
	code := s.Tests.Run()
	if code != 0 {
		return code
	}
	if err := s.Check(!narrowed()); err != nil {
		fmt.Fprintln(os.Stderr, "promise 19:", err)
		return 1
	}
	return 0
}

// narrowed tells whether the command line leaves tests out. (Those who fuzz look
// for something else, in processes that run one target.)
func narrowed() bool {
	for _, name := range [...]string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return true
		}
	}
	return false
}
