package microeventstore

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sha256ID(raw string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(raw)))
}

// Events are compared by what Parse finds in them; Raw is checked by itself.
func TestParse(t *testing.T) {
	at := time.Date(2019, 5, 15, 15, 20, 22, 847e6, time.UTC)
	for name, test := range map[string]struct {
		raw  string
		want Event
	}{
		"everything":                  {`{"id":"1","type":"a-b","timestamp":1557933622847,"partitionKey":"k","tags":{}}`, Event{ID: "1", Type: "a-b", PartitionKey: "k", Timestamp: at}},
		"nothing":                     {`{}`, Event{ID: sha256ID(`{}`)}},
		"white space":                 {" {\n} ", Event{ID: sha256ID(" {\n} ")}},
		"null":                        {`{"id":null,"type":null,"timestamp":null,"partitionKey":null}`, Event{ID: sha256ID(`{"id":null,"type":null,"timestamp":null,"partitionKey":null}`)}},
		"empty strings":               {`{"id":"","type":"","partitionKey":""}`, Event{ID: sha256ID(`{"id":"","type":"","partitionKey":""}`)}},
		"the last wins":               {`{"id":7,"type":"x","id":"1","type":"y","timestamp":"never","timestamp":0,"partitionKey":[],"partitionKey":"k"}`, Event{ID: "1", Type: "y", PartitionKey: "k", Timestamp: time.UnixMilli(0).UTC()}},
		"null wins too":               {`{"id":"1","type":"y","type":null}`, Event{ID: "1"}},
		"names to the letter":         {`{"id":"1","ID":"2","Id":3,"Type":"x","partitionkey":"k","i\u0000d":4,"\ud800":5}`, Event{ID: "1"}},
		"escaped names":               {`{"\u0069d":"1","typ\u0065":"x"}`, Event{ID: "1", Type: "x"}},
		"escapes":                     {`{"id":"\u00e9\n","type":"\"","partitionKey":"\ud83d\ude00\/"}`, Event{ID: "é\n", Type: `"`, PartitionKey: "😀/"}},
		"nested names":                {`{"a":{"id":"2","type":"x"},"b":[{"id":"3"}],"id":"1"}`, Event{ID: "1"}},
		"names in values":             {`{"id":"1","a":"\"type\":\"x\"","b":"type"}`, Event{ID: "1"}},
		"time is not a plain event's": {`{"id":"1","time":false,"source":7,"data":{"partitionKey":"no"}}`, Event{ID: "1"}},
		"not ASCII":                   {`{"id":"日本","type":"é","partitionKey":"😀"}`, Event{ID: "日本", Type: "é", PartitionKey: "😀"}},
		"RFC 3339":                    {`{"id":"1","timestamp":"2019-05-15T17:20:22.8479+02:00"}`, Event{ID: "1", Timestamp: at}},
		"huge numbers elsewhere":      {`{"id":"1","n":9007199254740993,"m":1e999999}`, Event{ID: "1"}},

		"CloudEvent": {`{"specversion":"1.0","id":"1","source":"/shop","type":"t","time":"2019-05-15T15:20:22.847Z","partitionkey":"k","partitionKey":"no","data":{"partitionKey":"no"}}`,
			Event{ID: "/shop 1", Type: "t", PartitionKey: "k", Timestamp: at}},
		"CloudEvent, plain key": {`{"specversion":"1.0","id":"1","source":"s","type":"t","partitionkey":"","partitionKey":"k","data":{"partitionKey":"no"}}`,
			Event{ID: "s 1", Type: "t", PartitionKey: "k"}},
		"CloudEvent, key in data": {`{"specversion":"1.0","id":"1","source":"s","type":"t","partitionkey":null,"data":{"partitionKey":"k"}}`,
			Event{ID: "s 1", Type: "t", PartitionKey: "k"}},
		"CloudEvent, no key in data":            {`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"partitionKey":7}}`, Event{ID: "s 1", Type: "t"}},
		"CloudEvent, data of text":              {`{"specversion":"1.0","id":"1","source":"s","type":"t","data":"partitionKey"}`, Event{ID: "s 1", Type: "t"}},
		"CloudEvent, timestamp":                 {`{"specversion":"1.0","id":"1","source":"s","type":"t","time":null,"timestamp":1557933622847}`, Event{ID: "s 1", Type: "t", Timestamp: at}},
		"CloudEvent, escapes":                   {`{"specversion":"1\u002e0","id":"\u0031","source":"\/s","type":"\u0074"}`, Event{ID: "/s 1", Type: "t"}},
		"CloudEvent, id with spaces":            {`{"specversion":"1.0","id":"1 2","source":"s","type":"t"}`, Event{ID: "s 1 2", Type: "t"}},
		"another specversion":                   {`{"specversion":"0.3","id":"1","source":"s","type":"t"}`, Event{ID: "1", Type: "t"}},
		"specversion is a number":               {`{"specversion":1.0,"id":"1","source":"s","type":"t"}`, Event{ID: "1", Type: "t"}},
		"no source":                             {`{"specversion":"1.0","id":"1","source":"","type":"t"}`, Event{ID: "1", Type: "t"}},
		"CloudEvent from EventBridge's members": {`{"specversion":"1.0","id":"1","source":"s","type":"t","detail-type":"no","detail":{}}`, Event{ID: "s 1", Type: "t"}},

		"EventBridge": {`{"version":"0","id":"1","detail-type":"Order Placed","source":"shop","time":"2019-05-15T15:20:22.847Z","detail":{"partitionKey":"k","type":"no"}}`,
			Event{ID: "1", Type: "Order Placed", PartitionKey: "k", Timestamp: at}},
		"EventBridge, own key":   {`{"id":"1","detail-type":"t","source":"s","partitionKey":"k","detail":{"partitionKey":"no"}}`, Event{ID: "1", Type: "t", PartitionKey: "k"}},
		"EventBridge, no id":     {`{"detail-type":"t","source":"s","detail":[]}`, Event{ID: sha256ID(`{"detail-type":"t","source":"s","detail":[]}`), Type: "t"}},
		"EventBridge, no detail": {`{"id":"1","detail-type":"no","source":"s","type":"t","detail":null}`, Event{ID: "1", Type: "t"}},
		"EventBridge, no source": {`{"id":"1","detail-type":"no","type":"t","detail":{}}`, Event{ID: "1", Type: "t"}},
	} {
		t.Run(name, func(t *testing.T) {
			raw := append(make([]byte, 0, 1000), test.raw...)
			aliased, err := parse(raw)
			require.NoError(t, err)
			assert.Same(t, &raw[0], &aliased.Raw[0])
			assert.Equal(t, len(raw), cap(aliased.Raw), "an append must not write behind the event")

			got, err := Parse(raw)
			require.NoError(t, err)
			clear(raw)
			assert.Equal(t, test.raw, string(got.Raw), "Parse keeps nothing of its argument")
			got.Raw, aliased.Raw = nil, nil
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.want, aliased, "nor does parse in the strings")
		})
	}
}

