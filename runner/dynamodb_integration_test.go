package runner

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// dynamoDB returns clients of the DynamoDB at MES_DYNAMODB_ENDPOINT, and a name
// for a table there.
func dynamoDB(t testing.TB) (*dynamodb.Client, *dynamodbstreams.Client, string) {
	t.Helper()
	endpoint := os.Getenv("MES_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Skip("MES_DYNAMODB_ENDPOINT is not set to the address of a server: make integration does that")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 10} // with fewer the table would keep its own
	t.Cleanup(transport.CloseIdleConnections)
	config := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(endpoint), Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	if endpoint == "aws" {
		var err error
		config, err = awsconfig.LoadDefaultConfig(t.Context())
		require.NoError(t, err)
	}
	config.HTTPClient = &http.Client{Transport: transport}
	return dynamodb.NewFromConfig(config), dynamodbstreams.NewFromConfig(config), fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
}

func TestIntegrationADynamoDBStreamFiresTheTrigger(t *testing.T) {
	client, streams, name := dynamoDB(t)
	if _, err := streams.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{}); err != nil {
		t.Skip("the server has no streams")
	}
	table := watchTables(client, &called.table)
	require.NoError(t, dynamostore.Provision(t.Context(), table, name))
	defer func() {
		_, _ = client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: aws.String(name)})
	}()
	store, err := mes.New(dynamostore.New(table, name), mes.WithTTL(nil))
	require.NoError(t, err)

	var mu sync.Mutex
	seen := make(map[string]int)
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		mu.Lock()
		defer mu.Unlock()
		seen[m.Current.ID]++
		return nil
	})
	s := &streamed{Store: store}
	s.save(t, "p", ids(0, 50)...)
	var watch iampolicy.Watch
	streams = watchStreams(watchStreams(streams, &called.streams), &watch)
	// The first run reads from the oldest change on, the second from an iterator
	// that it asks for by a sequence number.
	require.NoError(t, Trigger(t.Context(), DynamoDBStream(streams, name), trigger, UntilCaughtUp()))
	require.Len(t, seen, 50)

	bound, err := DynamoDBStream(streams, name).Bind(store)
	require.NoError(t, err)
	shards, err := bound.Shards(t.Context())
	require.NoError(t, err)
	changes, _, err := bound.ReadChanges(t.Context(), shards[len(shards)-1].ID, mes.Position{}, 20)
	require.NoError(t, err)
	require.Len(t, changes, 20)
	again, err := DynamoDBStream(streams, name).Bind(store)
	require.NoError(t, err)
	rest, end, err := again.ReadChanges(t.Context(), shards[len(shards)-1].ID, changes[19].Meta.Position(), 100)
	require.NoError(t, err)
	require.False(t, end)
	require.Len(t, rest, 30)
	for i, c := range append(changes, rest...) {
		require.Equal(t, mes.Inserted, c.Kind)
		require.NoError(t, c.Err)
		require.Equal(t, fmt.Sprintf("%04d", i), c.New.ID)
	}
	listed, err := iampolicy.Read("doc.go")
	require.NoError(t, err)
	require.Equal(t, iampolicy.Union(listed[policyStream], listed[policyTable]), watch.Called())
}
