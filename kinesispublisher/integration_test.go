package kinesispublisher

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

func TestIntegrationWhatIsPublishedIsOnTheStream(t *testing.T) {
	endpoint := os.Getenv("MES_KINESIS_ENDPOINT")
	if endpoint == "" {
		t.Skip("MES_KINESIS_ENDPOINT is not set to the address of a server: make integration does that")
	}
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	client := kinesis.NewFromConfig(aws.Config{
		HTTPClient: &http.Client{Transport: transport}, Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	publishes := kinesis.New(client.Options(), func(o *kinesis.Options) { o.HTTPClient = called.Client(o.HTTPClient) })
	stream := aws.String(fmt.Sprintf("mes-test-%d", time.Now().UnixNano()))
	require.ErrorContains(t, New(publishes, *stream).Publish(t.Context(), anEvent("1", "p", 0)), "does not exist")

	_, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: stream, ShardCount: aws.Int32(1)})
	require.NoError(t, err)
	defer func() {
		_, _ = client.DeleteStream(context.WithoutCancel(t.Context()), &kinesis.DeleteStreamInput{StreamName: stream})
	}()
	for {
		d, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: stream})
		require.NoError(t, err)
		if d.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	events := make([]mes.Event, 0, 50)
	for i := range 50 {
		events = append(events, anEvent(fmt.Sprintf("%02d", i), fmt.Sprint(i%5), 100))
	}
	require.NoError(t, New(publishes, *stream).Publish(t.Context(), events...))

	shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: stream})
	require.NoError(t, err)
	iterator, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: stream, ShardId: shards.Shards[0].ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	require.NoError(t, err)
	out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator.ShardIterator})
	require.NoError(t, err)
	require.Len(t, out.Records, 50)
	for i, record := range out.Records {
		require.Equal(t, string(events[i].Raw), string(record.Data))
		require.Equal(t, events[i].PartitionKey, *record.PartitionKey)
	}
}
