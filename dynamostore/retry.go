package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/microeventstore/microeventstore/internal/backoff"
)

// How long to wait between attempts. The first wait is what AWS's own clients
// begin with for DynamoDB (aws-sdk-go-v2, service/dynamodb, resolveRetryer).
const (
	firstWait = 25 * time.Millisecond
	mostWait  = 5 * time.Second
)

// A call ends before its context's deadline by a tenth of the time that is left
// when it begins, or by maxMargin if that is less, so that its caller can still
// act on what it says.
const maxMargin = 250 * time.Millisecond

// A caller makes requests, and makes them again.
type caller struct {
	attemptTimeout time.Duration
	maxAttempts    int
	waits          backoff.Policy
	unheard        bool       // maxAttempts also counts, whatever the deadline, where there is no answer
	bodies         *sync.Pool // of *[]byte, for the answers that a queryCodec reads
	rooms          *sync.Pool // of *pageRoom, for their items
	connector      connector
}

func newCaller(c *config) caller {
	return caller{
		attemptTimeout: c.attemptTimeout,
		maxAttempts:    c.maxAttempts,
		waits:          backoff.Policy{First: firstWait, Most: mostWait},
		bodies:         new(sync.Pool),
		rooms:          new(sync.Pool),
	}
}

// checkContext returns why nothing shall be begun.
func checkContext(ctx context.Context) error {
	if ctx == nil {
		return errors.New("dynamostore: the context is nil")
	}
	return ctx.Err()
}

// withMargin returns a context that ends before ctx does.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	margin := max(0, min(maxMargin, time.Until(deadline)/10))
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// A request is one attempt. It passes the option on to the client.
type request func(ctx context.Context, opt func(*dynamodb.Options)) error

// do makes a request until it succeeds, fails for good, or it is time to give up.
func (c *caller) do(ctx context.Context, operation string, r request) error {
	retries := retries{caller: c}
	for {
		err := c.attempt(ctx, operation, r)
		if err == nil {
			return nil
		}
		if err := retries.wait(ctx, err, false); err != nil {
			return err
		}
	}
}

// attempt makes a request once.
func (c *caller) attempt(ctx context.Context, operation string, r request) *Error {
	attempt, cancel := context.WithTimeout(ctx, c.attemptTimeout)
	defer cancel()
	link := link{connect: &c.connector}
	err := protect(func() error { return r(attempt, link.install) })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return newContextError(operation, ctx.Err(), err)
	case attempt.Err() != nil:
		if link.applied && !link.sent {
			e := newError(operation, fmt.Sprintf("it was not ready to be sent within %v (WithAttemptTimeout): the credentials take too long", c.attemptTimeout), err)
			e.retryable = true
			return e
		}
		e := newError(operation, fmt.Sprintf("there was no answer within %v (WithAttemptTimeout)", c.attemptTimeout), err)
		e.retryable, e.slow = true, true
		return e
	}
	return explain(operation, &link, err)
}

// protect turns a panic of the user's client into an error: it may happen on a
// goroutine where nobody else could catch it.
func protect(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value}
		}
	}()
	return f()
}

// retries counts the failures of one request, or of one batch.
type retries struct {
	caller    *caller
	attempts  int
	fruitless int // attempts in a row that changed nothing
	skewed    bool
	last      string // what the attempt before came to
}

// wait waits before another attempt, or returns why there shall be none. progress
// says that the attempt did some of the work.
func (r *retries) wait(ctx context.Context, cause *Error, progress bool) error {
	r.attempts++
	r.fruitless++
	if progress {
		r.fruitless = 0
	}
	cause.Attempts = r.attempts
	if cause.end != nil && r.last != "" {
		cause.text += "; the attempt before: " + r.last
	}
	r.last = cause.text
	if cause.skew && !r.skewed {
		// The SDK has learned the difference from the answer and puts it right
		// the next time.
		r.skewed, cause.retryable = true, true
	}
	if !cause.retryable {
		return cause
	}
	delay := r.caller.waits.DelayIn(ctx, r.attempts)
	deadline, ok := ctx.Deadline()
	if r.fruitless >= r.caller.maxAttempts && (!ok || r.caller.unheard && cause.Code == "") {
		return cause
	}
	if ok && time.Until(deadline) <= delay {
		return cause.ended(context.DeadlineExceeded, "there is no time left for another attempt")
	}
	if err := backoff.WaitFor(ctx, delay); err != nil {
		return cause.ended(err, "its context has ended")
	}
	return nil
}
