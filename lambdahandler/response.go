package lambdahandler

import (
	"errors"
	"fmt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
	"github.com/microeventstore/microeventstore/internal/kinesisrecord"
)

// A failure is a record of the payload that is to be delivered again.
type failure struct {
	index int // into the records of the payload
	err   error
}

var (
	errNoSequence  = errors.New("the record has no sequence number: the function does not get what it is for, or not by an event source mapping")
	errMixedShards = errors.New("the batch is of several shards, so no sequence number tells where to go on")
)

// An unfinishedError is what an invocation fails with.
type unfinishedError struct {
	failed, read int
	first        error
}

func (e *unfinishedError) Error() string {
	return fmt.Sprintf("lambdahandler: %d of %d records are to be delivered again: %v", e.failed, e.read, e.first)
}

func (e *unfinishedError) Unwrap() error { return e.first }

// checkpoint returns the sequence number of the first record of a shard that is to
// be delivered again, "" if there is none. Lambda takes the lowest one that it is
// told and goes on from there (AWS Lambda Developer Guide, "Configuring partial
// batch response with Kinesis Data Streams and Lambda"), so one is enough. An empty
// one would mean that all have failed, and one that it does not know likewise; so if
// there is no right answer, the invocation fails.
func (o *options) checkpoint(n int, meta func(int) *mes.Meta, failures []failure) (string, error) {
	if len(failures) == 0 {
		return "", nil
	}
	fail := func(err error) error { return &unfinishedError{failed: len(failures), read: n, first: err} }
	if o.wholeBatch {
		return "", fail(failures[0].err)
	}
	var shard, stream string
	for i := range n {
		if m := meta(i); differ(&shard, m.Shard) || differ(&stream, m.Stream) {
			return "", fail(fmt.Errorf("%w: %w", errMixedShards, failures[0].err))
		}
	}
	lowest := ""
	for _, f := range failures {
		number := meta(f.index).SequenceNumber
		against := lowest
		if against == "" {
			against = number
		}
		order, ok := kinesisrecord.CompareSequenceNumbers(number, against)
		if !ok {
			return "", fail(f.err)
		}
		if lowest == "" || order < 0 {
			lowest = number
		}
	}
	return lowest, nil
}

// differ tells whether a name is another one than those before it. A record that is
// broken may have none.
func differ(known *string, name string) bool {
	if *known == "" {
		*known = name
	}
	return name != "" && name != *known
}

// responseTo writes a partial batch response of an identifier that needs no
// escaping. It is never null: Lambda would take that for success, too, but so does it
// an empty list.
func responseTo(identifier string, w *window) []byte {
	failures := `"batchItemFailures":[]}`
	if identifier != "" {
		failures = `"batchItemFailures":[{"itemIdentifier":"` + identifier + `"}]}`
	}
	if !w.open {
		return []byte("{" + failures)
	}
	state := w.state
	if jsonscan.KindOf(state) != jsonscan.Obj {
		state = []byte("{}")
	}
	return fmt.Appendf(nil, `{"state":%s,%s`, state, failures)
}

// failuresOf returns the failures that a Handle of n records returned.
func failuresOf(err error, n int) []mes.Failure {
	if err == nil {
		return nil
	}
	var batch *mes.BatchError
	if errors.As(err, &batch) && len(batch.Failures) > 0 {
		return batch.Failures
	}
	all := make([]mes.Failure, n)
	for i := range all {
		all[i] = mes.Failure{Index: i, Err: err}
	}
	return all
}
