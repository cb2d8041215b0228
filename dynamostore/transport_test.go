package dynamostore

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// overTCP is a table on a server behind a real connection.
func overTCP(t *testing.T, handler http.HandlerFunc, opts ...Option) (*Table, *httptest.Server) {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 10}
	t.Cleanup(transport.CloseIdleConnections)
	return New(clientOf(server.URL, &http.Client{Transport: transport}), "events", opts...), server
}

// net/http may still be sending the request when the answer has come. The SDK's own
// request body ends then, and net/http drops the connection, under the answer: 2 to
// 5 % of the calls with answers of 1 MB.
func TestARequestOutlivesItsCall(t *testing.T) {
	var late []io.ReadCloser
	opts := (&stub{}).client().Options()
	opts.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
		late = append(late, r.Body)
		return pageOf(""), nil
	})
	client := dynamodb.New(opts)
	_, err := New(client, "events").Query(t.Context(), driver.Query{HashKey: "h"})
	require.NoError(t, err)
	_, err = client.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String("events"), KeyConditionExpression: aws.String("#h = :h")})
	require.NoError(t, err)
	require.Len(t, late, 2)
	body, err := io.ReadAll(late[0])
	require.NoError(t, err)
	require.Contains(t, string(body), "KeyConditionExpression")
	body, _ = io.ReadAll(late[1])
	require.Empty(t, body, "the SDK has mended it: inMemory may go")
}

func TestLargeAnswersKeepTheConnection(t *testing.T) {
	body, err := io.ReadAll(pageOf("").Body) //nolint:bodyclose // it is in memory
	require.NoError(t, err)
	text := strings.Replace(string(body), `"Count":0`, `"Other":"`+strings.Repeat("x", 1<<18)+`","Count":0`, 1)
	sum := answer(200, text).Header.Get("X-Amz-Crc32") //nolint:bodyclose // it is in memory
	var mu sync.Mutex
	clients := map[string]bool{}
	table, _ := overTCP(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		clients[r.RemoteAddr] = true
		mu.Unlock()
		w.Header().Set("X-Amz-Crc32", sum)
		_, _ = io.WriteString(w, text)
	}, WithMaxAttempts(1))
	for range 100 {
		_, err := table.Query(t.Context(), driver.Query{HashKey: "h"})
		require.NoError(t, err)
	}
	// As a rule it is one. net/http gives up a connection whose writer has not come to
	// its turn 50 ms after the answer, which a busy machine may bring about.
	require.LessOrEqual(t, len(clients), 10, "connections are used again")
}

func TestPromise14AConnectionThatBreaksIsRetried(t *testing.T) {
	var n atomic.Int64
	table, _ := overTCP(t, func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		good, err := success(call{operation: operation}) //nolint:bodyclose // it is in memory
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		body, _ := io.ReadAll(good.Body)
		_, _ = io.Copy(io.Discard, r.Body)
		switch n.Add(1) {
		case 1: // before an answer
			panic(http.ErrAbortHandler)
		case 2: // within
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body[:len(body)/2])
			panic(http.ErrAbortHandler)
		case 3: // within chunks
			_, _ = w.Write(body[:len(body)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case 4: // hangs
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(body)
	}, WithAttemptTimeout(200*time.Millisecond))
	require.NoError(t, table.Put(t.Context(), items(1)))
	require.EqualValues(t, 5, n.Load())
}

func TestAnyHTTPClientWillDo(t *testing.T) {
	for name, client := range map[string]dynamodb.HTTPClient{
		"the SDK's":       awshttp.NewBuildableClient(),
		"returns nil":     doer(func(*http.Request) (*http.Response, error) { return nil, nil }),
		"returns both":    doer(func(*http.Request) (*http.Response, error) { return answer(200, "{}"), io.EOF }),
		"returns no body": doer(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil }),
	} {
		opts := (&stub{}).client().Options()
		opts.HTTPClient = client
		err := New(dynamodb.New(opts), "events", WithMaxAttempts(2)).Put(t.Context(), items(1))
		require.ErrorContains(t, err, "2 times", name)
		leaksNothing(t, err)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestPromise16AnAnswerIsBounded(t *testing.T) {
	s := &stub{answer: func(c call) (*http.Response, error) {
		r := answer(200, "")
		r.ContentLength, r.Body = -1, io.NopCloser(endless{})
		return r, nil
	}}
	_, err := s.table(WithMaxAttempts(1), WithAttemptTimeout(time.Minute)).Query(t.Context(), driver.Query{HashKey: "h"})
	require.ErrorContains(t, err, fmt.Sprint(maxAnswer))
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestRequestsComeFromMemory(t *testing.T) {
	request, err := http.NewRequest(http.MethodPost, "http://stub.invalid", io.NopCloser(strings.NewReader("body")))
	require.NoError(t, err)
	got, err := inMemory(request, nil)
	require.NoError(t, err)
	require.EqualValues(t, 4, got.ContentLength)
	for range 2 {
		body, err := got.GetBody()
		require.NoError(t, err)
		b, err := io.ReadAll(body)
		require.NoError(t, err)
		require.Equal(t, "body", string(b))
	}
}

// What the codec has written is sent from where it is. Whatever else the SDK sends is
// copied, and what it adds does not get into the codec's memory.
func TestARequestOfTheCodecIsNotCopied(t *testing.T) {
	written := append(make([]byte, 0, 100), "written"...)
	for name, test := range map[string]struct {
		body io.Reader
		want string
	}{
		"it":           {bytes.NewReader(written), "written"},
		"equal":        {strings.NewReader("written"), "written"},
		"another":      {strings.NewReader("other"), "other"},
		"a part":       {bytes.NewReader(written[:3]), "wri"},
		"more":         {io.MultiReader(bytes.NewReader(written), strings.NewReader(" more")), "written more"},
		"byte by byte": {iotest.OneByteReader(bytes.NewReader(written)), "written"},
		"nothing":      {strings.NewReader(""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequest(http.MethodPost, "http://stub.invalid", io.NopCloser(test.body))
			require.NoError(t, err)
			request, err = inMemory(request, written)
			require.NoError(t, err)
			require.EqualValues(t, len(test.want), request.ContentLength)
			body, err := io.ReadAll(request.Body)
			require.NoError(t, err)
			require.Equal(t, test.want, string(body))
			require.Equal(t, "written", string(written))
			require.NotContains(t, string(written[:cap(written)]), "more")
		})
	}
	sink := bodySink{written: written}
	_, err := sink.Write(written)
	require.NoError(t, err)
	require.Same(t, &written[0], &sink.body[0])
}
