package kinesisrecord

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// fromNPM is what the producers' own libraries made: see testdata/generate.js.
type fromNPM struct {
	Aggregates []struct {
		Name    string
		Records []struct{ PartitionKey, ExplicitHashKey, Data string }
		Data    []byte
	}
	Compressed []struct{ Event, Data string }
}

func readNPM(t testing.TB) (npm fromNPM) {
	t.Helper()
	text, err := os.ReadFile("testdata/npm.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &npm))
	require.NotEmpty(t, npm.Aggregates)
	require.NotEmpty(t, npm.Compressed)
	return npm
}

func TestAggregatesOfTheRealLibrary(t *testing.T) {
	meta := mes.Meta{Shard: "s", SequenceNumber: "49", PartitionKey: "outer", ExplicitHashKey: "7"}
	for _, aggregate := range readNPM(t).Aggregates {
		t.Run(aggregate.Name, func(t *testing.T) {
			got := unpack(t, aggregate.Data, meta)
			require.Len(t, got, len(aggregate.Records))
			for i, record := range aggregate.Records {
				want := meta
				want.PartitionKey, want.ExplicitHashKey, want.SubSequence = record.PartitionKey, record.ExplicitHashKey, int64(i)
				require.Equal(t, mes.Record{Data: []byte(record.Data), Meta: want}, got[i])
			}
		})
	}
}

func TestCompressedValuesOfTheRealLibrary(t *testing.T) {
	opened := 0
	for _, value := range readNPM(t).Compressed {
		got := unpack(t, []byte(value.Data), mes.Meta{})
		require.Len(t, got, 1)
		require.NoError(t, got[0].Err)
		require.Equal(t, value.Event, string(got[0].Data))
		if value.Event != value.Data {
			opened++
		}
	}
	require.GreaterOrEqual(t, opened, 3)
}
