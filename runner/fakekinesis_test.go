package runner

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"google.golang.org/protobuf/encoding/protowire"
)

// A fakeKinesis is a stream in memory, behind the calls that a source makes. Its
// rules are those of the API reference: iterators live five minutes, a shard is
// read five times a second, a sequence number is no older than the shard keeps or
// reading begins with the oldest record, and the end of a closed shard is an
// answer without an iterator.
type fakeKinesis struct {
	mu       sync.Mutex
	shards   []*fakeShard
	sequence int
	pageSize int // of ListShards; 0 for all
	perPage  int // records that GetRecords returns at most; 0 for all

	fail  func(call string) error // nil: never
	calls map[string]int
	reads map[string][]time.Time // by shard
	tight int                    // reads that came too soon
}

type fakeShard struct {
	id      string
	parents []string
	records []types.Record
	trimmed int
	closed  bool
}

// gone tells whether nothing is kept of a shard any more.
func (s *fakeShard) gone() bool { return s.closed && s.trimmed == len(s.records) && s.trimmed > 0 }

const fakeStream = "arn:aws:kinesis:eu-west-1:000000000000:stream/events"

func newFakeKinesis(shards int) *fakeKinesis {
	f := &fakeKinesis{calls: make(map[string]int), reads: make(map[string][]time.Time)}
	for range shards {
		f.open()
	}
	return f
}

func (f *fakeKinesis) open(parents ...string) *fakeShard {
	s := &fakeShard{id: fmt.Sprintf("shardId-%012d", len(f.shards)), parents: parents}
	f.shards = append(f.shards, s)
	return s
}

// reshard closes shards and opens some in their place.
func (f *fakeKinesis) reshard(closed []int, opened int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var parents []string
	for _, i := range closed {
		f.shards[i].closed = true
		parents = append(parents, f.shards[i].id)
	}
	for range opened {
		f.open(parents...)
	}
}

// openShards returns the indexes of those that take records.
func (f *fakeKinesis) openShards() (open []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, s := range f.shards {
		if !s.closed {
			open = append(open, i)
		}
	}
	return open
}

func (f *fakeKinesis) put(shard int, partitionKey string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sequence++
	s := f.shards[shard]
	s.records = append(s.records, types.Record{
		Data: data, PartitionKey: aws.String(partitionKey), ApproximateArrivalTimestamp: aws.Time(time.Now()),
		// Sequence numbers grow in length, which their order as text does not survive.
		SequenceNumber: aws.String(strconv.Itoa(f.sequence * 7)),
	})
}

// trim forgets the oldest records of a shard.
func (f *fakeKinesis) trim(shard, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shards[shard].trimmed = max(f.shards[shard].trimmed, n)
}

// called returns how often a call was made.
func (f *fakeKinesis) called(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *fakeKinesis) enter(ctx context.Context, call string) error {
	f.calls[call]++
	called.kinesis.NoteAction("kinesis:" + call)
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.fail == nil {
		return nil
	}
	return f.fail(call)
}

func (f *fakeKinesis) ListShards(ctx context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(ctx, "ListShards"); err != nil {
		return nil, err
	}
	if aws.ToString(in.StreamARN) != fakeStream {
		return nil, &types.ResourceNotFoundException{Message: aws.String("no such stream")}
	}
	out := &kinesis.ListShardsOutput{Shards: []types.Shard{}}
	for _, s := range f.shards {
		if s.id <= aws.ToString(in.ExclusiveStartShardId) || s.gone() {
			continue
		}
		if f.pageSize > 0 && len(out.Shards) == f.pageSize {
			out.NextToken = aws.String("more")
			break
		}
		shard := types.Shard{ShardId: aws.String(s.id)}
		if len(s.parents) > 0 {
			shard.ParentShardId = aws.String(s.parents[0])
		}
		if len(s.parents) > 1 {
			shard.AdjacentParentShardId = aws.String(s.parents[1])
		}
		out.Shards = append(out.Shards, shard)
	}
	return out, nil
}

func (f *fakeKinesis) shard(id string) (*fakeShard, error) {
	for _, s := range f.shards {
		if s.id == id {
			return s, nil
		}
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("no such shard")}
}

func (f *fakeKinesis) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(ctx, "GetShardIterator"); err != nil {
		return nil, err
	}
	s, err := f.shard(*in.ShardId)
	if err != nil {
		return nil, err
	}
	at := s.trimmed
	switch in.ShardIteratorType {
	case types.ShardIteratorTypeTrimHorizon:
	case types.ShardIteratorTypeAtSequenceNumber:
		sequence, err := strconv.Atoi(aws.ToString(in.StartingSequenceNumber))
		if err != nil {
			return nil, &types.InvalidArgumentException{Message: aws.String("no sequence number")}
		}
		for at < len(s.records) {
			if n, _ := strconv.Atoi(*s.records[at].SequenceNumber); n >= sequence {
				break
			}
			at++
		}
	default:
		return nil, errors.New("not in this fake")
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(f.iterator(s, at))}, nil
}

func (f *fakeKinesis) iterator(s *fakeShard, at int) string {
	return fmt.Sprintf("%s/%d/%d", s.id, at, time.Now().UnixNano())
}

func (f *fakeKinesis) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(ctx, "GetRecords"); err != nil {
		return nil, err
	}
	parts := strings.Split(*in.ShardIterator, "/")
	at, _ := strconv.Atoi(parts[1])
	made, _ := strconv.ParseInt(parts[2], 10, 64)
	if time.Since(time.Unix(0, made)) > 5*time.Minute {
		return nil, &types.ExpiredIteratorException{Message: aws.String("too old")}
	}
	s, err := f.shard(parts[0])
	if err != nil {
		return nil, err
	}
	f.noteRead(s.id)
	at = max(at, s.trimmed)
	end := min(at+int(*in.Limit), len(s.records))
	if f.perPage > 0 {
		end = min(end, at+f.perPage)
	}
	out := &kinesis.GetRecordsOutput{Records: s.records[at:end:end], MillisBehindLatest: aws.Int64(int64(len(s.records) - end))}
	if out.Records == nil {
		out.Records = []types.Record{}
	}
	if !s.closed || end < len(s.records) {
		out.NextShardIterator = aws.String(f.iterator(s, end))
	}
	return out, nil
}

// noteRead counts reads that are the sixth within a second.
func (f *fakeKinesis) noteRead(id string) {
	now := time.Now()
	var recent []time.Time
	for _, at := range f.reads[id] {
		if now.Sub(at) < time.Second {
			recent = append(recent, at)
		}
	}
	f.reads[id] = append(recent, now)
	if len(recent) >= 5 {
		f.tight++
	}
}

// aggregate packs events as the Kinesis Producer Library does.
func aggregate(partitionKey string, events ...[]byte) []byte {
	message := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), partitionKey)
	for _, event := range events {
		record := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		record = protowire.AppendBytes(protowire.AppendTag(record, 3, protowire.BytesType), event)
		message = protowire.AppendBytes(protowire.AppendTag(message, 3, protowire.BytesType), record)
	}
	sum := md5.Sum(message)
	return append(append([]byte("\xf3\x89\x9a\xc2"), message...), sum[:]...)
}
