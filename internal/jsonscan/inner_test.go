package jsonscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// outlineOf is what Members makes of a text.
func outlineOf(text []byte) ([]Place, error) {
	var places []Place
	members := Members(text)
	for members.Next() {
		end := members.pos
		value := end - len(members.Value)
		name := bytes.TrimRight(text[:value], " \t\r\n")
		name = bytes.TrimRight(name[:len(name)-1], " \t\r\n")
		nameEnd := len(name) - 1
		places = append(places, Place{uint32(nameEnd - len(members.Key)), uint32(nameEnd), uint32(value), uint32(end)})
	}
	return places, members.Err()
}

// agreeOnObject has AppendInner read a text, quoted in several ways. It reports
// whether it has taken all of them.
func agreeOnObject(t testing.TB, text []byte) bool {
	t.Helper()
	taken := true
	for _, quote := range []func([]byte) []byte{quoteGo, quoteSDK} {
		quoted := quote(text)
		for _, behind := range []string{"", "}", `}},"type":{"S":"x"}`} {
			taken = agreeOnInner(t, append(quoted[:len(quoted):len(quoted)], behind...)) && taken
		}
	}
	return taken
}

// agreeOnInner holds AppendInner to AppendText and Members, for any bytes. It reports
// whether it has taken them.
func agreeOnInner(t testing.TB, b []byte) bool {
	t.Helper()
	const before = "before"
	dst := append(make([]byte, 0, len(before)+len(b)+InnerRoom), before...)
	got, places, end, ok := AppendInner(dst, nil, b, 1)
	agreeOnRoom(t, b, got[len(before):], places, end, ok)
	if !ok {
		return false
	}
	require.Same(t, &dst[0], &got[0], "it must not move")
	text, wantEnd, wantOK := AppendText([]byte(before), b, 1)
	require.True(t, wantOK, "%q", b)
	require.Equal(t, wantEnd, end, "%q", b)
	require.Equal(t, string(text), string(got), "%q", b)
	want, err := outlineOf(text[len(before):])
	require.NoError(t, err, "%q", b)
	require.Equal(t, want, places, "%q", b)
	return true
}

// agreeOnRoom has AppendInner read a text into less room than there was, and sees that
// it says so or does as before.
func agreeOnRoom(t testing.TB, b, want []byte, places []Place, end int, ok bool) {
	t.Helper()
	require.NotEqual(t, noRoom, end, "%q", b)
	for _, less := range []int{1, InnerRoom - 9, InnerRoom, len(b) / 2, len(b), len(b) + InnerRoom} {
		got, gotPlaces, gotEnd, gotOK := AppendInner(make([]byte, 0, max(0, len(b)+InnerRoom-less)), nil, b, 1)
		if gotEnd == noRoom {
			require.False(t, gotOK)
			continue
		}
		require.Equal(t, ok, gotOK, "%q", b)
		if ok {
			require.Equal(t, end, gotEnd)
			require.Equal(t, string(want), string(got))
			require.Equal(t, places, gotPlaces)
		}
	}
}

func quoteGo(text []byte) []byte {
	quoted, err := json.Marshal(string(text))
	if err != nil {
		return nil
	}
	return quoted
}

func quoteSDK(text []byte) []byte {
	quoted, ok := AppendQuoted(nil, text)
	if !ok {
		return nil
	}
	return quoted
}

