package microeventstore

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func rangeKey(t require.TestingT, k RangeKey, e Event) string {
	key, err := k.AppendRangeKey(used(""), &e)
	require.NoError(t, err)
	return string(key)
}

// used is a slice with room behind it that was used before, as in a loop.
func used(s string) []byte {
	return append(bytes.Repeat([]byte("X"), 300)[:0], s...)
}

func sequenceEvent(number string, sub int64) Event {
	return Event{Meta: Meta{SequenceNumber: number, SubSequence: sub}}
}

func TestRangeKeys(t *testing.T) {
	at := func(ms int64) Event { return Event{ID: "id", Timestamp: time.UnixMilli(ms)} }
	zero56 := strings.Repeat("0", 56)
	nines := strings.Repeat("9", 200)
	own := RangeKeyFunc(func(e Event) (string, error) { return "own-" + e.ID, nil })
	for name, c := range map[string]struct {
		key   RangeKey
		event Event
		want  string
	}{
		"time":                     {TimeAndID(), at(1735689600123), "0001735689600123#id"},
		"time, 1970":               {TimeAndID(), at(0), "0000000000000000#id"},
		"time, last":               {TimeAndID(), at(1e16 - 1), "9999999999999999#id"},
		"time, before 1970":        {TimeAndID(), at(-1), "-999999999999999#id"},
		"time, first":              {TimeAndID(), at(-1e15), "-000000000000000#id"},
		"time, rounded down":       {TimeAndID(), Event{ID: "id", Timestamp: time.Unix(0, 1999999)}, "0000000000000001#id"},
		"time, down before 1970":   {TimeAndID(), Event{ID: "id", Timestamp: time.Unix(0, -1)}, "-999999999999999#id"},
		"time, another zone":       {TimeAndID(), Event{ID: "id", Timestamp: time.UnixMilli(5).In(time.FixedZone("", 3600))}, "0000000000000005#id"},
		"time, monotonic clock":    {TimeAndID(), Event{ID: "id", Timestamp: time.Now().Add(-time.Since(time.UnixMilli(5)))}, ""},
		"time, id of anything":     {TimeAndID(), Event{ID: "é#\xff", Timestamp: time.UnixMilli(5)}, "0000000000000005#é#\xff"},
		"id":                       {EventID(), Event{ID: "é#\xff"}, "é#\xff"},
		"id, reserved":             {EventID(), Event{ID: "\x01a"}, "\x01a"}, // for the store to refuse
		"sequence":                 {SequenceNumber(), sequenceEvent("49590338271490256608559692538361571095921575989136588898", 7), "49590338271490256608559692538361571095921575989136588898.0000000000000000007"},
		"sequence, short":          {SequenceNumber(), sequenceEvent("123", 0), zero56[3:] + "123.0000000000000000000"},
		"sequence, zero":           {SequenceNumber(), sequenceEvent("0", 0), zero56 + ".0000000000000000000"},
		"sequence, leading zeros":  {SequenceNumber(), sequenceEvent(strings.Repeat("0", 500)+"123", 0), zero56[3:] + "123.0000000000000000000"},
		"sequence, 56 digits":      {SequenceNumber(), sequenceEvent(nines[:56], 0), nines[:56] + ".0000000000000000000"},
		"sequence, 57 digits":      {SequenceNumber(), sequenceEvent(nines[:57], 0), "~" + strings.Repeat("0", 72) + nines[:57] + ".0000000000000000000"},
		"sequence, 129 digits":     {SequenceNumber(), sequenceEvent(nines[:129], 0), "~" + nines[:129] + ".0000000000000000000"},
		"sequence, last place":     {SequenceNumber(), sequenceEvent("1", math.MaxInt64), zero56[1:] + "1.9223372036854775807"},
		"own":                      {own, Event{ID: "id"}, "own-id"},
		"uuid, v1 (RFC 9562, A.1)": {TimeUUID(), Event{ID: "C232AB00-9414-11EC-B3C8-9F6BDECED846"}, "1ec9414c-232a-6b00-b3c8-9f6bdeced846"},
		"uuid, v6 (RFC 9562, A.5)": {TimeUUID(), Event{ID: "1EC9414C-232A-6B00-B3C8-9F6BDECED846"}, "1ec9414c-232a-6b00-b3c8-9f6bdeced846"},
		"uuid, v7 (RFC 9562, A.6)": {TimeUUID(), Event{ID: "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"}, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"},
		"uuid, every place":        {TimeUUID(), Event{ID: "01234567-89ab-1cde-8f01-23456789abcd"}, "cde89ab0-1234-6567-8f01-23456789abcd"},
		"ulid":                     {TimeUUID(), Event{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
		"ulid, small":              {TimeUUID(), Event{ID: "01arz3ndektsv4rrffq69g5fav"}, "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
		"ulid, last":               {TimeUUID(), Event{ID: "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
	} {
		t.Run(name, func(t *testing.T) {
			got := rangeKey(t, c.key, c.event)
			if c.want == "" {
				c.want = fmt.Sprintf("%016d#%s", c.event.Timestamp.UnixMilli(), c.event.ID)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestRangeKeyErrors(t *testing.T) {
	at := func(t time.Time) Event { return Event{ID: secret, Timestamp: t} }
	failing := RangeKeyFunc(func(Event) (string, error) { return "half a key", errors.New("no") })
	digits := strings.Repeat("7", 130)
	cases := map[string]struct {
		key   RangeKey
		event Event
		says  string
	}{
		"time, none":             {TimeAndID(), Event{ID: secret}, "range key TimeAndID: the event has no timestamp; give it one, or use EventID"},
		"time, zero elsewhere":   {TimeAndID(), at(time.Time{}.In(time.FixedZone("", 3600))), "no timestamp"},
		"time, no id":            {TimeAndID(), Event{Timestamp: time.UnixMilli(1)}, "no id"},
		"time, too late":         {TimeAndID(), at(time.UnixMilli(1e16)), "not between the years"},
		"time, too early":        {TimeAndID(), at(time.UnixMilli(-1e15 - 1)), "not between"},
		"time, a hair too early": {TimeAndID(), at(time.Unix(-1e12, -1)), "not between"},
		"time, wraps":            {TimeAndID(), at(time.Unix(math.MaxInt64/1000+1, 0)), "not between"},
		"time, wraps to 1970":    {TimeAndID(), at(time.Unix(1<<61, 0)), "not between"},
		"time, last of all":      {TimeAndID(), at(time.Unix(math.MaxInt64, 0)), "not between"},
		"time, first of all":     {TimeAndID(), at(time.Unix(math.MinInt64, 0)), "not between"},
		"id, none":               {EventID(), Event{Timestamp: time.UnixMilli(1)}, "range key EventID: the event has no id"},
		"sequence, none":         {SequenceNumber(), at(time.UnixMilli(1)), "without a sequence number"},
		"sequence, sign":         {SequenceNumber(), sequenceEvent("-1", 0), "not a decimal number"},
		"sequence, space":        {SequenceNumber(), sequenceEvent(" 1", 0), "not a decimal number"},
		"sequence, letter":       {SequenceNumber(), sequenceEvent("12345678901234567x", 0), "not a decimal number"},
		"sequence, other digits": {SequenceNumber(), sequenceEvent("１２３", 0), "not a decimal number"},
		"sequence, 130 digits":   {SequenceNumber(), sequenceEvent(digits, 0), "more than 129 digits"},
		"sequence, negative":     {SequenceNumber(), sequenceEvent("1", -1), "negative"},
		"sequence, most so":      {SequenceNumber(), sequenceEvent("1", math.MinInt64), "negative"},
		"own, nil":               {RangeKeyFunc(nil), Event{ID: secret}, "RangeKeyFunc is nil"},
		"own, failing":           {failing, Event{ID: secret}, "no"},
	}
	for name, id := range badTimeUUIDs {
		cases["uuid, "+name] = struct {
			key   RangeKey
			event Event
			says  string
		}{TimeUUID(), Event{ID: id, Timestamp: time.UnixMilli(1)}, "not a UUID of version 1, 6 or 7, nor a ULID"}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, dst := range [][]byte{nil, []byte("before"), used("abc")} {
				want := bytes.Clone(dst)
				got, err := c.key.AppendRangeKey(dst, &c.event)
				require.ErrorContains(t, err, c.says)
				assert.Equal(t, want, got)
				assert.Equal(t, cap(dst), cap(got))
				assert.NotContains(t, err.Error(), secret)
				assert.NotContains(t, err.Error(), "777")
			}
		})
	}
}

// Each byte that is no digit is found, at every place of the word-wise check.
func TestAllDigits(t *testing.T) {
	for length := range 20 {
		s := []byte(strings.Repeat("5", length))
		for i := range s {
			for c := range 256 {
				s[i] = byte(c)
				require.Equal(t, '0' <= c && c <= '9', allDigits(string(s)), "%q", s)
			}
			s[i] = '9'
		}
	}
}

// Both halves of digits8 see every value; they do not meet.
func TestDigits8(t *testing.T) {
	for v := range uint64(1e4) {
		for _, v := range []uint64{v, v * 1e4, v*1e4 + 9999, v*1e4 + v} {
			word := digits8(v)
			var got [8]byte
			for i := range got {
				got[i] = byte(word >> (8 * i))
			}
			if string(got[:]) != fmt.Sprintf("%08d", v) {
				t.Fatalf("%d became %q", v, got)
			}
		}
	}
}

// The usual times have divisions of their own; here they are beside the plain ones,
// where each of them steps up and where the usual times end.
func TestTimeAndIDOfUsualTimes(t *testing.T) {
	const id = "2b1f8a5e-6f1c-4d0e-9d55-3f7a0c8f2b11"
	require.Len(t, id, usualID)
	same := func(sec, nano int64) {
		e := Event{ID: id, Timestamp: time.Unix(sec, nano)}
		key, err := TimeAndID().AppendRangeKey(nil, &e)
		if want := fmt.Sprintf("%016d#%s", sec*1000+nano/1e6, id); err != nil || string(key) != want {
			t.Fatalf("%q, and not %q: %v", key, want, err)
		}
	}
	for sec := int64(0); sec < usualSeconds+1e5; sec += 1e5 {
		same(sec, 0)
		same(sec+99_999, 999_999_999)
	}
	for nano := int64(0); nano < 1e9; nano += 1e6 {
		same(1_735_689_600, nano)
		same(usualSeconds-1, nano+999_999)
		same(usualSeconds, nano)
	}
}

// The key of a Since or Until is the beginning of the keys at that time.
func TestTimePrefix(t *testing.T) {
	for _, ms := range []int64{0, 1, -1, 1735689600123, -1735689600123} {
		prefix, ok := appendTimePrefix([]byte("x"), time.UnixMilli(ms))
		require.True(t, ok)
		require.Len(t, prefix, 1+timePrefixLen)
		require.Equal(t, "x"+rangeKey(t, TimeAndID(), Event{ID: "i", Timestamp: time.UnixMilli(ms)}), string(prefix)+"#i")
	}
	prefix, ok := appendTimePrefix([]byte("x"), time.UnixMilli(1e16))
	require.False(t, ok)
	require.Equal(t, "x", string(prefix))
}

// times draws times that are hard: around 1970, at the edges, and equal.
func times() *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Int64Range(-1e15, 1e16-1),
		rapid.Int64Range(-3, 3),
		rapid.Int64Range(1735689600000, 1735689600003),
		rapid.Int64Range(usualSeconds*1000-3, usualSeconds*1000+3),
		rapid.SampledFrom([]int64{-1e15, -1e15 + 1, -1e12, -1e12 - 1, 999, 1000, 99999999, 1e8, 1e12, 1e13 - 1, 1e15, 1e16 - 1}),
	)
}

// hardIDs draws ids that are hard: characters around '#', one the start of another,
// beyond ASCII, no UTF-8, of the usual length.
func hardIDs() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[!"#$0-]{1,4}`),
		rapid.StringN(1, 4, -1),
		rapid.StringMatching(`[#0][0-9a-f-]{34}[#0]`),
		rapid.SampledFrom([]string{"a", "a\x00", "é", "e\u0301", "\uffff", "\U00010000", "\xff", "0000000000000001#a"}),
	)
}

func TestTimeAndIDProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := [2]int64{times().Draw(t, "a"), times().Draw(t, "b")}
		id := [2]string{hardIDs().Draw(t, "id a"), hardIDs().Draw(t, "id b")}
		a := rangeKey(t, TimeAndID(), Event{ID: id[0], Timestamp: time.UnixMilli(ms[0])})
		b := rangeKey(t, TimeAndID(), Event{ID: id[1], Timestamp: time.UnixMilli(ms[1])})
		want := big.NewInt(ms[0]).Cmp(big.NewInt(ms[1]))
		if want == 0 {
			want = strings.Compare(id[0], id[1])
		}
		// Equal only if both are: no two events share a key.
		require.Equal(t, want, strings.Compare(a, b), "%q %q", a, b)
	})
}

func TestEventIDProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := hardIDs().Draw(t, "a"), hardIDs().Draw(t, "b")
		require.Equal(t, strings.Compare(a, b),
			strings.Compare(rangeKey(t, EventID(), Event{ID: a}), rangeKey(t, EventID(), Event{ID: b})))
	})
}

