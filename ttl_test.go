package microeventstore

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	cannot = time.Time{}
)

func TestExpireAfter(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return v
	}
	for name, c := range map[string]struct {
		at   time.Time
		d    time.Duration
		want time.Time
	}{
		"a day":                {at("2024-02-28T12:00:00Z"), 24 * time.Hour, at("2024-02-29T12:00:00Z")},
		"another zone":         {at("2024-02-28T12:00:00+02:00"), time.Hour, at("2024-02-28T11:00:00Z")},
		"at once":              {at("2024-02-28T12:00:00Z"), 0, at("2024-02-28T12:00:00Z")},
		"before it happened":   {at("2024-02-28T12:00:00Z"), -time.Hour, at("2024-02-28T11:00:00Z")},
		"before 1970":          {at("1960-01-01T00:00:00Z"), time.Hour, at("1960-01-01T01:00:00Z")},
		"across 1970":          {at("1969-12-31T23:59:59Z"), 2 * time.Second, at("1970-01-01T00:00:01Z")},
		"no timestamp":         {time.Time{}, time.Hour, cannot},
		"the longest duration": {at("2024-01-01T00:00:00Z"), math.MaxInt64, at("2024-01-01T00:00:00Z").Add(math.MaxInt64)},
		"at the end of time":   {lastTime(), 1, lastTime()},
		"over the end of time": {lastTime().Add(-time.Hour), math.MaxInt64, lastTime()},
		"under the first time": {firstTime(), -1, firstTime()},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := ExpireAfter(c.d)(Event{Timestamp: c.at})
			assert.True(t, ok)
			if c.want.Equal(lastTime()) { // to the second, which is what is stored
				got = got.Truncate(time.Second)
				c.want = c.want.Truncate(time.Second)
			}
			assert.True(t, c.want.Equal(got), "%s", got)
		})
	}
}

func TestAddTimeDoesNotWrap(t *testing.T) {
	assert.Positive(t, lastTime().Unix())
	assert.Negative(t, firstTime().Unix())
	assert.True(t, firstTime().Before(lastTime()))
	// The internal clock of time.Time wraps here, and addTime must not.
	lowest := time.Unix(math.MaxInt64-62135596799, 0)
	require.True(t, lowest.Before(firstTime()))
	assert.Equal(t, firstTime(), addTime(lowest, -time.Second))
}

func TestExpireAt(t *testing.T) {
	otherwise := TTLPolicy(func(Event) (time.Time, bool) { return time.Unix(42, 0).UTC(), true })
	sec := func(s int64) time.Time { return time.Unix(s, 0) }
	for value, want := range map[string]time.Time{
		`"2025-01-01T00:00:00Z"`:        sec(1735689600),
		`"2025-01-01T01:00:00.5+01:00"`: time.Unix(1735689600, 5e8),
		`"2025-01-01T00:00:00\u005A"`:   sec(1735689600),
		`"1969-12-31T23:59:59Z"`:        sec(-1),
		`"9999-12-31T23:59:59Z"`:        sec(253402300799),
		`null`:                          sec(42),
		`1735689600000`:                 sec(1735689600),
		`1735689600123`:                 time.Unix(1735689600, 123e6),
		`1735689600123.456789`:          time.Unix(1735689600, 123e6),
		`1.735689600123E12`:             time.Unix(1735689600, 123e6),
		`17356896001230000e-4`:          time.Unix(1735689600, 123e6),
		`1735689600`:                    sec(1735689600),
		`1735689600.9`:                  sec(1735689600),
		`99999999999`:                   sec(99999999999), // 10^11 - 1: seconds
		`99999999999.999`:               sec(99999999999),
		`100000000000`:                  sec(100000000), // 10^11: milliseconds
		`1e11`:                          sec(100000000),
		`0`:                             sec(0),
		`-0`:                            sec(0),
		`0.000`:                         sec(0),
		`0e99999999999999999999`:        sec(0),
		`0.25`:                          sec(0),
		`-0.25`:                         sec(-1),
		`-1`:                            sec(-1),
		`-1735689600000`:                sec(-1735689600000),
		`9007199254740993`:              time.Unix(9007199254740, 993e6), // float64 would make it 992
		`1e-999999999999999999999`:      sec(0),
		`1735689600000000000`:           cannot, // nanoseconds
		`1e21`:                          cannot,
		`1e999999999999999999999`:       cannot,
		`-1e18`:                         cannot,
		`-1e999999999999999999999`:      cannot,
		`"2025-01-01"`:                  cannot,
		`"2025-01-01T0:00:00Z"`:         cannot,
		`"2025-01-01T00:00:00,5Z"`:      cannot,
		`"2025-01-01T00:00:00+24:00"`:   cannot,
		`"2025-01-01T00:00:00+01:60"`:   cannot,
		`"2025-01-01T00:00:00-23:59"`:   sec(1735689600 + 23*3600 + 59*60),
		`"2025-01-01T00:00:00"`:         cannot,
		`"2025-02-30T00:00:00Z"`:        cannot,
		`"1735689600000"`:               cannot,
		`"tomorrow"`:                    cannot,
		`""`:                            cannot,
		`"\ud83d"`:                      cannot,
		`"0001-01-01T00:00:00Z"`:        cannot,
		`true`:                          cannot,
		`{"a":1735689600000}`:           cannot,
		`[1735689600000]`:               cannot,
	} {
		t.Run(value, func(t *testing.T) {
			e := parseText(t, `{"id":"i","offer":{"until":`+value+`}}`)
			got, ok := ExpireAt("offer.until", otherwise)(e)
			assert.True(t, ok)
			assert.True(t, want.Equal(got), "%s", got)
			assert.Equal(t, time.UTC, got.Location())
		})
	}
}

