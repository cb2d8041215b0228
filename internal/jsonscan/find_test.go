package jsonscan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

func TestFind(t *testing.T) {
	const text = ` {"a":{"b":{"c":1}, "x.y":2},"b":[{"c":3}],"é":4,"\u0064":5,"n":null,"":{"":6},"dup":1,"dup":{"in":7},"\ud800":8,"\ufffd":9}`
	for path, want := range map[string]string{
		"a": `{"b":{"c":1}, "x.y":2}`, "a.b": `{"c":1}`, "a.b.c": `1`, "é": `4`, "d": `5`, "n": `null`,
		"dup": `{"in":7}`, "dup.in": `7`, "\uFFFD": `9`,
	} {
		got, ok := jsonscan.Find([]byte(text), path)
		assert.True(t, ok, path)
		assert.Equal(t, want, string(got), path)
		assert.Equal(t, len(got), cap(got), "an append must not write into the text")
	}
	for _, path := range []string{"", ".", "a.", ".a", "a..b", "c", "A", "a.c", "a.x.y", "b.0", "b.c", "n.x", "a.b.c.d", `\u0064`, "dup.in.x"} {
		_, ok := jsonscan.Find([]byte(text), path)
		assert.False(t, ok, path)
	}
	for _, text := range []string{``, `{`, `{"a":1`, `{"a":1}x`, `{"a":1,"b":tru}`, `[1]`, `null`, "{\"a\":1,\"b\":\"\xff\"}"} {
		_, ok := jsonscan.Find([]byte(text), "a")
		assert.False(t, ok, text)
	}
}

func TestMember(t *testing.T) {
	got, ok := jsonscan.Member([]byte(`{"x.y":1}`), "x.y")
	assert.True(t, ok)
	assert.Equal(t, `1`, string(got))
	_, ok = jsonscan.Member([]byte(`{"":1}`), "")
	assert.True(t, ok, "a name, unlike a path, may be empty")
}

func TestKindOf(t *testing.T) {
	for text, want := range map[string]string{
		``: "no value", ` x`: "no value", ` null`: "null", `true`: "a boolean", `false`: "a boolean", `-1`: "a number",
		`0`: "a number", `"x"`: "a string", `[]`: "an array", "\n{}": "an object",
	} {
		assert.Equal(t, want, jsonscan.KindOf([]byte(text)).String(), text)
	}
	assert.NotPanics(t, func() { _ = jsonscan.Kind(255).String() })
}
