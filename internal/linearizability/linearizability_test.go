package linearizability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRecorder(t *testing.T, table driver.Table) *recorder {
	store, err := mes.New(table, mes.WithRangeKey(mes.EventID()), mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)
	return &recorder{store: store}
}

func TestPromise05SavesAndReadsAreLinearizableOnOneFile(t *testing.T) {
	for range 3 {
		table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
		require.NoError(t, err)
		r := newRecorder(t, table)
		r.run(t, 8, 40, 0)
		require.NoError(t, table.Close())
		require.Equal(t, porcupine.Ok, r.judge())
	}
}

// The calls fail, get lost on the way there or back, and are made again.
func TestPromise05SavesAndReadsAreLinearizableOnABadNetwork(t *testing.T) {
	for range 3 {
		var r *recorder
		synctest.Test(t, func(t *testing.T) {
			server := fakedynamodb.New()
			require.NoError(t, dynamostore.Provision(t.Context(), server.Client(), "events"))
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			server.SetLag(20)
			server.Inject(func(fakedynamodb.Call) fakedynamodb.Fault {
				latency := time.Duration(random.Int64N(int64(20 * time.Millisecond)))
				switch random.IntN(20) {
				case 0:
					return fakedynamodb.ResetAfter().After(latency)
				case 1:
					return fakedynamodb.ResetBefore().After(latency)
				case 2:
					return fakedynamodb.HangAfter().After(latency)
				case 3:
					return fakedynamodb.Throttle().After(latency)
				case 4:
					return fakedynamodb.SlowReply(3 * time.Second)
				case 5:
					return fakedynamodb.Unprocessed(func(i int) bool { return i%2 == 0 }).After(latency)
				case 6:
					return fakedynamodb.AlterBody(nil, fakedynamodb.CRCOfOriginal).After(latency)
				}
				return fakedynamodb.Delay(latency)
			})
			r = newRecorder(t, dynamostore.New(server.Client(), "events"))
			r.run(t, 8, 40, 50*time.Millisecond)
		})
		require.Equal(t, porcupine.Ok, r.judge())
	}
}

// On whatever MES_DYNAMODB_ENDPOINT names; see make integration.
func TestIntegrationSavesAndReadsAreLinearizable(t *testing.T) {
	endpoint := os.Getenv("MES_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Skip("MES_DYNAMODB_ENDPOINT names no server; make integration starts some")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 10}
	config := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	if endpoint == "aws" {
		var err error
		config, err = awsconfig.LoadDefaultConfig(t.Context())
		require.NoError(t, err)
	}
	config.HTTPClient = &http.Client{Transport: transport}
	client := dynamodb.NewFromConfig(config)
	name := fmt.Sprintf("mes-test-linearizability-%d", rand.Uint32())
	require.NoError(t, dynamostore.Provision(t.Context(), client, name, dynamostore.WithoutTTL(), dynamostore.WithoutStream()))
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name})
		require.NoError(t, err)
		transport.CloseIdleConnections()
	})
	r := newRecorder(t, dynamostore.New(client, name))
	r.run(t, 8, 60, 0)
	require.Equal(t, porcupine.Ok, r.judge())
}

// The tests above are worth something only if they notice a table that reads what
// is no longer so, and one that keeps what is older.
func TestALateReadIsNoticed(t *testing.T) {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	r := newRecorder(t, &lateTable{Table: table, before: make(map[string]driver.Page)})
	r.run(t, 8, 40, 0)
	require.NoError(t, table.Close())
	require.Equal(t, porcupine.Illegal, r.judge())
}

// A lateTable answers every third read with what it read before.
type lateTable struct {
	driver.Table
	mu     sync.Mutex
	n      int
	before map[string]driver.Page
}

func (l *lateTable) Query(ctx context.Context, q driver.Query) (driver.Page, error) {
	page, err := l.Table.Query(ctx, q)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	if old, ok := l.before[q.HashKey]; ok && l.n%3 == 0 {
		return old, nil
	}
	l.before[q.HashKey] = page
	return page, err
}

func TestAnErrorIsNoAnswer(t *testing.T) {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	r := newRecorder(t, &failingTable{Table: table})
	r.run(t, 4, 20, 0)
	require.NoError(t, table.Close())
	require.Equal(t, porcupine.Ok, r.judge())
}

// A failingTable stores, and says that it has not.
type failingTable struct{ driver.Table }

var errLost = errors.New("the answer was lost")

func (f *failingTable) Put(ctx context.Context, items []driver.Item) error {
	if err := f.Table.Put(ctx, items); err != nil || len(items) > 1 {
		return err
	}
	return errLost
}
