package rulestest

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// HoldToRole puts a DynamoDB with the tables Events and Faults in the place of AWS,
// by the environment. What it returns fails the test unless the code has called
// exactly the actions that ../deploy/actions.json says the function's role allows it,
// of each table.
func HoldToRole(t *testing.T, function string) (check func()) {
	t.Helper()
	service := fakedynamodb.New()
	var mu sync.Mutex
	called := map[string][]string{"Events": nil, "Faults": nil}
	for table := range called {
		require.NoError(t, dynamostore.Provision(t.Context(), service.Client(), table))
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport: service,
		Rewrite: func(r *httputil.ProxyRequest) {
			body := new(strings.Builder)
			if _, err := io.Copy(body, r.In.Body); err != nil {
				t.Error(err)
			}
			r.Out.Body = io.NopCloser(strings.NewReader(body.String()))
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
			_, action, _ := strings.Cut(r.In.Header.Get("X-Amz-Target"), ".")
			action = "dynamodb:" + action
			mu.Lock()
			defer mu.Unlock()
			for table, actions := range called {
				if strings.Contains(body.String(), `"`+table+`"`) && !slices.Contains(actions, action) {
					called[table] = append(actions, action)
				}
			}
		},
	})
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": server.URL, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		t.Setenv(name, value)
	}
	return func() {
		t.Helper()
		text, err := os.ReadFile("../deploy/actions.json")
		require.NoError(t, err)
		var allowed map[string]struct{ Code map[string][]string }
		require.NoError(t, json.Unmarshal(text, &allowed))
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, allowed[function].Code, called)
	}
}
