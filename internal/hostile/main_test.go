package hostile

import (
	"context"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// part makes a process of this test binary read a history and say how much memory
// it took.
const part = "HOSTILE_TEST_PART"

func TestMain(m *testing.M) {
	switch name := os.Getenv(part); name {
	case "":
	case "bomb in the table", "bomb in the stream":
		os.Exit(openBomb(name))
	default:
		os.Exit(readTooMuch(name))
	}
	goleak.VerifyTestMain(m)
}

// newStore is a store on a DynamoDB of its own.
func newStore(t *testing.T, opts ...mes.Option) *mes.Store {
	t.Helper()
	store, _, err := makeStore(opts...)
	require.NoError(t, err)
	return store
}

func makeStore(opts ...mes.Option) (*mes.Store, *fakedynamodb.Server, error) {
	server := fakedynamodb.New()
	if err := dynamostore.Provision(context.Background(), server.Client(), "events"); err != nil {
		return nil, nil, err
	}
	store, err := mes.New(dynamostore.New(server.Client(), "events"), append([]mes.Option{mes.WithTTL(mes.NeverExpire())}, opts...)...)
	return store, server, err
}

// clientOf is a client whose answers come from a function.
func clientOf(answer func(*http.Request) (*http.Response, error)) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("A", "B", ""), HTTPClient: doer(answer),
	})
}

type doer func(*http.Request) (*http.Response, error)

// Do is what the SDK asks of an HTTP client.
func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
