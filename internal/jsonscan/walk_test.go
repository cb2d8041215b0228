package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// agreeOnText holds the functions that read one string to [jsonscan.String], which
// other tests hold to encoding/json. before and after surround the string, and
// room is what dst has.
func agreeOnText(t *testing.T, text []byte, room int) {
	t.Helper()
	want, valid := "", false
	if len(text) > 0 && text[0] == '"' && jsonscan.Check(text) == nil {
		want, valid = jsonscan.String([]byte(strings.TrimSpace(string(text))))
	}
	if len(text) == 0 || text[0] != '"' {
		return
	}
	for _, behind := range []string{"", "x", `,"abc":"123456789"`} {
		b := append(append([]byte(nil), text...), behind...)
		dst := append(make([]byte, 0, 3+room), "abc"...)
		got, end, ok := jsonscan.AppendText(dst, b, 1)
		if valid && behind != "" {
			require.True(t, ok, "%q", b)
		}
		if end2, skipped := jsonscan.SkipText(b, 1); ok {
			require.True(t, skipped)
			require.Equal(t, end2, end)
		}
		same, end3, ok3 := jsonscan.AppendSame(nil, b, 1)
		if again, end, ok := jsonscan.AppendSame(make([]byte, 0, room), b, 1); ok || ok3 {
			require.Equal(t, string(same), string(again), "%q", b)
			require.Equal(t, end3, end)
		}
		if plain, end, ok := jsonscan.AppendPlain(make([]byte, 0, room), b, 1); ok {
			require.True(t, ok3, "%q", b)
			require.Equal(t, end3, end)
			require.Equal(t, string(same), string(plain))
		} else if ok3 && room > len(b)+8 && behind != "" && behind != "x" {
			require.NotRegexp(t, `^"[ !#-\[\]-~]*"$`, text, "it is plain")
		}
		require.Equal(t, ok, ok3, "%q", b)
		if !ok {
			continue
		}
		require.Equal(t, end, end3)
		require.Equal(t, "abc", string(got[:3]))
		var again string
		require.NoError(t, json.Unmarshal(same, &again))
		require.Equal(t, again, string(got[3:]))
		require.True(t, utf8.Valid(same))
		if valid && behind == "" {
			require.Equal(t, want, string(got[3:]))
		}
	}
}

func TestAppendText(t *testing.T) {
	for _, text := range []string{
		`""`, `"a"`, `"12345678"`, `"1234567"`, `"123456789"`, `"\""`, `"\\\/\b\f\n\r\t"`, `"a\u0041\u00e9\u20ac"`,
		`"\ud83d\ude00"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud800x"`, `"\ud800\n12345"`, `"{\"id\":\"1\",\"type\":\"é\"}"`,
		"\"12345678\u00e9\u00e91234567890\"", "\"\xff\"", "\"1234567890\xed\xa0\x80\"", "\"a\nb\"", "\"12345678\x01\"",
		`"\x"`, `"\u12"`, `"\u12G4567890"`, `"\`, `"abc`, `"12345678`, `"\u`, `"1234567\`, "\"\x7f\"", `"\u0000\u001F"`,
		`"` + strings.Repeat(`{\"a\":\"b\"},`, 100) + `"`, `"` + strings.Repeat("é\\n", 100) + `"`,
	} {
		for _, room := range []int{0, 1, 7, 8, 9, 4096} {
			agreeOnText(t, []byte(text), room)
		}
	}
}

func TestAppendSameWritesEachStringInOneWay(t *testing.T) {
	for from, want := range map[string]string{
		`"a\/b"`: `"a/b"`, `"\u00e9\u0041"`: `"éA"`, `"\b\f\n\r\t"`: `"\u0008\u000c\n\r\t"`, `"\u001F\u0022\u005c"`: `"\u001f\"\\"`,
		`"\ud83d\ude00<>&"`: `"😀<>&"`, "\"\u2028\"": "\"\u2028\"", `"\u2028"`: "\"\u2028\"",
	} {
		got, end, ok := jsonscan.AppendSame(nil, []byte(from), 1)
		require.True(t, ok)
		require.Equal(t, len(from), end)
		require.Equal(t, want, string(got))
	}
}

func TestWalk(t *testing.T) {
	b := []byte(` {"a" : [1, {"b":"x\"y"}] } ,`)
	end, ok := jsonscan.Skip(b, 0)
	require.True(t, ok)
	require.Equal(t, ` ,`, string(b[end:]))
	require.Equal(t, len(b)-1, jsonscan.Space(b, end))
	_, ok = jsonscan.Skip([]byte(`{"a":}`), 0)
	require.False(t, ok)
}

func FuzzAppendText(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text), 5)
	}
	f.Fuzz(func(t *testing.T, text []byte, room int) { agreeOnText(t, text, room&63) })
}