const cloud = `{"specversion":"1.0","id":"1","source":"s","type":"t",`

func TestParseRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		``:                                "the input is empty",
		` `:                               "invalid JSON: it ends too early at byte 1",
		`null`:                            "it is null, not an object",
		`true`:                            "it is a boolean, not an object",
		` -1 `:                            "it is a number, not an object",
		`"{}"`:                            "it is a string, not an object",
		`[{}]`:                            "it is an array, not an object",
		`[{}`:                             "invalid JSON: it ends too early at byte 3",
		`{"id":"1"`:                       "invalid JSON: it ends too early at byte 9",
		`{"id":"1"}{"id":"2"}`:            "invalid JSON: something after the value at byte 10",
		"{\"id\":\"1\xff\"}":              "invalid UTF-8 at byte 8",
		"{\"id\":\"1\",\"x\":[\"\xff\"]}": "invalid UTF-8 at byte 16",
		"\xef\xbb\xbf{}":                  "invalid JSON: it begins with a byte order mark",
		"{}\x00":                          "invalid JSON: something after the value at byte 2",
		`{"id":1}`:                        "id is a number, not a string",
		`{"id":"1","type":{}}`:            "type is an object, not a string",
		`{"id":"1","partitionKey":[]}`:    "partitionKey is an array, not a string",
		`{"id":true}`:                     "id is a boolean, not a string",
		`{"id":"\ud800"}`:                 "id holds half of a surrogate pair",
		`{"type":"\udc00"}`:               "type holds half of a surrogate pair",
		`{"partitionKey":"x\ud83d"}`:      "partitionKey holds half of a surrogate pair",
		`{"timestamp":true}`:              "timestamp is a boolean, not a number of milliseconds or an RFC 3339 time",
		`{"timestamp":{}}`:                "timestamp is an object, not a number of milliseconds or an RFC 3339 time",
		`{"timestamp":""}`:                "timestamp is not an RFC 3339 time",
		`{"timestamp":"1557933622847"}`:   "timestamp is not an RFC 3339 time",
		`{"timestamp":"\ud800"}`:          "timestamp is not an RFC 3339 time",
		`{"timestamp":1e16}`:              "timestamp is out of range for milliseconds since 1970",

		cloud + `"source":"a b"}`:                   "source holds a space",
		cloud + `"source":"a\u0020b"}`:              "source holds a space",
		cloud + `"source":"\ud800"}`:                "source holds half of a surrogate pair",
		cloud + `"time":1}`:                         "time is a number, not an RFC 3339 time",
		cloud + `"time":"now"}`:                     "time is not an RFC 3339 time",
		cloud + `"timestamp":[]}`:                   "timestamp is an array, not a number of milliseconds or an RFC 3339 time",
		cloud + `"partitionkey":1}`:                 "partitionkey is a number, not a string",
		cloud + `"partitionKey":1}`:                 "partitionKey is a number, not a string",
		cloud + `"data":{"partitionKey":"\ud800"}}`: "partitionKey holds half of a surrogate pair",

		`{"detail-type":"\ud800","source":"s","detail":{}}`:         "detail-type holds half of a surrogate pair",
		`{"detail-type":"t","source":"s","detail":{},"id":1}`:       "id is a number, not a string",
		`{"detail-type":"t","source":"s","detail":{},"time":false}`: "time is a boolean, not an RFC 3339 time",
	} {
		e, err := Parse([]byte(raw))
		assert.EqualError(t, err, "parse event: "+want, raw)
		assert.Zero(t, e)
	}
	_, err := Parse(nil)
	assert.EqualError(t, err, "parse event: the input is empty")
}

