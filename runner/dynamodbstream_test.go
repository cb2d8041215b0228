package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// A streamed is a store in a fake DynamoDB, with its stream.
type streamed struct {
	*mes.Store
	server *fakedynamodb.Server
	source *DynamoDBSource
}

func newStreamed(t *testing.T, opts ...fakedynamodb.Option) *streamed {
	t.Helper()
	server := fakedynamodb.New(opts...)
	client := watchedClient(server, &called.table)
	require.NoError(t, dynamostore.Provision(t.Context(), client, "events"))
	store, err := mes.New(dynamostore.New(client, "events"), mes.WithTTL(nil), mes.WithRangeKey(mes.EventID()))
	require.NoError(t, err)
	return &streamed{Store: store, server: server, source: DynamoDBStream(watchedStreams(server, &called.streams), "events")}
}

func (s *streamed) save(t *testing.T, hashKey string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		e, err := mes.NewEvent(map[string]any{"id": id, "type": "t", "partitionKey": hashKey, "timestamp": 1})
		require.NoError(t, err)
		require.NoError(t, s.Save(context.Background(), e))
	}
}

func ids(from, to int) (ids []string) {
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprintf("%04d", i))
	}
	return ids
}

func TestADynamoDBStreamIsReadThroughRolledShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t, fakedynamodb.WithShards(3))
		h := new(handled)
		trigger := mes.NewTrigger(s.Store, h.handle)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- Trigger(ctx, s.source, trigger) }()
		want := ids(0, 40)
		for i, id := range want {
			s.save(t, fmt.Sprintf("p%d", i%7), id)
			if i%10 == 9 {
				s.server.RollShards("events")
				time.Sleep(time.Minute)
			}
		}
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-over)
		slices.Sort(h.ids)
		require.Equal(t, want, h.ids, "everything once")
	})
}

func TestAStreamRecordBecomesAChange(t *testing.T) {
	s := newStreamed(t)
	ctx := t.Context()
	raw := `{"id":"1","type":"t","partitionKey":"p","timestamp":1700000000000,"n":9007199254740993,"text":"<é>"}`
	e, err := mes.Parse([]byte(raw))
	require.NoError(t, err)
	require.NoError(t, s.Save(ctx, e))
	second, err := mes.Parse([]byte(`{"id":"1","type":"u","partitionKey":"p","timestamp":1700000000000}`))
	require.NoError(t, err)
	require.NoError(t, s.Save(ctx, second))
	_, err = s.server.Client().DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("events"), Key: map[string]types.AttributeValue{
		"partitionKey": &types.AttributeValueMemberS{Value: "p"}, "eventId": &types.AttributeValueMemberS{Value: "1"},
	}})
	require.NoError(t, err)
	_, err = s.server.Client().PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("events"), Item: map[string]types.AttributeValue{
		"partitionKey": &types.AttributeValueMemberS{Value: "p"}, "eventId": &types.AttributeValueMemberS{Value: "2"},
		"event": &types.AttributeValueMemberS{Value: "no JSON"}, "ttl": &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Unix()-60, 10)},
	}})
	require.NoError(t, err)
	s.server.ExpireNow("events", time.Now())

	source, err := s.source.Bind(s.Store)
	require.NoError(t, err)
	shards, err := source.Shards(ctx)
	require.NoError(t, err)
	require.Len(t, shards, 1)
	changes, end, err := source.ReadChanges(ctx, shards[0].ID, mes.Position{}, 10)
	require.NoError(t, err)
	require.False(t, end)
	require.Len(t, changes, 5)
	for i, kind := range []mes.ChangeKind{mes.Inserted, mes.Modified, mes.Removed, mes.Inserted, mes.Removed} {
		c := changes[i]
		require.Equal(t, kind, c.Kind)
		require.Equal(t, i == 4, c.Expired)
		require.Equal(t, "p", c.HashKey)
		require.Equal(t, []string{"1", "1", "1", "2", "2"}[i], c.RangeKey)
		require.Equal(t, i >= 3, c.Err != nil)
		require.Equal(t, shards[0].ID, c.Meta.Shard)
		require.Contains(t, c.Meta.Stream, ":table/events/stream/")
		require.NotEmpty(t, c.Meta.SequenceNumber)
		require.NotEmpty(t, c.Meta.Region)
		require.WithinDuration(t, time.Now(), c.Meta.Arrived, time.Hour)
	}
	require.Nil(t, changes[0].Old)
	require.Equal(t, raw, string(changes[0].New.Raw))
	require.Equal(t, raw, string(changes[1].Old.Raw))
	require.Equal(t, "u", changes[1].New.Type)
	require.Nil(t, changes[2].New)
	require.Equal(t, "u", changes[2].Old.Type)
	require.NotContains(t, changes[3].Err.Error(), "no JSON")

	again, _, err := source.ReadChanges(ctx, shards[0].ID, changes[1].Meta.Position(), 10)
	require.NoError(t, err)
	require.Equal(t, changes[2].Meta, again[0].Meta)
}

