package microeventstore

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

func TestTimestamps(t *testing.T) {
	for value, want := range map[string]int64{
		`0`: 0, `-0`: 0, `0.0`: 0, `0e9999999999999999999`: 0, `-0.0e-5`: 0,
		`1557933622847`: 1557933622847, `1557933622847.999`: 1557933622847, `-1.5`: -2, `-1`: -1, `-1.0`: -1, `-1.00000000000000000001`: -2, `-1.00000000000000000000`: -1, `-0.0000001`: -1, `0.9`: 0,
		`1.5577e12`: 1557700000000, `1.5577E+12`: 1557700000000, `15577e8`: 1557700000000, `155770000000000e-2`: 1557700000000,
		`155770000000099e-2`: 1557700000000, `-155770000000001e-2`: -1557700000001, `1e15`: 1e15, `0.001e3`: 1, `0.00015e4`: 1, `10e-1`: 1,
		`9999999999999999`: 9999999999999999, `9999999999999999.99999999999`: 9999999999999999, `9007199254740993`: 9007199254740993,
		`-1000000000000000`: -1000000000000000, `-999999999999999.5`: -1000000000000000, `1e-99999999999999999999`: 0, `-1e-99999999999999999999`: -1,
		"1" + strings.Repeat("0", 400) + "e-400": 1, "0." + strings.Repeat("0", 400) + "1e401": 1,

		`"1970-01-01T00:00:00Z"`: 0, `"2019-05-15T15:20:22.847Z"`: 1557933622847, `"2019-05-15T15:20:22.8479999999999Z"`: 1557933622847,
		`"2019-05-15t15:20:22.8z"`: 1557933622800, `"2019-05-15T17:20:22+02:00"`: 1557933622000, `"2019-05-15T12:50:22-02:30"`: 1557933622000,
		`"2019-05-15T15:20:22-00:00"`: 1557933622000, `"1969-12-31T23:59:59.9999Z"`: -1, `"1969-12-31T23:59:59.0001Z"`: -1000,
		`"2020-02-29T00:00:00Z"`: 1582934400000, `"0000-01-01T00:00:00Z"`: -62167219200000, `"9999-12-31T23:59:59.999-23:59"`: 253402387139999,
		`"2019\u002d05-15T15:20:22Z"`: 1557933622000,
	} {
		got, err := parseTimestamp([]byte(value))
		require.NoError(t, err, value)
		assert.Equal(t, want, got.UnixMilli(), value)
		assert.Equal(t, time.UTC, got.Location())
		assert.Zero(t, got.Nanosecond()%1e6, value)
	}
	for _, value := range []string{
		`1e16`, `10000000000000000`, `-1000000000000001`, `-1000000000000000.1`, `1e99999999999999999999`, `-1e17`, `99999999999999999999`, `1e18`, `18446744073709551616`, `12345678901234567`,
		`""`, `"2019-05-15"`, `"2019-05-15T15:20:22"`, `"2019-05-15 15:20:22Z"`, `"2019-05-15T15:20Z"`, `"2019-05-15T5:20:22Z"`, `"2019-05-15T15:20:22,5Z"`,
		`"2019-05-15T15:20:22.Z"`, `"2019-02-29T00:00:00Z"`, `"2019-13-01T00:00:00Z"`, `"2019-00-01T00:00:00Z"`, `"2019-01-00T00:00:00Z"`, `"2019-04-31T00:00:00Z"`,
		`"2019-05-15T24:00:00Z"`, `"2019-05-15T23:60:00Z"`, `"2016-12-31T23:59:60Z"`, `"2019-05-15T15:20:22+24:00"`, `"2019-05-15T15:20:22+02:60"`,
		`"2019-05-15T15:20:22+0200"`, `"2019-05-15T15:20:22+02"`, `"2019-05-15T15:20:22ZZ"`, `" 2019-05-15T15:20:22Z"`, `"2019-05-15T15:20:22Z "`, `"+2019-05-15T15:20:22Z"`,
		`"12019-05-15T15:20:22Z"`, `"2019-05-15T15:20:22+0a:00"`, `"2019-05-15T15:20:2\u0660Z"`, `"\ud800"`, `true`, `[]`, `{}`,
	} {
		_, err := parseTimestamp([]byte(value))
		assert.Error(t, err, value)
	}
	none, err := parseTimestamp([]byte(`null`))
	require.NoError(t, err)
	assert.True(t, none.IsZero())
}

var strictTime = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// wantTimestamp is what parseTimestamp must say of a valid value other than null,
// by way of exact fractions and time.Parse. It declines exponents that an exact
// fraction has no room for.
func wantTimestamp(value []byte) (ms int64, ok, decided bool) {
	if value[0] == '"' {
		s, ok := jsonscan.String(value)
		if !ok || !strictTime.MatchString(s) {
			return 0, false, true
		}
		got, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
		if err != nil {
			return 0, false, true
		}
		return got.Truncate(time.Millisecond).UnixMilli(), true, true
	}
	if jsonscan.KindOf(value) != jsonscan.Number {
		return 0, false, true
	}
	mantissa, exponent, found := strings.Cut(strings.ToLower(string(value)), "e")
	if e, err := strconv.Atoi(exponent); found && (err != nil || e > 1000 || e < -1000) {
		return 0, false, false
	}
	if !found {
		exponent = "0"
	}
	r, isRat := new(big.Rat).SetString(mantissa + "e" + exponent)
	if !isRat {
		return 0, false, true
	}
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: rounds down, for the denominator is positive
	if !floor.IsInt64() || floor.Int64() < -1e15 || floor.Int64() >= 1e16 {
		return 0, false, true
	}
	return floor.Int64(), true, true
}

func FuzzTimestamp(f *testing.F) {
	for _, value := range []string{
		`0`, `-0.5`, `1557933622847`, `1.5577e12`, `-155770000000001e-2`, `9999999999999999.9`, `1e16`, `-1e15`, `0.00015e4`, `1e999`, `12345678901234567e-1`,
		`"2019-05-15T15:20:22.847Z"`, `"2019-05-15T17:20:22+02:00"`, `"1969-12-31T23:59:59.9999Z"`, `"2020-02-29t00:00:00z"`, `"2019-02-29T00:00:00Z"`, `"0000-01-01T00:00:00+23:59"`, `true`,
	} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		o := jsonscan.Members([]byte(`{"v":` + string(value) + `}`))
		if !o.Next() || len(o.Value) != len(value) || value[0] == 'n' {
			return
		}
		got, err := parseTimestamp(value)
		want, ok, decided := wantTimestamp(value)
		if !decided {
			return
		}
		require.Equal(t, ok, err == nil, "%q: %v", value, err)
		if ok {
			require.Equal(t, want, got.UnixMilli(), "%q", value)
			require.Zero(t, got.Nanosecond()%1e6)
		} else {
			require.True(t, got.IsZero())
		}
	})
}
