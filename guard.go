package microeventstore

import (
	"errors"
	"runtime/debug"
)

// guard runs a user's function and turns a panic in it into an error.
func guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}

var errGoexit = errors.New("the function ended its goroutine (runtime.Goexit)")

// call is guard for functions that may do anything, such as fail a test from
// within: runtime.Goexit in them ends a goroutine of their own and becomes an
// error.
func call(f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() { result <- err }()
		err = guard(f)
	}()
	return <-result
}

// forEach calls f for 0 to n-1, in order. Like call it does so in a goroutine of
// its own, one for all as a rule: what ends it ends the call for one index alone,
// for which ended is called in its place.
func forEach(n int, f func(i int), ended func(i int, err error)) {
	for next := 0; next < n; {
		err := call(func() error {
			for next < n {
				i := next
				next++
				f(i)
			}
			return nil
		})
		if err != nil {
			ended(next-1, err)
		}
	}
}