func TestTTLPolicies(t *testing.T) {
	day := ExpireAfter(24 * time.Hour)
	e := Event{Type: "a", Timestamp: time.Unix(0, 0), Raw: json.RawMessage(`{"v":null}`)}
	next := time.Unix(86400, 0).UTC()
	for name, c := range map[string]struct {
		policy TTLPolicy
		want   time.Time
		ok     bool
	}{
		"nil":                         {nil, time.Time{}, false},
		"never":                       {NeverExpire(), time.Time{}, false},
		"absent, otherwise":           {ExpireAt("nothing", day), next, true},
		"absent, otherwise nil":       {ExpireAt("nothing", nil), time.Time{}, false},
		"null, otherwise nil":         {ExpireAt("v", nil), time.Time{}, false},
		"empty path":                  {ExpireAt("", day), cannot, true},
		"by type":                     {ByType(map[string]TTLPolicy{"a": day}, nil), next, true},
		"by type, other":              {ByType(map[string]TTLPolicy{"b": nil}, day), next, true},
		"by type, nil in the map":     {ByType(map[string]TTLPolicy{"a": nil}, day), time.Time{}, false},
		"by type, otherwise nil":      {ByType(map[string]TTLPolicy{"b": day}, nil), time.Time{}, false},
		"by type, no map":             {ByType(nil, day), next, true},
		"by type, of one that cannot": {ByType(map[string]TTLPolicy{"a": ExpireAt("", nil)}, day), cannot, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := c.policy.expiry(e)
			assert.Equal(t, c.ok, ok)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestByTypeCopiesItsMap(t *testing.T) {
	policies := map[string]TTLPolicy{"a": nil}
	policy := ByType(policies, nil)
	policies["a"] = ExpireAfter(time.Hour)
	_, ok := policy(Event{Type: "a", Timestamp: time.Unix(0, 0)})
	assert.False(t, ok)
}

func FuzzExpireAt(f *testing.F) {
	for _, seed := range []string{`1735689600123`, `-1.5e-3`, `"2025-01-01T00:00:00Z"`, `1e`, `"\u003"`, `nul`, `1e99999999999999999999`, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		e := Event{Raw: json.RawMessage(`{"v":` + value + `}`)}
		got, ok := ExpireAt("v", nil)(e)
		again, okAgain := ExpireAt("v", nil)(e)
		require.Equal(t, ok, okAgain)
		require.Equal(t, got, again)
	})
}

// lastTime is the last time that time.Time can hold, compare, and turn into Unix
// seconds. It counts seconds from the year 1, so those of the last 1,969 years overflow.
func lastTime() time.Time {
	const year1 = 62135596800 // seconds from the year 1 to 1970
	return time.Unix(math.MaxInt64-year1, 999_999_999).UTC()
}
