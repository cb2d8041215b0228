package dynamostore

import (
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// idleConnections is how many connections to DynamoDB are kept open with the SDK's
// own HTTP client. It keeps 10, so that the eleventh of several calls at once makes
// a new one each time, with a TLS handshake. It does not keep more than 100 in all
// (aws-sdk-go-v2, aws/transport/http, DefaultHTTPTransportMaxIdleConns).
const idleConnections = 100

// idleTime is how long a table's own connection stays open without a call. It is
// that of the SDK's client and of net/http's.
const idleTime = 90 * time.Second

// writeBuffer is how many bytes of a request a connection puts together before it sends
// them. That is room for 25 events of 1 KB. net/http has 4 KB by itself, and for a longer
// request makes two system calls or more and a buffer of 32 KB, each time.
const writeBuffer = 64 << 10

// A connector gives calls an HTTP client that follows no redirections and keeps as
// many idle connections as there are calls at once, where the client that they have
// is of a kind that can be changed. The zero value gives them what they have.
type connector struct {
	from, to dynamodb.HTTPClient
	close    func()
}

func newConnector(c *config, api API) connector {
	client, ok := api.(*dynamodb.Client)
	if !ok || c.keepTransport {
		return connector{}
	}
	switch from := client.Options().HTTPClient.(type) {
	case *awshttp.BuildableClient:
		transport := from.GetTransport() // a copy
		widen(transport, max(idleConnections, c.parallelism))
		to := &http.Client{Transport: transport, Timeout: from.GetTimeout(), CheckRedirect: noRedirect}
		return connector{from: from, to: to, close: transport.CloseIdleConnections}
	case *http.Client:
		to := *from // with what it keeps its connections in, if that is wide enough
		to.CheckRedirect = noRedirect
		tripper := from.Transport
		if tripper == nil {
			tripper = http.DefaultTransport
		}
		transport, ok := tripper.(*http.Transport)
		if !ok || idlePerHost(transport) >= c.parallelism || transport.DisableKeepAlives {
			return connector{from: from, to: &to}
		}
		transport = transport.Clone()
		widen(transport, c.parallelism)
		to.Transport = transport
		return connector{from: from, to: &to, close: transport.CloseIdleConnections}
	}
	return connector{}
}

func idlePerHost(t *http.Transport) int {
	if t.MaxIdleConnsPerHost == 0 {
		return http.DefaultMaxIdleConnsPerHost
	}
	return t.MaxIdleConnsPerHost
}

func widen(t *http.Transport, n int) {
	t.MaxIdleConnsPerHost = max(t.MaxIdleConnsPerHost, n)
	if t.MaxIdleConns != 0 {
		t.MaxIdleConns = max(t.MaxIdleConns, n)
	}
	if t.IdleConnTimeout == 0 {
		t.IdleConnTimeout = idleTime
	}
	if t.WriteBufferSize == 0 {
		t.WriteBufferSize = writeBuffer
	}
}

// noRedirect makes a redirection an answer. DynamoDB sends none; whoever does shall
// not get the request.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// client returns the client for a call that has one.
func (c *connector) client(has dynamodb.HTTPClient) dynamodb.HTTPClient {
	if c != nil && c.to != nil && has == c.from {
		return c.to
	}
	return has
}

// closeIdle closes the connections that are the table's own.
func (c *connector) closeIdle() {
	if c.close != nil {
		c.close()
	}
}
