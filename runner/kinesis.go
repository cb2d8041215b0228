package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/kinesisrecord"
)

const (
	// maxKinesisRecords is the most that GetRecords returns ("GetRecords", Amazon
	// Kinesis Data Streams API reference).
	maxKinesisRecords = 10_000

	// maxPageBytes is how many bytes of a page are opened at once. GetRecords returns
	// no more than 10 MB, but compressed records may be a thousand times as much
	// when they are opened. What cannot be opened counts, too, for the time it takes.
	maxPageBytes = 32 << 20

	// kinesisReadEvery keeps to five reads a second and shard, which all readers
	// of a shard share ("Quotas and limits", Amazon Kinesis Data Streams
	// Developer Guide).
	kinesisReadEvery = 200 * time.Millisecond
)

// KinesisAPI is what a [KinesisSource] calls. It is implemented by
// *kinesis.Client.
type KinesisAPI interface {
	// ListShards lists shards.
	ListShards(ctx context.Context, input *kinesis.ListShardsInput, opts ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	// GetShardIterator finds a place in a shard.
	GetShardIterator(ctx context.Context, input *kinesis.GetShardIteratorInput, opts ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	// GetRecords reads on from there.
	GetRecords(ctx context.Context, input *kinesis.GetRecordsInput, opts ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// A KinesisSource is a Kinesis stream. It implements [mes.RecordSource].
type KinesisSource struct {
	client   KinesisAPI
	stream   string // name or ARN
	region   string // as far as the ARN tells
	listing  listing
	cursor   cursor[mes.Record]
	unpacker kinesisrecord.Unpacker
	pace     pace
}

var (
	_ mes.RecordSource = (*KinesisSource)(nil)
	_ mes.NamedStream  = (*KinesisSource)(nil)
)

// Kinesis returns a Kinesis stream, named by its name or its ARN, as a source for
// [Listen]. Keep to one of the two: checkpoints are kept under what was given.
// Records that the Kinesis Producer Library has aggregated are taken apart, and
// compressed ones opened; what cannot be is a fault of that record alone. The rest of an
// aggregate is one fault when more has been opened of it, or was tried to be, than 64 MiB
// and 16 times its size.
//
// A shard is read five times a second at most, which is what Kinesis allows all
// readers of a shard together. So each call is made once, whatever retries the
// client is set to: [Listen] tries again what fails, and so must who calls the
// source himself.
func Kinesis(client KinesisAPI, stream string) *KinesisSource {
	s := &KinesisSource{client: client, stream: stream}
	if parts := strings.Split(stream, ":"); len(parts) > 4 && parts[0] == "arn" {
		s.region = parts[3]
	}
	s.listing.page = s.shardsBehind
	s.cursor = cursor[mes.Record]{
		open:    s.iterator,
		get:     s.page,
		expired: isA[*types.ExpiredIteratorException],
		hops:    5,
		meta:    func(r *mes.Record) *mes.Meta { return &r.Meta },
	}
	return s
}

// StreamName returns the name or ARN that the source was made with.
func (s *KinesisSource) StreamName() string {
	if s == nil {
		return ""
	}
	return s.stream
}

// Shards lists the shards of the stream.
func (s *KinesisSource) Shards(ctx context.Context) ([]mes.Shard, error) {
	if s == nil || s.client == nil || s.stream == "" {
		return nil, mes.Permanent(errors.New("Kinesis: the client is nil or the stream has no name"))
	}
	shards, err := s.listing.list(ctx)
	if err == nil {
		s.cursor.keep(shards)
		s.pace.keep(shards)
	}
	return shards, err
}

// ReadRecords reads the records of a shard behind a position: see
// [mes.RecordSource]. It waits where it would read a shard too often.
func (s *KinesisSource) ReadRecords(ctx context.Context, shard string, after mes.Position, limit int) ([]mes.Record, bool, error) {
	return s.cursor.read(ctx, shard, after, min(max(limit, 1), maxKinesisRecords))
}

// lag says how far behind a shard is after a read that returned nothing: an empty
// answer of Kinesis is no sign that there is nothing more.
func (s *KinesisSource) lag(shard string) time.Duration { return s.cursor.lag(shard) }

// named returns the stream's name and ARN as a call wants them: one of the two.
func (s *KinesisSource) named() (name, arn *string) {
	if strings.HasPrefix(s.stream, "arn:") {
		return nil, aws.String(s.stream)
	}
	return aws.String(s.stream), nil
}

func (s *KinesisSource) shardsBehind(ctx context.Context, behind string) (shards []mes.Shard, more bool, err error) {
	input := new(kinesis.ListShardsInput)
	input.StreamName, input.StreamARN = s.named()
	if behind != "" { // a next token would expire after five minutes
		input.ExclusiveStartShardId = aws.String(behind)
	}
	listed, err := s.client.ListShards(ctx, input, kinesisOnce)
	if err != nil {
		return nil, false, fmt.Errorf("list shards: %w", err)
	}
	if listed.Shards != nil {
		shards = make([]mes.Shard, 0, len(listed.Shards))
	}
	for i := range listed.Shards {
		shard := mes.Shard{ID: aws.ToString(listed.Shards[i].ShardId)}
		for _, parent := range [...]*string{listed.Shards[i].ParentShardId, listed.Shards[i].AdjacentParentShardId} {
			if aws.ToString(parent) != "" {
				shard.Parents = append(shard.Parents, *parent)
			}
		}
		shards = append(shards, shard)
	}
	return shards, aws.ToString(listed.NextToken) != "", nil
}

// iterator asks for an iterator. A position may be in the middle of an aggregate,
// so reading begins with its record, and what has been read is dropped.
func (s *KinesisSource) iterator(ctx context.Context, shard string, after mes.Position) (string, error) {
	input := &kinesis.GetShardIteratorInput{ShardId: aws.String(shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	input.StreamName, input.StreamARN = s.named()
	if after.SequenceNumber != "" {
		input.ShardIteratorType = types.ShardIteratorTypeAtSequenceNumber
		input.StartingSequenceNumber = aws.String(after.SequenceNumber)
	}
	got, err := s.client.GetShardIterator(ctx, input, kinesisOnce)
	if err != nil {
		return "", trimmed(err, after)
	}
	if aws.ToString(got.ShardIterator) == "" {
		return "", fmt.Errorf("%w: there is none in it", mes.ErrCorrupt)
	}
	return *got.ShardIterator, nil
}

func (s *KinesisSource) page(ctx context.Context, shard, iterator string, after mes.Position, fresh bool, limit int) (page[mes.Record], error) {
	if err := s.pace.wait(ctx, shard); err != nil {
		return page[mes.Record]{}, err
	}
	input := &kinesis.GetRecordsInput{ShardIterator: aws.String(iterator), Limit: aws.Int32(int32(limit))}
	_, input.StreamARN = s.named()
	got, err := s.client.GetRecords(ctx, input, kinesisOnce)
	if err != nil {
		return page[mes.Record]{}, err
	}
	records, cut, err := s.unpack(ctx, shard, got.Records, after, fresh)
	if err != nil || cut {
		return page[mes.Record]{records: records, cut: cut}, err
	}
	return page[mes.Record]{
		records: records,
		next:    aws.ToString(got.NextShardIterator),
		behind:  time.Duration(aws.ToInt64(got.MillisBehindLatest)) * time.Millisecond,
		held:    len(got.Records) > 0,
		whole:   got.Records != nil,
	}, nil
}

// unpack returns what is behind a position in the records of a page. cut says that
// there is more of it, when it gets too large: the next read may go on within an
// aggregate.
func (s *KinesisSource) unpack(ctx context.Context, shard string, from []types.Record, after mes.Position, fresh bool) (records []mes.Record, cut bool, err error) {
	records = make([]mes.Record, 0, len(from))
	var unpacking kinesisrecord.Unpacking
	size := 0
	for i := range from {
		r := &from[i]
		if aws.ToString(r.SequenceNumber) == "" {
			return nil, false, fmt.Errorf("%w: a record has no sequence number", mes.ErrCorrupt)
		}
		meta := mes.Meta{
			Stream: s.stream, Shard: shard, Region: s.region,
			SequenceNumber: aws.ToString(r.SequenceNumber),
			Arrived:        aws.ToTime(r.ApproximateArrivalTimestamp),
			PartitionKey:   aws.ToString(r.PartitionKey),
		}
		order, comparable := kinesisrecord.CompareSequenceNumbers(meta.SequenceNumber, after.SequenceNumber)
		if comparable && order < 0 {
			continue
		}
		if fresh && order > 0 && len(records) == 0 && i == 0 {
			// Kinesis does not mind a sequence number that it no longer keeps.
			return nil, false, fmt.Errorf("%w: nor the record of the position itself", mes.ErrTrimmed)
		}
		for unpacking.Begin(&s.unpacker, r.Data, meta); !unpacking.Done(); {
			first, cost := len(records), 0
			if records, cost, err = unpacking.Next(ctx, records, max(maxPageBytes-size, 0)); err != nil {
				return nil, false, err
			}
			if comparable && order == 0 { // the record of the position: what is behind it within
				rest := records[:first]
				for _, record := range records[first:] {
					if record.Meta.SubSequence > after.SubSequence {
						rest = append(rest, record)
					}
				}
				clear(records[len(rest):])
				records = rest
			}
			if len(records) == first {
				continue // what was dropped takes no room
			}
			if size += cost; size > maxPageBytes && (i < len(from)-1 || !unpacking.Done()) {
				return records, true, nil
			}
		}
	}
	return records, false, nil
}

// A pace keeps reads of a shard apart.
type pace struct {
	off  bool // in benchmarks
	mu   sync.Mutex
	next map[string]time.Time // when a shard may be read again
}

// wait waits until a shard may be read.
func (p *pace) wait(ctx context.Context, shard string) error {
	if p.off {
		return ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	at := now
	if next := p.next[shard]; next.After(at) {
		at = next
	}
	if p.next == nil {
		p.next = make(map[string]time.Time)
	}
	p.next[shard] = at.Add(kinesisReadEvery)
	p.mu.Unlock()
	if at.Equal(now) {
		return ctx.Err()
	}
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keep forgets all shards but those.
func (p *pace) keep(shards []mes.Shard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keepOnly(p.next, shards)
}
