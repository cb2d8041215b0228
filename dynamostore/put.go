package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"

	"github.com/microeventstore/microeventstore/driver"
)

// Put stores items with BatchWriteItem: 25 in a request, several requests at
// once (see [WithParallelism]). It calls only for items that DynamoDB can take.
// What DynamoDB leaves unprocessed it sends again, as it does after throttling, a
// server's or the network's failure and an answer that cannot be believed, until
// the context's deadline is near (see [WithMaxAttempts] where there is none).
//
// A *[driver.PutError] names the items that may not be stored. Of those, the ones
// whose error wraps [driver.ErrInvalidItem] can never be: a key of the wrong
// length, or more than 400 KiB. The errors of the others are each an *[Error], or
// wrap the context's.
func (t *Table) Put(ctx context.Context, items []driver.Item) error {
	end, err := t.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	var failed failures
	writes := make([]write, 0, len(items))
	var writer *requestWriter
	if t.own && !t.deaf.Load() {
		writer = t.newRequestWriter(items)
	}
	for i := range items {
		w := write{index: i, key: itemKey{items[i].HashKey, items[i].RangeKey}}
		if writer == nil || !writer.put(&items[i], &w) {
			item, wire, err := t.encode(&items[i])
			if err != nil {
				failed.add(i, err)
				continue
			}
			w.key, _ = t.layout.keyOf(item)
			w.request, w.wire = types.WriteRequest{PutRequest: &types.PutRequest{Item: item}}, wire
		}
		writes = append(writes, w)
		if writer != nil {
			writer.added(writes)
		}
	}
	if writer != nil {
		writer.finish(writes)
		t.grown(writer)
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	if t.layout.lambdaStream {
		keys := slices.Clone(writes)
		release, err := t.writes.Acquire(ctx, len(keys), func(i int) itemKey { return keys[i].key })
		if err != nil {
			failed.addAll(writes, fmt.Errorf("dynamostore: wait for a write of the same event: %w", err))
			return failed.err()
		}
		defer release()
	}
	for len(writes) > 0 {
		var again []write
		if t.layout.lambdaStream {
			writes, again = eachKeyOnce(writes)
		}
		t.writeAll(ctx, writes, &failed)
		writes = again
	}
	return failed.err()
}

// encode returns an item as it is to be stored, if DynamoDB can take it.
func (t *Table) encode(item *driver.Item) (to attributes, wire int, err error) {
	if to, err = t.layout.encode(item); err != nil {
		return nil, 0, err
	}
	if err := checkSize(itemSize(to)); err != nil {
		return nil, 0, err
	}
	wire = len(`{"PutRequest":{"Item":{}}},`)
	for name, value := range to {
		wire += quotedSize(name) + 1 + wireSize(value)
	}
	return to, wire, nil
}

// failures collects the errors of items, from several goroutines.
type failures struct {
	mu   sync.Mutex
	list []driver.PutFailure
}

func (f *failures) add(index int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, driver.PutFailure{Index: index, Err: err})
}

func (f *failures) addAll(writes []write, err error) {
	for i := range writes {
		f.add(writes[i].index, err)
	}
}

func (f *failures) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortFunc(f.list, func(a, b driver.PutFailure) int { return a.Index - b.Index })
	return &driver.PutError{Failures: f.list}
}

