package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

func TestString(t *testing.T) {
	for value, want := range map[string]string{
		`""`:                   "",
		`"a"`:                  "a",
		`"\"\\\/\b\f\n\r\t"`:   "\"\\/\b\f\n\r\t",
		`"\u0041\u00e9\u65E5"`: "Aé日",
		`"x\ud83d\ude00y"`:     "x😀y",
		`"\uFFFD"`:             "\uFFFD",
		`"` + strings.Repeat(`\u00e9`, 100) + `"`: strings.Repeat("é", 100),
	} {
		got, ok := jsonscan.String([]byte(value))
		assert.True(t, ok, value)
		assert.Equal(t, want, got)
	}
	for _, value := range []string{
		``, `"`, `a`, `1`, `null`, `{}`, `"\ud800"`, `"\udc00"`, `"\ud800x"`, `"\ud800\n"`, `"\ud800\u0041"`,
		`"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud83d\ud83d\ude00"`, `"\ud800\`, `"\"`, `"\u12"`, `"\q"`, `"\ud800\u12"`,
	} {
		_, ok := jsonscan.String([]byte(value))
		assert.False(t, ok, value)
	}
}

// Half of a surrogate pair is the one thing that encoding/json reads otherwise:
// as U+FFFD, whichever half it is.
func FuzzString(f *testing.F) {
	for _, text := range texts {
		if strings.HasPrefix(text, `"`) {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		got, ok := jsonscan.String(value)
		if !json.Valid(value) || !utf8.Valid(value) {
			return // it must only not panic
		}
		var want string
		if value[0] != '"' || value[len(value)-1] != '"' || json.Unmarshal(value, &want) != nil {
			require.False(t, ok)
			return
		}
		if ok {
			require.Equal(t, want, got)
			return
		}
		require.Contains(t, want, "\uFFFD")
		require.Contains(t, strings.ToLower(string(value)), `\ud`)
	})
}
