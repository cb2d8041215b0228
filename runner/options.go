package runner

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/microeventstore/microeventstore/internal/backoff"
)

// What a run does unless an option says otherwise.
const (
	// DefaultBatchSize is how many records are handled together. It is what an
	// event source mapping of Lambda takes.
	DefaultBatchSize = 100
	// DefaultBatchBytes is how many bytes of payload are handled together.
	DefaultBatchBytes = 4 << 20
	// DefaultPollInterval is how long a shard is left alone after a read that
	// found nothing. Reading a shard of a stream once a second is well within
	// the limits of Kinesis (5 a second) and of DynamoDB Streams.
	DefaultPollInterval = time.Second
	// DefaultDiscoveryInterval is how often the shards are listed. They are also
	// listed when a shard has been read to its end.
	DefaultDiscoveryInterval = 30 * time.Second
	// DefaultCheckpointInterval is how long what is done may go unrecorded while
	// there is more to do.
	DefaultCheckpointInterval = time.Second
	// DefaultDrainTimeout is less than the 30 seconds that Kubernetes and ECS
	// leave a container between SIGTERM and SIGKILL.
	DefaultDrainTimeout = 20 * time.Second
)

// An Option configures a run. Options come from this package alone.
type Option interface {
	apply(*options) error
}

type option func(*options) error

func (o option) apply(r *options) error { return o(r) }

type options struct {
	batchSize       int
	batchBytes      int
	batchWindow     time.Duration
	untilCaughtUp   bool
	logger          *slog.Logger
	pollEvery       time.Duration
	discoverEvery   time.Duration
	checkpointEvery time.Duration
	drainTimeout    time.Duration
	maxAttempts     int           // 0: without end
	maxAge          time.Duration // 0: without end
	retry           backoff.Policy
	consumer        string
	monitor         *Monitor
	leases          *leaseOptions // nil: one process reads all
}

func newOptions(opts []Option) (*options, error) {
	r := &options{
		batchSize:       DefaultBatchSize,
		batchBytes:      DefaultBatchBytes,
		logger:          slog.New(slog.DiscardHandler),
		pollEvery:       DefaultPollInterval,
		discoverEvery:   DefaultDiscoveryInterval,
		checkpointEvery: DefaultCheckpointInterval,
		drainTimeout:    DefaultDrainTimeout,
		retry:           backoff.Policy{First: 100 * time.Millisecond, Most: 10 * time.Second},
	}
	var errs []error
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		if err := opt.apply(r); err != nil {
			errs = append(errs, err)
		}
	}
	if r.monitor == nil {
		r.monitor = new(Monitor)
	}
	return r, errors.Join(errs...)
}

// atLeast1 is an option that sets a number.
func atLeast1(name string, n int, set func(*options)) Option {
	return option(func(r *options) error {
		set(r)
		if n < 1 {
			return fmt.Errorf("%s: %d is less than 1", name, n)
		}
		return nil
	})
}

// positive is an option that sets a duration.
func positive(name string, d time.Duration, set func(*options)) Option {
	return option(func(r *options) error {
		set(r)
		if d <= 0 {
			return fmt.Errorf("%s: %v is not positive", name, d)
		}
		return nil
	})
}

// WithBatchSize sets how many records or changes are handled together at most;
// the default is [DefaultBatchSize]. The history of a hash key is read once for a
// batch.
func WithBatchSize(n int) Option {
	return atLeast1("WithBatchSize", n, func(r *options) { r.batchSize = n })
}

// WithBatchBytes sets how many bytes of payload are handled together at most; the
// default is [DefaultBatchBytes]. A record that is larger is handled alone.
func WithBatchBytes(n int) Option {
	return atLeast1("WithBatchBytes", n, func(r *options) { r.batchBytes = n })
}

// WithBatchWindow sets for how long a batch that is not full waits for more. By
// default it does not: what a read has returned is handled at once.
func WithBatchWindow(d time.Duration) Option {
	return positive("WithBatchWindow", d, func(r *options) { r.batchWindow = d })
}

