package runner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// Images that are large once they are opened are taken in parts.
func TestPromise16LargeImagesAreTakenInParts(t *testing.T) {
	server := fakedynamodb.New()
	client := server.Client()
	require.NoError(t, dynamostore.Provision(t.Context(), client, "events"))
	store, err := mes.New(dynamostore.New(client, "events", dynamostore.WithCompression(1000)), mes.WithTTL(nil))
	require.NoError(t, err)
	want := 6
	for i := range want {
		e, err := mes.NewEvent(map[string]any{"id": fmt.Sprint(i), "type": "t", "partitionKey": "k", "timestamp": 1, "x": strings.Repeat("x", 8<<20)})
		require.NoError(t, err)
		require.NoError(t, store.Save(t.Context(), e))
	}
	source, err := DynamoDBStream(watchedStreams(server, &called.streams), "events").Bind(store)
	require.NoError(t, err)
	shards, err := source.Shards(t.Context())
	require.NoError(t, err)
	after, got := mes.Position{}, 0
	for got < want {
		changes, _, err := source.ReadChanges(t.Context(), shards[0].ID, after, 100)
		require.NoError(t, err)
		require.NotEmpty(t, changes)
		size := 0
		for i := range changes {
			require.Equal(t, fmt.Sprint(got), changes[i].New.ID)
			size += len(changes[i].New.Raw)
			got++
		}
		require.LessOrEqual(t, size, maxPageBytes+9<<20)
		after = changes[len(changes)-1].Meta.Position()
	}
}
