package runner

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// A watched notes what the package calls, in all of its tests, for each of its
// needs: the tests give clients that note it to the package, and call by others
// themselves. What a store's table calls is noted, too.
type watched struct{ kinesis, streams, leases, provision, table iampolicy.Watch }

var called = new(watched)

// The policies of the package comment, in its order.
const (
	policyKinesis = iota
	policyStream
	policyTable
	policyLeases
	policyProvision
	policies
)

// check compares what was called with the policies, one by one. What dynamostore
// calls its own tests hold to its policies; here nothing else may be called.
func (w *watched) check(all bool) error {
	listed, err := iampolicy.Read("doc.go")
	if err != nil {
		return err
	}
	if len(listed) != policies {
		return fmt.Errorf("the package comment has %d policies, and the tests know %d", len(listed), policies)
	}
	ofTables, err := iampolicy.Read("../dynamostore/doc.go")
	return errors.Join(err,
		iampolicy.Compare(listed[policyKinesis], w.kinesis.Called(), all),
		iampolicy.Compare(iampolicy.Union(listed[policyStream], listed[policyTable]), w.streams.Called(), all),
		iampolicy.Compare(listed[policyLeases], w.leases.Called(), all),
		iampolicy.Compare(listed[policyProvision], w.provision.Called(), all),
		iampolicy.Compare(iampolicy.Union(ofTables...), w.table.Called(), false),
	)
}

// watchedClient returns a client of a server in this process.
func watchedClient(server *fakedynamodb.Server, watch *iampolicy.Watch) *dynamodb.Client {
	return server.Client(func(o *dynamodb.Options) {
		o.Retryer, o.HTTPClient = aws.NopRetryer{}, &http.Client{Transport: watch.Transport(server)}
	})
}

func watchedStreams(server *fakedynamodb.Server, watch *iampolicy.Watch) *dynamodbstreams.Client {
	return server.StreamsClient(func(o *dynamodbstreams.Options) {
		o.Retryer, o.HTTPClient = aws.NopRetryer{}, &http.Client{Transport: watch.Transport(server)}
	})
}

// watchTables returns a client like another one, whose calls are noted. So do those
// below.
func watchTables(c *dynamodb.Client, watch *iampolicy.Watch) *dynamodb.Client {
	return dynamodb.New(c.Options(), func(o *dynamodb.Options) { o.HTTPClient = watch.Client(o.HTTPClient) })
}

func watchStreams(c *dynamodbstreams.Client, watch *iampolicy.Watch) *dynamodbstreams.Client {
	return dynamodbstreams.New(c.Options(), func(o *dynamodbstreams.Options) { o.HTTPClient = watch.Client(o.HTTPClient) })
}

func watchKinesis(c *kinesis.Client, watch *iampolicy.Watch) *kinesis.Client {
	return kinesis.New(c.Options(), func(o *kinesis.Options) { o.HTTPClient = watch.Client(o.HTTPClient) })
}

func TestPromise19ThePoliciesListWhatIsCalled(t *testing.T) {
	require.NoError(t, called.check(false))
	listed, err := iampolicy.Read("doc.go")
	require.NoError(t, err)
	require.Len(t, listed, policies)
	synctest.Test(t, func(t *testing.T) {
		// A Kinesis stream.
		var watch iampolicy.Watch
		config := answering(`{"MillisBehindLatest":0,"NextShardIterator":"i","Records":[],"Shards":[{"ShardId":"shardId-000000000000"}]}`)
		config.HTTPClient = watch.Client(config.HTTPClient)
		source := Kinesis(kinesis.NewFromConfig(config), "events")
		require.NoError(t, Listen(t.Context(), source, mes.NewListener(newStore(t), nil), UntilCaughtUp()))
		require.Equal(t, listed[policyKinesis], watch.Called())

		// A table's stream, by the table's name and by its own ARN.
		s := newStreamed(t)
		s.save(t, "p", "a")
		trigger := mes.NewTrigger(s.Store, new(handled).handle)
		watch = iampolicy.Watch{}
		byTable := DynamoDBStream(watchedStreams(s.server, &watch), "events")
		require.NoError(t, Trigger(t.Context(), byTable, trigger, UntilCaughtUp()))
		require.Equal(t, iampolicy.Union(listed[policyStream], listed[policyTable]), watch.Called())
		arn, err := byTable.stream(t.Context())
		require.NoError(t, err)
		watch = iampolicy.Watch{}
		require.NoError(t, Trigger(t.Context(), DynamoDBStream(watchedStreams(s.server, &watch), arn), trigger, UntilCaughtUp()))
		require.Equal(t, listed[policyStream], watch.Called())

		// Leases, of a shard that the stream does not list any more in the end.
		watch = iampolicy.Watch{}
		require.NoError(t, ProvisionLeases(t.Context(), watchedClient(s.server, &watch), leaseTable))
		require.Equal(t, listed[policyProvision], watch.Called())
		watch = iampolicy.Watch{}
		c := &cluster{stream: newFakeKinesis(1), server: s.server, store: newKept(t), log: new(syncBuffer)}
		c.stream.put(0, "p", eventJSON("a", "p"))
		r := c.start(t, mes.NewListener(c.store.Store, nil), nil, nil, WithLeases(watchedClient(s.server, &watch), leaseTable))
		time.Sleep(time.Minute)
		c.stream.reshard([]int{0}, 1)
		time.Sleep(time.Minute)
		c.stream.trim(0, 1)
		time.Sleep(time.Hour)
		require.NoError(t, r.stop())
		require.Equal(t, listed[policyLeases], watch.Called())
	})
}
