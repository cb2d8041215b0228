package microeventstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var badTimeUUIDs = map[string]string{
	"empty":                "",
	"text":                 secret,
	"v4":                   "2b1f8a5e-6f1c-4d0e-9d55-3f7a0c8f2b11",
	"v2":                   "c232ab00-9414-21ec-b3c8-9f6bdeced846",
	"v5":                   "c232ab00-9414-51ec-b3c8-9f6bdeced846",
	"v8":                   "c232ab00-9414-81ec-b3c8-9f6bdeced846",
	"nil":                  "00000000-0000-0000-0000-000000000000",
	"max":                  "ffffffff-ffff-ffff-ffff-ffffffffffff",
	"NCS variant":          "c232ab00-9414-11ec-73c8-9f6bdeced846",
	"Microsoft variant":    "c232ab00-9414-11ec-c3c8-9f6bdeced846",
	"no hyphens":           "c232ab00941411ecb3c89f6bdeced846",
	"braces":               "{c232ab00-9414-11ec-b3c8-9f6bdeced846}",
	"urn":                  "urn:uuid:c232ab00-9414-11ec-b3c8-9f6bdeced846",
	"too short":            "c232ab00-9414-11ec-b3c8-9f6bdeced84",
	"too long":             "c232ab00-9414-11ec-b3c8-9f6bdeced8466",
	"hyphen moved":         "c232ab0-09414-11ec-b3c8-9f6bdeced846",
	"not hexadecimal":      "c232ab00-9414-11ec-b3c8-9f6bdeced84g",
	"not ASCII":            "c232ab00-9414-11ec-b3c8-9f6bdeced8\u00e9",
	"space behind":         "c232ab00-9414-11ec-b3c8-9f6bdeced84 ",
	"ulid, I":              "01ARZ3NDEKTSV4RRFFQ69G5FAI",
	"ulid, l":              "01ARZ3NDEKTSV4RRFFQ69G5FAl",
	"ulid, O":              "01ARZ3NDEKTSV4RRFFQ69G5FAO",
	"ulid, u":              "01ARZ3NDEKTSV4RRFFQ69G5FAu",
	"ulid, over 128 bits":  "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
	"ulid, not ASCII":      "01ARZ3NDEKTSV4RRFFQ69G5F\u00e9",
	"ulid, too short":      "01ARZ3NDEKTSV4RRFFQ69G5FA",
	"ulid, too long":       "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
	"ulid, first a letter": "A1ARZ3NDEKTSV4RRFFQ69G5FAV",
}

// Every byte that does not belong is found, at every place, and every one that
// does is accepted.
func TestTimeUUIDEveryByte(t *testing.T) {
	const (
		hexDigits       = "0123456789abcdefABCDEF"
		crockfordDigits = "0123456789abcdefghjkmnpqrstvwxyzABCDEFGHJKMNPQRSTVWXYZ"
	)
	for _, id := range []string{"c232ab00-9414-11ec-b3c8-9f6bdeced846", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "01ARZ3NDEKTSV4RRFFQ69G5FAV"} {
		for i := range id {
			allowed := hexDigits
			switch {
			case len(id) == 26 && i == 0:
				allowed = "01234567"
			case len(id) == 26:
				allowed = crockfordDigits
			case id[i] == '-':
				allowed = "-"
			case i == 14:
				allowed = "167"
			case i == 19:
				allowed = "89abAB"
			}
			for c := range 256 {
				e := Event{ID: id[:i] + string([]byte{byte(c)}) + id[i+1:]}
				key, err := TimeUUID().AppendRangeKey(nil, &e)
				require.Equal(t, strings.IndexByte(allowed, byte(c)) >= 0, err == nil, "%q", e.ID)
				require.True(t, err != nil || len(key) == len(id))
			}
		}
	}
}

// ticks draws times of 60 bits, in units of 100 ns since 1582. Version 1 starts
// its first field again every 2^32 of them, which is 429.5 s, and its second
// one every 2^48.
func ticks() *rapid.Generator[uint64] {
	const now = 0x1ec9414c232ab00
	return rapid.OneOf(
		rapid.Uint64Range(0, 1<<60-1),
		rapid.Uint64Range(now, now+2),
		rapid.Custom(func(t *rapid.T) uint64 {
			wrap := rapid.SampledFrom([]uint64{1 << 12, 1 << 28, 1 << 32, 1 << 48}).Draw(t, "wrap")
			times := rapid.Uint64Range(1, (1<<60-1)/wrap-1).Draw(t, "times")
			return wrap*times - 2 + rapid.Uint64Range(0, 4).Draw(t, "beside")
		}),
		rapid.Custom(func(t *rapid.T) uint64 { // neighbours of now, across the wrap
			return now&^(1<<32-1) + rapid.Uint64Range(0, 3).Draw(t, "wraps")<<32 - rapid.Uint64Range(0, 2).Draw(t, "before")
		}),
	)
}