// WithPollInterval sets how long a shard is left alone after a read that found
// nothing; the default is [DefaultPollInterval]. A source that can tell when
// there is something ([microeventstore.Waiter]) is read at once then.
func WithPollInterval(d time.Duration) Option {
	return positive("WithPollInterval", d, func(r *options) { r.pollEvery = d })
}

// WithDiscoveryInterval sets how often the shards are listed; the default is
// [DefaultDiscoveryInterval].
func WithDiscoveryInterval(d time.Duration) Option {
	return positive("WithDiscoveryInterval", d, func(r *options) { r.discoverEvery = d })
}

// WithCheckpointInterval sets how long what is done may go unrecorded while there
// is more to do; the default is [DefaultCheckpointInterval]. What was not
// recorded when a process is killed is handled again. A shard that has nothing
// new, ends, or is given up is recorded at once.
func WithCheckpointInterval(d time.Duration) Option {
	return positive("WithCheckpointInterval", d, func(r *options) { r.checkpointEvery = d })
}

// WithDrainTimeout sets how long a run that was told to end waits for what is in
// hand; the default is [DefaultDrainTimeout]. What is cut off then gets up to 6
// seconds more to end and to record what is done. See [DrainError].
func WithDrainTimeout(d time.Duration) Option {
	return positive("WithDrainTimeout", d, func(r *options) { r.drainTimeout = d })
}

// WithMaxAttempts gives up on a record that has failed n times on its own, and
// hands it to the fault handler of the listener or trigger, which there must be;
// if that accepts it, the record is done. By default nothing is given up: a
// record is tried again until it works, and holds up its shard meanwhile.
//
// Only attempts that the record made alone are counted, so that it is not given
// up for its neighbours. Mind that an outage fails every record: n attempts are
// over in less than n times 10 seconds, after which all that the stream holds
// goes to the fault handler. [WithMaxAge] is the better bound against outages;
// with both, a record is given up when both have been reached.
func WithMaxAttempts(n int) Option {
	return atLeast1("WithMaxAttempts", n, func(r *options) { r.maxAttempts = n })
}

// WithMaxAge gives up on a record that has been failing for so long in this
// process, as [WithMaxAttempts] does. The age counts from the record's first
// failure on its own, not from its arrival in the stream: a backlog is not given up
// for being old.
func WithMaxAge(d time.Duration) Option {
	return positive("WithMaxAge", d, func(r *options) { r.maxAge = d })
}

// WithConsumer names who reads: it goes in front of the keys of checkpoints and
// leases. Two listeners, or two triggers, that read the same stream and keep
// their checkpoints in the same table need different names. The default is no
// name. It may have up to 255 bytes. It says nothing to a source that keeps its
// checkpoints itself, nor with [KCLLeaseKeys].
func WithConsumer(name string) Option {
	return option(func(r *options) error {
		r.consumer = name
		switch {
		case len(name) > maxConsumerSize:
			return fmt.Errorf("WithConsumer: the name has %d bytes, and may have %d", len(name), maxConsumerSize)
		case !utf8.ValidString(name):
			return errors.New("WithConsumer: the name is not valid UTF-8")
		}
		return nil
	})
}

const maxConsumerSize = 255

// WithMonitor lets a monitor show how the run is doing. nil is none.
func WithMonitor(m *Monitor) Option {
	return option(func(r *options) error {
		r.monitor = m
		return nil
	})
}

// UntilCaughtUp ends the run, with nil, as soon as everything that the source
// holds has been handled: for jobs that run now and then, and for tests. With
// leases that is everything in the shards that this replica can take. DynamoDB
// Streams never says whether there is more: 20 empty answers in a row, in a shard
// that nothing follows yet, are taken for that.
func UntilCaughtUp() Option {
	return option(func(r *options) error {
		r.untilCaughtUp = true
		return nil
	})
}

// WithLogger sets where changes of state (a shard is begun, ended, taken, lost)
// and failures that will be tried again are reported; nil, the default, is
// silence. Neither keys nor payloads are logged, as far as the errors of your
// handler hold none.
func WithLogger(logger *slog.Logger) Option {
	return option(func(r *options) error {
		if logger == nil {
			logger = slog.New(slog.DiscardHandler)
		}
		r.logger = logger
		return nil
	})
}
