package iampolicy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPromise19AProxyNotesAndPassesOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.URL.Path+" "+string(body))
	}))
	defer server.Close()
	var one, other Watch
	address, stop, err := Proxy(server.URL, &one, &other)
	require.NoError(t, err)
	defer stop()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/path", strings.NewReader("body"))
	require.NoError(t, err)
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.Query")
	answer, err := transport.RoundTrip(r)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, "/path body", string(text))
	require.Equal(t, []string{"dynamodb:Query"}, one.Called())
	require.Equal(t, one.Called(), other.Called())

	_, _, err = Proxy("://")
	require.Error(t, err)
}
