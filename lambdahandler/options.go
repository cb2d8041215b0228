package lambdahandler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// A ListenerOption configures the handler of a listener. Options come from this
// package alone; if one is wrong, every call of the handler says so.
type ListenerOption interface {
	applyListener(*options) error
}

// A TriggerOption configures the handler of a trigger.
type TriggerOption interface {
	applyTrigger(*options) error
}

// An Option configures either handler.
type Option interface {
	ListenerOption
	TriggerOption
}

type option func(*options) error

func (o option) applyListener(to *options) error { return o(to) }
func (o option) applyTrigger(to *options) error  { return o(to) }

type triggerOption func(*options) error

func (o triggerOption) applyTrigger(to *options) error { return o(to) }

type options struct {
	err        error // what is wrong with the handler
	wholeBatch bool
	margin     time.Duration
	hasMargin  bool
	logger     *slog.Logger
	onlyRegion bool
}

// The margin that is kept before Lambda's deadline unless [WithDeadlineMargin] says
// otherwise: a tenth of the time that the invocation has, and at least this.
const leastMargin = 500 * time.Millisecond

// WholeBatch is for event source mappings that do not have ReportBatchItemFailures:
// any failure fails the whole invocation, and Lambda delivers the whole batch again.
func WholeBatch() Option {
	return option(func(o *options) error {
		o.wholeBatch = true
		return nil
	})
}

// WithDeadlineMargin sets how long before Lambda's deadline no more work is begun,
// so that there is time to answer. The default is a tenth of the time that the
// invocation has, and at least 500 ms. It is never more than half of that time. 0
// keeps no margin: when time is up Lambda then delivers the whole batch again.
func WithDeadlineMargin(margin time.Duration) Option {
	return option(func(o *options) error {
		if margin < 0 {
			return fmt.Errorf("WithDeadlineMargin: %v is negative", margin)
		}
		o.margin, o.hasMargin = margin, true
		return nil
	})
}

// WithLogger sets where a batch that is not done is reported, with its first
// failure; nil, the default, is silence: with a partial batch response Lambda shows
// no error anywhere. Keys and payloads are not logged, as far as the errors of your
// own functions hold none.
func WithLogger(logger *slog.Logger) Option {
	return option(func(o *options) error {
		o.logger = logger
		return nil
	})
}

// OnlyThisRegion leaves out the changes of a global table that were made in another
// region: each replica has a stream of its own, and without this every region's
// trigger fires. What is left out counts as done.
//
// Where a change was made is told by the attribute aws:rep:updateregion, which
// global tables of version 2017.11.29 have, or by awsregion, which writers set
// themselves (aws-lambda-stream does), for version 2019.11.21 does not tell. A change
// without either is this region's. A modification that only adds the attribute is
// left out too.
//
// A removal by the TTL is this region's where it says that it is one: in the region
// whose TTL it was. No other removal tells where it was made, so that it fires in
// the region that had written the item last; that takes a view of the stream with
// old images, for without them it fires in every region.
func OnlyThisRegion() TriggerOption {
	return triggerOption(func(o *options) error {
		o.onlyRegion = true
		return nil
	})
}

// newOptions makes the options of a handler with a name. wrong is what is wrong with
// the handler besides them.
func newOptions[O any](name string, wrong error, opts []O, apply func(O, *options) error) *options {
	o := new(options)
	errs := []error{wrong}
	for i, opt := range opts {
		if any(opt) == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		if err := apply(opt, o); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		o.err = fmt.Errorf("lambdahandler: %s: %w", name, err)
	}
	return o
}

// ready says what keeps a handler from handling anything: every call fails with that,
// since no response would show it to anyone.
func (o *options) ready(ctx context.Context) error {
	switch {
	case o == nil:
		return errors.New("lambdahandler: the handler is empty: Kinesis and the like make one")
	case o.err != nil:
		return o.err
	case ctx == nil:
		return errors.New("lambdahandler: the context is nil")
	}
	return nil
}

// A handler that is nil says the same as an empty one.

func (h *KinesisHandler) ready(ctx context.Context) error {
	if h == nil {
		return (*options)(nil).ready(ctx)
	}
	return h.options.ready(ctx)
}

func (h *DynamoDBHandler) ready(ctx context.Context) error {
	if h == nil {
		return (*options)(nil).ready(ctx)
	}
	return h.options.ready(ctx)
}

func (h *SQSHandler) ready(ctx context.Context) error {
	if h == nil {
		return (*options)(nil).ready(ctx)
	}
	return h.options.ready(ctx)
}

func (h *SNSHandler) ready(ctx context.Context) error {
	if h == nil {
		return (*options)(nil).ready(ctx)
	}
	return h.options.ready(ctx)
}

func (h *EventBridgeHandler) ready(ctx context.Context) error {
	if h == nil {
		return (*options)(nil).ready(ctx)
	}
	return h.options.ready(ctx)
}

// wrongListener says what is wrong with a listener.
func wrongListener(listener *mes.Listener) error {
	if listener == nil {
		return errors.New("the listener is nil")
	}
	return listener.Handle(context.Background(), nil)
}

// limit returns a context that ends a margin before the deadline.
func (o *options) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	left := time.Until(deadline)
	margin := max(left/10, leastMargin)
	if o.hasMargin {
		margin = o.margin
	}
	return context.WithDeadline(ctx, deadline.Add(-min(margin, max(left/2, 0))))
}

func (o *options) log(ctx context.Context, read int, failures []failure) {
	if o.logger == nil || len(failures) == 0 {
		return
	}
	o.logger.ErrorContext(ctx, "records are to be delivered again",
		"read", read, "failed", len(failures), "first", failures[0].err.Error())
}
