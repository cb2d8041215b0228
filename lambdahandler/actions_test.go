package lambdahandler

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// A watched notes what listeners, triggers, and what the tests do with tables
// besides, call in all of the tests. What a test calls itself is left out.
type watched struct{ listener, trigger, table iampolicy.Watch }

var called = new(watched)

// check compares what was called with the policies of the package comment, and what
// was called besides with those of dynamostore.
func (w *watched) check(all bool) error {
	listed, err := iampolicy.Read("doc.go")
	if err != nil {
		return err
	}
	if len(listed) != 2 {
		return fmt.Errorf("the package comment has %d policies, and the tests know 2", len(listed))
	}
	ofTables, err := iampolicy.Read("../dynamostore/doc.go")
	return errors.Join(err,
		iampolicy.Compare(listed[0], w.listener.Called(), all),
		iampolicy.Compare(listed[1], w.trigger.Called(), all),
		iampolicy.Compare(iampolicy.Union(ofTables...), w.table.Called(), false),
	)
}

// watchedTable returns a table on a server in this process.
func watchedTable(server *fakedynamodb.Server, watch *iampolicy.Watch, opts ...dynamostore.Option) *dynamostore.Table {
	return dynamostore.New(watchedClient(server, watch), "events", opts...)
}

func watchedClient(server *fakedynamodb.Server, watch *iampolicy.Watch) *dynamodb.Client {
	return server.Client(func(o *dynamodb.Options) { o.HTTPClient = &http.Client{Transport: watch.Transport(server)} })
}

// deployed returns what the code of an example's function may call as it is deployed.
func deployed(t *testing.T, function string) []string {
	t.Helper()
	text, err := os.ReadFile("../examples/deploy/actions.json")
	require.NoError(t, err)
	var roles map[string]struct{ Code map[string][]string }
	require.NoError(t, json.Unmarshal(text, &roles))
	var actions []string
	for _, of := range roles[function].Code {
		actions = iampolicy.Union(actions, of)
	}
	require.NotEmpty(t, actions)
	return actions
}

func TestPromise19ThePoliciesListWhatIsCalled(t *testing.T) {
	require.NoError(t, called.check(false))
	listed, err := iampolicy.Read("doc.go")
	require.NoError(t, err)
	server := fakedynamodb.New()
	require.NoError(t, dynamostore.Provision(t.Context(), watchedClient(server, &called.table), "events"))

	var watch iampolicy.Watch
	var set faultSink
	listener := Kinesis(mes.NewListener(newStore(t, watchedTable(server, &watch)), nil, mes.WithFaultHandler(set.handle)))
	_, err = listener.Invoke(t.Context(), encode(t, kinesisEvent(`{"id":"1","type":"thing","timestamp":1700000000000,"partitionKey":"k"}`, "poison")))
	require.NoError(t, err)
	require.Len(t, set.all, 1)
	require.Equal(t, listed[0], watch.Called())

	var c calls
	watch = iampolicy.Watch{}
	trigger := DynamoDB(mes.NewTrigger(newStore(t, watchedTable(server, &watch)), c.handle))
	p := &pipeline{dynamo: server.Client(), streams: server.StreamsClient(), table: "events"}
	for _, shard := range p.tableShards(t) {
		page, err := shard.Read(t.Context(), "", 10)
		require.NoError(t, err)
		for _, record := range page {
			_, err = trigger.Invoke(t.Context(), []byte(`{"Records":[`+string(record.JSON)+`]}`))
			require.NoError(t, err)
		}
	}
	require.Equal(t, []string{"k 1 of 1"}, c.all)
	require.Equal(t, listed[1], watch.Called())
}
