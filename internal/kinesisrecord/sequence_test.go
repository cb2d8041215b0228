package kinesisrecord

import (
	"cmp"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPromise08SequenceNumbersCompareAsNumbers(t *testing.T) {
	numbers := rapid.StringMatching(`0{0,3}[0-9]{1,60}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		want := toBig(t, a).Cmp(toBig(t, b))
		got, ok := CompareSequenceNumbers(a, b)
		require.True(t, ok)
		require.Equal(t, want, cmp.Compare(got, 0))
	})
	for _, bad := range []string{"", "-1", "1a", "0x1", " 1", "１"} {
		_, ok := CompareSequenceNumbers(bad, "1")
		require.False(t, ok, bad)
		_, ok = CompareSequenceNumbers("1", bad)
		require.False(t, ok, bad)
	}
}

func toBig(t *rapid.T, s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	require.True(t, ok)
	return n
}
