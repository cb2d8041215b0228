package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

func agreeOnQuoting(t *testing.T, s []byte, room int) {
	t.Helper()
	quoted, ok := jsonscan.AppendQuoted(append(make([]byte, 0, 3+room), "abc"...), s)
	require.Equal(t, utf8.Valid(s), ok)
	if !ok {
		return
	}
	require.Equal(t, "abc", string(quoted[:3]))
	var again string
	require.NoError(t, json.Unmarshal(quoted[3:], &again), "%q", quoted)
	require.Equal(t, string(s), again)
}

func TestAppendQuoted(t *testing.T) {
	for _, s := range []string{
		``, `a`, `12345678`, `"`, `{"id":"1","type":"é"}`, "a\nb\rc\td\be\ff\x00\x1f", `\\\\\\\\\\`, "12345\u2028678\u2029", "\x7f",
		"\xff", "1234567890\xed\xa0\x80", strings.Repeat(`"`, 100), strings.Repeat(`{"a":"b"},`, 100), strings.Repeat("é\n", 50), "😀",
	} {
		for _, room := range []int{0, 1, 7, 8, 9, 10, 4096} {
			agreeOnQuoting(t, []byte(s), room)
		}
	}
	quoted, _ := jsonscan.AppendQuoted(nil, []byte("<>&\u2028\u2029\n\x01\x7f\"\\/"))
	require.Equal(t, "\"<>&\\u2028\\u2029\\n\\u0001\\u007f\\\"\\\\/\"", string(quoted))
}

func FuzzAppendQuoted(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text), 5)
	}
	f.Fuzz(func(t *testing.T, s []byte, room int) { agreeOnQuoting(t, s, room&63) })
}
