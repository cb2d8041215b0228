package runner

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

const leaseTable = "leases"

// newLeaseTable returns a fake DynamoDB that has the lease table.
func newLeaseTable(t testing.TB) *fakedynamodb.Server {
	t.Helper()
	server := fakedynamodb.New()
	require.NoError(t, ProvisionLeases(t.Context(), watchedClient(server, &called.provision), leaseTable))
	return server
}

// A cluster is replicas that share a stream.
type cluster struct {
	stream *fakeKinesis
	server *fakedynamodb.Server
	store  *kept
	log    *syncBuffer
}

func newCluster(t testing.TB, shards int) *cluster {
	return &cluster{stream: newFakeKinesis(shards), server: newLeaseTable(t), store: newKept(t), log: new(syncBuffer)}
}

// A replica is one run of a listener.
type replica struct {
	monitor *Monitor
	cancel  context.CancelFunc
	over    chan struct{}
	err     error
	cut     atomic.Bool  // its DynamoDB does not answer
	slow    atomic.Int64 // how long its DynamoDB takes
}

// client is a DynamoDB client of a replica, which can be cut off.
func (r *replica) client(server *fakedynamodb.Server, fault func(fakedynamodb.Call) fakedynamodb.Fault) *dynamodb.Client {
	transport := server.Behind(func(c fakedynamodb.Call) fakedynamodb.Fault {
		if r.cut.Load() {
			return fakedynamodb.Hang()
		}
		if slow := time.Duration(r.slow.Load()); slow > 0 {
			return fakedynamodb.Delay(slow)
		}
		if fault != nil {
			return fault(c)
		}
		return fakedynamodb.Fault{}
	})
	return dynamodb.NewFromConfig(aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: called.leases.Transport(transport)},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
}

// start starts a replica that listens.
func (c *cluster) start(t testing.TB, listener *mes.Listener, fault func(fakedynamodb.Call) fakedynamodb.Fault, leaseOpts []LeaseOption, opts ...Option) *replica {
	r := &replica{monitor: new(Monitor), over: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	opts = append([]Option{
		WithLeases(r.client(c.server, fault), leaseTable, leaseOpts...), WithMonitor(r.monitor),
		WithLogger(slog.New(slog.NewTextHandler(c.log, nil))), WithDiscoveryInterval(5 * time.Second),
	}, opts...)
	go func() {
		defer close(r.over)
		r.err = Listen(ctx, Kinesis(c.stream, fakeStream), listener, opts...)
	}()
	return r
}

func (c *cluster) listen(t testing.TB, opts ...Option) *replica {
	return c.start(t, mes.NewListener(c.store.Store, nil), nil, nil, opts...)
}

func (r *replica) stop() error {
	r.cancel()
	<-r.over
	return r.err
}

// reading returns how many shards a replica reads.
func (r *replica) reading() (n int) {
	for _, s := range r.monitor.Status().Shards {
		if s.Reading {
			n++
		}
	}
	return n
}

// rows returns the rows of the lease table, by the part of the key behind the
// last slash.
func (c *cluster) rows(t testing.TB) map[string]attributes {
	t.Helper()
	rows := make(map[string]attributes)
	for _, s := range c.stream.shards {
		for _, prefix := range []string{"", fakeStream + "/"} {
			got, err := c.server.Client().GetItem(context.Background(), &dynamodb.GetItemInput{
				TableName: aws.String(leaseTable), Key: attributes{attributeKey: text(prefix + s.id)}, ConsistentRead: aws.Bool(true),
			})
			require.NoError(t, err)
			if got.Item != nil {
				rows[s.id] = got.Item
			}
		}
	}
	return rows
}

func value(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberSS:
		return strings.Join(v.Value, ",")
	}
	return ""
}

// owners returns who has the leases, sorted, "" for nobody.
func (c *cluster) owners(t testing.TB) (owners []string) {
	for _, row := range c.rows(t) {
		owners = append(owners, value(row[attributeOwner]))
	}
	slices.Sort(owners)
	return owners
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
