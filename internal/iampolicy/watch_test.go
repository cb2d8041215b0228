package iampolicy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

type closed struct{ closed bool }

func (c *closed) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Body: http.NoBody}, nil
}

func (c *closed) CloseIdleConnections() { c.closed = true }

func TestPromise19EveryRequestIsAnAction(t *testing.T) {
	var watch Watch
	require.Empty(t, watch.Called())
	next := new(closed)
	through := watch.Transport(next)
	for _, target := range []string{"DynamoDB_20120810.Query", "DynamoDBStreams_20120810.GetRecords", "Kinesis_20131202.GetRecords", "DynamoDB_20111205.Scan", ""} {
		r := httptest.NewRequest(http.MethodPost, "/service/Kinesis_20131202/operation/Other", nil)
		r.Header.Set("X-Amz-Target", target)
		answer, err := through.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
	}
	want := []string{"DynamoDB_20111205.Scan", "POST /service/Kinesis_20131202/operation/Other", "dynamodb:GetRecords", "dynamodb:Query", "kinesis:GetRecords"}
	require.Equal(t, want, watch.Called())

	(&http.Client{Transport: through}).CloseIdleConnections()
	require.True(t, next.closed)

	var other Watch
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.RequestURI = ""
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
	answer, err := other.Client(&http.Client{Transport: next}).Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	other.NoteAction("kinesis:ListShards")
	require.Equal(t, []string{"dynamodb:PutItem", "kinesis:ListShards"}, other.Called())
}
