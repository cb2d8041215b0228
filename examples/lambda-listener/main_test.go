package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/rulestest"
)

// Every action that the function calls is one of those that deploy/actions.json says
// that its role allows, and it calls all of those.
func TestItCallsWhatItsRoleAllows(t *testing.T) {
	check := rulestest.HoldToRole(t, "listener")
	env := map[string]string{"TABLE_NAME": "Events", "FAULTS_TABLE_NAME": "Faults", "EVENT_TYPES": "^thing"}
	var log strings.Builder
	handler, err := newHandler(t.Context(), func(name string) string { return env[name] }, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	event := events.KinesisEvent{Records: []events.KinesisEventRecord{}}
	for i, data := range []string{`{"id":"1","type":"thing","timestamp":4000000000000,"partitionKey":"k"}`, `{"id":"2","type":"other"}`, "poison"} {
		event.Records = append(event.Records, events.KinesisEventRecord{Kinesis: events.KinesisRecord{Data: []byte(data), SequenceNumber: fmt.Sprint(i)}})
	}
	response, err := handler.Handle(t.Context(), event)
	require.NoError(t, err)
	require.Empty(t, response.BatchItemFailures)
	require.Contains(t, log.String(), `msg="set aside"`)
	require.Contains(t, log.String(), "sequenceNumber=2")
	require.NotContains(t, log.String(), "poison", "no content")
	check()
}

func TestWrongSettingsAreNamed(t *testing.T) {
	env := map[string]string{"EVENT_TYPES": "(", "RETENTION": "soon"}
	_, err := newHandler(t.Context(), func(name string) string { return env[name] }, slog.New(slog.DiscardHandler))
	for _, name := range []string{"TABLE_NAME", "EVENT_TYPES", "RETENTION"} {
		require.ErrorContains(t, err, name)
	}
	policy, err := retention("never")
	require.NoError(t, err)
	require.NotNil(t, policy)
}
