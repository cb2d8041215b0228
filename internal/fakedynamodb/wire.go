package fakedynamodb

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decode reads a request. What the fake does not know it refuses, so that a
// test never passes because a parameter was ignored. Bytes that are not UTF-8
// become U+FFFD, as they do on the way to the service (encoding/json does the
// same replacement).
func decode(body []byte, into any) *apiError {
	if quickly(body, into) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("fakedynamodb does not know the parameter %s", name)
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return failure(codeSerialization, "%s cannot be converted to %s", strings.ToUpper(wrong.Value)+"_VALUE", wrong.Type)
	case errors.Is(err, io.EOF):
		return failure(codeSerialization, "Unexpected end of stream")
	}
	return failure(codeSerialization, "Unexpected token")
}

// appendItem writes an item with its attributes in the order of their names.
func appendItem(out []byte, it item) []byte {
	out = append(out, '{')
	for i, name := range sortedKeys(it) {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(out, name)
		out = append(out, ':')
		out = appendValue(out, it[name])
	}
	return append(out, '}')
}

func appendValue(out []byte, v value) []byte {
	out = append(out, `{"`...)
	out = append(out, v.kind...)
	out = append(out, `":`...)
	switch v.kind {
	case "BOOL":
		out = strconv.AppendBool(out, v.b)
	case "NULL":
		out = append(out, "true"...)
	case "SS", "NS", "BS":
		out = append(out, '[')
		for i, e := range v.set {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendScalar(out, e)
		}
		out = append(out, ']')
	case "L":
		out = append(out, '[')
		for i, e := range v.list {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendValue(out, e)
		}
		out = append(out, ']')
	case "M":
		out = appendItem(out, v.m)
	default:
		out = appendScalar(out, v)
	}
	return append(out, '}')
}

func appendScalar(out []byte, v value) []byte {
	if v.kind == "B" {
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, []byte(v.s))
		return append(out, '"')
	}
	return appendText(out, v.s)
}

// appendText writes a JSON string, escaping only what JSON demands.
func appendText(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	out = append(out, s[start:]...)
	return append(out, '"')
}

func jsonText(s string) []byte {
	return appendText(nil, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// rawItem is an item that is already JSON, for answers built with encoding/json.
func rawItem(it item) json.RawMessage { return appendItem(nil, it) }

// reply marshals an answer; encoding/json sorts the keys of maps, so the same
// answer is always the same bytes.
func reply(v any) []byte {
	out, err := marshal(v)
	if err != nil { // only the fake's own types get here
		return failure(codeInternal, "fakedynamodb: %v", err).body()
	}
	return out
}

func marshal(v any) ([]byte, error) {
	if out, ok := appendPlain(make([]byte, 0, 256+sizeOfRaw(v)), v); ok {
		return out, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// sizeOfRaw is how much of an answer is JSON already.
func sizeOfRaw(v any) (size int) {
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			size += sizeOfRaw(inner)
		}
	case []json.RawMessage:
		for _, raw := range v {
			size += len(raw) + 1
		}
	case json.RawMessage:
		size = len(v)
	}
	return size
}

// appendPlain writes what most answers are made of as encoding/json would: that
// looks at every byte of what is JSON already, once for each object around it.
// False leaves it to encoding/json.
func appendPlain(out []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case map[string]any:
		return appendObject(out, v, appendPlain)
	case map[string][]json.RawMessage:
		return appendObject(out, v, func(out []byte, raw []json.RawMessage) ([]byte, bool) { return appendPlain(out, raw) })
	case []any:
		return appendList(out, v, appendPlain)
	case []json.RawMessage:
		return appendList(out, v, func(out []byte, raw json.RawMessage) ([]byte, bool) { return append(out, raw...), raw != nil })
	case json.RawMessage:
		return append(out, v...), v != nil
	case string:
		return appendText(out, v), isPlain(v)
	case int:
		return strconv.AppendInt(out, int64(v), 10), true
	case int64:
		return strconv.AppendInt(out, v, 10), true
	case float64:
		// Beyond these bounds encoding/json writes an exponent.
		return strconv.AppendFloat(out, v, 'f', -1, 64), v == 0 || v >= 1e-6 && v < 1e21
	case bool:
		return strconv.AppendBool(out, v), true
	}
	return out, false
}

// isPlain tells whether encoding/json writes a text as it stands.
func isPlain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) < 0
}

func appendObject[V any](out []byte, m map[string]V, one func([]byte, V) ([]byte, bool)) (_ []byte, ok bool) {
	if m == nil {
		return out, false
	}
	out = append(out, '{')
	for i, name := range sortedKeys(m) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, name), ':')
		if out, ok = one(out, m[name]); !ok || !isPlain(name) {
			return out, false
		}
	}
	return append(out, '}'), true
}

func appendList[V any](out []byte, list []V, one func([]byte, V) ([]byte, bool)) (_ []byte, ok bool) {
	if list == nil {
		return out, false
	}
	out = append(out, '[')
	for i, v := range list {
		if i > 0 {
			out = append(out, ',')
		}
		if out, ok = one(out, v); !ok {
			return out, false
		}
	}
	return append(out, ']'), true
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
