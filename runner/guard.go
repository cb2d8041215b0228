package runner

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/aws/smithy-go"

	mes "github.com/microeventstore/microeventstore"
)

// guard turns a panic in a source into an error, which is tried again like any
// other: it would end the process otherwise, since nobody else is on the goroutine
// who could catch it.
func guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &mes.PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}

// public leaves out what a service says of a signature that it does not accept: some
// quote the whole request then, session token included.
func public(err error) error {
	var coded smithy.APIError
	if !errors.As(err, &coded) || !strings.Contains(coded.ErrorCode(), "Signature") {
		return err
	}
	return fmt.Errorf("%s: the credentials are wrong, or the clock is", coded.ErrorCode())
}
