package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
)

// yes answers every write of DynamoDB, at hardly any cost.
type yes struct{}

func (yes) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{}`
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchWriteItem") {
		body = `{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"events","CapacityUnits":50}]}`
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// BenchmarkFromGetRecordsToSaved compares a runner with a loop over the SDK that
// does no more than decode and PutItem. An operation is one event of about 1 KB.
// Neither crosses a network; what GetRecords returns is there already.
func BenchmarkFromGetRecordsToSaved(b *testing.B) {
	client := dynamodb.NewFromConfig(aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: yes{}}, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	fill := func(n int) *fakeKinesis {
		f := newFakeKinesis(1)
		now := time.Now().UnixMilli()
		for i := range n {
			f.put(0, "p", fmt.Appendf(nil, `{"id":"%08d","type":"order-submitted","timestamp":%d,"partitionKey":"order-%d","thing":{"name":%q}}`, i, now+int64(i), i%100, strings.Repeat("x", 900)))
		}
		f.shards[0].closed = true
		return f
	}
	b.Run("runner", func(b *testing.B) {
		store, err := mes.New(dynamostore.New(client, "events"))
		require.NoError(b, err)
		source := Kinesis(fill(b.N), fakeStream)
		source.pace.off = true // else it measures how Kinesis is spared
		b.ReportAllocs()
		defer cpuTime(b)()
		b.ResetTimer()
		require.NoError(b, Listen(b.Context(), source, mes.NewListener(store, nil), UntilCaughtUp(), WithBatchSize(500)))
	})
	b.Run("plain", func(b *testing.B) {
		f := fill(b.N)
		b.ReportAllocs()
		defer cpuTime(b)()
		b.ResetTimer()
		plainLoop(b, f, client)
	})
}

// cpuTime begins to measure the processor time of an operation, and the function
// that it returns reports it: on a busy machine the clock on the wall says little.
func cpuTime(b *testing.B) func() {
	used := func() int64 {
		var u syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1000, "cpu-µs/op") }
}

func plainLoop(b *testing.B, f *fakeKinesis, client *dynamodb.Client) {
	ctx := context.Background()
	it, err := f.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{ShardId: aws.String(f.shards[0].id), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	require.NoError(b, err)
	for iterator := it.ShardIterator; iterator != nil; {
		got, err := f.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(maxKinesisRecords)})
		require.NoError(b, err)
		for _, r := range got.Records {
			var e struct {
				ID, Type, PartitionKey string
				Timestamp              int64
			}
			if err := json.Unmarshal(r.Data, &e); err != nil {
				b.Fatal(err)
			}
			_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("events"), Item: attributes{
				"partitionKey": text(e.PartitionKey), "eventId": text(fmt.Sprintf("%013d-%s", e.Timestamp, e.ID)), "event": text(string(r.Data)),
				"type": text(e.Type), "timestamp": number(e.Timestamp), "ttl": number(e.Timestamp/1000 + 33*24*3600),
			}})
			if err != nil {
				b.Fatal(err)
			}
		}
		iterator = got.NextShardIterator
	}
}
