package rulestest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
	"github.com/microeventstore/microeventstore/kinesispublisher"
	"github.com/microeventstore/microeventstore/rules"
	"github.com/microeventstore/microeventstore/runner"
)

// OnServers runs a service on the DynamoDB at MES_DYNAMODB_ENDPOINT and the Kinesis
// at MES_KINESIS_ENDPOINT: events come by a stream, what the rules emit goes back
// to it, and all of it is delivered twice. byHand are changes that the server does
// not make, such as expiries. want names what must be on the stream in the end, as
// in a [Scenario].
func OnServers(t *testing.T, service Service, records []mes.Record, byHand []mes.Change, want []string, ignore ...string) {
	t.Helper()
	config := serverConfig(t)
	table := provision(t, dynamodb.NewFromConfig(config))
	stream := createStream(t, onKinesis(config))
	var called iampolicy.Watch // by the library, from here on
	config.HTTPClient = called.Client(config.HTTPClient)
	store, err := mes.New(dynamostore.New(dynamodb.NewFromConfig(config), table), service.Options...)
	require.NoError(t, err)
	client := onKinesis(config)

	publisher := kinesispublisher.New(client, stream)
	evaluator, err := rules.New(store, publisher, service.Rules(), rules.WithSource("test"))
	require.NoError(t, err)
	listener, trigger := mes.NewListener(store, service.Filter), evaluator.Trigger()
	round := func() {
		require.NoError(t, runner.Listen(t.Context(), runner.Kinesis(client, stream), listener, runner.UntilCaughtUp()))
		require.NoError(t, runner.Trigger(t.Context(), runner.DynamoDBStream(dynamodbstreams.NewFromConfig(config), table), trigger, runner.UntilCaughtUp()))
	}
	events := make([]mes.Event, len(records))
	for i := range records {
		events[i], err = mes.Parse(records[i].Data)
		require.NoError(t, err)
	}
	require.NoError(t, publisher.Publish(t.Context(), events...))
	round()
	require.NoError(t, trigger.Handle(t.Context(), byHand))
	round() // from the beginning: nothing keeps checkpoints here
	round()

	var mu sync.Mutex
	var published []mes.Event
	reader := mes.NewListener(store, func(e mes.Event) bool {
		mu.Lock()
		defer mu.Unlock()
		published = append(published, e.Clone())
		return false
	})
	require.NoError(t, runner.Listen(t.Context(), runner.Kinesis(client, stream), reader, runner.UntilCaughtUp()))
	for _, e := range events {
		ignore = append(ignore, e.Type)
	}
	check(t, published, want, want, ignore)
	allowed, err := iampolicy.ReadAll("../../dynamostore/doc.go", "../../runner/doc.go", "../../kinesispublisher/doc.go")
	require.NoError(t, err)
	require.NoError(t, iampolicy.Compare(allowed, called.Called(), false))
}

func onKinesis(config aws.Config) *kinesis.Client {
	config.BaseEndpoint = aws.String(os.Getenv("MES_KINESIS_ENDPOINT"))
	return kinesis.NewFromConfig(config)
}

func serverConfig(t *testing.T) aws.Config {
	t.Helper()
	for _, name := range []string{"MES_KINESIS_ENDPOINT", "MES_DYNAMODB_ENDPOINT"} {
		if endpoint := os.Getenv(name); endpoint == "" || endpoint == "aws" {
			t.Skip(name + " is not set to the address of a server: make integration does that")
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 10} // with fewer the table would keep its own
	t.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		HTTPClient: &http.Client{Transport: transport}, Region: "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		BaseEndpoint: aws.String(os.Getenv("MES_DYNAMODB_ENDPOINT")),
	}
}

// name returns a name that nobody has used.
func name() string {
	return fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
}

func provision(t *testing.T, client *dynamodb.Client) string {
	t.Helper()
	table := name()
	require.NoError(t, dynamostore.Provision(t.Context(), client, table))
	t.Cleanup(func() {
		_, _ = client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &table})
	})
	return table
}

func createStream(t *testing.T, client *kinesis.Client) string {
	t.Helper()
	stream := name()
	_, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(2)})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, _ = client.DeleteStream(context.WithoutCancel(t.Context()), &kinesis.DeleteStreamInput{StreamName: &stream})
	})
	for t.Context().Err() == nil {
		d, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
		require.NoError(t, err)
		if d.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	return stream
}
