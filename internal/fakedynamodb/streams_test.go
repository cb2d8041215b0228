package fakedynamodb_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// follower reads the stream of a harness's table.
type follower struct {
	*harness
	client *dynamodbstreams.Client
	arn    string
}

func (h *harness) follow() follower {
	h.Helper()
	client := h.server.StreamsClient(func(o *dynamodbstreams.Options) { o.Retryer = aws.NopRetryer{} })
	return follower{h, client, *h.describe().LatestStreamArn}
}

func (f follower) shards() []stypes.Shard {
	f.Helper()
	var out []stypes.Shard
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(f.arn), Limit: aws.Int32(2)}
	for {
		page, err := f.client.DescribeStream(f.Context(), in)
		require.NoError(f, err)
		out = append(out, page.StreamDescription.Shards...)
		if in.ExclusiveStartShardId = page.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return out
		}
	}
}

func (f follower) iterator(shard string, kind stypes.ShardIteratorType, seq string) (*string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: aws.String(f.arn), ShardId: aws.String(shard), ShardIteratorType: kind}
	if seq != "" {
		in.SequenceNumber = aws.String(seq)
	}
	out, err := f.client.GetShardIterator(f.Context(), in)
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

func (f follower) records(it *string, limit int32) ([]stypes.Record, *string) {
	f.Helper()
	out, err := f.client.GetRecords(f.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(limit)})
	require.NoError(f, err)
	return out.Records, out.NextShardIterator
}

// all reads every shard from its start.
func (f follower) all() []stypes.Record {
	f.Helper()
	var out []stypes.Record
	for _, sh := range f.shards() {
		it, err := f.iterator(*sh.ShardId, stypes.ShardIteratorTypeTrimHorizon, "")
		require.NoError(f, err)
		recs, _ := f.records(it, 1000)
		out = append(out, recs...)
	}
	return out
}

func keysOf(recs []stypes.Record) []string {
	var out []string
	for _, r := range recs {
		out = append(out, r.Dynamodb.Keys["sk"].(*stypes.AttributeValueMemberS).Value)
	}
	return out
}

func TestStreamRecords(t *testing.T) {
	h := start(t)
	_, err := h.client.UpdateTimeToLive(t.Context(), ttl("ttl", true))
	require.NoError(t, err)
	h.put(row("p", "1", attributes{"v": num("1"), "ss": set("a", "b")}))
	h.put(row("p", "1", attributes{"v": num("1.0"), "ss": set("b", "a")})) // changes nothing
	_, err = h.batch(putRequests(row("p", "1", attributes{"v": num("1"), "ss": set("a", "b")})))
	require.NoError(t, err)
	h.put(row("p", "1", attributes{"v": num("2")}))
	for range 2 { // the second removes nothing
		_, err = h.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(tableName), Key: row("p", "1")})
		require.NoError(t, err)
	}
	h.put(row("p", "2", attributes{"ttl": num("1700000000")}))
	h.server.ExpireNow(tableName, time.Unix(1700000001, 0))
	recs := h.follow().all()
	var names []string
	for i, r := range recs {
		names = append(names, string(r.EventName))
		assert.Equal(t, i == 4, r.UserIdentity != nil)
		assert.NotEmpty(t, *r.EventID)
		assert.Positive(t, *r.Dynamodb.SizeBytes)
		if i > 0 {
			assert.Greater(t, *r.Dynamodb.SequenceNumber, *recs[i-1].Dynamodb.SequenceNumber)
		}
	}
	assert.Equal(t, []string{"INSERT", "MODIFY", "REMOVE", "INSERT", "REMOVE"}, names)
	assert.Equal(t, &stypes.Identity{Type: aws.String("Service"), PrincipalId: aws.String("dynamodb.amazonaws.com")}, recs[4].UserIdentity)
	assert.Nil(t, recs[0].Dynamodb.OldImage)
	assert.Equal(t, &stypes.AttributeValueMemberN{Value: "1"}, recs[1].Dynamodb.OldImage["v"])
	assert.Equal(t, &stypes.AttributeValueMemberN{Value: "2"}, recs[1].Dynamodb.NewImage["v"])
	assert.Nil(t, recs[2].Dynamodb.NewImage)
	changed := 0
	for _, w := range h.server.Writes() {
		if w.Changed {
			changed++
		}
	}
	assert.Equal(t, 5, changed)
}

func TestViewTypes(t *testing.T) {
	for view, want := range map[types.StreamViewType][2]bool{
		types.StreamViewTypeKeysOnly: {false, false}, types.StreamViewTypeNewImage: {false, true},
		types.StreamViewTypeOldImage: {true, false}, types.StreamViewTypeNewAndOldImages: {true, true},
	} {
		server := fakedynamodb.New()
		h := &harness{t, server, server.Client(once)}
		in := createInput()
		in.StreamSpecification.StreamViewType = view
		_, err := h.client.CreateTable(t.Context(), in)
		require.NoError(t, err)
		h.put(row("p", "s", attributes{"v": num("1")}))
		h.put(row("p", "s", attributes{"v": num("2")}))
		r := h.follow().all()[1]
		assert.Equal(t, want, [2]bool{r.Dynamodb.OldImage != nil, r.Dynamodb.NewImage != nil}, view)
		assert.Equal(t, string(view), string(r.Dynamodb.StreamViewType))
	}
}

