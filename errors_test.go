package microeventstore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// An error that is permanent takes the record out of the stream, so one that joins
// several is permanent only if no part of it is worth another try.
func TestPromise09SeveralErrorsArePermanentIfAllAre(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                     {nil, false},
		"an ordinary one":         {errThrottled, false},
		"a marked one":            {Permanent(errThrottled), true},
		"a wrapped one":           {fmt.Errorf("emit: %w", Permanent(errThrottled)), true},
		"marked as a whole":       {Permanent(errors.Join(errThrottled, errThrottled)), true},
		"all of several":          {errors.Join(Permanent(errThrottled), Permanent(errThrottled)), true},
		"the first of several":    {errors.Join(Permanent(errThrottled), errThrottled), false},
		"the last of several":     {errors.Join(errThrottled, Permanent(errThrottled)), false},
		"some of several, within": {errors.Join(Permanent(errThrottled), errors.Join(Permanent(errThrottled), errThrottled)), false},
		"the store's, and others": {fmt.Errorf("%w: %w", driver.ErrInvalidItem, errThrottled), false},
	} {
		require.Equal(t, test.want, IsPermanent(test.err), name)
	}
}
