package microeventstore

import (
	"context"
	"errors"
	"fmt"
)

// A Fault is a record or a change that can never succeed: its own content is at
// fault, or a handler said so with [Permanent].
type Fault struct {
	Err    error   // what is wrong; where it came from is in the Meta of the record
	Record *Record // set by a listener
	Change *Change // set by a trigger
}

// A FaultHandler sets a fault aside, such as in a table or a queue. nil means
// that it has accepted the fault: the record counts as done and is not delivered
// again. With any error the record is delivered again. What it is given is valid
// until it returns. A trigger calls it from several goroutines at once.
type FaultHandler func(ctx context.Context, fault Fault) error

// A HandlerOption is an option of listeners and of triggers.
type HandlerOption interface {
	ListenerOption
	TriggerOption
}

type handlerOption func(*handlerOptions) error

func (o handlerOption) applyListener(l *Listener) error { return o(&l.handlerOptions) }
func (o handlerOption) applyTrigger(t *Trigger) error   { return o(&t.handlerOptions) }

// handlerOptions are what listeners and triggers have in common.
type handlerOptions struct {
	onFault FaultHandler
}

// WithFaultHandler sets who is given the records that can never succeed. With
// nil, the default, nobody is: such a record is reported as failed, and the
// stream delivers it again for as long as its settings say. An error that the
// record's content has not caused (no access, a missing table, throttling,
// anything unknown) never reaches the fault handler, unless the host was told to
// give up after a while. A function that looks at an event and nothing else (the
// listener's filter, decoder, key function, TTL policy, projection) answers for that
// event's content: its error or panic is a fault. So is one of [OnlyHashKeys] and
// [WithWindows]. What a [Handler] returns or panics with is none, unless it is marked
// [Permanent]; nor is a panic in what [Matching] is given, which is asked about other
// events than the one that fired.
func WithFaultHandler(handler FaultHandler) HandlerOption {
	return handlerOption(func(o *handlerOptions) error {
		o.onFault = handler
		return nil
	})
}

// faultHandler is what hosts call: a panic in it becomes an error.
func (o *handlerOptions) faultHandler() FaultHandler {
	if o.onFault == nil {
		return nil
	}
	return func(ctx context.Context, fault Fault) error {
		return call(func() error { return o.onFault(ctx, fault) })
	}
}

// settle hands a fault to the fault handler. It returns nil if that has accepted
// it, and otherwise the error to report.
func (o *handlerOptions) settle(ctx context.Context, fault Fault) error {
	if o.onFault == nil || !IsPermanent(fault.Err) {
		return fault.Err
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(fault.Err, err)
	}
	if err := call(func() error { return o.onFault(ctx, fault) }); err != nil {
		return fmt.Errorf("%w; and the fault handler did not accept it: %w", fault.Err, err)
	}
	return nil
}
