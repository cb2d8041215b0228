package arena_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/arena"
)

func TestTextKeepsWhatItGaveOut(t *testing.T) {
	var text arena.Text
	var got, want []string
	for i := range 5000 {
		s := fmt.Sprint(i, strings.Repeat("x", i%90))
		want = append(want, s)
		got = append(got, text.String([]byte(s)))
	}
	long := strings.Repeat("y", 100_000)
	require.Equal(t, long, text.String([]byte(long)))
	require.Equal(t, "", text.String(nil))
	require.Equal(t, want, got)
}

func TestBytesKeepsWhatItGaveOut(t *testing.T) {
	var b arena.Bytes
	var got, want []string
	var slices [][]byte
	for i := range 5000 {
		s := fmt.Sprint(i, strings.Repeat("x", i%90))
		room := b.Reserve(len(s))
		require.GreaterOrEqual(t, cap(room), len(s))
		kept := b.Keep(append(room, s...))
		require.Equal(t, len(kept), cap(kept), "an append must not write into the next one")
		want, slices = append(want, s), append(slices, kept)
	}
	for _, kept := range slices {
		got = append(got, string(kept))
	}
	require.Equal(t, want, got)

	// A slice that outgrew its room takes none of the arena.
	room := b.Reserve(4)
	grown := b.Keep(append(room, strings.Repeat("z", cap(room)+1)...))
	next := b.Keep(append(b.Reserve(1), 'n'))
	require.Equal(t, byte('z'), grown[0])
	require.Equal(t, "n", string(next))
	require.Empty(t, b.Keep(b.Reserve(0)))
}

func TestManyStringsTakeFewAllocations(t *testing.T) {
	s := []byte("0001700000000000#4d2f7f8e-6d8f-4c3c-9d0e-0123456789ab")
	allocations := testing.AllocsPerRun(10, func() {
		var text arena.Text
		for range 1000 {
			text.String(s)
		}
	})
	require.Less(t, allocations, 20.0)
}

func TestGrow(t *testing.T) {
	var sixty [60]byte
	allocs := testing.AllocsPerRun(10, func() {
		var b arena.Bytes
		b.Grow(100)
		first := b.Keep(append(b.ReserveOf(60, 1000), sixty[:]...))
		b.Grow(40) // it is there
		second := b.Keep(append(b.ReserveOf(40, 1000), sixty[:40]...))
		if cap(first) != 60 || cap(second) != 40 {
			t.Error(cap(first), cap(second))
		}
	})
	require.Equal(t, 1.0, allocs, "both lie in one chunk")
}
