package runner

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/kinesisrecord"
)

// packed makes an event that has many bytes when it is opened.
func packed(t testing.TB, id string, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = fmt.Fprintf(w, `{"id":%q,"type":"t","partitionKey":"p","timestamp":1,"n":"%s"}`, id, strings.Repeat("x", size))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// readAll reads a shard to its end, and returns how often it had to.
func readAll(t *testing.T, source *KinesisSource, shard string, n int) (records []mes.Record, reads int) {
	t.Helper()
	after := mes.Position{}
	for len(records) < n {
		got, _, err := source.ReadRecords(t.Context(), shard, after, 100)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		size := 0
		for _, r := range got {
			size += len(r.Data)
			after = r.Meta.Position()
		}
		require.LessOrEqual(t, size, maxPageBytes+9<<20)
		records = append(records, got...)
		reads++
	}
	return records, reads
}

// A page that is large once it is opened is taken in parts, be it one aggregate.
func TestPromise16ALargePageIsTakenInParts(t *testing.T) {
	var events [][]byte
	for i := range 6 {
		events = append(events, packed(t, fmt.Sprintf("%04d", i), 8<<20))
	}
	for name, records := range map[string][][]byte{
		"records": events, "an aggregate": {aggregate("a", events...)},
		"an aggregate and more": {eventJSON("x", "p"), aggregate("a", events...), eventJSON("y", "p")},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeKinesis(1)
			want := len(events)
			for _, data := range records {
				f.put(0, "p", data)
			}
			if len(records) == 3 {
				want += 2
			}
			source := Kinesis(f, fakeStream)
			source.pace.off = true
			got, reads := readAll(t, source, f.shards[0].id, want)
			require.Len(t, got, want)
			require.Equal(t, 2, reads)
			ids := ""
			for i := range got {
				require.NoError(t, got[i].Err)
				if len(got[i].Data) > 1<<20 {
					ids += string(got[i].Data[7:11])
				}
			}
			require.Equal(t, "000000010002000300040005", ids)
		})
	}
}

// An aggregate of bombs costs no more than it may, and each read of it goes on where
// the last one has ended.
func TestPromise16AnAggregateOfBombsIsGotOver(t *testing.T) {
	f := newFakeKinesis(1)
	bomb := packed(t, "bomb", kinesisrecord.MaxOpened)
	data := aggregate("a", eventJSON("a", "p"), bomb, bomb, bomb, bomb, bomb, bomb, bomb, bomb, bomb, bomb)
	f.put(0, "p", data)
	f.put(0, "p", eventJSON("b", "p"))
	source := Kinesis(f, fakeStream)
	source.pace.off = true
	var all []mes.Record
	after := mes.Position{}
	for len(all) == 0 || !strings.Contains(string(all[len(all)-1].Data), `"b"`) {
		got, _, err := source.ReadRecords(t.Context(), f.shards[0].id, after, 100)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		all = append(all, got...)
		after = got[len(got)-1].Meta.Position()
	}
	require.Less(t, len(all), 11)
	for i := range all[:len(all)-1] {
		require.EqualValues(t, i, all[i].Meta.SubSequence)
	}
	rest := all[len(all)-2]
	require.Error(t, rest.Err)
	require.Equal(t, data, rest.Data)
}

func TestPromise12NothingIsOpenedOnceTheContextHasEnded(t *testing.T) {
	f := newFakeKinesis(1)
	f.put(0, "p", packed(t, "1", 1<<10))
	source := Kinesis(f, fakeStream)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := source.unpack(ctx, "s", f.shards[0].records, mes.Position{}, false)
	require.ErrorIs(t, err, context.Canceled)
}