// each calls do for the numbers up to n, several at once, and returns when all
// calls have.
func (t *Table) each(n int, do func(i int)) {
	if n == 1 {
		do(0)
		return
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	next := make(chan int)
	defer close(next)
	for range min(n, t.config.parallelism) {
		calls.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
}

// writeAll makes all writes; failed takes those that it could not make.
func (t *Table) writeAll(ctx context.Context, writes []write, failed *failures) {
	chunks := chunksOf(writes)
	if len(chunks) == 1 { // as most are: nobody else would meet the error
		_ = t.writeChunk(ctx, chunks[0], failed)
		return
	}
	var mu sync.Mutex
	var hopeless error
	t.each(len(chunks), func(i int) {
		mu.Lock()
		err := hopeless
		mu.Unlock()
		if err != nil {
			failed.addAll(chunks[i], err)
			return
		}
		if err := t.writeChunk(ctx, chunks[i], failed); err != nil {
			mu.Lock()
			hopeless = err
			mu.Unlock()
		}
	})
}

// writeChunk makes the writes of one request. It returns an error that all other
// requests would meet as well.
func (t *Table) writeChunk(ctx context.Context, chunk []write, failed *failures) (hopeless error) {
	left, most := chunk, len(chunk)
	retries := retries{caller: &t.caller}
	for len(left) > 0 {
		n := min(most, len(left))
		unprocessed, cause := t.write(ctx, left[:n:n])
		if cause == nil && len(unprocessed) == 0 {
			left = left[n:]
			retries.fruitless = 0
			continue
		}
		progress := false
		if cause == nil {
			progress = len(unprocessed) < n
			left = append(unprocessed, left[n:]...)
			cause = newError("BatchWriteItem", "DynamoDB left items unprocessed: the table, or one hash key of it, gets more than it can take", nil)
			cause.retryable = true
		}
		if cause.slow && sizeOf(left[:n]) > fastEnough {
			// It may be more than the line takes in that time.
			most = max(1, n/2)
		}
		if splits(cause) && n > 1 {
			// One item that DynamoDB does not accept must not keep the others
			// from being stored. It may be a rule that cannot be known here, such
			// as the size of an index's key.
			half := n / 2
			if err := t.writeChunk(ctx, left[:half:half], failed); err != nil {
				failed.addAll(left[half:], err)
				return err
			}
			return t.writeChunk(ctx, left[half:], failed)
		}
		if err := retries.wait(ctx, cause, progress); err != nil {
			failed.addAll(left, err)
			if cause.elsewhere {
				return err
			}
			switch cause.Code {
			case "AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException", "ExpiredTokenException":
				return err
			}
			return nil
		}
	}
	return nil
}

// splits tells whether a request was refused for what may be one item of it, and
// not for a table that has other keys than the items.
func splits(e *Error) bool {
	if e.Code != "ValidationException" {
		return false
	}
	var api smithy.APIError
	return errors.As(e, &api) && misfitOf(api) == fits
}

// write sends one request, once, and returns the writes that were not made.
func (t *Table) write(ctx context.Context, chunk []write) (unprocessed []write, failed *Error) {
	if codec := t.batchCodec(chunk); codec != nil {
		unprocessed, failed = t.send(ctx, chunk, codec.input, codec.install)
		if codec.written {
			t.counts.ownRequests.Add(1)
			return unprocessed, failed
		}
		if failed == nil || errors.Is(failed, errNotReached) {
			// The client goes its own way. Whatever it has sent was the stand-in,
			// which no table takes.
			t.deaf.Store(true)
		}
	}
	requests := make([]types.WriteRequest, len(chunk))
	for i := range chunk {
		request, err := t.forSDK(&chunk[i])
		if err != nil { // the codec has written what cannot be: a defect
			return chunk, newError("BatchWriteItem", "an item cannot be written", err)
		}
		requests[i] = request
	}
	t.counts.sdkRequests.Add(1)
	return t.send(ctx, chunk, &dynamodb.BatchWriteItemInput{
		RequestItems:           map[string][]types.WriteRequest{t.name: requests},
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
}

// send makes one attempt.
func (t *Table) send(ctx context.Context, chunk []write, input *dynamodb.BatchWriteItemInput, opts ...func(*dynamodb.Options)) (unprocessed []write, failed *Error) {
	failed = t.caller.attempt(ctx, "BatchWriteItem", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		output, err := t.client.BatchWriteItem(ctx, input, append([]func(*dynamodb.Options){opt}, opts...)...)
		if err != nil {
			return err
		}
		if output == nil || len(output.ConsumedCapacity) == 0 {
			return errNoCapacity
		}
		unprocessed, err = t.unprocessed(chunk, output.UnprocessedItems)
		return err
	})
	return unprocessed, failed
}

// unprocessed finds the writes that an answer names. The requests that it holds
// are not sent again: ours are known to be right.
func (t *Table) unprocessed(chunk []write, answer map[string][]types.WriteRequest) ([]write, error) {
	if len(answer) == 0 {
		return nil, nil
	}
	named := make(map[itemKey]bool)
	for _, requests := range answer { // of one table, by its name or its ARN
		for _, request := range requests {
			var from attributes
			switch {
			case request.PutRequest != nil:
				from = request.PutRequest.Item
			case request.DeleteRequest != nil:
				from = request.DeleteRequest.Key
			}
			key, ok := t.layout.keyOf(from)
			if !ok {
				return nil, &answerError{text: "the answer names an unprocessed item without its keys"}
			}
			named[key] = true
		}
	}
	left := make([]write, 0, len(named))
	for i := range chunk {
		if named[chunk[i].key] {
			left = append(left, chunk[i])
		}
	}
	if len(left) != len(named) {
		return nil, &answerError{text: "the answer names an unprocessed item that was not in the request"}
	}
	return left, nil
}
