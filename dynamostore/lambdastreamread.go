package dynamostore

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// queryStream is Query in a LambdaStreamLayout. Neither the index nor the table has
// the items in order, so each page is made of all of them; memory is bounded by two
// pages, however many there are.
func (t *Table) queryStream(ctx context.Context, query driver.Query) (driver.Page, error) {
	w := streamWindow{query: query}
	if query.Cursor != "" {
		last, err := parseCursor(&query)
		if err != nil {
			return driver.Page{}, err
		}
		w.after = last
	}
	if query.To != "" && query.From > query.To {
		return driver.Page{Consistent: query.Consistent}, nil
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	inputs := []*dynamodb.QueryInput{t.correlated(query.HashKey), t.collected(query.HashKey)}
	exactly := query.From != "" && query.From == query.To
	if exactly {
		id := streamID(query.From)
		if driver.CheckKey("id", id, driver.MaxRangeKeySize) != nil {
			inputs = nil // not one of our keys: there is nothing
		} else {
			inputs = []*dynamodb.QueryInput{
				t.itemInput(itemKey{query.HashKey, id}),
				t.itemInput(itemKey{id, streamCollected}),
			}
		}
	}
	for _, input := range inputs {
		err := t.eachItem(ctx, input, func(from attributes) error {
			item, err := t.layout.decodeStream(from)
			if err != nil {
				return err
			}
			if item.HashKey == query.HashKey && !strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
				w.add(item)
			}
			return nil
		})
		if err != nil {
			return driver.Page{}, err
		}
	}
	page := w.page()
	page.Consistent = exactly && query.Consistent
	return page, nil
}

// collected finds the events collected under a hash key.
func (t *Table) collected(hashKey string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		IndexName:                 aws.String(streamIndex),
		KeyConditionExpression:    aws.String("#data = :data"),
		ExpressionAttributeNames:  map[string]string{"#data": streamData},
		ExpressionAttributeValues: attributes{":data": text(hashKey)},
		ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
	}
}

// correlated finds the events that were put under a hash key once more.
func (t *Table) correlated(hashKey string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("#h = :h"),
		ExpressionAttributeNames:  map[string]string{"#h": t.layout.names.HashKey},
		ExpressionAttributeValues: attributes{":h": text(hashKey)},
		ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
	}
}

// itemInput finds one item of the table.
func (t *Table) itemInput(key itemKey) *dynamodb.QueryInput {
	return t.queryInput(driver.Query{HashKey: key.hashKey, From: key.rangeKey, To: key.rangeKey, Consistent: true})
}

// eachItem calls do for the items of all pages of an answer.
func (t *Table) eachItem(ctx context.Context, input *dynamodb.QueryInput, do func(attributes) error) error {
	been := make(trail)
	for {
		output, err := t.query(ctx, input)
		if err != nil {
			return err
		}
		for _, from := range output.Items {
			if err := do(from); err != nil {
				return err
			}
		}
		if len(output.LastEvaluatedKey) == 0 {
			return nil
		}
		if err := been.add(&t.layout, output.LastEvaluatedKey); err != nil {
			return err
		}
		input.ExclusiveStartKey = output.LastEvaluatedKey
	}
}

// A streamWindow keeps the items that make one page: the first ones that come after
// the page before.
type streamWindow struct {
	query driver.Query
	after string // the last range key of the page before

	items []driver.Item
	size  int
	more  bool   // items were dropped: they come after those that are kept,
	bound string // and this is the first of them
}

func (w *streamWindow) add(item driver.Item) {
	key, q := item.RangeKey, &w.query
	switch {
	case !within(q, key):
		return
	case w.after != "" && w.compare(key, w.after) <= 0:
		return
	case w.more && w.compare(key, w.bound) >= 0:
		return
	}
	w.items = append(w.items, item)
	w.size += len(item.Event)
	if w.size > 2*maxPage || q.Limit > 0 && len(w.items)/2 >= q.Limit+50 {
		w.cut()
	}
}

// compare puts range keys in the order that is asked for.
func (w *streamWindow) compare(a, b string) int {
	if w.query.Descending {
		a, b = b, a
	}
	return strings.Compare(a, b)
}

// cut puts the items in order, and keeps those that a page has room for.
func (w *streamWindow) cut() {
	slices.SortStableFunc(w.items, func(a, b driver.Item) int { return w.compare(a.RangeKey, b.RangeKey) })
	// The same event, correlated and collected: the first one was read consistently.
	w.items = slices.CompactFunc(w.items, func(a, b driver.Item) bool { return a.RangeKey == b.RangeKey })
	w.size = 0
	for i := range w.items {
		size := w.size + len(w.items[i].Event)
		if i > 0 && size > maxPage || w.query.Limit > 0 && i == w.query.Limit {
			w.more, w.bound = true, w.items[i].RangeKey
			clear(w.items[i:])
			w.items = w.items[:i]
			return
		}
		w.size = size
	}
}

func (w *streamWindow) page() driver.Page {
	w.cut()
	page := driver.Page{Items: w.items}
	if w.more {
		page.Next = newCursor(&w.query, w.items[len(w.items)-1].RangeKey)
	}
	return page
}

// deleteStream is Delete in a LambdaStreamLayout. The index shows for a while what
// has been deleted, and does not show yet what has just been saved: so it is read
// again until it shows nothing that was not deleted.
func (t *Table) deleteStream(ctx context.Context, hashKey string) (int, error) {
	deleted := make(map[itemKey]bool)
	for {
		var writes []write
		chosen := make(map[itemKey]bool) // an event whose id is the hash key is found in both
		for _, input := range []*dynamodb.QueryInput{t.correlated(hashKey), t.collected(hashKey)} {
			err := t.eachItem(ctx, input, func(from attributes) error {
				item, err := t.layout.decodeStream(withoutEvent(from, t.layout.names.Event))
				if err != nil || item.HashKey != hashKey || strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
					return err
				}
				if key, _ := t.layout.keyOf(from); !deleted[key] && !chosen[key] {
					chosen[key] = true
					writes = append(writes, t.deletion(len(writes), key))
				}
				return nil
			})
			if err != nil {
				return len(deleted), err
			}
		}
		if len(writes) == 0 {
			return len(deleted), nil
		}
		var failed failures
		t.writeAll(ctx, writes, &failed)
		for i := range writes {
			deleted[writes[i].key] = true
		}
		for _, f := range failed.list {
			delete(deleted, writes[f.Index].key)
		}
		if len(failed.list) > 0 {
			return len(deleted), notDeleted(&failed)
		}
	}
}

// withoutEvent spares the work of decoding what will be deleted.
func withoutEvent(from attributes, event string) attributes {
	delete(from, event)
	return from
}
