package microeventstore

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const bridge = `{"id":"1","detail-type":"t","source":"s",`

func TestField(t *testing.T) {
	e := Event{Raw: []byte(`{"thing":{"group":"g\u00e9","n":9007199254740993,"no":null},"a.b":1,"thing":{"group":[1, 2]},"x":{"y":{"z":{}}}}`)}
	for path, want := range map[string]string{"thing.group": `[1, 2]`, "thing": `{"group":[1, 2]}`, "x.y.z": `{}`} {
		got, ok := e.Field(path)
		assert.True(t, ok, path)
		assert.Equal(t, want, string(got), path)
		assert.Equal(t, len(got), cap(got))
	}
	for _, path := range []string{"", ".", "thing.", ".thing", "thing..group", "thing.n", "a.b", "x.y.z.q", "Thing", "thing.group.0"} {
		got, ok := e.Field(path)
		assert.False(t, ok, path)
		assert.Nil(t, got)
	}
	for _, raw := range []string{"", "{", `{"a":1`, `{"a":1}}`, `{"a":1,"b":tru}`, `[{"a":1}]`, `1`, "{\"a\":1,\"b\":\"\xff\"}"} {
		_, ok := Event{Raw: []byte(raw)}.Field("a")
		assert.False(t, ok, raw)
	}
}

func TestTag(t *testing.T) {
	for raw, want := range map[string]string{
		`{"tags":{"a.b":"x"}}`:                                       "x",
		`{"tags":{"a.b":"\u00e9\ud83d\ude00\n"}}`:                    "é😀\n",
		`{"tags":{"\u0061.b":""}}`:                                   "",
		`{"tags":{"a.b":-1.50e3}}`:                                   "-1.50e3",
		`{"tags":{"a.b":9007199254740993}}`:                          "9007199254740993",
		`{"tags":{"a.b":true}}`:                                      "true",
		`{"tags":{"a.b":"x","a.b":false}}`:                           "false",
		`{"tags":{"a.b":"y"},"tags":{"a.b":"x"}}`:                    "x",
		bridge + `"detail":{"tags":{"a.b":"x"}}}`:                    "x",
		bridge + `"tags":{"c":1},"detail":{"tags":{"a.b":"x"}}}`:     "x",
		bridge + `"tags":{"a.b":"x"},"detail":{"tags":{"a.b":"y"}}}`: "x",
		cloud + `"data":{"tags":{"a.b":"x"}}}`:                       "x",
		cloud + `"data":{"tags":{"a.b":"x"}},"a.b":"y"}`:             "x",
		cloud + `"data":"none","a.b":"x"}`:                           "x",
		cloud + `"a.b":7}`:                                           "7",
	} {
		got, ok := Event{Raw: []byte(raw)}.Tag("a.b")
		assert.True(t, ok, raw)
		assert.Equal(t, want, got, raw)
	}
	for _, raw := range []string{
		``, `{}`, `null`, `{"tags":{"a.b":"x"}`, `{"tags":{"a":{"b":"x"}}}`, `{"a.b":"x"}`, `{"data":{"tags":{"a.b":"x"}}}`, `{"tags":["a.b"]}`, `{"tags":"a.b"}`,
		`{"tags":{"a.b":null}}`, `{"tags":{"a.b":{}}}`, `{"tags":{"a.b":[]}}`, `{"tags":{"a.b":"\ud800"}}`, `{"tags":{"A.B":"x"}}`,
		cloud + `"tags":{"a.b":null},"data":{"tags":{"a.b":"x"}},"a.b":"x"}`, bridge + `"detail":{},"a.b":"x"}`,
	} {
		got, ok := Event{Raw: []byte(raw)}.Tag("a.b")
		assert.False(t, ok, raw)
		assert.Empty(t, got)
	}
	ce := Event{Raw: []byte(cloud + `"subject":"x","time":"2019-05-15T15:20:22Z","region":"eu"}`)}
	for _, name := range []string{"id", "source", "type", "specversion", "subject", "time", "data"} {
		_, ok := ce.Tag(name)
		assert.False(t, ok, "%s is no extension", name)
	}
	got, ok := ce.Tag("region")
	assert.True(t, ok)
	assert.Equal(t, "eu", got)
}

func TestData(t *testing.T) {
	for raw, want := range map[string]string{
		bridge + `"detail":{"a": 1}}`:                    `{"a": 1}`,
		cloud + `"data":{"a": 1}}`:                       `{"a": 1}`,
		cloud + `"data":"text"}`:                         `"text"`,
		`{"data":1,"detail":2}`:                          `{"data":1,"detail":2}`,
		`not an event`:                                   `not an event`,
		cloud + `"detail-type":"t","detail":1,"data":2}`: `2`,
	} {
		got := Event{Raw: []byte(raw)}.Data()
		assert.Equal(t, want, string(got))
	}
	assert.Nil(t, Event{Raw: []byte(cloud + `"data_base64":"AA=="}`)}.Data())
	assert.Nil(t, Event{Raw: []byte(cloud + `"data":null}`)}.Data())
	assert.Nil(t, Event{}.Data())
}

func TestZeroEvent(t *testing.T) {
	var e Event
	_, ok := e.Field("a")
	assert.False(t, ok)
	_, ok = e.Tag("a")
	assert.False(t, ok)
	assert.Error(t, e.Decode(new(any)))
	assert.Equal(t, e, e.Clone())
}
