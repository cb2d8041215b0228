package lambdahandler

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/lambdaruntime"
)

// serveTables serves a DynamoDB with the table events, for another process.
func serveTables(t testing.TB) string {
	t.Helper()
	service := fakedynamodb.New()
	require.NoError(t, dynamostore.Provision(t.Context(), service.Client(), "events"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called.listener.Note(r)
		request := r.Clone(r.Context())
		request.RequestURI, request.URL.Scheme, request.URL.Host = "", "http", r.Host
		response, err := service.RoundTrip(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body) // the client notices what is missing
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func startListener(t testing.TB, binary, endpoint string) *lambdaruntime.Function {
	t.Helper()
	function, err := lambdaruntime.Start(binary, time.Minute, os.Stderr, "AWS_ENDPOINT_URL_DYNAMODB="+endpoint, "TABLE_NAME=events", "RETENTION=never")
	require.NoError(t, err)
	return function
}

// From the start of the process to the answer to its first invocation, of one event
// that it has to save.
func BenchmarkColdStart(b *testing.B) {
	binary := build(b, b.TempDir(), "lambda-listener")
	info, err := os.Stat(binary)
	require.NoError(b, err)
	endpoint := serveTables(b)
	payload := encode(b, kinesisEvent(eventJSON("1", "k")))
	var first, answered time.Duration
	for b.Loop() {
		function := startListener(b, binary, endpoint)
		ready, err := function.Ready(b.Context())
		require.NoError(b, err)
		response, err := function.Invoke(b.Context(), payload)
		answered += time.Since(function.Began())
		first += ready
		require.NoError(b, err)
		require.Empty(b, identifiers(b, response))
		require.NoError(b, function.Close())
	}
	b.ReportMetric(first.Seconds()*1000/float64(b.N), "ms-to-ask")
	b.ReportMetric(answered.Seconds()*1000/float64(b.N), "ms-to-answer")
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}

func gzipped(t testing.TB, data string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.String()
}

// The largest batches that there are, in a function of the smallest size.
func TestIntegrationPromise16ALargeBatchIn128MB(t *testing.T) {
	if os.Getenv("MES_KINESIS_ENDPOINT") == "" { // it needs none, but time to build
		t.Skip("MES_KINESIS_ENDPOINT is not set to the address of a server: make integration does that")
	}
	binary := build(t, t.TempDir(), "lambda-listener")
	endpoint := serveTables(t)
	for name, batch := range map[string]struct {
		records, size int
		packed        bool
	}{
		"10,000 records":       {10_000, 1, false},
		"6 MB":                 {500, 8_200, false},
		"6 MB of few":          {16, 270_000, false},
		"45 MB when opened":    {150, 300_000, true},
		"10,000 in aggregates": {10_000, 250, true},
	} {
		t.Run(name, func(t *testing.T) {
			data := make([]string, batch.records)
			for i := range data {
				data[i] = fmt.Sprintf(`{"id":"%d","type":"thing","timestamp":1700000000000,"partitionKey":"k%d","x":"%s"}`, i, i%50, strings.Repeat("x", batch.size))
				if batch.packed && batch.records < 1000 {
					data[i] = gzipped(t, data[i])
				}
			}
			if batch.packed && batch.records >= 1000 {
				var aggregates []string
				for parts := range slices.Chunk(data, 1000) {
					aggregates = append(aggregates, string(aggregate(parts...)))
				}
				data = aggregates
			}
			event := kinesisEvent(data...)
			for i := range event.Records { // so that 10,000 fit
				event.Records[i].InvokeIdentityArn = ""
				event.Records[i].EventSourceArn = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
			}
			payload := encode(t, event)
			require.Less(t, len(payload), 6<<20)
			function := startListener(t, binary, endpoint)
			defer function.Close()
			response, err := function.Invoke(t.Context(), payload)
			require.NoError(t, err)
			require.Empty(t, identifiers(t, response))
			peak := function.PeakMemory()
			t.Logf("%d MB for a payload of %d bytes", peak>>20, len(payload))
			require.Less(t, peak, int64(128<<20))
		})
	}
}