// The layouts of RFC 9562, sections 5.1, 5.6 and 5.7, written down once more.
func uuidV1(ticks, clock, node uint64) string {
	return fmt.Sprintf("%08x-%04x-1%03x-%04x-%012x", ticks&0xffffffff, ticks>>32&0xffff, ticks>>48, 0x8000|clock, node)
}

func uuidV6(ticks, clock, node uint64) string {
	return fmt.Sprintf("%08x-%04x-6%03x-%04x-%012x", ticks>>28, ticks>>12&0xffff, ticks&0xfff, 0x8000|clock, node)
}

func uuidV7(ms, randA, randB uint64) string {
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16, ms&0xffff, randA, 0x8000|randB>>48, randB&(1<<48-1))
}

func randomCase(t *rapid.T, id string) string {
	if rapid.Bool().Draw(t, "upper case") {
		return strings.ToUpper(id)
	}
	return id
}

// Versions 1 and 6 sort together by their time, then by the rest; they share a
// key only if they are one id in two layouts.
func TestTimeUUIDVersions1And6Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var field [2][3]uint64
		var key [2]string
		for i := range key {
			field[i] = [3]uint64{
				ticks().Draw(t, "ticks"),
				rapid.Uint64Range(0, 1<<14-1).Draw(t, "clock"),
				rapid.Uint64Range(0, 1<<48-1).Draw(t, "node"),
			}
			if i == 1 && rapid.Bool().Draw(t, "same time") {
				field[1][0] = field[0][0]
			}
			layout := rapid.SampledFrom([]func(a, b, c uint64) string{uuidV1, uuidV6}).Draw(t, "layout")
			id := layout(field[i][0], field[i][1], field[i][2])
			key[i] = rangeKey(t, TimeUUID(), Event{ID: randomCase(t, id)})
			require.Equal(t, uuidV6(field[i][0], field[i][1], field[i][2]), key[i])
		}
		require.Equal(t, compareFields(field[0], field[1]), strings.Compare(key[0], key[1]), "%q", key)
	})
}

func TestTimeUUIDVersion7Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var field [2][3]uint64
		var key [2]string
		for i := range key {
			field[i] = [3]uint64{
				rapid.OneOf(rapid.Uint64Range(0, 1<<48-1), rapid.Uint64Range(0x017f22e2ffff, 0x017f22e30001)).Draw(t, "ms"),
				rapid.Uint64Range(0, 1<<12-1).Draw(t, "a"),
				rapid.Uint64Range(0, 1<<62-1).Draw(t, "b"),
			}
			id := uuidV7(field[i][0], field[i][1], field[i][2])
			key[i] = rangeKey(t, TimeUUID(), Event{ID: randomCase(t, id)})
			require.Equal(t, id, key[i])
		}
		require.Equal(t, compareFields(field[0], field[1]), strings.Compare(key[0], key[1]), "%q", key)
	})
}

func TestTimeUUIDULIDProperty(t *testing.T) {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	rapid.Check(t, func(t *rapid.T) {
		var field [2][3]uint64
		var key [2]string
		for i := range key {
			field[i] = [3]uint64{
				rapid.OneOf(rapid.Uint64Range(0, 1<<48-1), rapid.Uint64Range(1<<40-2, 1<<40+2)).Draw(t, "ms"),
				rapid.Uint64Range(0, 1<<40-1).Draw(t, "a"),
				rapid.Uint64Range(0, 1<<40-1).Draw(t, "b"),
			}
			var id []byte
			for j, digits := range []int{10, 8, 8} {
				for d := digits - 1; d >= 0; d-- {
					id = append(id, alphabet[field[i][j]>>(5*d)&31])
				}
			}
			want := string(id)
			if rapid.Bool().Draw(t, "lower case") {
				id = []byte(strings.ToLower(want))
			}
			key[i] = rangeKey(t, TimeUUID(), Event{ID: string(id)})
			require.Equal(t, want, key[i])
		}
		require.Equal(t, compareFields(field[0], field[1]), strings.Compare(key[0], key[1]), "%q", key)
	})
}

func compareFields(a, b [3]uint64) int {
	for i := range a {
		if a[i] != b[i] {
			if a[i] < b[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// Version 1 ids a minute apart, over more than an hour: the plain text is out of
// order again and again, the keys never are.
func TestTimeUUIDVersion1WrapsAround(t *testing.T) {
	const minute = 60 * 1e7
	wraps := 0
	for i := range uint64(90) {
		a, b := uuidV1(0x1ec9414c232ab00+i*minute, 1, 2), uuidV1(0x1ec9414c232ab00+(i+1)*minute, 1, 2)
		if a > b {
			wraps++
		}
		require.Less(t, rangeKey(t, TimeUUID(), Event{ID: a}), rangeKey(t, TimeUUID(), Event{ID: b}))
	}
	require.Greater(t, wraps, 10)
}
