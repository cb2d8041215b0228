package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// Resubmit puts the records and changes of fault events through their handler
// again: those of a listener through the listener, those of a trigger through the
// trigger, in the order given. Either may be nil if there are no such faults.
//
// nil means that all are done. Otherwise a *[mes.BatchError] names each that is
// not, by its index among the faults: one that failed again, or that cannot be
// resubmitted because its payload was left out or redacted, which the error says
// together with what to do. Resubmitting one that
// is done changes nothing but what the handler itself does again.
//
// What is a fault again goes to the fault handler of the listener or the trigger,
// if it has one, and counts as done.
func Resubmit(ctx context.Context, listener *mes.Listener, trigger *mes.Trigger, faults ...mes.Event) error {
	errs := make([]error, len(faults))
	var records []mes.Record
	var changes []mes.Change
	var recordIndexes, changeIndexes []int
	for i := range faults {
		record, change, err := original(&faults[i], trigger)
		switch {
		case err != nil:
			errs[i] = err
		case record != nil && listener == nil, change != nil && trigger == nil:
			errs[i] = errors.New("faults: there is no listener or trigger for it")
		case record != nil:
			records, recordIndexes = append(records, *record), append(recordIndexes, i)
		default:
			changes, changeIndexes = append(changes, *change), append(changeIndexes, i)
		}
	}
	if len(records) > 0 {
		spread(errs, recordIndexes, listener.Handle(ctx, records))
	}
	if len(changes) > 0 {
		spread(errs, changeIndexes, trigger.Handle(ctx, changes))
	}
	var failures []mes.Failure
	for i, err := range errs {
		if err != nil {
			failures = append(failures, mes.Failure{Index: i, Err: err})
		}
	}
	if len(failures) > 0 {
		return &mes.BatchError{Failures: failures}
	}
	return nil
}

// spread gives each fault the error of its record.
func spread(errs []error, indexes []int, err error) {
	var batch *mes.BatchError
	if errors.As(err, &batch) {
		for _, failure := range batch.Failures {
			errs[indexes[failure.Index]] = failure.Err
		}
		return
	}
	for _, i := range indexes {
		errs[i] = err
	}
}

// original returns the record or the change that a fault event is about.
func original(e *mes.Event, trigger *mes.Trigger) (*mes.Record, *mes.Change, error) {
	b := parse(e)
	if b == nil {
		return nil, nil, errors.New("faults: it is not a fault event of this package")
	}
	meta := mes.Meta{Stream: b.Stream, Shard: b.Shard, SequenceNumber: b.SequenceNumber, SubSequence: b.SubSequence, MessageID: b.MessageID, Region: b.Region}
	if b.Arrived != 0 {
		meta.Arrived = time.UnixMilli(b.Arrived).UTC()
	}
	if b.Operation == operationListen {
		if err := b.check(b.Record); err != nil {
			return nil, nil, err
		}
		return &mes.Record{Data: b.Record.data(), Meta: meta}, nil, nil
	}
	change, err := b.change(trigger)
	if err != nil {
		return nil, nil, err
	}
	change.Meta = meta
	return nil, change, nil
}

// parse returns what a fault event says; nil if it is none of this package.
func parse(e *mes.Event) *body {
	var envelope envelope // it may have come in another one, such as EventBridge's
	if err := json.Unmarshal(e.Data(), &envelope); err != nil || envelope.Type != Type {
		return nil
	}
	if operation := envelope.Fault.Operation; operation != operationListen && operation != operationTrigger {
		return nil
	}
	return &envelope.Fault
}

// check says why a payload is no good for another try.
func (b *body) check(p *payload) error {
	switch {
	case p == nil:
		why := b.Omitted
		if why == "" {
			why = "the change had none"
		}
		return fmt.Errorf("faults: the payload was left out (%s): read the record again from %s while it is there, and set WithPayload, or raise WithMaxSize, for the faults to come", why, b.place())
	case p.Redacted:
		return fmt.Errorf("faults: the payload has lost what was redacted: read the record again from %s while it is there", b.place())
	}
	return nil
}

// place names where the record came from.
func (b *body) place() string {
	if b.Shard == "" || b.SequenceNumber == "" {
		return "its stream"
	}
	return fmt.Sprintf("its stream (shard %s, sequence number %s)", b.Shard, b.SequenceNumber)
}

// change makes the change again. What was inserted or modified is read from the
// table by the trigger, so only a removal needs its event.
func (b *body) change(trigger *mes.Trigger) (*mes.Change, error) {
	change := &mes.Change{HashKey: b.HashKey, RangeKey: b.RangeKey, Expired: b.Expired}
	for _, kind := range [...]mes.ChangeKind{mes.Inserted, mes.Modified, mes.Removed} {
		if kind.String() == b.Kind {
			change.Kind = kind
		}
	}
	if change.Kind == 0 {
		return nil, errors.New("faults: the change has no kind that there is")
	}
	if trigger == nil {
		return change, nil
	}
	if change.Kind != mes.Removed {
		if b.check(b.New) == nil {
			// For a handler that is called even if the event has gone since.
			if e, err := b.decode(trigger, b.New); err == nil {
				change.New = e
			}
		}
		return change, nil
	}
	if err := b.check(b.Old); err != nil {
		return nil, err
	}
	old, err := b.decode(trigger, b.Old)
	if err != nil {
		return nil, fmt.Errorf("faults: the event that was removed: %w", err)
	}
	change.Old = old
	return change, nil
}

func (b *body) decode(trigger *mes.Trigger, p *payload) (*mes.Event, error) {
	e, err := trigger.Store().DecodeItem(driver.Item{HashKey: b.HashKey, RangeKey: b.RangeKey, Event: p.data(), TTL: p.Expires})
	return &e, err
}
