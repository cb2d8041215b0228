package kinesisrecord

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// aggregate makes an aggregate of some events.
func aggregate(events ...[]byte) []byte {
	message := field(nil, fieldPartitionKeys, []byte("a"))
	for _, event := range events {
		message = field(message, fieldRecords, user(0, -1, string(event)))
	}
	return seal(message)
}

// rle is a zstd frame of a few hundred bytes that holds so many.
func rle(size int) []byte {
	frame := []byte("\x28\xb5\x2f\xfd\x00\x50") // a window of 1 MiB
	for size > 0 {
		n := min(size, 128<<10)
		header := uint32(n)<<3 | 1<<1
		if size -= n; size == 0 {
			header |= 1
		}
		frame = append(binary.LittleEndian.AppendUint32(frame, header)[:len(frame)+3], '{')
	}
	return frame
}

// What one event has too much is its own fault.
func TestPromise09ALargeEventLeavesItsNeighboursAlone(t *testing.T) {
	honest := gzipped([]byte(`{"x":"` + strings.Repeat("abcdefghij", 39_000) + `"}`))
	events := [][]byte{gzipped(make([]byte, MaxOpened)), gzipped(make([]byte, MaxOpened+1))}
	for range 50 { // more than MaxOpened together
		events = append(events, honest)
	}
	data := aggregate(events...)
	got := unpack(t, data, mes.Meta{})
	require.Len(t, got, len(events))
	for i := range got {
		if i == 1 {
			require.ErrorIs(t, got[i].Err, errTooLarge)
			require.Equal(t, events[i], got[i].Data, "for the fault handler")
			continue
		}
		require.NoError(t, got[i].Err, i)
	}
	require.Greater(t, 50*len(got[2].Data), MaxOpened)
}

// An aggregate costs no more than it may, whether what is in it can be opened or not:
// its rest is one fault then, and what nobody has to open is done before.
func TestPromise16AnAggregateOfBombsStopsEarly(t *testing.T) {
	broken := append(rle(MaxOpened-1), 'x')
	for name, bomb := range map[string][]byte{
		"zstd": rle(MaxOpened), "zstd of too much": rle(MaxOpened + 1), "broken zstd": broken,
		"gzip": gzipped(make([]byte, MaxOpened)), "gzip of too much": gzipped(make([]byte, MaxOpened+1)),
		"broken gzip": gzipped(make([]byte, MaxOpened))[:16_000],
	} {
		t.Run(name, func(t *testing.T) {
			events := [][]byte{[]byte("first"), bomb, bomb, bomb, bomb, bomb}
			for len(events) < 50 {
				events = append(events, []byte("plain"), bomb)
			}
			data := aggregate(events...)
			var p Unpacking
			p.Begin(new(Unpacker), data, mes.Meta{SequenceNumber: "1"})
			most := p.left
			require.Less(t, most, 4*MaxOpened+1<<26)
			opened, n := 0, 0
			var last mes.Record
			for !p.Done() {
				got, cost, err := p.Next(t.Context(), nil, 1<<20)
				require.NoError(t, err)
				require.LessOrEqual(t, cost, 1<<20+MaxOpened+128<<10+recordSize)
				opened += cost
				n += len(got)
				last = got[len(got)-1]
			}
			require.LessOrEqual(t, opened, most+2*MaxOpened)
			require.ErrorIs(t, last.Err, errCost)
			require.Equal(t, data, last.Data, "for the fault handler")
			require.Equal(t, "1", last.Meta.SequenceNumber)
			require.EqualValues(t, n-1, last.Meta.SubSequence)
			require.Greater(t, n, 5)
			require.Less(t, n, len(events))
		})
	}
}

func TestPromise12UnpackingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	event := gzipped([]byte(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`))
	var p Unpacking
	p.Begin(new(Unpacker), aggregate(event, event, event), mes.Meta{})
	got, _, err := p.Next(ctx, nil, 0)
	require.NoError(t, err)
	require.Len(t, got, 1, "one at least, and then what was wanted")
	cancel()
	got, _, err = p.Next(ctx, got, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, got, 1)
	require.False(t, p.Done())
	p.Begin(new(Unpacker), []byte("plain"), mes.Meta{})
	got, _, err = p.Next(ctx, nil, 0)
	require.NoError(t, err, "there is nothing to open")
	require.Equal(t, "plain", string(got[0].Data))
}

// A host that comes back takes the same record apart in the same way.
func TestAnAggregateIsTakenApartAlike(t *testing.T) {
	var events [][]byte
	for i := range 40 {
		events = append(events, fmt.Appendf(nil, `{"id":%d}`, i), gzipped(make([]byte, 3<<20)))
	}
	data := aggregate(events...)
	want := unpack(t, data, mes.Meta{SequenceNumber: "1"})
	var u Unpacker
	var p Unpacking
	for _, most := range []int{0, 4 << 20, 1 << 30} {
		var got []mes.Record
		for p.Begin(&u, data, mes.Meta{SequenceNumber: "1"}); !p.Done(); {
			got, _, _ = p.Next(t.Context(), got, most)
		}
		require.Equal(t, want, got)
	}
}
