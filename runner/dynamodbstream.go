package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/smithy-go"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// DynamoDBStreamAPI is what a [DynamoDBSource] calls. It is implemented by
// *dynamodbstreams.Client. ListStreams is called only where a table is named.
type DynamoDBStreamAPI interface {
	// ListStreams finds the newest stream of a table.
	ListStreams(ctx context.Context, input *dynamodbstreams.ListStreamsInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.ListStreamsOutput, error)
	// DescribeStream lists shards.
	DescribeStream(ctx context.Context, input *dynamodbstreams.DescribeStreamInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
	// GetShardIterator finds a place in a shard.
	GetShardIterator(ctx context.Context, input *dynamodbstreams.GetShardIteratorInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	// GetRecords reads on from there.
	GetRecords(ctx context.Context, input *dynamodbstreams.GetRecordsInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// streamHops is how many empty answers of DynamoDB Streams, which never says
// whether there is more, are taken to mean that there is nothing more for now.
const streamHops = 20

// A DynamoDBSource is the change stream of a DynamoDB table. It implements
// [mes.ChangeSource] once it is bound to a store, which [Trigger] does.
type DynamoDBSource struct {
	client  DynamoDBStreamAPI
	given   string // table or stream ARN
	listing listing

	mu  sync.Mutex
	arn string // "" until it is known
}

var (
	_ mes.ChangeSource = (*DynamoDBSource)(nil)
	_ mes.StoreBinder  = (*DynamoDBSource)(nil)
	_ mes.NamedStream  = (*DynamoDBSource)(nil)
)

// DynamoDBStream returns the change stream of a DynamoDB table as a source for
// [Trigger]. It is named by its ARN, or by the name of its table: then the newest
// stream of that table is looked up when a run begins. (One that is turned off and
// on again is another stream; the next run finds it.) The trigger's table must be
// able to decode the images that the stream holds, as a dynamostore.Table is.
//
// The stream's view should be NEW_IMAGE or NEW_AND_OLD_IMAGES: with KEYS_ONLY a
// change has neither New nor Old, which is enough for inserts.
//
// DynamoDB keeps changes for 24 hours. Not more than two processes should read a
// shard at the same time. Each call is made once, whatever retries the client is
// set to: [Trigger] tries again what fails.
func DynamoDBStream(client DynamoDBStreamAPI, tableOrStreamARN string) *DynamoDBSource {
	s := &DynamoDBSource{client: client, given: tableOrStreamARN}
	s.listing.page = s.shardsBehind
	if isStream(tableOrStreamARN) {
		s.arn = tableOrStreamARN
	}
	return s
}

// StreamName returns what the source was made with.
func (s *DynamoDBSource) StreamName() string {
	if s == nil {
		return ""
	}
	return s.given
}

// Shards lists the shards of the stream.
func (s *DynamoDBSource) Shards(ctx context.Context) ([]mes.Shard, error) {
	if s == nil || s.client == nil || s.given == "" {
		return nil, mes.Permanent(errors.New("DynamoDBStream: the client is nil or the stream has no name"))
	}
	return s.listing.list(ctx)
}

// ReadChanges returns an error: only a bound source can read. See [DynamoDBSource.Bind].
func (s *DynamoDBSource) ReadChanges(context.Context, string, mes.Position, int) ([]mes.Change, bool, error) {
	return nil, false, mes.Permanent(errors.New("DynamoDBStream: the source is not bound to a store; runner.Trigger does that"))
}

// Bind returns the source as it reads for a store. It returns an error if the
// store's table cannot decode the images in a DynamoDB stream.
func (s *DynamoDBSource) Bind(store *mes.Store) (mes.ChangeSource, error) {
	decoder, ok := store.Table().(driver.ImageDecoder)
	if !ok {
		return nil, fmt.Errorf("DynamoDBStream: the store's table (%T) cannot decode what the stream holds", store.Table())
	}
	if s != nil {
		s.forget()
	}
	b := &boundStream{DynamoDBSource: s, store: store, decoder: decoder}
	b.cursor = cursor[mes.Change]{
		open:    s.iterator,
		get:     b.page,
		expired: isA[*types.ExpiredIteratorException],
		hops:    streamHops,
		meta:    func(c *mes.Change) *mes.Meta { return &c.Meta },
	}
	return b, nil
}

// forget makes stream look again for the table's newest stream, where a table is
// named.
func (s *DynamoDBSource) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isStream(s.given) {
		s.arn = ""
	}
}

// isStream tells whether a name is the ARN of a stream, and not that of a table.
func isStream(name string) bool {
	return strings.HasPrefix(name, "arn:") && strings.Contains(name, "/stream/")
}

// stream returns the stream's ARN. A table's newest stream is the one that is on,
// if any is: labels are times.
func (s *DynamoDBSource) stream(ctx context.Context) (string, error) {
	s.mu.Lock()
	arn := s.arn
	s.mu.Unlock()
	if arn != "" {
		return arn, nil
	}
	table := s.given
	if i := strings.LastIndex(table, ":table/"); i >= 0 { // of the table
		table = table[i+len(":table/"):]
	}
	newest := ""
	input := &dynamodbstreams.ListStreamsInput{TableName: aws.String(table)}
	for {
		listed, err := s.client.ListStreams(ctx, input, streamOnce)
		if err != nil {
			return "", fmt.Errorf("list the streams of the table: %w", err)
		}
		for _, stream := range listed.Streams {
			if label := aws.ToString(stream.StreamLabel); label > newest || arn == "" {
				newest, arn = label, aws.ToString(stream.StreamArn)
			}
		}
		if aws.ToString(listed.LastEvaluatedStreamArn) == "" {
			break
		}
		input.ExclusiveStartStreamArn = listed.LastEvaluatedStreamArn
	}
	if arn == "" {
		return "", fmt.Errorf("there is no table %s in this region and account, or it has no stream; turn it on, with new images", table)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arn = arn
	return arn, nil
}

func (s *DynamoDBSource) shardsBehind(ctx context.Context, behind string) (shards []mes.Shard, more bool, err error) {
	arn, err := s.stream(ctx)
	if err != nil {
		return nil, false, err
	}
	input := &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(arn)}
	if behind != "" {
		input.ExclusiveStartShardId = aws.String(behind)
	}
	described, err := s.client.DescribeStream(ctx, input, streamOnce)
	if err != nil {
		if isA[*types.ResourceNotFoundException](err) {
			s.forget() // the table may have another one by now
		}
		return nil, false, fmt.Errorf("describe the stream: %w", err)
	}
	d := described.StreamDescription
	if d == nil {
		return nil, false, fmt.Errorf("describe the stream: %w: it is empty", mes.ErrCorrupt)
	}
	if d.Shards != nil {
		shards = make([]mes.Shard, 0, len(d.Shards))
	}
	for i := range d.Shards {
		shard := mes.Shard{ID: aws.ToString(d.Shards[i].ShardId)}
		if parent := aws.ToString(d.Shards[i].ParentShardId); parent != "" {
			shard.Parents = []string{parent}
		}
		shards = append(shards, shard)
	}
	return shards, aws.ToString(d.LastEvaluatedShardId) != "", nil
}

func (s *DynamoDBSource) iterator(ctx context.Context, shard string, after mes.Position) (string, error) {
	arn, err := s.stream(ctx)
	if err != nil {
		return "", err
	}
	input := &dynamodbstreams.GetShardIteratorInput{
		StreamArn: aws.String(arn), ShardId: aws.String(shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	if after.SequenceNumber != "" {
		input.ShardIteratorType = types.ShardIteratorTypeAfterSequenceNumber
		input.SequenceNumber = aws.String(after.SequenceNumber)
	}
	got, err := s.client.GetShardIterator(ctx, input, streamOnce)
	if err != nil {
		return "", trimmed(err, after)
	}
	if aws.ToString(got.ShardIterator) == "" {
		return "", fmt.Errorf("%w: there is none in it", mes.ErrCorrupt)
	}
	return *got.ShardIterator, nil
}

// trimmed marks errors that say that a position is of no use any more: what
// follows it is gone, or it never was in that shard.
func trimmed(err error, after mes.Position) error {
	var coded smithy.APIError
	if after.SequenceNumber == "" || !errors.As(err, &coded) {
		return err
	}
	switch coded.ErrorCode() {
	case "TrimmedDataAccessException", "ValidationException", "InvalidArgumentException":
		return fmt.Errorf("%w: %w", mes.ErrTrimmed, err)
	}
	return err
}

// isA tells whether an error is, or wraps, one of a type.
func isA[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}
