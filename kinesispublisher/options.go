package kinesispublisher

import (
	"errors"
	"fmt"
	"time"
)

// Limits of Kinesis. Source: "PutRecords", Amazon Kinesis Data Streams API
// Reference.
const (
	// MaxRecords is how many records a request may have.
	MaxRecords = 500
	// MaxRecordSize is how large a record may be, in bytes, with its partition
	// key. A stream takes 1 MiB unless it is set to take more.
	MaxRecordSize = 10 << 20
)

// usualRecordSize is what a stream takes that was not set to take more. Source:
// "Handle large records", Amazon Kinesis Data Streams Developer Guide.
const usualRecordSize = 1 << 20

// Defaults of the options.
const (
	DefaultAttemptTimeout = 10 * time.Second
	DefaultMaxAttempts    = 8
)

// maxRequestSize bounds a request of more than one record. It takes 10 MiB, but
// is tried again as a whole when it breaks off.
const maxRequestSize = 5 << 20

// An Option configures a Publisher. Options come from this package alone.
type Option interface{ apply(*Publisher) error }

type option func(*Publisher) error

func (o option) apply(p *Publisher) error { return o(p) }

// WithMaxRecordSize sets how large a record may be, in bytes, with its partition
// key: what the stream is set to take. The default is [MaxRecordSize], which is
// also the most. A larger event is refused before the call, which is
// [microeventstore.Permanent]; one that Kinesis refuses is not, and is tried again
// whenever its change comes again. So for a stream that was never set to take more
// than the 1 MiB that it takes at first, give 1 << 20.
func WithMaxRecordSize(size int) Option {
	return option(func(p *Publisher) error {
		p.maxRecordSize = size
		if size < 1 || size > MaxRecordSize {
			return fmt.Errorf("WithMaxRecordSize: %d is not between 1 and %d", size, MaxRecordSize)
		}
		return nil
	})
}

// WithStrictOrder puts only one record of a partition key into a request, so that
// records of one key never change places. Many events of one key then take many
// requests.
func WithStrictOrder() Option {
	return option(func(p *Publisher) error {
		p.strict = true
		return nil
	})
}

// WithAttemptTimeout sets how long one request may take; the default is
// [DefaultAttemptTimeout]. One that takes longer is given up and made again.
func WithAttemptTimeout(d time.Duration) Option {
	return option(func(p *Publisher) error {
		p.attemptTimeout = d
		if d <= 0 {
			return errors.New("WithAttemptTimeout: it must be more than zero")
		}
		return nil
	})
}

// WithMaxAttempts sets how many requests in a row may get nothing done before
// Publish gives up, when its context has no deadline; the default is
// [DefaultMaxAttempts], which with the waits between takes about 6 s on average.
// With a deadline it goes on until that is near.
func WithMaxAttempts(n int) Option {
	return option(func(p *Publisher) error {
		p.maxAttempts = n
		if n < 1 {
			return errors.New("WithMaxAttempts: it must be at least 1")
		}
		return nil
	})
}
