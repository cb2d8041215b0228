package microeventstore

import (
	"context"
	"errors"
)

// A Publisher sends events to a stream, a bus or a queue: the higher-order events
// that rules emit, and faults. Package kinesispublisher has one.
//
// An event may be published more than once, by a retry or by two processes. It
// then has the same ID each time, so that whoever receives it can tell.
type Publisher interface {
	// Publish sends events, in order for each partition key. nil means that all
	// have been accepted for good. A *[PublishError] names each that may not
	// have been; all others have. With any other error any of them may or may
	// not have been. An error of an event that can never be sent, such as one
	// that is too large, is marked [Permanent].
	//
	// Publish does not change the events, and has let go of their bytes when it
	// returns. It honours its context and is safe for use by many goroutines.
	Publish(ctx context.Context, events ...Event) error
}

// A PublisherFunc is a function that is a [Publisher]. One that is nil sends
// nothing, and says so in an error.
type PublisherFunc func(ctx context.Context, events ...Event) error

// Publish calls f.
func (f PublisherFunc) Publish(ctx context.Context, events ...Event) error {
	if f == nil {
		return errors.New("the PublisherFunc is nil")
	}
	return f(ctx, events...)
}

// A PublishError names the events that a [Publisher] may not have sent. All
// others are sent.
type PublishError struct {
	Failures []Failure // in ascending order of Index, one for an event
}

func (e *PublishError) Error() string { return describe(e.failures(), "not published", "event") }

// Unwrap returns the error of each event.
func (e *PublishError) Unwrap() []error { return causes(e.failures()) }

// failures are none for a nil error, which a publisher may return by mistake where
// it means that all is well: it must not end the process that looks at it.
func (e *PublishError) failures() []Failure {
	if e == nil {
		return nil
	}
	return e.Failures
}
