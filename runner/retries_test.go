package runner

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// A throttling service refuses one operation, and answers the others. It remembers
// when each was asked for.
type throttling struct {
	refused string
	answers map[string]string

	mu    sync.Mutex
	asked map[string][]time.Time
}

func (s *throttling) do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	s.mu.Lock()
	if s.asked == nil {
		s.asked = make(map[string][]time.Time)
	}
	s.asked[operation] = append(s.asked[operation], time.Now())
	s.mu.Unlock()
	status, body := http.StatusOK, s.answers[operation]
	if operation == s.refused {
		status, body = http.StatusBadRequest, `{"__type":"ProvisionedThroughputExceededException","message":"slow down"}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// eagerly are settings of a client that would make a call again.
var eagerly = map[string]func(*aws.Config){
	"as it comes":        func(*aws.Config) {},
	"with more attempts": func(c *aws.Config) { c.RetryMaxAttempts = 7 },
	"adaptive":           func(c *aws.Config) { c.RetryMode = aws.RetryModeAdaptive },
}

func (s *throttling) config(set func(*aws.Config)) aws.Config {
	config := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTPClient: roundTripper(s.do)}
	set(&config)
	return config
}

var kinesisAnswers = map[string]string{
	"ListShards":       `{"Shards":[{"ShardId":"shardId-000000000000","HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"},"SequenceNumberRange":{"StartingSequenceNumber":"1"}}]}`,
	"GetShardIterator": `{"ShardIterator":"i"}`,
	"GetRecords":       `{"MillisBehindLatest":0,"NextShardIterator":"i","Records":[]}`,
}

func TestPromise13ASourceMakesEachCallOnce(t *testing.T) {
	const (
		shard  = "shardId-000000000000"
		stream = "arn:aws:dynamodb:us-east-1:000000000000:table/events/stream/1"
	)
	streamAnswers := map[string]string{
		"ListStreams":      `{"Streams":[{"StreamArn":"` + stream + `","StreamLabel":"1","TableName":"events"}]}`,
		"DescribeStream":   `{"StreamDescription":{"Shards":[{"ShardId":"` + shard + `"}],"StreamArn":"` + stream + `"}}`,
		"GetShardIterator": `{"ShardIterator":"i"}`,
		"GetRecords":       `{"NextShardIterator":"i","Records":[]}`,
	}
	store := newStreamed(t).Store
	for name, set := range eagerly {
		for _, operation := range []string{"ListShards", "GetShardIterator", "GetRecords"} {
			t.Run(name+"/Kinesis/"+operation, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &throttling{refused: operation, answers: kinesisAnswers}
					source := Kinesis(kinesis.NewFromConfig(s.config(set)), "events")
					var err error
					if operation == "ListShards" {
						_, err = source.Shards(t.Context())
					} else {
						_, _, err = source.ReadRecords(t.Context(), shard, mes.Position{}, 10)
					}
					require.ErrorContains(t, err, "ProvisionedThroughputExceededException")
					require.Len(t, s.asked[operation], 1)
				})
			})
		}
		for _, operation := range []string{"ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"} {
			t.Run(name+"/DynamoDB/"+operation, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &throttling{refused: operation, answers: streamAnswers}
					source, err := DynamoDBStream(dynamodbstreams.NewFromConfig(s.config(set)), "events").Bind(store)
					require.NoError(t, err)
					if operation == "ListStreams" || operation == "DescribeStream" {
						_, err = source.Shards(t.Context())
					} else {
						_, _, err = source.ReadChanges(t.Context(), shard, mes.Position{}, 10)
					}
					require.ErrorContains(t, err, "ProvisionedThroughputExceededException")
					require.Len(t, s.asked[operation], 1)
				})
			})
		}
	}
}

// Five reads a second are all that Kinesis allows, also of a shard that it has just
// refused to read.
func TestPromise13AThrottledShardIsReadNoMoreOftenThanItsPaceAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &throttling{refused: "GetRecords", answers: kinesisAnswers}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		source := Kinesis(kinesis.NewFromConfig(s.config(eagerly["with more attempts"])), "events")
		require.NoError(t, Listen(ctx, source, mes.NewListener(newStore(t), nil)))
		reads := s.asked["GetRecords"]
		require.Greater(t, len(reads), 60, "it is tried again")
		for i := 1; i < len(reads); i++ {
			require.GreaterOrEqual(t, reads[i].Sub(reads[i-1]), kinesisReadEvery)
		}
	})
}

// sdkClient is a client with the retries that the SDK comes with, whose calls fault
// may make fail.
func (c *cluster) sdkClient(watch *iampolicy.Watch, fault func(fakedynamodb.Call) fakedynamodb.Fault) *dynamodb.Client {
	return dynamodb.NewFromConfig(aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: watch.Transport(c.server.Behind(fault))},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func TestPromise13ALeaseIsWrittenAndReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		refused, calls := false, 0
		o, err := newOptions([]Option{WithLeases(c.sdkClient(&called.leases, func(fakedynamodb.Call) fakedynamodb.Fault {
			if refused {
				calls++
				return fakedynamodb.Throttle()
			}
			return fakedynamodb.None()
		}), leaseTable)})
		require.NoError(t, err)
		l := newLeases(t.Context(), o, fakeStream)
		shards := []mes.Shard{{ID: "shardId-000000000000"}}
		count := func(do func() error) int {
			t.Helper()
			refused, calls = true, 0
			require.Error(t, do())
			refused = false
			return calls
		}
		require.Equal(t, 1, count(func() error { _, err := l.refresh(t.Context(), shards); return err }))
		_, err = l.refresh(t.Context(), shards)
		require.NoError(t, err)
		require.Equal(t, 1, count(func() error { _, err := l.take(t.Context(), shards, nil); return err }))
		mine := l.takeOne(t)
		require.Equal(t, 1, count(func() error { return mine.checkpoint(t.Context(), mes.Position{SequenceNumber: "1"}) }))
		require.Equal(t, 1, count(func() error { return mine.end(t.Context(), mes.Position{}) }))
		require.Equal(t, 1, count(func() error { return mine.release(t.Context()) }))
		require.NoError(t, mine.release(t.Context()))

		// Nobody here makes those again.
		require.Greater(t, count(func() error { return l.remove(t.Context(), shards[0].ID) }), 1)
		require.Greater(t, count(func() error {
			client := c.sdkClient(&called.provision, func(fakedynamodb.Call) fakedynamodb.Fault { calls++; return fakedynamodb.Throttle() })
			return ProvisionLeases(t.Context(), client, leaseTable)
		}), 1)
	})
}

// A lease has to be renewed before it runs out, which leaves little time for
// another attempt, and none for one that comes at the next tick.
func TestPromise13ARenewalIsTriedAgainInItsTime(t *testing.T) {
	for name, test := range map[string]struct {
		refused int // how often
		warns   int
	}{"at last": {4, 0}, "never": {1 << 30, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 1)
				left := 0
				var at []time.Time
				o, err := newOptions([]Option{WithLogger(slog.New(slog.NewTextHandler(c.log, nil))), WithLeases(c.sdkClient(&called.leases, func(fakedynamodb.Call) fakedynamodb.Fault {
					at = append(at, time.Now())
					if left--; left >= 0 {
						return fakedynamodb.Throttle()
					}
					return fakedynamodb.None()
				}), leaseTable)})
				require.NoError(t, err)
				l := newLeases(t.Context(), o, fakeStream)
				mine := l.takeOne(t)
				time.Sleep(l.duration / 3)
				at, left = nil, test.refused
				began := time.Now()
				mine.renew(t.Context())
				require.GreaterOrEqual(t, len(at), 4)
				for i := 1; i < len(at); i++ {
					require.LessOrEqual(t, at[i].Sub(at[i-1]), l.retry.First<<(i-1), "full jitter")
				}
				require.LessOrEqual(t, time.Since(began), l.duration*3/10)
				require.Equal(t, test.warns, strings.Count(c.log.String(), "could not be renewed"))
				require.Equal(t, test.refused > 4, mine.isDue())
				left = 0
				require.NoError(t, mine.release(t.Context()))
			})
		})
	}

	// It is over once the lease is: work under it has ended.
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		refused := false
		l := c.lone(t, func(fakedynamodb.Call) fakedynamodb.Fault {
			if refused {
				return fakedynamodb.Throttle()
			}
			return fakedynamodb.None()
		})
		l.logger = slog.New(slog.NewTextHandler(c.log, nil))
		mine := l.takeOne(t)
		time.Sleep(l.duration - time.Nanosecond)
		refused = true
		over := make(chan struct{})
		go func() { defer close(over); mine.renew(t.Context()) }()
		synctest.Wait()
		refused = false
		<-over
		require.False(t, mine.valid())
		require.True(t, mine.renewed().Add(l.duration).Before(time.Now()), "nobody is kept waiting for it")
	})
}