func TestPromise10NoInputMakesParsePanic(t *testing.T) {
	const full = cloud + `"time":"2019-05-15T15:20:22.847Z","partitionkey":"\u00e9","data":{"tags":{"a.b":-1.5e3}},"tags":{}}`
	check := func(raw []byte) {
		e, err := Parse(raw)
		if err != nil {
			e = Event{Raw: raw}
		}
		_, _ = e.Field("data.tags")
		_, _ = e.Tag("a.b")
		_ = e.Data()
		_ = e.Clone()
		_ = e.Decode(new(any))
	}
	assert.NotPanics(t, func() {
		for i := range len(full) {
			check([]byte(full[:i]))
			check([]byte(full[i:]))
			for _, c := range "\x00\"\\{}[]:, 0-.etn\xff" {
				check([]byte(full[:i] + string(c) + full[i+1:]))
			}
		}
		for _, opening := range []string{"[", `{"a":`, `{"tags":`, `{"data":[`, "-", `"\u`} {
			check([]byte(strings.Repeat(opening, 100_000)))
		}
	})
}

// The canary stands wherever an event may hold someone's data.
func TestPromise20ErrorsHoldNoPayload(t *testing.T) {
	const canary = "CANARY31337"
	for _, raw := range []string{
		`CANARY31337`, `"CANARY31337`, `["CANARY31337"]`, `{"CANARY31337"}`, `{"CANARY31337":}`, `{"CANARY31337":"\q"}`, `{"a":CANARY31337}`,
		`{"id":["CANARY31337"]}`, `{"id":"CANARY31337\ud800"}`, `{"type":{"CANARY31337":1}}`,
		`{"timestamp":"CANARY31337"}`, `{"timestamp":"2019-05-15T15:20:22.847CANARY31337"}`, `{"timestamp":["CANARY31337"]}`,
		cloud + `"source":"CANARY31337 "}`, cloud + `"time":"CANARY31337"}`,
	} {
		_, err := Parse([]byte(raw))
		require.Error(t, err, raw)
		assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), canary)

		err = Event{Raw: []byte(raw)}.Decode(new(any))
		assert.NotContains(t, fmt.Sprint(err), canary)
	}
	_, err := Parse([]byte(`{"timestamp":31337313373133731337}`))
	assert.NotContains(t, fmt.Sprint(err), "31337")
}

