package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// maxStreamRecords is the most that GetRecords of DynamoDB Streams returns
// ("GetRecords", Amazon DynamoDB API reference).
const maxStreamRecords = 1000

// A boundStream makes changes of what a DynamoDB stream delivers.
type boundStream struct {
	*DynamoDBSource
	store   *mes.Store
	decoder driver.ImageDecoder
	cursor  cursor[mes.Change]
}

func (b *boundStream) Shards(ctx context.Context) ([]mes.Shard, error) {
	shards, err := b.DynamoDBSource.Shards(ctx)
	if err == nil {
		b.cursor.keep(shards)
	}
	return shards, err
}

func (b *boundStream) ReadChanges(ctx context.Context, shard string, after mes.Position, limit int) ([]mes.Change, bool, error) {
	return b.cursor.read(ctx, shard, after, min(max(limit, 1), maxStreamRecords))
}

func (b *boundStream) page(ctx context.Context, shard, iterator string, after mes.Position, _ bool, limit int) (page[mes.Change], error) {
	got, err := b.client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{
		ShardIterator: aws.String(iterator), Limit: aws.Int32(int32(limit)),
	}, streamOnce)
	if err != nil {
		if isA[*types.TrimmedDataAccessException](err) {
			err = trimmed(err, after)
		}
		return page[mes.Change]{}, err
	}
	arn, err := b.stream(ctx)
	if err != nil {
		return page[mes.Change]{}, err
	}
	changes := make([]mes.Change, len(got.Records))
	size := 0
	for i := range got.Records {
		if err := ctx.Err(); err != nil {
			return page[mes.Change]{}, err
		}
		if changes[i], err = b.change(&got.Records[i], arn, shard); err != nil {
			return page[mes.Change]{}, err
		}
		for _, e := range [...]*mes.Event{changes[i].New, changes[i].Old} {
			if e != nil {
				size += len(e.Raw)
			}
		}
		if size > maxPageBytes && i < len(got.Records)-1 { // images may be compressed
			return page[mes.Change]{records: changes[:i+1], cut: true}, nil
		}
	}
	// An open shard may have an ending sequence number, and an empty page may
	// stand before one that is not: only this is the end.
	return page[mes.Change]{records: changes, next: aws.ToString(got.NextShardIterator), whole: got.Records != nil}, nil
}

// errKeys is wrapped by errors of a record that does not have the keys of the table.
// All records of a stream have those that its table has, so it is the wrong stream, or
// the table's attributes have other names: that is no fault of a record's.
var errKeys = errors.New("the change does not have the keys of the trigger's table: look at the names of its attributes, and at which stream is read")

// errNoEvent is of an item that another program keeps in the table: to read the
// history of its hash key would not help.
var errNoEvent = errors.New("the image of the item holds no event")

// change makes a change of a record. What is wrong with the record is in its Err; an
// error is of what it has not caused.
func (b *boundStream) change(r *types.Record, arn, shard string) (mes.Change, error) {
	c := mes.Change{Meta: mes.Meta{Stream: arn, Shard: shard, Region: aws.ToString(r.AwsRegion)}}
	switch r.EventName {
	case types.OperationTypeInsert:
		c.Kind = mes.Inserted
	case types.OperationTypeModify:
		c.Kind = mes.Modified
	case types.OperationTypeRemove:
		c.Kind = mes.Removed
	}
	// Who else deletes has no identity, or another one ("DynamoDB Streams and Time
	// to Live", Amazon DynamoDB Developer Guide).
	c.Expired = c.Kind == mes.Removed && r.UserIdentity != nil &&
		aws.ToString(r.UserIdentity.Type) == "Service" && aws.ToString(r.UserIdentity.PrincipalId) == "dynamodb.amazonaws.com"
	row := r.Dynamodb
	if row == nil || aws.ToString(row.SequenceNumber) == "" {
		return c, fmt.Errorf("%w: a stream record has no sequence number", mes.ErrCorrupt)
	}
	c.Meta.SequenceNumber = aws.ToString(row.SequenceNumber)
	c.Meta.Arrived = aws.ToTime(row.ApproximateCreationDateTime)
	image, its := row.Keys, false
	if driver.HasForeignLayout(b.store.Table()) {
		switch {
		case len(row.NewImage) > 0:
			image, its = row.NewImage, true
		case len(row.OldImage) > 0:
			image, its = row.OldImage, true
		}
	}
	keys, err := b.decoder.DecodeImage(appendImage(nil, image))
	switch {
	case err != nil && its:
		c.Err = fmt.Errorf("keys: %w", err)
		return c, nil
	case err != nil:
		return c, fmt.Errorf("%w: %w", errKeys, err)
	}
	c.HashKey, c.RangeKey = keys.HashKey, keys.RangeKey
	if strings.HasPrefix(c.RangeKey, driver.MarkerPrefix) {
		return c, nil // no event, and nobody is woken
	}
	var before error
	if c.New, err = b.event(row.NewImage); err != nil {
		c.Err = fmt.Errorf("new image: %w", err)
	}
	c.Old, before = b.event(row.OldImage)
	if before != nil && len(row.NewImage) == 0 { // else it matters to nobody what was there
		c.Err = fmt.Errorf("old image: %w", before)
	}
	return c, nil
}

// event returns the event in an image, or nil if there is no image.
func (b *boundStream) event(image map[string]types.AttributeValue) (*mes.Event, error) {
	if len(image) == 0 {
		return nil, nil //nolint:nilnil // that is how a change says so
	}
	item, err := b.decoder.DecodeImage(appendImage(nil, image))
	if err != nil {
		return nil, err
	}
	if item.Event == nil {
		return nil, errNoEvent
	}
	e, err := b.store.DecodeItem(item)
	if err != nil {
		return nil, err
	}
	return &e, nil
}
