package runner

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

func TestAShardIsGoneWhenTwoListingsLackIt(t *testing.T) {
	var d discovery
	a, b := mes.Shard{ID: "a"}, mes.Shard{ID: "b", Parents: []string{"a"}}
	require.Empty(t, d.update([]mes.Shard{a, b, a}, true))
	require.Equal(t, []mes.Shard{a, b}, d.listed, "once each")
	require.Empty(t, d.update([]mes.Shard{b}, true), "one answer may be wrong")
	require.Len(t, d.listed, 2)
	require.False(t, d.ready(&a, nil), "it is not begun meanwhile")
	require.Empty(t, d.update(nil, false), "this one says nothing")
	require.Empty(t, d.update([]mes.Shard{a, b}, true))
	require.Empty(t, d.update([]mes.Shard{b}, true), "it was there in between")
	require.Empty(t, d.orphaned())
	require.Equal(t, []string{"a"}, d.update([]mes.Shard{b}, true))
	require.Equal(t, []string{"a"}, d.orphaned())
	require.Empty(t, d.orphaned(), "once")
	require.Empty(t, d.update([]mes.Shard{a}, true))
	require.Equal(t, []string{"b"}, d.update([]mes.Shard{a}, true))
	require.Empty(t, d.orphaned())
	require.Empty(t, d.absent, "what nobody speaks of is forgotten")
}

// A listing that was cut short says nothing of what it has not reached: a parent
// that it lacks may still have records, which come before the child's.
func TestPromise07AChildWaitsForAParentThatIsNotListedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := newFakeSource(mes.Shard{ID: "child", Parents: []string{"parent"}})
		source.add(t, s, "parent", "p", "a", "b")
		source.add(t, s, "child", "p", "c")
		source.closed["parent"] = true
		listings := 0
		throttled := &cutShort{fakeSource: source, next: func() error {
			if listings++; listings < 4 {
				return errors.New("throttled behind the first page")
			}
			source.listed = []mes.Shard{{ID: "child", Parents: []string{"parent"}}, {ID: "parent"}}
			return nil
		}}
		h := new(handled)
		require.NoError(t, Trigger(t.Context(), throttled, mes.NewTrigger(s, h.handle), UntilCaughtUp()))
		require.Equal(t, []string{"a", "b", "c"}, h.ids)
		require.GreaterOrEqual(t, listings, 4)
	})

	var d discovery
	child := mes.Shard{ID: "child", Parents: []string{"parent"}}
	d.update([]mes.Shard{child}, false)
	require.False(t, d.ready(&child, nil))
	d.update([]mes.Shard{child}, true)
	require.True(t, d.ready(&child, nil), "it is no longer kept")
}

// A cutShort lists what there is along with an error.
type cutShort struct {
	*fakeSource
	next func() error // of the next listing
}

func (c *cutShort) Shards(ctx context.Context) ([]mes.Shard, error) {
	err := c.next()
	listed, _ := c.fakeSource.Shards(ctx)
	return listed, err
}

// A shard may disappear while a handler is at what was read of it. That goes on,
// its children wait for it, and everything else does not.
func TestAShardThatDisappearsHoldsUpNothing(t *testing.T) {
	for name, drain := range map[string]bool{"and is handled": false, "and the run is to end": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t)
				source := newFakeSource(mes.Shard{ID: "old"})
				source.add(t, s, "old", "p", "a", "b")
				source.add(t, s, "child", "q", "c")
				source.add(t, s, "other", "r", "d")
				slow := make(chan struct{})
				h := &handled{do: func(ctx context.Context, id string) error {
					if id == "a" {
						select {
						case <-slow:
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					return nil
				}}
				ctx, cancel := context.WithCancel(t.Context())
				over := make(chan error, 1)
				monitor := new(Monitor)
				go func() {
					over <- Trigger(ctx, source, mes.NewTrigger(s, h.handle), WithBatchSize(1), WithMonitor(monitor), WithDrainTimeout(7*time.Second))
				}()
				time.Sleep(time.Second)
				source.mu.Lock()
				source.listed = []mes.Shard{{ID: "child", Parents: []string{"old"}}, {ID: "other"}}
				source.mu.Unlock()
				time.Sleep(5 * time.Minute)
				require.Equal(t, []string{"a", "d"}, h.seen())
				if drain {
					began := time.Now()
					cancel()
					var late *DrainError
					require.ErrorAs(t, <-over, &late)
					require.Equal(t, []string{"old"}, late.Shards)
					require.Equal(t, 7*time.Second, time.Since(began))
					return
				}
				close(slow)
				time.Sleep(time.Minute)
				require.Equal(t, []string{"a", "d", "b", "c"}, h.seen())
				var shown []string
				for _, shard := range monitor.Status().Shards {
					shown = append(shown, shard.Shard)
				}
				require.Equal(t, []string{"child", "other"}, shown)
				cancel()
				require.NoError(t, <-over)
			})
		})
	}
}

// answering is an HTTP client that has one answer.
func answering(body string) aws.Config {
	return aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: roundTripper(func(r *http.Request) (*http.Response, error) {
			answer := body
			if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetShardIterator") {
				answer = `{"ShardIterator":"i"}`
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
		}),
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) Do(r *http.Request) (*http.Response, error) { return f(r) }