// A number of the usual length is checked eight digits at a time.
func TestSequenceNumberChecksEveryDigit(t *testing.T) {
	const number = "49590338271490256608559692538361571095921575989136588898"
	for i := range number {
		for c := range 256 {
			if '0' <= c && c <= '9' {
				continue
			}
			wrong := []byte(number)
			wrong[i] = byte(c)
			e := sequenceEvent(string(wrong), 7)
			key, err := SequenceNumber().AppendRangeKey(nil, &e)
			require.Error(t, err, "byte %#x at %d", c, i)
			require.Empty(t, key)
		}
	}
}

func TestSequenceNumberProperty(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) string {
		length := rapid.OneOf(rapid.IntRange(1, 129), rapid.IntRange(55, 58), rapid.Just(129)).Draw(t, "length")
		digits := rapid.StringMatching(`[1-9]`).Draw(t, "first") + strings.Repeat(rapid.SampledFrom([]string{"0", "9", "4"}).Draw(t, "middle"), length)
		digits = digits[:length-1] + rapid.StringMatching(`[0-9]`).Draw(t, "last")
		return strings.Repeat("0", rapid.IntRange(0, 9).Draw(t, "zeros")) + digits
	})
	sub := rapid.OneOf(rapid.Int64Range(0, 11), rapid.Int64Range(0, math.MaxInt64), rapid.Just(int64(math.MaxInt64)))
	rapid.Check(t, func(t *rapid.T) {
		var value [2]*big.Int
		var subs [2]int64
		var key [2]string
		for i := range key {
			text := number.Draw(t, "number")
			value[i], _ = new(big.Int).SetString(text, 10)
			subs[i] = sub.Draw(t, "sub")
			if i == 1 && rapid.Bool().Draw(t, "same number") {
				text, value[1] = "0"+value[0].String(), value[0]
			}
			key[i] = rangeKey(t, SequenceNumber(), sequenceEvent(text, subs[i]))
		}
		want := value[0].Cmp(value[1])
		if want == 0 {
			want = big.NewInt(subs[0]).Cmp(big.NewInt(subs[1]))
		}
		require.Equal(t, want, strings.Compare(key[0], key[1]), "%q", key)
	})
}

func TestRangeKeysDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 256)
	for name, e := range map[string]Event{
		"v1":    {ID: "c232ab00-9414-11ec-b3c8-9f6bdeced846"},
		"v7":    {ID: "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"},
		"ULID":  {ID: "01arz3ndektsv4rrffq69g5fav"},
		"a bad": {ID: "a"}, // errors allocate nothing, too
	} {
		e.Timestamp = time.UnixMilli(1735689600123)
		e.Meta = Meta{SequenceNumber: "49590338271490256608559692538361571095921575989136588898", SubSequence: math.MaxInt64}
		for _, key := range []RangeKey{TimeAndID(), EventID(), TimeUUID(), SequenceNumber()} {
			assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = key.AppendRangeKey(dst, &e) }), "%T of %s", key, name)
		}
	}
}

func FuzzRangeKeys(f *testing.F) {
	f.Add("id", "1", int64(0), int64(1735689600), int64(0))
	f.Add("c232ab00-9414-11ec-b3c8-9f6bdeced846", "0", int64(-1), int64(-1), int64(-1))
	f.Add("C232AB00-9414-61EC-B3C8-9F6BDECED846", strings.Repeat("9", 57), int64(math.MaxInt64), int64(math.MinInt64), int64(999999999))
	f.Add("017f22e2-79b0-7cc3-98c4-dc0c0c07398\xff", strings.Repeat("0", 200), int64(math.MinInt64), int64(math.MaxInt64), int64(0))
	f.Add("01ARZ3NDEKTSV4RRFFQ69G5FAV", "1234567x", int64(10), int64(1e13), int64(0))
	f.Add("", "", int64(0), int64(-62135596800), int64(0))
	f.Add("7zzzzzzzzzzzzzzzzzzzzzzzz\u212a", "１", int64(0), int64(-1e12), int64(-1))
	f.Fuzz(func(t *testing.T, id, sequence string, sub, sec, nano int64) {
		e := Event{ID: id, Timestamp: time.Unix(sec, nano), Meta: Meta{SequenceNumber: sequence, SubSequence: sub}}
		for _, k := range []RangeKey{TimeAndID(), EventID(), TimeUUID(), SequenceNumber(), RangeKeyFunc(nil)} {
			alone, err := k.AppendRangeKey(nil, &e)
			for _, dst := range [][]byte{[]byte("before"), used("before")} {
				got, errAgain := k.AppendRangeKey(dst, &e)
				require.Equal(t, err, errAgain)
				require.Equal(t, "before"+string(alone), string(got), "%T", k)
			}
			if err == nil {
				require.NotEmpty(t, alone)
			} else {
				require.Empty(t, alone)
			}
		}
	})
}
