package microeventstore

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// secret stands where content stands; no error may hold it.
const secret = "s3cret"

func constKey(key string) HashKeyFunc {
	return func(Event) (string, error) { return key, nil }
}

func TestHashKeys(t *testing.T) {
	e := parseText(t, `{"id":"i","type":"t","timestamp":1,"partitionKey":"order-42",
		"tags":{"user":"ann","esc":"a\"\u00e9","n":9007199254740993,"b":true,"empty":"","null":null,"list":[1]},
		"thing":{"group":"g/1","id":7}}`)
	for name, c := range map[string]struct {
		key  HashKeyFunc
		want string
	}{
		"partition key":           {PartitionKey(), "order-42"},
		"field":                   {Field("thing.group"), "g/1"},
		"field, number":           {Field("thing.id"), "7"},
		"field, absent":           {Field("thing.nothing"), ""},
		"field, below a string":   {Field("thing.group.x"), ""},
		"tag":                     {Tag("user"), "ann"},
		"tag, escapes":            {Tag("esc"), `a"é`},
		"tag, number":             {Tag("n"), "9007199254740993"},
		"tag, boolean":            {Tag("b"), "true"},
		"tag, empty":              {Tag("empty"), ""},
		"tag, null":               {Tag("null"), ""},
		"tag, absent":             {Tag("nothing"), ""},
		"prefix":                  {Prefix("user-", Tag("user")), "user-ann"},
		"prefix, none":            {Prefix("", Tag("user")), "ann"},
		"prefix of empty":         {Prefix("user-", Tag("nothing")), ""},
		"join":                    {Join("#", Tag("user"), PartitionKey()), "ann#order-42"},
		"join of one":             {Join("#", Tag("user")), "ann"},
		"join of many":            {Join("-", constKey("1"), constKey("2"), constKey("3"), constKey("4"), constKey("5")), "1-2-3-4-5"},
		"join, first empty":       {Join("#", Tag("nothing"), PartitionKey()), ""},
		"join, last empty":        {Join("#", PartitionKey(), Tag("nothing")), ""},
		"join, empty beside held": {Join("#", constKey("a#b"), Tag("nothing")), ""},
		"join, long separator":    {Join("--", constKey("a"), constKey("-b")), "a---b"},
		"join, part of separator": {Join("::", constKey("a:b"), constKey("c")), "a:b::c"},
		"join in a join":          {Join("/", Join("#", constKey("a"), constKey("b")), constKey("c")), "a#b/c"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.key(e)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

// What Field makes of every kind of JSON value.
func TestFieldValues(t *testing.T) {
	for raw, want := range map[string]string{
		`"plain"`:                            "plain",
		`""`:                                 "",
		`null`:                               "",
		`"été ☃ 😀"`:                          "été ☃ 😀",
		`"\"\\\/\b\f\n\r\t"`:                 "\"\\/\b\f\n\r\t",
		`"\u00e9\u00E9\u2603\ud83d\ude00!"`:  "éé☃😀!",
		`"\u0000"`:                           "\x00",
		`"\ufffd"`:                           "\ufffd",
		`" 1 "`:                              " 1 ",
		`0`:                                  "0",
		`-0`:                                 "-0",
		`7.0`:                                "7.0",
		`1E+2`:                               "1E+2",
		`12345678901234567890123456789.1e-5`: "12345678901234567890123456789.1e-5",
	} {
		t.Run(raw, func(t *testing.T) {
			got, err := Field("v")(parseText(t, `{"id":"i","v":`+raw+`}`))
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestHashKeyErrors(t *testing.T) {
	failing := HashKeyFunc(func(Event) (string, error) { return "half a key", errors.New("no") })
	event := func(v string) Event {
		return Event{Raw: json.RawMessage(`{"v":` + v + `,"tags":{"v":` + v + `}}`)}
	}
	for name, c := range map[string]struct {
		key   HashKeyFunc
		event Event
		says  string
	}{
		"field, true":             {Field("v"), event(`true`), `"v"): the value is a boolean`},
		"field, false":            {Field("v"), event(`false`), "a boolean"},
		"field, object":           {Field("v"), event(`{"` + secret + `":1}`), "an object"},
		"field, array":            {Field("v"), event(`["` + secret + `"]`), "an array"},
		"field, high surrogate":   {Field("v"), event(`"` + secret + `\ud83d"`), "surrogates"},
		"field, low surrogate":    {Field("v"), event(`"` + secret + `\ude00"`), "surrogates"},
		"field, two low":          {Field("v"), event(`"` + secret + `\ude00\ude00"`), "surrogates"},
		"field, two high":         {Field("v"), event(`"` + secret + `\ud83d\ud83d"`), "surrogates"},
		"field, high, not low":    {Field("v"), event(`"` + secret + `\ud83d\ue000"`), "surrogates"},
		"field, high and text":    {Field("v"), event(`"` + secret + `\ud83dxxxxxx"`), "surrogates"},
		"field, high and newline": {Field("v"), event(`"` + secret + `\ud83d\n"`), "surrogates"},
		"field, empty path":       {Field(""), event(`1`), "path is empty"},
		"tag, lone surrogate":     {Tag("v"), event(`"` + secret + `\ud83d"`), `"v"): the string cannot be decoded`},
		"tag, object":             {Tag("v"), event(`{"` + secret + `":1}`), "an object"},
		"tag, empty name":         {Tag(""), event(`1`), "name is empty"},
		"prefix, nil":             {Prefix("a", nil), event(`1`), "nil"},
		"prefix, error":           {Prefix("a", failing), event(`1`), "no"},
		"join, no separator":      {Join("", Field("v")), event(`1`), "separator is empty"},
		"join, nothing":           {Join("#"), event(`1`), "nothing to join"},
		"join, nil":               {Join("#", Field("v"), nil), event(`1`), "function 2 is nil"},
		"join, error":             {Join("#", Field("v"), failing), event(`1`), "no"},
		"join, error over empty":  {Join("#", Field("nothing"), failing), event(`1`), "no"},
		"join, held first":        {Join("#", Field("v"), constKey("b")), event(`"` + secret + `#"`), `part 1 holds the separator "#"`},
		"join, held last":         {Join("#", constKey("b"), Field("v")), event(`"#` + secret + `"`), "part 2"},
		"join, held by the only":  {Join("#", Field("v")), event(`"a#` + secret + `"`), "part 1"},
		"join, too early":         {Join("--", Field("v"), constKey("b")), event(`"` + secret + `-"`), "part 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.key(c.event)
			require.ErrorContains(t, err, c.says)
			assert.Empty(t, got)
			assert.NotContains(t, err.Error(), secret)
		})
	}
}

// An event made by hand may hold anything.
func TestPromise10KeysOfBrokenJSON(t *testing.T) {
	for _, raw := range []string{
		"", " ", `"`, `"a`, `a"`, `"a"b"`, `"\"`, `"\x"`, `"\u12g4"`, "\"\n\"", "\"\xff\"", "nul", "-", "01", "1.", "1x", "NaN",
	} {
		for _, key := range []HashKeyFunc{Field("v"), Tag("v")} {
			got, err := key(Event{Raw: json.RawMessage(`{"v":` + raw + `,"tags":{"v":` + raw + `}}`)})
			assert.NoError(t, err, "%q", raw)
			assert.Empty(t, got, "%q", raw)
		}
	}
}

func TestJoinCopiesItsArguments(t *testing.T) {
	f := []HashKeyFunc{constKey("a"), constKey("b")}
	join := Join("#", f...)
	f[0] = nil
	key, err := join(Event{})
	require.NoError(t, err)
	assert.Equal(t, "a#b", key)
}

// Whatever encoding/json writes, Field gives back, however it was escaped.
func TestFieldStringsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "value")
		raw, err := json.Marshal(want)
		require.NoError(t, err)
		if rapid.Bool().Draw(t, "escape all") {
			raw = escapeAll(want)
		}
		got, err := Field("v")(Event{Raw: json.RawMessage(`{"v":` + string(raw) + `}`)})
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func escapeAll(s string) []byte {
	const hex = "0123456789abCDEF"
	out := []byte{'"'}
	unit := func(u rune) {
		out = append(out, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	for _, r := range s {
		if r >= 0x10000 {
			unit(0xD800 + (r-0x10000)>>10)
			r = 0xDC00 + (r-0x10000)&0x3ff
		}
		unit(r)
	}
	return append(out, '"')
}

// Different parts never make one key, whatever the separator is made of.
func TestJoinProperty(t *testing.T) {
	part := rapid.StringMatching(`[-#a]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.StringMatching(`[-#]{1,3}`).Draw(t, "separator")
		join := func(name string) ([]string, string, error) {
			parts := rapid.SliceOfN(part, 2, 2).Draw(t, name)
			key, err := Join(separator, constKey(parts[0]), constKey(parts[1]))(Event{})
			return parts, key, err
		}
		a, keyA, errA := join("a")
		b, keyB, errB := join("b")
		for i, err := range []error{errA, errB} {
			parts := [][]string{a, b}[i]
			whole := strings.Join(parts, separator)
			split := strings.Split(whole, separator)
			require.Equal(t, err == nil, len(split) == 2 && split[0] == parts[0] && split[1] == parts[1])
		}
		if errA == nil && errB == nil && keyA == keyB {
			require.Equal(t, a, b)
		}
	})
}

func FuzzHashKeys(f *testing.F) {
	f.Add([]byte(`{"id":"a","partitionKey":"p","thing":{"group":"g"},"tags":{"user":"u"}}`), "#")
	f.Add([]byte(`{"thing":{"group":"\ud83d\ude00"},"tags":{"user":"\ud83d"}}`), "--")
	f.Add([]byte(`{"thing":{"group":-1.5e300},"tags":{"user":12}}`), "-")
	f.Add([]byte(`{"thing":{"group":"a#b"},"tags":{"user":"#"}}`), "#")
	f.Add([]byte(`{"thing":{"group":"\`), "")
	f.Add([]byte(`{"thing":{"group":tru},"tags":{"user":nul}}`), "e")
	f.Add([]byte("{\"thing\":{\"group\":\"\xff\"},\"tags\":[]}"), "\xff")
	f.Fuzz(func(t *testing.T, raw []byte, separator string) {
		// Also events that Parse never made.
		e := Event{Raw: raw, PartitionKey: "p"}
		field, fieldErr := Field("thing.group")(e)
		if value, ok := e.Field("thing.group"); ok && fieldErr == nil && field != "" {
			// Oracle: what encoding/json reads, numbers as they stand.
			var want any
			d := json.NewDecoder(strings.NewReader(string(value)))
			d.UseNumber()
			require.NoError(t, d.Decode(&want))
			switch want := want.(type) {
			case string:
				require.Equal(t, want, field)
			case json.Number:
				require.Equal(t, want.String(), field)
			default:
				t.Fatalf("a key from a %T", want)
			}
			require.True(t, utf8.ValidString(field))
		}
		tag, tagErr := Tag("user")(e)
		prefixed, err := Prefix("x", Tag("user"))(e)
		require.Equal(t, tagErr, err)
		if tag == "" {
			require.Empty(t, prefixed)
		} else {
			require.Equal(t, "x"+tag, prefixed)
		}
		joined, err := Join(separator, Field("thing.group"), Tag("user"), PartitionKey())(e)
		if fieldErr != nil || tagErr != nil {
			require.Error(t, err)
		}
		if err != nil {
			require.Empty(t, joined)
		} else if joined != "" {
			require.Equal(t, []string{field, tag, "p"}, strings.Split(joined, separator))
		}
	})
}
