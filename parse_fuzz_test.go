package microeventstore

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// wantEvent says what Parse must make of a text, by way of encoding/json: an
// independent reading of Parse's documentation. It is undecided only about
// timestamps with exponents too large for an exact fraction.
func wantEvent(raw []byte) (e Event, ok, decided bool) {
	var m map[string]json.RawMessage
	if !utf8.Valid(raw) || json.Unmarshal(raw, &m) != nil || m == nil {
		return Event{}, false, true
	}
	for name, value := range m {
		if string(value) == "null" {
			delete(m, name)
		}
	}
	str := func(name string) string { s, _ := wantString(m[name]); return s }

	typeName, keyNames, timeName := "type", []string{"partitionKey"}, "timestamp"
	source, payload := "", json.RawMessage(nil)
	_, hasSource := wantString(m["source"])
	_, hasDetailType := wantString(m["detail-type"])
	switch {
	case str("specversion") == "1.0" && isNonEmpty(m["id"]) && isNonEmpty(m["source"]) && isNonEmpty(m["type"]):
		source, ok = wantString(m["source"])
		if !ok || strings.Contains(source, " ") {
			return Event{}, false, true
		}
		source += " "
		keyNames, payload = []string{"partitionkey", "partitionKey"}, m["data"]
	case (hasDetailType || isNonEmpty(m["detail-type"])) && (hasSource || isNonEmpty(m["source"])) && m["detail"] != nil:
		typeName, payload = "detail-type", m["detail"]
	}
	if (source != "" || typeName != "type") && m["time"] != nil {
		timeName = "time"
	}

	if value := m[timeName]; value != nil {
		ms, ok, decided := wantTimestamp(value)
		if !decided {
			return Event{}, false, false
		}
		if !ok || timeName == "time" && value[0] != '"' {
			return Event{}, false, true
		}
		e.Timestamp = time.UnixMilli(ms).UTC()
	}
	for _, field := range []struct {
		name string
		to   *string
	}{{"id", &e.ID}, {typeName, &e.Type}} {
		if *field.to, ok = wantString(m[field.name]); !ok && m[field.name] != nil {
			return Event{}, false, true
		}
	}
	for _, name := range keyNames {
		if e.PartitionKey, ok = wantString(m[name]); !ok && m[name] != nil {
			return Event{}, false, true
		}
		if e.PartitionKey != "" {
			break
		}
	}
	var inner map[string]json.RawMessage
	if e.PartitionKey == "" && json.Unmarshal(payload, &inner) == nil {
		if key := inner["partitionKey"]; len(key) > 0 && key[0] == '"' {
			if e.PartitionKey, ok = wantString(key); !ok {
				return Event{}, false, true
			}
		}
	}
	if e.ID == "" {
		e.ID = sha256ID(string(raw))
	}
	e.ID = source + e.ID
	return e, true, true
}

func isNonEmpty(value json.RawMessage) bool { return len(value) > 2 && value[0] == '"' }

// wantString reads a string, and none that encoding/json had to repair: in valid
// UTF-8 that is one with half of a surrogate pair.
func wantString(value json.RawMessage) (string, bool) {
	var s string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", false
	}
	written := strings.Count(s, "\uFFFD")
	inText := bytes.Count(value, []byte("\uFFFD")) + strings.Count(strings.ReplaceAll(strings.ToLower(string(value)), `\\`, "__"), `\ufffd`)
	return s, written == inText
}

