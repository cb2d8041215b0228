package fakedynamodb

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNumberText(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "0.00": "0", "007": "7", "1.50": "1.5", "1e3": "1000", "-1.5E-3": "-0.0015",
		"+12": "12", "123456789012345678901234567890": "123456789012345678901234567890", " 4 ": "4",
	} {
		n, err := parseNumber(in)
		require.Nil(t, err, in)
		assert.Equal(t, want, n.text(), in)
	}
}

func TestNumberLimits(t *testing.T) {
	for in, want := range map[string]string{
		"": "cannot be converted", "abc": "cannot be converted", "1e": "cannot be converted", ".": "cannot be converted",
		"0x10": "cannot be converted", "NaN": "cannot be converted",
		strings.Repeat("1", 39): "more than 38 significant digits",
		"1e126":                 "Number overflow", "-1e126": "Number overflow", "1e-131": "Number underflow",
	} {
		_, err := parseNumber(in)
		require.NotNil(t, err, in)
		assert.Contains(t, err.message, want, in)
	}
	for _, in := range []string{strings.Repeat("9", 38) + "e88", "1e125", "1e-130", "1" + strings.Repeat("0", 100)} {
		_, err := parseNumber(in)
		assert.Nil(t, err, in)
	}
}

func TestNumberOrder(t *testing.T) {
	sorted := []string{"-1e100", "-200", "-15", "-1.5", "-1", "-0.5", "-1e-20", "0", "1e-20", "0.5", "1", "1.5", "2", "10", "15", "200", "1e100"}
	keys := make([]string, len(sorted))
	for i, s := range sorted {
		n, err := parseNumber(s)
		require.Nil(t, err)
		keys[i] = n.sortKey()
	}
	assert.True(t, slices.IsSorted(keys), "%q", keys)
}

// The oracle is math/big.
func TestNumberArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decimal := rapid.StringMatching(`-?[0-9]{1,15}(\.[0-9]{1,15})?`)
		a, b := decimal.Draw(t, "a"), decimal.Draw(t, "b")
		na, err := parseNumber(a)
		require.Nil(t, err)
		nb, err := parseNumber(b)
		require.Nil(t, err)
		ra, _ := new(big.Rat).SetString(a)
		rb, _ := new(big.Rat).SetString(b)
		assert.Equal(t, ra.Cmp(rb), strings.Compare(na.sortKey(), nb.sortKey()), "order")
		sum, err := na.add(nb, false)
		require.Nil(t, err)
		got, _ := new(big.Rat).SetString(sum.text())
		assert.Zero(t, got.Cmp(new(big.Rat).Add(ra, rb)), "%s + %s = %s", a, b, sum.text())
		difference, err := na.add(nb, true)
		require.Nil(t, err)
		got, _ = new(big.Rat).SetString(difference.text())
		assert.Zero(t, got.Cmp(new(big.Rat).Sub(ra, rb)), "%s - %s = %s", a, b, difference.text())
	})
}
