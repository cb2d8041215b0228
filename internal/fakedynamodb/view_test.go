package fakedynamodb_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// Clients that share a server may have networks of their own.
func TestBehindHasItsOwnFaults(t *testing.T) {
	h := start(t)
	var calls []fakedynamodb.Call
	bad := h.server.Client(once, func(o *dynamodb.Options) {
		o.HTTPClient = &http.Client{Transport: h.server.Behind(func(c fakedynamodb.Call) fakedynamodb.Fault {
			calls = append(calls, c)
			return fakedynamodb.Throttle()
		})}
	})
	h.put(row("p", "s"))
	good := h.client
	h.client = bad
	refused(t, h.tryPut(row("p", `"TableName":"other"`)), "ProvisionedThroughputExceededException", "")
	h.client = good
	require.Len(t, calls, 1)
	assert.Equal(t, tableName, calls[0].Table())
	assert.Equal(t, "PutItem", calls[0].Operation)
	h.put(row("p", "t"))
	assert.Len(t, h.server.Writes(), 2)
	writes := h.server.WritesFrom(1)
	require.Len(t, writes, 1)
	assert.Contains(t, writes[0].Key, `"t"`)
	assert.Empty(t, h.server.WritesFrom(2))
	assert.Empty(t, h.server.WritesFrom(3))
}

// A test may look at the stream without asking for it.
func TestTheStreamSeenFromOutside(t *testing.T) {
	h := start(t)
	assert.Nil(t, h.server.StreamShards("none"))
	assert.Nil(t, h.server.StreamChanges("none", "", 0))
	h.fill("p", 3)
	h.server.RollShards(tableName)
	h.fill("q", 1)
	shards := h.server.StreamShards(tableName)
	require.Len(t, shards, 2)
	assert.True(t, shards[0].Closed)
	assert.False(t, shards[1].Closed)
	assert.Equal(t, shards[0].ID, shards[1].Parent)
	first := h.server.StreamChanges(tableName, shards[0].ID, 0)
	require.Len(t, first, 3)
	assert.Contains(t, string(first[2].JSON()), `"0002"`)
	assert.Equal(t, "INSERT", first[2].EventName)
	assert.False(t, first[2].Old.Exists())
	assert.True(t, first[2].New.Exists())
	assert.Equal(t, "0002", first[2].New.Text("sk"))
	assert.Equal(t, first[2:], h.server.StreamChanges(tableName, shards[0].ID, 2))
	assert.Empty(t, h.server.StreamChanges(tableName, shards[0].ID, 9))
	assert.Len(t, h.server.StreamChanges(tableName, shards[1].ID, 0), 1)
	assert.Nil(t, h.server.StreamChanges(tableName, "none", 0))
	writes := h.server.AppliedFrom(2)
	require.Len(t, writes, 2)
	assert.Equal(t, "0002", writes[0].Image.Text("sk"))
	assert.Equal(t, tableName, writes[0].Table)
	assert.True(t, writes[0].Changed)
	assert.False(t, writes[0].Removed)
	assert.Empty(t, writes[0].Image.Text("none"))
	assert.Empty(t, fakedynamodb.Image{}.Text("sk"))
	assert.Empty(t, h.server.AppliedFrom(4))
}