func FuzzParse(f *testing.F) {
	for _, raw := range []string{
		`{"id":"1","type":"a-b","timestamp":1557933622847,"partitionKey":"k","tags":{"a":1}}`, ` {} `, `null`, `[]`, `{"id":1}`, `{"id":null,"timestamp":-1.5}`,
		`{"\u0069d":"\u00e9\ud83d\ude00","id":"","type":"\ud800"}`, `{"timestamp":"2019-05-15T17:20:22.8479+02:00"}`, `{"timestamp":1.5577e12,"timestamp":null}`,
		cloud + `"time":"2019-05-15T15:20:22.847Z","partitionkey":"k","partitionKey":"l","data":{"partitionKey":"m"}}`, cloud + `"data":{"partitionKey":"m","tags":{}}}`,
		cloud + `"source":"a b"}`, cloud + `"time":1}`, bridge + `"time":"2019-05-15T15:20:22Z","detail":{"partitionKey":"k"}}`, bridge + `"detail":null}`,
		"{\"id\":\"\xff\"}", `{"id":"1"}x`, "\xef\xbb\xbf{}", `{"id":"1","a":{"b":[{"id":"2"}]}}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		got, err := Parse(raw)
		require.Equal(t, before, raw, "Parse only reads")
		again, againErr := parse(raw)
		require.Equal(t, got, again)
		require.Equal(t, err, againErr)

		if err == nil {
			require.Equal(t, raw, []byte(got.Raw))
			requireSaysOnly(t, raw, got)
			for _, s := range []string{got.ID, got.Type, got.PartitionKey} {
				require.True(t, utf8.ValidString(s))
			}
		} else {
			require.Zero(t, got)
			requireQuiet(t, err)
		}
		want, ok, decided := wantEvent(raw)
		if !decided {
			return
		}
		require.Equal(t, ok, err == nil, "%q: %v", raw, err)
		if ok {
			got.Raw = nil
			require.Equal(t, want, got, "%q", raw)
		}
	})
}

// requireSaysOnly sees that an envelope says of no event that it is the one which was
// parsed when it is another one.
func requireSaysOnly(t *testing.T, raw []byte, parsed Event) {
	t.Helper()
	env := envelope{raw: raw}
	require.NoError(t, env.read())
	others := []Event{{}, parsed}
	for _, text := range []string{parsed.ID + "x", parsed.Type, parsed.PartitionKey, string(env.of(env.id)), string(env.of(env.typ)), string(env.of(env.partitionKey))} {
		text = strings.Trim(text, `"`) // as it is written
		for i := range 3 {
			other := parsed
			*[]*string{&other.ID, &other.Type, &other.PartitionKey}[i] = text
			others = append(others, other)
		}
	}
	later := parsed
	later.Timestamp = later.Timestamp.Add(time.Millisecond)
	for i, other := range append(others, later) {
		if env.says(&other) {
			other.Raw, other.Timestamp = parsed.Raw, other.Timestamp.In(parsed.Timestamp.Location())
			require.Equal(t, parsed, other, "%d: %q", i, raw)
		}
	}
}

// requireQuiet holds an error of Parse to a fixed set of words and numbers: with
// nothing else in it, it quotes nothing.
func requireQuiet(t *testing.T, err error) {
	t.Helper()
	const words = "parse event: the input is empty it is null a boolean number string an array object not of milliseconds or RFC 3339 time " +
		"invalid JSON: ends too early no value member name colon comma closing bracket digit unknown escape in control character UTF-8 nested more than 10,000 deep something after " +
		"at byte holds half surrogate pair space out range for since 1970 id type partitionKey timestamp source partitionkey detail-type begins with order mark"
	known := strings.Fields(words)
	for word := range strings.FieldsSeq(err.Error()) {
		word = strings.TrimSuffix(word, ",")
		if !slices.Contains(known, word) && strings.Trim(word, "0123456789") != "" {
			t.Fatalf("an unknown word in %q", err)
		}
	}
}

// wantField is what Field must return, by way of encoding/json.
func wantField(raw []byte, path string) (any, bool) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, false
	}
	v := decodeNumbers(raw)
	for name := range strings.SplitSeq(path, ".") {
		object, _ := v.(map[string]any) // nil has no members
		var found bool
		if v, found = object[name]; name == "" || !found {
			return nil, false
		}
	}
	return v, true
}

func decodeNumbers(raw []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func FuzzField(f *testing.F) {
	for _, seed := range []struct{ raw, path string }{
		{`{"a":{"b":{"c":[1,2]}},"a":{"b":9007199254740993}}`, "a.b"}, {`{"a":{"b":1},"a":7}`, "a.b"}, {` { "a" : null } `, "a"},
		{`{"\u0061":{"é":1e999}}`, "a.é"}, {`{"a.b":1,"":{"":2}}`, "a.b"}, {`{"":1}`, ""}, {`[{"a":1}]`, "a"}, {`{"a":1`, "a"}, {`{"a":{"b":"\ud800"}}`, "a.b"},
	} {
		f.Add([]byte(seed.raw), seed.path)
	}
	f.Fuzz(func(t *testing.T, raw []byte, path string) {
		if strings.Contains(path, "\uFFFD") || !utf8.ValidString(path) {
			return // encoding/json gives this name to other members too
		}
		got, ok := Event{Raw: raw}.Field(path)
		want, wantOK := wantField(raw, path)
		require.Equal(t, wantOK, ok, "%q in %q", path, raw)
		if ok {
			require.Equal(t, want, decodeNumbers(got))
			require.True(t, bytes.Contains(raw, got))
			require.Equal(t, len(got), cap(got))
		}
		_, _ = Event{Raw: raw}.Tag(path)
		_ = Event{Raw: raw}.Data()
	})
}