// An item that another program keeps in the table is that item's fault, and a stream
// of another table is nobody's.
func TestPromise09AnotherProgramsItemIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t)
		_, err := s.server.Client().PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("events"), Item: map[string]types.AttributeValue{
			"partitionKey": &types.AttributeValueMemberS{Value: "theirs"}, "eventId": &types.AttributeValueMemberS{Value: "1"}, "foo": &types.AttributeValueMemberS{Value: "bar"},
		}})
		require.NoError(t, err)
		s.save(t, "p", "a")
		g, h := new(given), new(handled)
		trigger := mes.NewTrigger(s.Store, h.handle, mes.WithFaultHandler(g.take))
		require.NoError(t, Trigger(t.Context(), s.source, trigger, UntilCaughtUp()))
		require.Equal(t, []string{"a"}, h.ids)
		require.Len(t, g.faults, 1)
		require.Equal(t, "theirs", g.faults[0].Change.HashKey)

		other, err := mes.New(dynamostore.New(watchedClient(s.server, &called.table), "events", dynamostore.WithAttributeNames(dynamostore.AttributeNames{HashKey: "pk", RangeKey: "sk"})), mes.WithTTL(nil))
		require.NoError(t, err)
		bound, err := s.source.Bind(other)
		require.NoError(t, err)
		shards, err := bound.Shards(t.Context())
		require.NoError(t, err)
		_, _, err = bound.ReadChanges(t.Context(), shards[0].ID, mes.Position{}, 10)
		require.ErrorIs(t, err, errKeys)
		require.False(t, mes.IsPermanent(err))
	})
}

func TestAStreamOfKeysAloneIsEnoughForInserts(t *testing.T) {
	server := fakedynamodb.New()
	client := watchedClient(server, &called.table)
	require.NoError(t, dynamostore.Provision(t.Context(), client, "events", dynamostore.WithStreamView(types.StreamViewTypeKeysOnly)))
	store, err := mes.New(dynamostore.New(client, "events"), mes.WithTTL(nil))
	require.NoError(t, err)
	s := &streamed{Store: store, server: server, source: DynamoDBStream(watchedStreams(server, &called.streams), "events")}
	s.save(t, "p", "a", "b")
	h := new(handled)
	require.NoError(t, Trigger(t.Context(), s.source, mes.NewTrigger(store, h.handle), UntilCaughtUp()))
	require.Equal(t, []string{"a", "b"}, h.ids)
}

// counting counts what is asked of DynamoDB Streams, and makes it harder to read.
type counting struct {
	DynamoDBStreamAPI
	mu         sync.Mutex
	calls      map[string]int
	emptyPages int
	describe   func() error
	iterators  []string // types that were asked for
}

func (c *counting) count(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[string]int)
	}
	c.calls[call]++
}

func (c *counting) DescribeStream(ctx context.Context, in *dynamodbstreams.DescribeStreamInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error) {
	c.count("DescribeStream")
	if c.describe != nil {
		if err := c.describe(); err != nil {
			return nil, err
		}
	}
	in.Limit = aws.Int32(10)
	return c.DynamoDBStreamAPI.DescribeStream(ctx, in, opts...)
}

func (c *counting) GetShardIterator(ctx context.Context, in *dynamodbstreams.GetShardIteratorInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error) {
	c.count("GetShardIterator")
	c.mu.Lock()
	c.iterators = append(c.iterators, string(in.ShardIteratorType))
	c.mu.Unlock()
	return c.DynamoDBStreamAPI.GetShardIterator(ctx, in, opts...)
}

