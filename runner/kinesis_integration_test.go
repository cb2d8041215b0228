package runner

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
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// kinesisStream returns a client of the Kinesis at MES_KINESIS_ENDPOINT and the
// name of a new stream there.
func kinesisStream(t testing.TB, shards int32) (*kinesis.Client, string) {
	t.Helper()
	endpoint := os.Getenv("MES_KINESIS_ENDPOINT")
	if endpoint == "" {
		t.Skip("MES_KINESIS_ENDPOINT is not set to the address of a server: make integration does that")
	}
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	client := kinesis.NewFromConfig(aws.Config{
		HTTPClient: &http.Client{Transport: transport}, Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	name := fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
	_, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(name), ShardCount: aws.Int32(shards)})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, _ = client.DeleteStream(context.Background(), &kinesis.DeleteStreamInput{StreamName: aws.String(name)})
	})
	active(t, client, name)
	return client, name
}

// active waits until a stream takes records and can be resharded.
func active(t testing.TB, client *kinesis.Client, name string) {
	t.Helper()
	for t.Context().Err() == nil {
		d, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(name)})
		require.NoError(t, err)
		if d.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestIntegrationAKinesisStreamIsListenedTo(t *testing.T) {
	client, name := kinesisStream(t, 2)
	k := newKept(t)
	put := func(ids ...string) {
		input := &kinesis.PutRecordsInput{StreamName: aws.String(name)}
		for _, id := range ids {
			input.Records = append(input.Records, types.PutRecordsRequestEntry{Data: eventJSON(id, "p"), PartitionKey: aws.String(id)})
		}
		out, err := client.PutRecords(t.Context(), input)
		require.NoError(t, err)
		require.Zero(t, *out.FailedRecordCount)
	}
	var watch iampolicy.Watch
	watched := watchKinesis(watchKinesis(client, &called.kinesis), &watch)
	source := Kinesis(watched, name)
	listen := func() {
		t.Helper()
		require.NoError(t, Listen(t.Context(), source, mes.NewListener(k.Store, nil), UntilCaughtUp()))
	}
	put(ids(0, 30)...)
	listen()
	require.Equal(t, ids(0, 30), k.ids(t, "p"))

	// A position that is read from anew, in each shard.
	shards, err := source.Shards(t.Context())
	require.NoError(t, err)
	require.Len(t, shards, 2)
	for _, s := range shards {
		all, _, err := source.ReadRecords(t.Context(), s.ID, mes.Position{}, 100)
		require.NoError(t, err)
		for _, i := range []int{0, len(all) / 2, len(all) - 1} {
			rest, end, err := Kinesis(watched, name).ReadRecords(t.Context(), s.ID, all[i].Meta.Position(), 100)
			require.NoError(t, err)
			require.False(t, end)
			require.Len(t, rest, len(all)-1-i)
		}
	}

	_, err = client.SplitShard(t.Context(), &kinesis.SplitShardInput{
		StreamName: aws.String(name), ShardToSplit: aws.String(shards[0].ID), NewStartingHashKey: aws.String("85070591730234615865843651857942052864"),
	})
	require.NoError(t, err)
	active(t, client, name)
	put(ids(30, 60)...)
	listen()
	require.Equal(t, ids(0, 60), k.ids(t, "p"))
	shards, err = source.Shards(t.Context())
	require.NoError(t, err)
	require.Len(t, shards, 4)
	require.Equal(t, []string{shards[0].ID}, shards[2].Parents)
	listed, err := iampolicy.Read("doc.go")
	require.NoError(t, err)
	require.Equal(t, listed[policyKinesis], watch.Called())
}
