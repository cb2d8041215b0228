package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// PutIfAbsent stores items that are not there yet, each with a conditional
// PutItem, several at once (see [WithParallelism]). An item whose keys are taken
// by the same event changes nothing and is no error; taken by another event, its
// error wraps [driver.ErrConflict]. An item that has expired, by this machine's
// clock, does not count as there. Everything else is as in [Table.Put], but for
// the price: a request for each item, and a write unit also for one that is there.
//
// Events that are stored as maps are compared by value, since a map does not keep
// the bytes.
func (t *Table) PutIfAbsent(ctx context.Context, items []driver.Item) error {
	end, err := t.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := withMargin(ctx)
	defer cancel()
	var failed failures
	put := func(i int) {
		if err := t.putIfAbsent(ctx, &items[i]); err != nil {
			failed.add(i, err)
		}
	}
	if !t.layout.lambdaStream {
		t.each(len(items), put)
		return failed.err()
	}
	for _, round := range streamRounds(items) {
		t.each(len(round), func(i int) { put(round[i]) })
	}
	return failed.err()
}

func (t *Table) putIfAbsent(ctx context.Context, item *driver.Item) error {
	to, _, err := t.encode(item)
	if err != nil {
		return err
	}
	retries := retries{caller: &t.caller}
	for {
		failed := t.putItem(ctx, to)
		if failed == nil {
			return nil
		}
		var taken *types.ConditionalCheckFailedException
		if !errors.As(failed, &taken) {
			if err := retries.wait(ctx, failed, false); err != nil {
				return err
			}
			continue
		}
		stored := taken.Item
		key, _ := t.layout.keyOf(to)
		if len(stored) == 0 {
			// Some servers do not send the item along.
			if stored, err = t.get(ctx, key); err != nil {
				return err
			}
		}
		if len(stored) > 0 {
			switch found, _ := t.layout.keyOf(stored); {
			case found == key:
			case found.hashKey == key.hashKey:
				return wrongAnswer("PutItem", noRangeKey.text())
			default:
				return wrongAnswer("PutItem", "the answer holds an item of another key")
			}
			return t.compare(item, stored)
		}
		// It has gone in between.
		failed = newError("PutItem", "the item was there and has gone", nil)
		failed.retryable = true
		if err := retries.wait(ctx, failed, false); err != nil {
			return err
		}
	}
}

// putItem makes one attempt.
func (t *Table) putItem(ctx context.Context, item attributes) *Error {
	names := t.layout.names
	input := &dynamodb.PutItemInput{
		TableName: &t.name,
		Item:      item,
		// An item without a TTL, or with 0, never expires.
		ConditionExpression:      aws.String("attribute_not_exists(#h) OR (#ttl <> :never AND #ttl <= :now)"),
		ExpressionAttributeNames: map[string]string{"#h": names.HashKey, "#ttl": names.TTL},
		ExpressionAttributeValues: attributes{
			":never": number(0),
			":now":   number(time.Now().Unix()),
		},
		ReturnConsumedCapacity:              types.ReturnConsumedCapacityTotal,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	return t.caller.attempt(ctx, "PutItem", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		output, err := t.client.PutItem(ctx, input, opt)
		if err != nil {
			return err
		}
		if output == nil || output.ConsumedCapacity == nil {
			return errNoCapacity
		}
		return nil
	})
}

// get reads the item with a key.
func (t *Table) get(ctx context.Context, key itemKey) (attributes, error) {
	output, err := t.query(ctx, t.itemInput(key))
	if err != nil || len(output.Items) == 0 {
		return nil, err
	}
	return output.Items[0], nil
}

// compare tells a redelivery from another event.
func (t *Table) compare(item *driver.Item, stored attributes) error {
	same, err := t.layout.sameEvent(item.Event, stored[t.layout.names.Event])
	switch {
	case err != nil:
		return fmt.Errorf("compare with the stored event: %w", err)
	case !same:
		return driver.ErrConflict
	}
	return nil
}