func (c *counting) GetRecords(ctx context.Context, in *dynamodbstreams.GetRecordsInput, opts ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error) {
	c.count("GetRecords")
	c.mu.Lock()
	c.emptyPages--
	empty := c.emptyPages >= 0
	c.mu.Unlock()
	if empty { // as AWS sends them
		return &dynamodbstreams.GetRecordsOutput{NextShardIterator: in.ShardIterator}, nil
	}
	return c.DynamoDBStreamAPI.GetRecords(ctx, in, opts...)
}

func TestIncidentDiscoveryOfManyPages(t *testing.T) {
	s := newStreamed(t, fakedynamodb.WithShards(25))
	s.server.RollShards("events")
	client := &counting{DynamoDBStreamAPI: s.source.client}
	source := DynamoDBStream(client, "events")
	shards, err := source.Shards(t.Context())
	require.NoError(t, err)
	require.Len(t, shards, 50)
	require.Equal(t, 5, client.calls["DescribeStream"])
	require.Empty(t, shards[0].Parents)
	require.Equal(t, []string{shards[0].ID}, shards[25].Parents)
}

func TestIncidentDiscoveryThatFailsHalfWayGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t, fakedynamodb.WithShards(25))
		want := ids(0, 100)
		for i, id := range want {
			s.save(t, fmt.Sprintf("p%d", i), id)
		}
		s.server.RollShards("events")
		calls := 0
		client := &counting{DynamoDBStreamAPI: s.source.client, describe: func() error {
			if calls++; calls%3 == 0 { // a listing from the start would never get to its end
				return errors.New("throttled")
			}
			return nil
		}}
		h := new(handled)
		require.NoError(t, Trigger(t.Context(), DynamoDBStream(client, "events"), mes.NewTrigger(s.Store, h.handle), UntilCaughtUp()))
		slices.Sort(h.ids)
		require.Equal(t, want, h.ids)
	})
}

func TestAnIteratorThatExpiresIsResumedFromTheLastRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t)
		client := &counting{DynamoDBStreamAPI: s.source.client}
		bound, err := DynamoDBStream(client, "events").Bind(s.Store)
		require.NoError(t, err)
		shards, err := bound.Shards(t.Context())
		require.NoError(t, err)
		s.save(t, "p", "a", "b")
		read := func(after mes.Position) []mes.Change {
			changes, end, err := bound.ReadChanges(t.Context(), shards[0].ID, after, 10)
			require.NoError(t, err)
			require.False(t, end)
			return changes
		}
		first := read(mes.Position{})
		require.Len(t, first, 2)
		s.save(t, "p", "c")
		time.Sleep(16 * time.Minute)
		next := read(first[1].Meta.Position())
		require.Len(t, next, 1)
		require.Equal(t, "c", next[0].RangeKey)
		require.Empty(t, read(next[0].Meta.Position()))
		require.Equal(t, []string{"TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER"}, client.iterators, "iterators are kept from one read to the next")
	})
}

func TestATrimmedCheckpointFallsBackToTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamed(t)
		s.save(t, "p", "a", "b")
		source, err := s.source.Bind(s.Store)
		require.NoError(t, err)
		shards, err := source.Shards(t.Context())
		require.NoError(t, err)
		changes, _, err := source.ReadChanges(t.Context(), shards[0].ID, mes.Position{}, 1)
		require.NoError(t, err)
		s.server.TrimStream("events")
		s.save(t, "p", "c")
		for _, after := range []mes.Position{changes[0].Meta.Position(), {SequenceNumber: "1"}} {
			fresh, err := DynamoDBStream(s.source.client, "events").Bind(s.Store)
			require.NoError(t, err)
			_, _, err = fresh.ReadChanges(t.Context(), shards[0].ID, after, 10)
			require.ErrorIs(t, err, mes.ErrTrimmed)
		}
		changes, _, err = source.ReadChanges(t.Context(), shards[0].ID, mes.Position{}, 10)
		require.NoError(t, err)
		require.Equal(t, "c", changes[0].RangeKey)
	})
}

func TestAnEmptyPageIsNotTheEndOfAShard(t *testing.T) {
	s := newStreamed(t)
	s.save(t, "p", "a", "b", "c")
	s.server.RollShards("events")
	s.save(t, "p", "d")
	h := new(handled)
	client := &counting{DynamoDBStreamAPI: s.source.client, emptyPages: 4}
	require.NoError(t, Trigger(t.Context(), DynamoDBStream(client, "events"), mes.NewTrigger(s.Store, h.handle), UntilCaughtUp()))
	require.Equal(t, []string{"a", "b", "c", "d"}, h.ids)
}

