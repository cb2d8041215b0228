package dynamostore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// maxPage bounds the events of one page after they are unpacked, in bytes, but for
// a single one. What is beyond it comes with the next page, which has to be read
// again: so it is well above what DynamoDB's 1 MB of compressed JSON usually hold.
const maxPage = 8 << 20

// Query returns one page of the items of a hash key, from one request that is
// made again as [Table.Put] does. It understands events as text, compressed, and
// as maps. Items that have expired are among them until DynamoDB deletes them.
// Page.Consistent is what the query asked for: DynamoDB does as it is asked or
// fails.
//
// Errors wrap [driver.ErrInvalidQuery], [ErrUnknownEncoding] or the context's
// error, or are an *[Error].
func (t *Table) Query(ctx context.Context, query driver.Query) (driver.Page, error) {
	end, err := t.begin(ctx)
	if err != nil {
		return driver.Page{}, err
	}
	defer end()
	if err := query.Check(); err != nil {
		return driver.Page{}, err
	}
	if t.layout.lambdaStream {
		return t.queryStream(ctx, query)
	}
	input := t.queryInput(query)
	after := ""
	if query.Cursor != "" {
		if after, err = parseCursor(&query); err != nil {
			return driver.Page{}, err
		}
		input.ExclusiveStartKey = t.layout.key(itemKey{query.HashKey, after})
	}
	if query.To != "" && query.From > query.To {
		// DynamoDB would not accept such bounds.
		return driver.Page{Consistent: query.Consistent}, nil
	}
	ctx, cancel := withMargin(ctx)
	defer cancel()
	var newCodec func() *queryCodec
	if t.own {
		newCodec = func() *queryCodec {
			return &queryCodec{layout: &t.layout, hashKey: query.HashKey, bodies: t.caller.bodies, rooms: t.caller.rooms}
		}
	}
	output, codec, err := t.read(ctx, input, newCodec)
	if err != nil {
		return driver.Page{}, err
	}
	return t.page(&query, after, output, codec)
}

// leastRangeKey sorts before all others: none is empty.
const leastRangeKey = "\x00"

func (t *Table) queryInput(query driver.Query) *dynamodb.QueryInput {
	names := t.layout.names
	if query.From == "" && query.To == "" {
		// Of a table with another RANGE key, or none, DynamoDB refuses that. Without
		// it such a table would answer, with the last event of many.
		query.From = leastRangeKey
	}
	input := &dynamodb.QueryInput{
		TableName:                 &t.name,
		ConsistentRead:            aws.Bool(query.Consistent),
		ScanIndexForward:          aws.Bool(!query.Descending),
		ExpressionAttributeNames:  map[string]string{"#h": names.HashKey},
		ExpressionAttributeValues: attributes{":h": text(query.HashKey)},
		ReturnConsumedCapacity:    types.ReturnConsumedCapacityTotal,
	}
	condition := "#h = :h"
	switch {
	case query.From != "" && query.From == query.To:
		condition += " AND #r = :from"
	case query.From != "" && query.To != "":
		condition += " AND #r BETWEEN :from AND :to"
	case query.From != "":
		condition += " AND #r >= :from"
	case query.To != "":
		condition += " AND #r <= :to"
	}
	input.KeyConditionExpression = &condition
	input.ExpressionAttributeNames["#r"] = names.RangeKey
	if query.From != "" {
		input.ExpressionAttributeValues[":from"] = text(query.From)
	}
	if query.To != "" && query.To != query.From {
		input.ExpressionAttributeValues[":to"] = text(query.To)
	}
	if query.Limit > 0 {
		input.Limit = aws.Int32(int32(min(query.Limit, math.MaxInt32)))
	}
	return input
}

// query makes the request until there is an answer that can be believed. It never
// reads the items itself: see Table.read.
func (t *Table) query(ctx context.Context, input *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	output, _, err := t.read(ctx, input, nil)
	return output, err
}

