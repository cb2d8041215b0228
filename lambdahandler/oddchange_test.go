package lambdahandler

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// Only the event ids of Kinesis begin with a shard. Of two changes with ids of their own
// the batch would else be one of several shards, and no answer would be right.
func TestTheIDOfAChangeIsNoShard(t *testing.T) {
	payload := dynamoPayload(inserted(t, "k", "1"), inserted(t, "j", "1"), inserted(t, "l", "1"))
	for _, id := range []string{"a:1", "b:1", "c:1"} {
		payload = strings.Replace(payload, "c4ca4238a0b923820dcc509a6f75849b", id, 1)
	}
	agreeOnChanges(t, stored(t, "1"), []byte(payload))
	h := DynamoDB(mes.NewTrigger(stored(t, "1"), func(_ context.Context, m *mes.MicroEventStore) error {
		require.Empty(t, m.Changes[0].Meta.Shard)
		return errTransient
	}))
	got, err := h.Invoke(t.Context(), []byte(payload))
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, identifiers(t, got))
	var event events.DynamoDBEvent
	require.NoError(t, json.Unmarshal([]byte(payload), &event))
	typed, err := h.Handle(t.Context(), event)
	require.NoError(t, err)
	require.JSONEq(t, string(got), string(encode(t, typed)))

	// The records of a Kinesis stream have one, wherever it stands.
	record := string(encode(t, kinesisOfTable(inserted(t, "k", "1"))))
	shards := make(map[string]int)
	h = DynamoDB(mes.NewTrigger(stored(t, "1"), func(_ context.Context, m *mes.MicroEventStore) error {
		shards[m.Changes[0].Meta.Shard]++
		return nil
	}))
	_, err = h.Invoke(t.Context(), []byte(record))
	require.NoError(t, err)
	moved := strings.Replace(record, `"kinesis":{`, `"eventID":"shardId-000000000007:1","kinesis":{`, 1)
	_, err = h.Invoke(t.Context(), []byte(moved))
	require.NoError(t, err)
	require.Equal(t, map[string]int{"shardId-000000000006": 1, "shardId-000000000007": 1}, shards)
}
