package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// Every action that the function calls is one of those that deploy/actions.json says
// that its role allows, and it calls all of those.
func TestItCallsWhatItsRoleAllows(t *testing.T) {
	service := fakedynamodb.New()
	for _, table := range []string{"Events", "Faults"} {
		require.NoError(t, dynamostore.Provision(t.Context(), service.Client(), table))
	}
	called := make(map[string][]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record(t, service, w, r, called)
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")

	env := map[string]string{"TABLE_NAME": "Events", "FAULTS_TABLE_NAME": "Faults", "EVENT_TYPES": "a, b", "ON_EXPIRY": "true"}
	var log strings.Builder
	handler, err := newHandler(t.Context(), func(name string) string { return env[name] }, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	key := func(key string) map[string]events.DynamoDBAttributeValue {
		return map[string]events.DynamoDBAttributeValue{"partitionKey": events.NewStringAttribute(key), "eventId": events.NewStringAttribute("1")}
	}
	response, err := handler.Handle(t.Context(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{
		{EventName: "INSERT", Change: events.DynamoDBStreamRecord{SequenceNumber: "1", Keys: key("k")}},
		{EventName: "DROP", Change: events.DynamoDBStreamRecord{SequenceNumber: "2", Keys: key("k")}},
	}})
	require.NoError(t, err)
	require.Empty(t, response.BatchItemFailures)
	require.Contains(t, log.String(), `msg="set aside"`)
	require.Contains(t, log.String(), "sequenceNumber=2")

	text, err := os.ReadFile("../deploy/actions.json")
	require.NoError(t, err)
	var allowed map[string]struct{ Code map[string][]string }
	require.NoError(t, json.Unmarshal(text, &allowed))
	require.Equal(t, allowed["trigger"].Code, called)
}

// record passes a request on to the service, and notes which action it is of which
// table.
func record(t *testing.T, service http.RoundTripper, w http.ResponseWriter, r *http.Request, called map[string][]string) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	request := r.Clone(r.Context())
	request.RequestURI, request.URL.Scheme, request.URL.Host = "", "http", r.Host
	body := new(strings.Builder)
	request.Body = readAll(t, r, body)
	response, err := service.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	for _, table := range []string{"Events", "Faults"} {
		if strings.Contains(body.String(), `"`+table+`"`) && !slices.Contains(called[table], "dynamodb:"+action) {
			called[table] = append(called[table], "dynamodb:"+action)
		}
	}
	copyResponse(w, response)
}

func TestWrongSettingsAreNamed(t *testing.T) {
	_, err := newHandler(t.Context(), func(string) string { return "" }, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "TABLE_NAME")
}

func TestDecideWaitsForAll(t *testing.T) {
	require.Equal(t, []string{"a", "b"}, list(" a,, b "))
	var log strings.Builder
	decide := decide([]string{"a", "b"}, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, decide(t.Context(), &mes.MicroEventStore{HashKey: "k", Events: []mes.Event{{Type: "a"}}}))
	require.NotContains(t, log.String(), "complete")
	require.NoError(t, decide(t.Context(), &mes.MicroEventStore{HashKey: "k", Events: []mes.Event{{Type: "a"}, {Type: "b"}}}))
	require.Contains(t, log.String(), "complete")
}

func readAll(t *testing.T, r *http.Request, copied *strings.Builder) io.ReadCloser {
	if _, err := io.Copy(copied, r.Body); err != nil {
		t.Error(err)
	}
	return io.NopCloser(strings.NewReader(copied.String()))
}

func copyResponse(w http.ResponseWriter, response *http.Response) {
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // the client notices what is missing
}
