package dynamostore

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func idleOf(t *testing.T, client dynamodb.HTTPClient) int {
	t.Helper()
	return idlePerHost(transportOf(t, client))
}

func transportOf(t *testing.T, client dynamodb.HTTPClient) *http.Transport {
	t.Helper()
	c, ok := client.(*http.Client)
	require.True(t, ok, "%T", client)
	transport, ok := c.Transport.(*http.Transport)
	require.True(t, ok)
	return transport
}

func TestATableKeepsAsManyConnectionsAsItUses(t *testing.T) {
	with := func(client dynamodb.HTTPClient, opts ...Option) *connector {
		o := new(stub).client().Options()
		o.HTTPClient = client
		return &New(dynamodb.New(o), "events", opts...).caller.connector
	}
	require.Equal(t, 100, idleOf(t, with(nil).to), "the SDK's own")
	require.Equal(t, 200, idleOf(t, with(awshttp.NewBuildableClient(), WithParallelism(200)).to))
	require.Nil(t, with(awshttp.NewBuildableClient(), KeepTransport()).to)
	require.Equal(t, 300, idleOf(t, with(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 300 })).to))

	mine := &http.Transport{MaxIdleConns: 1}
	connector := with(&http.Client{Transport: mine}, WithParallelism(8))
	require.Equal(t, 8, idleOf(t, connector.to))
	require.Equal(t, [2]int{1, 0}, [2]int{mine.MaxIdleConns, mine.MaxIdleConnsPerHost}, "the user's stays as it is")
	require.Equal(t, 90*time.Second, transportOf(t, connector.to).IdleConnTimeout, "they do not stay for ever")
	require.Equal(t, 4, idleOf(t, with(http.DefaultClient).to), "Go's own")
	for _, as := range []http.RoundTripper{&http.Transport{MaxIdleConnsPerHost: 8}, &http.Transport{DisableKeepAlives: true}, new(stub)} {
		c := with(&http.Client{Transport: as}, WithParallelism(8))
		require.Same(t, as, c.to.(*http.Client).Transport, "it can stay")
		require.Nil(t, c.close, "it is not the table's to close")
	}
	require.Nil(t, with(doer(func(*http.Request) (*http.Response, error) { return nil, nil })).to)

	other := doer(func(*http.Request) (*http.Response, error) { return nil, nil })
	require.NotNil(t, connector.client(other), "a client that a call brings along stays")
}

func TestPromise21TheTablesOwnConnectionsAreClosed(t *testing.T) {
	var mu sync.Mutex
	clients := map[string]bool{}
	_, server := overTCP(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		clients[r.RemoteAddr] = true
		mu.Unlock()
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		good, err := success(call{operation: operation}) //nolint:bodyclose // it is in memory
		if err == nil {
			_, _ = io.Copy(w, good.Body)
		}
	})
	table := New(clientOf(server.URL, nil), "events")
	for range 3 {
		_, err := table.Query(t.Context(), driver.Query{HashKey: "h"})
		require.NoError(t, err)
	}
	require.Len(t, clients, 1)
	require.NoError(t, table.Close()) // goleak looks for the rest
}

type wrapped struct{ http.RoundTripper }

func TestPromise20NoRedirectionTakesEventsElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Error("a request came along")
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		_, server := overTCP(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, status)
		})
		transport := &http.Transport{MaxIdleConnsPerHost: 10}
		t.Cleanup(transport.CloseIdleConnections)
		for name, client := range map[string]dynamodb.HTTPClient{
			"the SDK's own": nil,
			"wide enough":   awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 300 }),
			"Go's":          &http.Client{Transport: transport},
			"Go's, narrow":  &http.Client{Transport: &http.Transport{}},
			"another's":     &http.Client{Transport: &wrapped{transport}},
		} {
			table := New(clientOf(server.URL, client), "events", WithMaxAttempts(1))
			err := table.Put(t.Context(), items(1))
			require.ErrorContains(t, err, strconv.Itoa(status), name)
			leaksNothing(t, err)
			require.NoError(t, table.Close())
		}
	}
}
