package dynamostore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/inflight"
)

// A Table is a DynamoDB table that keeps events. It is safe for use by many
// goroutines at once, and has none of its own. Make one with [New].
type Table struct {
	client API
	name   string
	config *config
	wrong  error // what is wrong with the options; every method returns it

	layout layout
	caller caller
	own    bool        // see Codec
	deaf   atomic.Bool // the client does not send what the codec writes
	growth atomic.Int64
	counts codecCounts

	// A Store sees to it that each of its own keys has one write under way. In a
	// LambdaStreamLayout two of them may be one key of the table.
	writes inflight.Keys[itemKey]

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // under way; grows only under mu while not closed
}

var (
	_ driver.Table       = (*Table)(nil)
	_ driver.Deleter     = (*Table)(nil)
	_ driver.Releaser    = (*Table)(nil)
	_ driver.PutIfAbsent = (*Table)(nil)

	_ driver.ForeignLayout = (*Table)(nil)
)

// New returns a table of that name (or ARN), which must exist: see [Provision].
// It makes no call. Of a table that was made otherwise, have [Check] look at
// the keys once: one without a RANGE key takes what is put, and keeps a single
// event of each hash key, the last. (Put notices only where two events of a
// hash key are in one request; any read of a whole collation is refused.) Any
// HTTP client of the SDK's client will do: its answers are checked, and retries
// are made, by the Table itself.
//
// New returns no error so that a program can pass it on at once; what is wrong
// with its arguments is returned by every method of the Table but Close.
func New(client API, table string, opts ...Option) *Table {
	t := &Table{client: client, name: table}
	t.config, t.wrong = newConfig(client, table, opts)
	if t.wrong == nil {
		t.layout = newLayout(t.config)
		t.caller = newCaller(t.config)
		t.own = ownCodec(t.config, client)
		t.caller.connector = newConnector(t.config, client)
	}
	return t
}

// ForeignLayout tells whether the table was made with [LambdaStreamLayout].
func (t *Table) ForeignLayout() bool { return t.layout.lambdaStream }

// errNotMade is for a Table that did not come from New.
var errNotMade = errors.New("dynamostore: the table was not made with New")

// begin must come before every call, and what it returns after it.
func (t *Table) begin(ctx context.Context) (end func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, driver.ErrClosed
	case t.wrong != nil:
		return nil, t.wrong
	case t.config == nil:
		return nil, errNotMade
	}
	if err := checkContext(ctx); err != nil {
		return nil, err
	}
	t.calls.Add(1)
	return t.calls.Done, nil
}

// Close waits for the calls under way; later ones return [driver.ErrClosed]. It
// does not close the client, which is the caller's, but the idle connections that
// are the table's own (see [KeepTransport]). It returns nil.
func (t *Table) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.calls.Wait()
	t.caller.connector.closeIdle()
	return nil
}