// No checksum protects these answers. One that is empty, or cut off, must not end
// a shard, nor make all shards disappear, along with their checkpoints.
func TestPromise14AnEmptyAnswerEndsNoShard(t *testing.T) {
	s := newStreamed(t)
	const stream = "arn:aws:dynamodb:us-east-1:000000000000:table/events/stream/1"
	sources := func(body string) (k *KinesisSource, d mes.ChangeSource) {
		config := answering(body)
		client := config.HTTPClient
		config.HTTPClient = called.streams.Client(client)
		d, err := DynamoDBStream(dynamodbstreams.NewFromConfig(config), stream).Bind(s.Store)
		require.NoError(t, err)
		config.HTTPClient = called.kinesis.Client(client)
		return Kinesis(kinesis.NewFromConfig(config), "events"), d
	}
	shards := `{"Shards":[{"ShardId":"shardId-000000000000","HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"},"SequenceNumberRange":{"StartingSequenceNumber":"1"}}]}`
	described := `{"StreamDescription":{"Shards":[{"ShardId":"shardId-000000000000"}],"StreamArn":"` + stream + `"}}`
	records := `{"MillisBehindLatest":0,"Records":[{"Data":"e30=","PartitionKey":"p","SequenceNumber":"7"}]}`
	rows := `{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"7","Keys":{"partitionKey":{"S":"p"},"eventId":{"S":"e"}}}}]}`
	bodies := []string{"", "{}", "null", `{"Records":null,"Shards":null}`, `{"StreamDescription":{}}`, `{"StreamDescription":{"Shards":null}}`}
	for _, whole := range []string{shards, described, records, rows} {
		for n := range len(whole) {
			bodies = append(bodies, whole[:n])
		}
	}
	for _, body := range bodies {
		k, d := sources(body)
		_, err := k.Shards(t.Context())
		require.Error(t, err, "%q", body)
		_, err = d.Shards(t.Context())
		require.Error(t, err, "%q", body)
		_, _, err = k.ReadRecords(t.Context(), "shardId-000000000000", mes.Position{}, 10)
		require.Error(t, err, "%q", body)
		_, _, err = d.ReadChanges(t.Context(), "shardId-000000000000", mes.Position{}, 10)
		require.Error(t, err, "%q", body)
	}
	k, _ := sources(shards)
	listed, err := k.Shards(t.Context())
	require.NoError(t, err)
	require.Len(t, listed, 1)
	_, d := sources(described)
	listed, err = d.Shards(t.Context())
	require.NoError(t, err)
	require.Len(t, listed, 1)
	k, _ = sources(records)
	read, end, err := k.ReadRecords(t.Context(), "shardId-000000000000", mes.Position{}, 10)
	require.NoError(t, err)
	require.True(t, end)
	require.Len(t, read, 1)
	_, d = sources(rows)
	changes, end, err := d.ReadChanges(t.Context(), "shardId-000000000000", mes.Position{}, 10)
	require.NoError(t, err)
	require.True(t, end)
	require.Len(t, changes, 1)
}

// A panicking panics wherever it can, some times each.
type panicking struct {
	*withCheckpoints
	calls map[string]int
}

func (p *panicking) panics(where string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls[where]++; p.calls[where] <= 3 {
		panic("a bug")
	}
}

func (p *panicking) StreamName() string { p.panics("StreamName"); return "events" }

func (p *panicking) Checkpoint(ctx context.Context, shard string) (mes.Position, error) {
	p.panics("Checkpoint")
	return p.withCheckpoints.Checkpoint(ctx, shard)
}

func (p *panicking) SetCheckpoint(ctx context.Context, shard string, done mes.Position) error {
	p.panics("SetCheckpoint")
	return p.withCheckpoints.SetCheckpoint(ctx, shard, done)
}

func (p *panicking) Wait(ctx context.Context, _ string, _ mes.Position) error {
	p.panics("Wait")
	<-ctx.Done()
	return ctx.Err()
}

func TestPromise09ASourceThatPanicsWhereverItCanEndsNoProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		source := &panicking{
			withCheckpoints: &withCheckpoints{fakeSource: newFakeSource(mes.Shard{ID: "0"}), done: make(map[string]mes.Position)},
			calls:           make(map[string]int),
		}
		source.add(t, s, "0", "p", "a")
		h := new(handled)
		for range 3 {
			var panicked *mes.PanicError
			require.ErrorAs(t, Trigger(t.Context(), source, mes.NewTrigger(s, h.handle)), &panicked)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, Trigger(ctx, source, mes.NewTrigger(s, h.handle)))
		require.Equal(t, []string{"a"}, h.ids)
		require.Equal(t, "1", source.done["0"].SequenceNumber)
		require.Greater(t, source.calls["Wait"], 3)
	})
}

func TestPromise10NoSourceIsAnErrorAndNoPanic(t *testing.T) {
	s := newStreamed(t)
	listener, trigger := mes.NewListener(s.Store, nil), mes.NewTrigger(s.Store, new(handled).handle)
	require.ErrorContains(t, Listen(t.Context(), (*KinesisSource)(nil), listener), "the client is nil")
	require.ErrorContains(t, Trigger(t.Context(), (*DynamoDBSource)(nil), trigger), "the client is nil")
	require.ErrorContains(t, Listen(t.Context(), Kinesis(nil, "events"), listener), "the client is nil")
	require.ErrorContains(t, ProvisionLeases(t.Context(), nil, "leases"), "the client is nil")
	require.True(t, mes.IsPermanent(errors.Unwrap(Listen(t.Context(), Kinesis(newFakeKinesis(1), ""), listener))))
}