// A shard that another one follows has an end, however many empty pages stand
// before it; in one that nothing follows yet it takes many to believe that there is
// nothing.
func TestManyEmptyPagesAreNotTheEndOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, roll := range []bool{true, false} {
			s := newStreamed(t)
			s.save(t, "p", "a", "b", "c")
			client := &counting{DynamoDBStreamAPI: s.source.client, emptyPages: streamHops - 1}
			if roll {
				s.server.RollShards("events")
				s.save(t, "p", "d")
				client.emptyPages = 100
			}
			h := new(handled)
			require.NoError(t, Trigger(t.Context(), DynamoDBStream(client, "events"), mes.NewTrigger(s.Store, h.handle), UntilCaughtUp()))
			require.Equal(t, []string{"a", "b", "c", "d"}[:len(h.ids)], h.ids)
			require.GreaterOrEqual(t, len(h.ids), 3)
			require.Equal(t, roll, len(h.ids) == 4)
		}
	})
}

// twice has a table whose stream was turned off and on again.
type twice struct {
	DynamoDBStreamAPI
	arns []string
	gone map[string]bool
}

func (c *twice) ListStreams(context.Context, *dynamodbstreams.ListStreamsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.ListStreamsOutput, error) {
	out := new(dynamodbstreams.ListStreamsOutput)
	for _, arn := range c.arns {
		out.Streams = append(out.Streams, streamtypes.Stream{StreamArn: aws.String(arn), StreamLabel: aws.String(arn)})
	}
	return out, nil
}

func (c *twice) DescribeStream(_ context.Context, in *dynamodbstreams.DescribeStreamInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error) {
	if c.gone[*in.StreamArn] {
		return nil, &streamtypes.ResourceNotFoundException{Message: aws.String("no such stream")}
	}
	return &dynamodbstreams.DescribeStreamOutput{StreamDescription: &streamtypes.StreamDescription{
		Shards: []streamtypes.Shard{{ShardId: aws.String("of " + *in.StreamArn)}},
	}}, nil
}

func TestATablesNextStreamIsFound(t *testing.T) {
	s := newStreamed(t)
	client := &twice{arns: []string{"1"}, gone: make(map[string]bool)}
	source := DynamoDBStream(client, "events")
	shard := func(source mes.ChangeSource) string {
		shards, err := source.Shards(t.Context())
		require.NoError(t, err)
		return shards[0].ID
	}
	first, err := source.Bind(s.Store)
	require.NoError(t, err)
	require.Equal(t, "of 1", shard(first))
	client.arns = append(client.arns, "2")
	require.Equal(t, "of 1", shard(first), "as long as it is there")
	second, err := source.Bind(s.Store)
	require.NoError(t, err)
	require.Equal(t, "of 2", shard(second), "the next run looks it up")
	client.arns, client.gone["2"] = append(client.arns, "3"), true
	_, err = second.Shards(t.Context())
	require.ErrorContains(t, err, "no such stream")
	require.Equal(t, "of 3", shard(second), "and so does one whose stream is gone")
}

func TestWhatADynamoDBStreamCannotDoIsSaid(t *testing.T) {
	plain, err := mes.New(memorytable.New())
	require.NoError(t, err)
	trigger := mes.NewTrigger(plain, new(handled).handle)
	s := newStreamed(t)
	require.ErrorContains(t, Trigger(t.Context(), s.source, trigger), "cannot decode")
	_, _, err = s.source.ReadChanges(t.Context(), "0", mes.Position{}, 1)
	require.True(t, mes.IsPermanent(err))
	_, err = DynamoDBStream(nil, "events").Shards(t.Context())
	require.True(t, mes.IsPermanent(err))
	_, err = DynamoDBStream(s.source.client, "").Shards(t.Context())
	require.True(t, mes.IsPermanent(err))
	_, err = DynamoDBStream(s.source.client, "no-such-table").Shards(t.Context())
	require.ErrorContains(t, err, "has no stream")
	require.False(t, mes.IsPermanent(err), "somebody may turn it on")
}
