package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	mes "github.com/microeventstore/microeventstore"
)

// Listen hands the records of a source to a listener until ctx ends. Then it
// drains: it begins nothing new, waits for the batches that are in hand, records
// how far it has come, gives its leases back, and returns nil; or a *[DrainError]
// if that takes longer than [WithDrainTimeout]. What was not handled by then is
// handled by the next run. Handlers see their context end only when the drain
// takes too long, or the shard's lease was lost or ran out.
//
// It returns another error if the listener or an option is not usable, and when
// the source is closed or says that trying again cannot help
// ([mes.IsPermanent]). Any other error, of the source, the table or a handler, is
// tried again for as long as it takes, unless [WithMaxAttempts] or [WithMaxAge]
// bound it, and holds up what comes behind it in its shard. [WithLogger] and
// [WithMonitor] show such errors.
//
// Each shard is read by a goroutine of its own, and parents before their
// children. Where a run begins is up to the checkpoints: see the package comment.
//
// Listen may be called again once it has returned, from any goroutine, and
// several times at once.
func Listen(ctx context.Context, source mes.RecordSource, listener *mes.Listener, opts ...Option) error {
	options, err := newOptions(opts)
	switch {
	case err != nil:
	case source == nil:
		err = errors.New("the source is nil")
	case listener == nil:
		err = errors.New("the listener is nil")
	default:
		err = listener.Handle(ctx, nil) // says what is wrong with its options
	}
	if err == nil {
		err = start(ctx, options, &stream[mes.Record]{
			source: source,
			read:   source.ReadRecords,
			handle: listener.Handle,
			store:  listener.Store(),
			giveUp: listener.FaultHandler(),
			meta:   func(r *mes.Record) *mes.Meta { return &r.Meta },
			order:  func(r *mes.Record) string { return r.Meta.PartitionKey },
			size:   func(r *mes.Record) int { return len(r.Data) },
			fault:  func(r *mes.Record, err error) mes.Fault { return mes.Fault{Err: err, Record: r} },
		})
	}
	if err != nil {
		return fmt.Errorf("run a listener: %w", err)
	}
	return nil
}

// Trigger hands the changes of a source to a trigger until ctx ends, and is in
// everything else to changes what [Listen] is to records.
func Trigger(ctx context.Context, source mes.ChangeSource, trigger *mes.Trigger, opts ...Option) error {
	options, err := newOptions(opts)
	switch {
	case err != nil:
	case source == nil:
		err = errors.New("the source is nil")
	case trigger == nil:
		err = errors.New("the trigger is nil")
	default:
		err = trigger.Handle(ctx, nil) // says what is wrong with its options
	}
	bound := source
	if binder, ok := source.(mes.StoreBinder); ok && err == nil {
		err = guard(func() (err error) {
			bound, err = binder.Bind(trigger.Store())
			return err
		})
	}
	if err == nil {
		err = start(ctx, options, &stream[mes.Change]{
			source: bound,
			read:   bound.ReadChanges,
			handle: trigger.Handle,
			store:  trigger.Store(),
			giveUp: trigger.FaultHandler(),
			meta:   func(c *mes.Change) *mes.Meta { return &c.Meta },
			order:  func(c *mes.Change) string { return c.HashKey },
			size:   changeSize,
			fault:  func(c *mes.Change, err error) mes.Fault { return mes.Fault{Err: err, Change: c} },
		})
	}
	if err != nil {
		return fmt.Errorf("run a trigger: %w", err)
	}
	return nil
}

func changeSize(c *mes.Change) int {
	size := len(c.HashKey) + len(c.RangeKey)
	for _, e := range [...]*mes.Event{c.New, c.Old} {
		if e != nil {
			size += len(e.Raw)
		}
	}
	return size
}

// A lister is what record sources and change sources have in common.
type lister interface {
	Shards(ctx context.Context) ([]mes.Shard, error)
}

// A stream is what differs between records and changes.
type stream[T any] struct {
	source lister
	read   func(ctx context.Context, shard string, after mes.Position, limit int) ([]T, bool, error)
	handle func(context.Context, []T) error
	store  *mes.Store
	giveUp mes.FaultHandler // nil: nobody takes what is given up

	meta  func(*T) *mes.Meta
	order func(*T) string // those with the same are handled in their order
	size  func(*T) int    // bytes
	fault func(*T, error) mes.Fault
}

func start[T any](ctx context.Context, options *options, s *stream[T]) error {
	if (options.maxAttempts > 0 || options.maxAge > 0) && s.giveUp == nil {
		return errors.New("WithMaxAttempts and WithMaxAge need a fault handler (mes.WithFaultHandler): what is given up has to go somewhere")
	}
	name := ""
	if named, ok := s.source.(mes.NamedStream); ok {
		if err := guard(func() error { name = named.StreamName(); return nil }); err != nil {
			return err
		}
	}
	if name != "" {
		options.logger = options.logger.With(slog.String("stream", name))
	}
	if options.consumer != "" {
		options.logger = options.logger.With(slog.String("consumer", options.consumer))
	}
	if options.leases != nil {
		switch _, keeps := s.source.(mes.Checkpointer); {
		case keeps:
			return errors.New("WithLeases: the source keeps its checkpoints itself, and is for one process")
		case name == "" && options.consumer == "" && !options.leases.kclKeys:
			return errors.New("WithLeases: the source has no name (mes.NamedStream); tell it from others by WithConsumer")
		}
	}
	engine := &engine[T]{options: options, stream: s, name: name}
	if options.leases != nil {
		engine.owner = newLeases(ctx, options, name)
	} else {
		engine.owner = newLocal(s.source, s.store, options.consumer, name)
	}
	return engine.run(ctx)
}
