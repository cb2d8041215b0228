package dynamostore

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// Delete removes every item of a hash key: it reads their keys with a consistent
// Query and deletes them with BatchWriteItem, page by page. It returns how many it
// removed, also beside an error; then call it again for the rest. What is put
// meanwhile may stay.
func (t *Table) Delete(ctx context.Context, hashKey string) (int, error) {
	end, err := t.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	query := driver.Query{HashKey: hashKey, Consistent: true}
	if err := query.Check(); err != nil {
		return 0, err
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	if t.layout.lambdaStream {
		return t.deleteStream(ctx, hashKey)
	}
	input := t.queryInput(query)
	input.ProjectionExpression = aws.String("#h, #r")
	deleted, after := 0, ""
	for {
		output, err := t.query(ctx, input)
		if err != nil {
			return deleted, err
		}
		writes, last := make([]write, len(output.Items)), ""
		for i, from := range output.Items {
			key, ok := t.layout.keyOf(from)
			if !ok || key.hashKey != hashKey {
				return deleted, wrongAnswer("Query", "the answer holds an item of another key")
			}
			writes[i], last = t.deletion(i, key), key.rangeKey
		}
		next, err := t.layout.leads(&query, output.LastEvaluatedKey, last, after)
		if err != nil {
			return deleted, err
		}
		var failed failures
		t.writeAll(ctx, writes, &failed)
		deleted += len(writes) - len(failed.list)
		if len(failed.list) > 0 {
			return deleted, notDeleted(&failed)
		}
		if next == "" {
			return deleted, nil
		}
		after = next
		input.ExclusiveStartKey = output.LastEvaluatedKey
	}
}

func notDeleted(failed *failures) error {
	return fmt.Errorf("dynamostore: %d items are not deleted: %w", len(failed.list), failed.list[0].Err)
}

func (t *Table) deletion(index int, key itemKey) write {
	return write{
		index:   index,
		key:     key,
		request: types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: t.layout.key(key)}},
		wire:    200 + quotedSize(key.hashKey) + quotedSize(key.rangeKey),
	}
}