var outlines = []string{
	`{"a":"b","c":["d","e","f"],"g":{"h":"i","j":"k"},"l":["m",{"n":"o"},"p"],"q":"r"}`, `{"a":["b","c"]}`, `{"a":{"b":"c"}}`,
	`{"a":1}`, `{"id":"1","b":{"c":[1,2,{"d":"e"}],"f":{}},"g":[],"h":[[]],"i":null,"j":true,"k":false,"l":-1.5e+3}`,
	` { "a" : "b" , "c" : [ 1 , { "d" : 2 } ] } `, "{\n\t\"a\":\r\n[1,\n2]\n}\n", `{"é":"日本語 text","esc":"\"\\\/\b\f\n\r\té\ud83d\ude00\ud800"}`,
	`{"":"","long":"` + strings.Repeat("x", 100) + `"}`, `{"a":"1234567","b":"12345678","c":"123456789"}`, `{"a":12345678,"b":123456789,"c":1234567}`,
	`{"a":"` + strings.Repeat(`\"`, 20) + `"}`, `{"a":"x","a":"y"}`, `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	"{\"a\":\"\u2028\u007f<>&\"}",
}

var noOutlines = []string{
	`{"a":"b":"c"}`, `{"a","b":1}`, `{"a":["b":"c"]}`, `{"a":"b","c","d":1}`, `{"a":"b","c"}`,
	``, ` `, `{`, `}`, `[]`, `"a"`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1}}`, `{"a":1]`, `{}`, `{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, `{"a":[1}`, `{"a":tru}`, `{"a":01}`, `{"a":1.}`, `{"a" 1}`,
	"{\"a\":\"\n\"}", `{"a":"\x"}`, `{"a":"\u12"}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":"`, `{"a":"\`, `{} x`, `{"a":{"b"}}`, `{"a":{{}}}`, `{"a":{"b":1,}}`, `{"a":[1,]}`,
}

func TestAppendInnerTakesObjects(t *testing.T) {
	for _, text := range outlines {
		require.True(t, agreeOnObject(t, []byte(text)), "%q", text)
		for n := range len(text) {
			agreeOnObject(t, []byte(text[:n]))
		}
	}
	for _, text := range noOutlines {
		require.False(t, agreeOnObject(t, []byte(text)), "%q", text)
	}
	_, _, end, ok := AppendInner(nil, nil, []byte(`"{\"a\":1}"`), 1)
	require.False(t, ok)
	require.Equal(t, -1, end, "there is no room")
}

// What only the outer string escapes, and what is no JSON inside it.
func TestAppendInner(t *testing.T) {
	require.False(t, agreeOnInner(t, []byte("\"{\\\"a\\\":\\\"\xff\\\"}\"")))
	for b, want := range map[string]bool{
		`"{\"a\":\"\u00e9\ud83d\ude00\/\"}"`: true,
		`"{\"a\":\"\ud800\"}"`:               false,
		`"{\"a\":\"\u0022}"`:                 false,
		`"{\u0022a\":1}"`:                    false,
		`"{\"a\":\"\n\"}"`:                   false,
		`"{\"a\":\"\\\n\"}"`:                 false,
		`"{\n\"a\"\t:\r1\n}\n"`:              true,
		`"{\"a\":1}\b"`:                      false,
		`"{\"a\":1}x"`:                       false,
		`"{\"a\":1"`:                         false,
		`"{\"a\":1}`:                         false,
		`"{\"a\":1}\`:                        false,
		`"{\"a\":\"x\`:                       false,
		`"{\"a\":\"\\"}"`:                    false,
		`"{\"a\":\"\\u12\"}"`:                false,
		`"{\"a\":\"\\x\"}"`:                  false,
		`"{\"a\":"}"`:                        false,
		`"{\"a\":\"b"\"}"`:                   false,
		`""`:                                 false,
		`"{}"`:                               false,
		`"[1]"`:                              false,
	} {
		require.Equal(t, want, agreeOnInner(t, []byte(b)), b)
	}
}

func TestAppendInnerTakesRealEvents(t *testing.T) {
	sample, err := os.ReadFile("../../testdata/events.ndjson")
	require.NoError(t, err)
	for line := range bytes.Lines(sample) {
		line = bytes.TrimSpace(line)
		require.True(t, agreeOnObject(t, line))
	}
}

func FuzzAppendInner(f *testing.F) {
	for _, text := range append(outlines, noOutlines...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if utf8.Valid(text) {
			agreeOnObject(t, text)
		}
		agreeOnInner(t, fmt.Appendf(nil, `"%s"`, text))
	})
}

func TestAnOutlineIsOfItsOwnBytes(t *testing.T) {
	text := []byte(`{"a":1}`)
	places, err := outlineOf(text)
	require.NoError(t, err)
	outline := NewOutline(text, places)
	got, ok := outline.Of(text[:len(text):len(text)])
	require.True(t, ok)
	require.Equal(t, places, got)
	for _, other := range [][]byte{nil, {}, bytes.Clone(text), text[1:], text[:3]} {
		_, ok := outline.Of(other)
		require.False(t, ok, "%q", other)
	}
	var none *Outline
	_, ok = none.Of(text)
	require.False(t, ok)
}
