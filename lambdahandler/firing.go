package lambdahandler

import (
	"context"
	"slices"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// A firing hands the changes of a payload to the trigger. Images may be compressed, and
// so hold far more than the payload: when a part is full it is handled before more is
// read.
type firing struct {
	h       *DynamoDBHandler
	stream  *stream
	changer *changer // nil for a new one

	failures   []failure
	failedKeys map[string]bool
	picked     selection     // the part
	size       int           // of the events in it
	opening    time.Duration // how long it has taken to read its images, be it in vain
}

// longPart is how long the images of a part may take to be read: what is done by the
// deadline is what has been handed over before.
const longPart = 100 * time.Millisecond

// fire returns which changes are to be delivered again.
func (f *firing) fire(ctx context.Context) []failure {
	none, left := streamRecord{complete: true}, f.stream.records
	for i := range f.stream.changes {
		change, record := &f.stream.changes[i], &none
		if len(left) > 0 && left[0].change == i {
			record, left = &left[0], left[1:]
		}
		if !record.complete && ctx.Err() != nil { // no time is left
			for ; i < len(f.stream.changes); i++ {
				f.failures = append(f.failures, failure{index: i, err: unopened(ctx.Err())})
			}
			break
		}
		if f.h.onlyRegion && record.elsewhere(change) {
			continue
		}
		if err := f.complete(change, record); err != nil {
			f.failures = append(f.failures, failure{index: i, err: err})
			continue
		}
		f.picked.add(f.stream.changes, i)
		for _, e := range [...]*mes.Event{change.New, change.Old} {
			if e != nil {
				f.size += len(e.Raw)
			}
		}
		if f.size > maxPart || f.opening > longPart {
			f.hand(ctx)
		}
	}
	f.hand(ctx)
	slices.SortFunc(f.failures, func(a, b failure) int { return a.index - b.index })
	return f.failures
}

// complete completes a change. An error is why it cannot be handled.
func (f *firing) complete(change *mes.Change, record *streamRecord) error {
	err := record.err
	switch {
	case change.Meta.SequenceNumber == "":
		err = errNoSequence
	case !record.complete:
		if f.changer == nil {
			f.changer = newChanger(f.h.store, f.h.images, len(f.stream.changes))
		}
		began := time.Now()
		err = f.changer.complete(change, record, [2]*decodedImage{})
		f.opening += time.Since(began)
	}
	if change.Kind == 0 && change.Err == nil {
		change.Err = errNoKind
	}
	if err == nil && change.HashKey != "" && f.failedKeys[change.HashKey] {
		err = errEarlierFailed
	}
	return err
}

// hand hands the part to the trigger.
func (f *firing) hand(ctx context.Context) {
	if len(f.picked.changes) == 0 {
		return
	}
	for _, failed := range failuresOf(f.h.trigger.Handle(ctx, f.picked.changes), len(f.picked.changes)) {
		f.failures = append(f.failures, failure{index: f.picked.index(failed.Index), err: failed.Err})
		if f.failedKeys == nil {
			f.failedKeys = make(map[string]bool)
		}
		f.failedKeys[f.picked.changes[failed.Index].HashKey] = true
	}
	f.picked.done()
	f.size, f.opening = 0, 0
	f.changer = nil // what it has decoded into need not be kept either
}

// A selection is changes of a payload that are handed to the trigger together. As long
// as they follow one another, as they nearly always do, they are not copied.
type selection struct {
	changes []mes.Change
	first   int   // the index of the first one
	indexes []int // of all of them, if they do not follow one another
}

// add adds a change of a payload.
func (p *selection) add(all []mes.Change, i int) {
	switch {
	case len(p.changes) == 0:
		p.changes, p.first, p.indexes = all[i:i+1:i+1], i, nil
	case p.indexes == nil && p.first+len(p.changes) == i:
		p.changes = all[p.first : i+1 : i+1]
	default:
		if p.indexes == nil {
			p.indexes = make([]int, 0, len(p.changes)+1)
			p.changes = append(make([]mes.Change, 0, len(all)-p.first), p.changes...)
			for k := p.first; k < p.first+len(p.changes); k++ {
				p.indexes = append(p.indexes, k)
				forget(&all[k])
			}
		}
		p.changes, p.indexes = append(p.changes, all[i]), append(p.indexes, i)
		forget(&all[i])
	}
}

// forget lets go of what a change holds, but for where it comes from.
func forget(change *mes.Change) { change.New, change.Old = nil, nil }

// index returns the index in the payload of the change with an index.
func (p *selection) index(i int) int {
	if p.indexes != nil {
		return p.indexes[i]
	}
	return p.first + i
}

// done empties the selection: what its changes hold need not be kept until the next
// part is full.
func (p *selection) done() {
	for i := range p.changes {
		forget(&p.changes[i])
	}
	*p = selection{}
}
