package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/rulestest"
)

// Every action that the function calls is one of those that deploy/actions.json says
// that its role allows, and it calls all of those.
func TestItCallsWhatItsRoleAllows(t *testing.T) {
	check := rulestest.HoldToRole(t, "trigger")
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
	check()
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