func TestParseAllocatesOnce(t *testing.T) {
	for _, text := range []string{
		`{"id":"1","type":"a-b","timestamp":1557933622847,"partitionKey":"k"}`,
		`{"type":"a","timestamp":"2019-05-15T15:20:22.847Z"}`,
		cloud + `"time":"2019-05-15T15:20:22.847Z","data":{"partitionKey":"k"}}`,
		`{"\u0069d":"\u00e9\n"}`,
	} {
		raw := []byte(text)
		assert.Equal(t, 1.0, testing.AllocsPerRun(100, func() {
			if _, err := parse(raw); err != nil {
				t.Fatal(err)
			}
		}), text)
	}
}

func TestNewEvent(t *testing.T) {
	e, err := NewEvent(map[string]any{"id": "1", "type": "t", "timestamp": int64(1557933622847), "n": json.Number("9007199254740993")})
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","n":9007199254740993,"timestamp":1557933622847,"type":"t"}`, string(e.Raw))
	assert.Equal(t, "1", e.ID)
	assert.Equal(t, int64(1557933622847), e.Timestamp.UnixMilli())

	for want, v := range map[string]any{
		"new event: parse event: it is null, not an object":                        nil,
		"new event: parse event: it is a string, not an object":                    []byte(`{}`),
		"new event: parse event: id is a number, not a string":                     map[string]int{"id": 1},
		"new event: a float64 cannot be marshalled":                                math.NaN(),
		"new event: a json.RawMessage cannot be marshalled":                        json.RawMessage(`{"id":SECRET}`),
		"new event: its ID holds U+FFFD, which stands for invalid UTF-8":           map[string]string{"id": "h\xff"},
		"new event: its Type holds U+FFFD, which stands for invalid UTF-8":         map[string]string{"type": "\uFFFD"},
		"new event: its PartitionKey holds U+FFFD, which stands for invalid UTF-8": map[string]string{"partitionKey": "h\xfe"},
	} {
		e, err := NewEvent(v)
		assert.EqualError(t, err, want)
		assert.Zero(t, e)
	}
	again := e
	again.RangeKey = "r"
	for _, v := range []any{again, &again} {
		got, err := NewEvent(v)
		require.NoError(t, err)
		assert.Equal(t, e, got)
	}
	_, err = NewEvent((*Event)(nil))
	assert.EqualError(t, err, "new event: parse event: it is null, not an object")

	_, err = NewEvent(math.NaN())
	var unsupported *json.UnsupportedValueError
	assert.ErrorAs(t, err, &unsupported)
}
