package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// The same job, in a file and in DynamoDB: the same histories, the same counts, and
// a second run that triggers nothing.
func TestIntegrationTheSameInDynamoDB(t *testing.T) {
	var called iampolicy.Watch
	flags := dynamoDB(t, &called)
	inFile, fileSummary, err := quickstart(t, "", "-json")
	require.NoError(t, err)
	inTable, summary, err := quickstart(t, "", append(flags, "-json")...)
	require.NoError(t, err)
	require.Equal(t, histories(t, inFile), histories(t, inTable))
	for _, name := range []string{"read", "saved"} {
		require.Equal(t, counted(t, fileSummary, name), counted(t, summary, name), summary)
	}

	again, _, err := quickstart(t, "", append(flags, "-json")...)
	require.NoError(t, err)
	require.Empty(t, again, "what was there before fires nothing")

	allowed, err := iampolicy.ReadAll("../../dynamostore/doc.go", "../../runner/doc.go")
	require.NoError(t, err)
	require.NoError(t, iampolicy.Compare(allowed, called.Called(), false))
}

// histories returns the last history of each hash key.
func histories(t *testing.T, stdout string) map[string][]callEvent {
	last := make(map[string][]callEvent)
	for _, c := range calls(t, stdout) {
		last[c.HashKey] = c.Events
	}
	require.NotEmpty(t, last)
	return last
}

// dynamoDB returns the flags for a table that is deleted in the end, on a server where
// what is called is noted.
func dynamoDB(t *testing.T, called *iampolicy.Watch) []string {
	endpoint := os.Getenv("MES_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		t.Skip("MES_DYNAMODB_ENDPOINT is not set to the address of a server: make integration does that")
	}
	name := fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
	flags := []string{"-dynamodb", name}
	if endpoint != "aws" {
		watched, stop, err := iampolicy.Proxy(endpoint, called)
		require.NoError(t, err)
		t.Cleanup(stop)
		flags = append(flags, "-endpoint", watched)
	} else {
		endpoint = ""
	}
	cfg, hangUp, err := configure(t.Context(), endpoint)
	require.NoError(t, err)
	if _, err := dynamodbstreams.NewFromConfig(cfg).ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{}); err != nil {
		hangUp()
		t.Skip("the server has no streams")
	}
	t.Cleanup(func() {
		defer hangUp()
		client := dynamodb.NewFromConfig(cfg)
		for _, table := range []string{name, name + "-leases"} {
			_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(table)})
			_ = err // it may never have been made
		}
	})
	return flags
}

func TestTheTableIsInOnePlace(t *testing.T) {
	for text, args := range map[string][]string{
		"one place alone":  {"-db", "events.db", "-dynamodb", "events"},
		"-endpoint is for": {"-endpoint", "http://127.0.0.1:1"},
	} {
		_, stderr, err := quickstart(t, "", args...)
		require.ErrorIs(t, err, errUsage)
		require.Regexp(t, regexp.QuoteMeta(text), stderr)
	}
}

func TestAServerWithoutStreamsIsSaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if r.Header.Get("X-Amz-Target") == "DynamoDB_20120810.DescribeTable" {
			_, _ = io.WriteString(w, `{"Table":{"TableName":"events","TableStatus":"ACTIVE",
				"AttributeDefinitions":[{"AttributeName":"partitionKey","AttributeType":"S"},{"AttributeName":"eventId","AttributeType":"S"}],
				"KeySchema":[{"AttributeName":"partitionKey","KeyType":"HASH"},{"AttributeName":"eventId","KeyType":"RANGE"}]}}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest) // as dynalite does
		_, _ = io.WriteString(w, `{"__type":"com.amazon.coral.validate#ValidationException","message":"At least one of BillingMode is required"}`)
	}))
	defer server.Close()
	_, _, err := quickstart(t, "", "-dynamodb", "events", "-endpoint", server.URL)
	require.ErrorContains(t, err, "give -endpoint a server that has streams")
	require.ErrorContains(t, err, "WithoutStream")
	var typed *dynamostore.Error
	require.ErrorAs(t, err, &typed)
	require.Equal(t, "ValidationException", typed.Code)
}

func TestAServerThatIsNotThereIsNotWaitedFor(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, _, err := quickstart(t, "", "-dynamodb", "events", "-endpoint", server.URL)
	require.ErrorContains(t, err, "make the tables")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