func TestIterators(t *testing.T) {
	h := start(t)
	h.fill("p", 5)
	f := h.follow()
	recs := f.all()
	shard := *f.shards()[0].ShardId
	read := func(kind stypes.ShardIteratorType, seq string) []string {
		t.Helper()
		it, err := f.iterator(shard, kind, seq)
		require.NoError(t, err)
		recs, next := f.records(it, 1000)
		assert.NotNil(t, next, "an open shard has no end")
		return keysOf(recs)
	}
	latest, err := f.iterator(shard, stypes.ShardIteratorTypeLatest, "")
	require.NoError(t, err)
	seq := *recs[2].Dynamodb.SequenceNumber
	assert.Equal(t, []string{"0002", "0003", "0004"}, read(stypes.ShardIteratorTypeAtSequenceNumber, seq))
	assert.Equal(t, []string{"0003", "0004"}, read(stypes.ShardIteratorTypeAfterSequenceNumber, seq))
	assert.Len(t, read(stypes.ShardIteratorTypeTrimHorizon, ""), 5)
	assert.Empty(t, read(stypes.ShardIteratorTypeLatest, ""))
	h.put(row("p", "new"))
	got, _ := f.records(latest, 10)
	assert.Equal(t, []string{"new"}, keysOf(got))
	it, err := f.iterator(shard, stypes.ShardIteratorTypeTrimHorizon, "")
	require.NoError(t, err)
	var sks []string
	for len(sks) < 6 {
		var page []stypes.Record
		page, it = f.records(it, 2)
		require.Len(t, page, 2)
		sks = append(sks, keysOf(page)...)
	}
	_, err = f.iterator(shard, stypes.ShardIteratorTypeAtSequenceNumber, "")
	invalid(t, err, "SequenceNumber must be specified")
	_, err = f.iterator(shard, "NOWHERE", "")
	invalid(t, err, "enum value set")
	_, err = f.iterator("shardId-00000000000000000000-none", stypes.ShardIteratorTypeLatest, "")
	refused(t, err, "ResourceNotFoundException", "Shard does not exist")
	_, err = f.client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: aws.String("nonsense")})
	invalid(t, err, "Invalid ShardIterator")
	h.server.TrimStream(tableName)
	_, err = f.iterator(shard, stypes.ShardIteratorTypeAtSequenceNumber, seq)
	refused(t, err, "TrimmedDataAccessException", "")
	old, err := f.client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: latest})
	refused(t, err, "TrimmedDataAccessException", "")
	assert.Nil(t, old)
}

func TestIteratorsExpire(t *testing.T) {
	now := time.Unix(1700000000, 0)
	h := start(t, fakedynamodb.WithClock(func() time.Time { return now }))
	f := h.follow()
	it, err := f.iterator(*f.shards()[0].ShardId, stypes.ShardIteratorTypeTrimHorizon, "")
	require.NoError(t, err)
	now = now.Add(15*time.Minute + 1)
	_, err = f.client.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: it})
	refused(t, err, "ExpiredIteratorException", "")
}

func TestShards(t *testing.T) {
	h := start(t, fakedynamodb.WithShards(3))
	for i := range 30 {
		h.put(row("p"+itoa(int64(i)), "s"))
	}
	f := h.follow()
	before := f.shards()
	require.Len(t, before, 3)
	assert.Len(t, f.all(), 30)
	h.server.RollShards(tableName)
	h.put(row("p0", "after"))
	after := f.shards()
	require.Len(t, after, 6)
	for i := range 3 {
		assert.NotNil(t, after[i].SequenceNumberRange.EndingSequenceNumber)
		assert.Equal(t, *after[i].ShardId, *after[i+3].ParentShardId)
		it, err := f.iterator(*after[i].ShardId, stypes.ShardIteratorTypeTrimHorizon, "")
		require.NoError(t, err)
		recs, next := f.records(it, 1000)
		assert.NotEmpty(t, recs)
		assert.Nil(t, next, "the end of a closed shard")
	}
	assert.Len(t, f.all(), 31)
	kids, err := f.client.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(f.arn),
		ShardFilter: &stypes.ShardFilter{ShardId: after[1].ShardId, Type: stypes.ShardFilterTypeChildShards}})
	require.NoError(t, err)
	require.Len(t, kids.StreamDescription.Shards, 1)
	assert.Equal(t, *after[4].ShardId, *kids.StreamDescription.Shards[0].ShardId)
	h.server.TrimStream(tableName)
	assert.Len(t, f.shards(), 3, "closed shards go with their records")
	h.server.RollShards(tableName)
	names := make(map[string]bool)
	for _, shard := range f.shards() {
		names[*shard.ShardId] = true
	}
	assert.Len(t, names, 6, "no name comes again")
	streams, err := f.client.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{TableName: aws.String(tableName)})
	require.NoError(t, err)
	assert.Equal(t, f.arn, *streams.Streams[0].StreamArn)
	_, err = f.client.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String("arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/none-at-all")})
	refused(t, err, "ResourceNotFoundException", "Stream")
}
