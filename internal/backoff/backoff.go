// Package backoff waits between attempts: capped exponential backoff with full
// jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog),
// which keeps many clients that failed together from trying again together.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Policy says how long to wait. Both durations are positive.
type Policy struct {
	First time.Duration // the most to wait after the first failure
	Most  time.Duration // the most to wait after any
}

// Delay returns how long to wait after a number of failures in a row, from 1.
func (p Policy) Delay(failures int) time.Duration {
	return rand.N(p.most(failures) + 1)
}

func (p Policy) most(failures int) time.Duration {
	most := p.First
	for i := 1; i < failures && most < p.Most; i++ {
		most *= 2
	}
	return min(most, p.Most)
}

// DelayIn is Delay, drawn as ctx says if it comes from [Drawn].
func (p Policy) DelayIn(ctx context.Context, failures int) time.Duration {
	if draw, ok := ctx.Value(drawn{}).(func(time.Duration) time.Duration); ok {
		return draw(p.most(failures))
	}
	return p.Delay(failures)
}

type drawn struct{}

// Chance returns a number from 0 to n-1 for what is not a wait, drawn as ctx says
// if it comes from [Drawn].
func Chance(ctx context.Context, n int64) int64 {
	if draw, ok := ctx.Value(drawn{}).(func(time.Duration) time.Duration); ok {
		return int64(draw(time.Duration(n - 1)))
	}
	return rand.Int64N(n)
}

// Drawn returns a context in which waits are not left to chance, nor other choices:
// draw is given the most that one may last and says how long it does. It is for
// simulations, which must come out the same when they are run again.
func Drawn(ctx context.Context, draw func(most time.Duration) time.Duration) context.Context {
	return context.WithValue(ctx, drawn{}, draw)
}

// Wait waits as long as DelayIn says, or until ctx ends; then it returns the
// context's error.
func (p Policy) Wait(ctx context.Context, failures int) error {
	return WaitFor(ctx, p.DelayIn(ctx, failures))
}

// WaitFor waits as long as it is told to, or until ctx ends; then it returns the
// context's error.
func WaitFor(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
