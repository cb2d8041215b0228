package jsonscan_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

func nested(depth int, opening, inside, closing string) string {
	return strings.Repeat(opening, depth) + inside + strings.Repeat(closing, depth)
}

// texts are the seeds of the fuzz target, and a table test by themselves.
var texts = []string{
	// Valid.
	`{}`, `[]`, `null`, `true`, `false`, `""`, `0`, `-0`, `1.50e+007`, "\t\r\n {} \n",
	`{"a":{"b":[1,{"c":[[],{}]}]},"a":2}`, `[{"a":[]},[{}]]`, `{ "a" : 1 , "b" : [ 1 , 2 ] }`,
	`"\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00"`, `"\u0000\"\\\/\b\f\n\r\t"`, `"\uABcd"`,
	`1e999999999999999999999`, strings.Repeat("9", 5000), "0." + strings.Repeat("0", 5000) + "1",
	"\"\x7f\u0080\u07ff\u0800\uffff\U0010ffff\"", `"日本語テキスト and back"`,
	"\"1234567\u00e9\"", "\"12345678\u00e9\"", `"1234567\"890123456"`, `"\u0041234567"`,
	nested(64, "[", "", "]"), nested(65, `{"a":`, "1", "}"), nested(200, `[{"a":`, "[]", "}]"),
	nested(10_000, "[", "", "]"), nested(10_000, `{"":`, "0", "}"),
	// Not valid.
	``, ` `, `{`, `[`, `}`, `]`, `"`, `"\`, `"\"`, `-`, `1.`, `1e`, `1e+`, `.1`, `+1`, `01`, `-01`, `0x1`, `1.e1`,
	`nul`, `nulll`, `True`, `tru`, `fals`, `NaN`, `Infinity`, `-Infinity`, `'a'`, `undefined`,
	`{]`, `[}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1;"b":2}`,
	`[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, `[1`, `{"a":1`, `{"a":`, `{"a"`, `{"`, `{"a":1,`, `{"a":1,"`,
	`{} {}`, `{}x`, `{},`, `1 2`, `[]]`, "{}\x00", "\x00", "\xef\xbb\xbf{}", "{}\v", "\u00a0{}",
	"\"a\x00b\"", "\"a\nb\"", "\"12345678\x1f\"", "\"\x7f\x1f\"", `"\x"`, `"\u12"`, `"\u12G4"`, `"\u"`, `"\U0041"`, `"\u123`,
	"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe6\x97\"", "\"\xe6\x97", "{\"\x80\":1}", "\xff",
	`/* */{}`, `{}//`, nested(10_001, "[", "", "]"), nested(10_001, `{"":`, "0", "}"), strings.Repeat("[", 20_000),
}

// agree holds every function that checks a text to encoding/json and
// unicode/utf8.
func agree(t *testing.T, text []byte) {
	t.Helper()
	valid := json.Valid(text) && utf8.Valid(text)

	err := jsonscan.Check(text)
	require.Equal(t, valid, err == nil, "Check(%.80q) = %v", text, err)
	var syntax *jsonscan.SyntaxError
	if !valid {
		require.ErrorAs(t, err, &syntax)
		require.LessOrEqual(t, syntax.Offset, len(text))
		require.GreaterOrEqual(t, syntax.Offset, 0)
	}

	// What stands before the offset is right: some text that begins so is valid,
	// so encoding/json cannot have stopped earlier. It stops later in literals,
	// escapes and numbers, where the offset here is that of their beginning.
	var theirs *json.SyntaxError
	if json.Unmarshal(text, new(any)) != nil && errors.As(json.Unmarshal(text, new(any)), &theirs) && utf8.Valid(text) && !valid {
		require.LessOrEqual(t, int64(syntax.Offset), theirs.Offset)
		require.LessOrEqual(t, theirs.Offset-int64(syntax.Offset), int64(8))
	}

	o := jsonscan.Members(text)
	type member struct{ key, value string }
	var members []member
	for o.Next() {
		members = append(members, member{string(o.Key), string(o.Value)})
		require.Equal(t, strings.Contains(string(o.Key), `\`), o.Escaped)
	}
	require.False(t, o.Next(), "at the end it stays there")
	isObject := valid && jsonscan.KindOf(text) == jsonscan.Obj
	switch err := o.Err(); {
	case isObject:
		require.NoError(t, err)
		for _, m := range members {
			require.True(t, json.Valid([]byte(`"`+m.key+`"`)), "key %q", m.key)
			require.True(t, json.Valid([]byte(m.value)), "value %q", m.value)
			require.Equal(t, strings.Trim(m.value, " \t\r\n"), m.value)
		}
	case valid:
		require.ErrorIs(t, err, jsonscan.ErrNotObject)
		require.Empty(t, members)
	default:
		require.Equal(t, syntax, err, "Members and Check agree on what is wrong")
	}
}

func TestEveryFunctionAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range texts {
		agree(t, []byte(text))
	}
}

// Each byte of a text is a place where the eight-byte steps of the scanner may
// begin, and each of its ends is where a text may be cut.
func TestCutAndShiftedTexts(t *testing.T) {
	const text = `{"a\u00e9é":[-1.5e+3,"日本\"x",{"":null}], "b" : true }`
	for i := range len(text) {
		agree(t, []byte(text[:i]))
		agree(t, []byte(text[i:]))
		agree(t, []byte(`"`+strings.Repeat("x", i)+"é"+strings.Repeat("x", i)+`"`))
		for c := range 256 {
			agree(t, []byte(text[:i]+string([]byte{byte(c)})+text[i+1:]))
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range texts {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(agree)
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	for text, want := range map[string]string{
		``:                          "invalid JSON: it ends too early at byte 0",
		`{"a":`:                     "invalid JSON: it ends too early at byte 5",
		`{"a":secret}`:              "invalid JSON: no value at byte 5",
		`{secret:1}`:                "invalid JSON: no member name at byte 1",
		`{"a" "b"}`:                 "invalid JSON: no colon at byte 5",
		`{"a":1 "b"}`:               "invalid JSON: no comma or closing bracket at byte 7",
		`[1.x]`:                     "invalid JSON: no digit at byte 3",
		`"a\q"`:                     "invalid JSON: an unknown escape in a string at byte 2",
		"\"a\n\"":                   "invalid JSON: a control character in a string at byte 2",
		"\"a\xff\"":                 "invalid UTF-8 at byte 2",
		`{} {}`:                     "invalid JSON: something after the value at byte 3",
		strings.Repeat("[", 10_001): "invalid JSON: nested more than 10,000 deep at byte 10000",
	} {
		assert.EqualError(t, jsonscan.Check([]byte(text)), want)
	}
}

func TestScanningDoesNotAllocate(t *testing.T) {
	text := []byte(`{"a\u00e9":{"b":["\ud83d\ude00é"]},"tags":{"user":"x"}}`)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = jsonscan.Check(text)
		_, _ = jsonscan.Find(text, "tags.user")
	}))
}