// read is query with a codec for the answer, if there is one. The items are in the
// answer unless there is a codec and it has read them.
func (t *Table) read(ctx context.Context, input *dynamodb.QueryInput, newCodec func() *queryCodec) (output *dynamodb.QueryOutput, codec *queryCodec, err error) {
	err = t.caller.do(ctx, "Query", func(ctx context.Context, opt func(*dynamodb.Options)) error {
		codec = nil
		if newCodec == nil {
			output, err = t.client.Query(ctx, input, opt)
		} else {
			codec = newCodec()
			output, err = t.client.Query(ctx, input, opt, codec.install)
		}
		switch {
		case err != nil:
			return err
		case output == nil || output.ConsumedCapacity == nil:
			return errNoCapacity
		}
		items := len(output.Items)
		if codec != nil && codec.room != nil {
			items += len(codec.room.items)
		}
		if int(output.Count) != items {
			return &answerError{text: "the answer has another number of items than it says"}
		}
		return nil
	})
	return output, codec, err
}

// page decodes the items of an answer, and sees that they are of the query. after is
// the range key that the page before led to, if there was one.
func (t *Table) page(query *driver.Query, after string, output *dynamodb.QueryOutput, codec *queryCodec) (driver.Page, error) {
	page := driver.Page{Consistent: query.Consistent}
	if codec != nil && codec.room != nil {
		t.counts.ownAnswers.Add(1)
		if len(codec.room.items) > 0 {
			page.Items, page.Room = codec.room.items, take(codec.room)
		} else {
			codec.room.release(t.caller.rooms)
		}
	} else {
		t.counts.sdkAnswers.Add(1)
	}
	if len(output.Items) > 0 {
		page.Items = make([]driver.Item, 0, len(output.Items))
	}
	size := 0
	for i, from := range output.Items {
		item, err := t.layout.decode(from)
		if err != nil {
			return driver.Page{}, err
		}
		if size += len(item.Event); size > maxPage && i > 0 {
			page.Next = newCursor(query, page.Items[i-1].RangeKey)
			return page, nil
		}
		page.Items = append(page.Items, item)
	}
	last := ""
	for i := range page.Items {
		if last = page.Items[i].RangeKey; !within(query, last) {
			return driver.Page{}, wrongAnswer("Query", "the answer holds an item that was not asked for")
		}
	}
	next, err := t.layout.leads(query, output.LastEvaluatedKey, last, after)
	if err != nil {
		return driver.Page{}, err
	}
	if next != "" {
		page.Next = newCursor(query, next)
	}
	return page, nil
}

// key returns the attributes that find an item.
func (l *layout) key(key itemKey) attributes {
	return attributes{l.names.HashKey: text(key.hashKey), l.names.RangeKey: text(key.rangeKey)}
}

// A cursor is a version, a digest of the query that it belongs to, and the range
// key of the last item that was looked at.
const (
	cursorVersion = 1
	cursorHead    = 1 + 8
)

func newCursor(query *driver.Query, last string) string {
	cursor := make([]byte, 0, cursorHead+len(last))
	cursor = append(cursor, cursorVersion)
	cursor = append(cursor, digest(query)...)
	cursor = append(cursor, last...)
	return base64.RawURLEncoding.EncodeToString(cursor)
}

func parseCursor(query *driver.Query) (last string, err error) {
	cursor, err := base64.RawURLEncoding.DecodeString(query.Cursor)
	if err != nil || len(cursor) <= cursorHead || cursor[0] != cursorVersion || string(cursor[1:cursorHead]) != string(digest(query)) {
		return "", fmt.Errorf("%w: its cursor is not from this query", driver.ErrInvalidQuery)
	}
	last = string(cursor[cursorHead:])
	if err := driver.CheckKey("cursor", last, driver.MaxRangeKeySize); err != nil {
		return "", fmt.Errorf("%w: its cursor is not from this query", driver.ErrInvalidQuery)
	}
	return last, nil
}

// digest tells queries apart. Limit and Consistent may change from page to page.
func digest(query *driver.Query) []byte {
	var b []byte
	for _, s := range [...]string{query.HashKey, query.From, query.To} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if query.Descending {
		b = append(b, 1)
	}
	sum := sha256.Sum256(b)
	return sum[:cursorHead-1]
}
