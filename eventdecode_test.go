package microeventstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type order struct {
	Number json.Number
	Lines  []line
	ByName map[string]line
	Any    any
	At     time.Time
}

type line struct {
	Count int8 `json:"count"`
	Text  string
	Price int `json:"price,string"`
}

func TestDecode(t *testing.T) {
	e := Event{Raw: []byte(`{"any":{"n":[9007199254740993,1.10]},"lines":[{"count":7}]}`)}
	var o order
	require.NoError(t, e.Decode(&o))
	assert.Equal(t, []line{{Count: 7}}, o.Lines)
	assert.Equal(t, map[string]any{"n": []any{json.Number("9007199254740993"), json.Number("1.10")}}, o.Any)

	m, err := DecodeAs[map[string]any](e)
	require.NoError(t, err)
	assert.Contains(t, m, "lines")
	var raw json.RawMessage
	require.NoError(t, e.Decode(&raw))
	raw[0] = 'x'
	assert.Equal(t, byte('{'), e.Raw[0])
}

func TestDecodeRefuses(t *testing.T) {
	e := Event{Raw: []byte(`{"a":1}`)}
	var nothing *order
	for want, v := range map[string]any{
		"want a pointer that is not nil, got <nil>":                   nil,
		"want a pointer that is not nil, got microeventstore.order":   order{},
		"want a pointer that is not nil, got *microeventstore.order":  nothing,
		"want a pointer that is not nil, got map[string]interface {}": map[string]any{},
	} {
		assert.EqualError(t, e.Decode(v), "decode event: "+want)
	}
	for raw, want := range map[string]string{
		``:                 "it has no Raw",
		`{"a":1`:           "invalid JSON: it ends too early at byte 6",
		`{"a":1} {"a":2}`:  "invalid JSON: something after the value at byte 8",
		"{\"a\":\"\xff\"}": "invalid UTF-8 at byte 6",
	} {
		assert.EqualError(t, Event{Raw: []byte(raw)}.Decode(new(order)), "decode event: "+want)
	}
}

// loud is a user's type whose errors quote what they were given.
type loud struct{}

func (loud) UnmarshalJSON(b []byte) error { return fmt.Errorf("cannot read %s", b) }

// rude is one that does so in encoding/json's own error.
type rude struct{}

func (rude) UnmarshalJSON(b []byte) error {
	return &json.UnmarshalTypeError{Value: string(b), Type: reflect.TypeFor[int]()}
}

func TestPromise20DecodeErrorsHoldNoPayload(t *testing.T) {
	const into = "decode event into microeventstore.order: "
	for raw, want := range map[string]string{
		`{"lines":[{"count":31337}]}`:                "a JSON number does not fit the Go type int8 of the field Lines.count",
		`{"lines":[{"count":"CANARY31337"}]}`:        "a JSON string does not fit the Go type int8 of the field Lines.count",
		`{"lines":[{"Text":{"CANARY31337":1}}]}`:     "a JSON object does not fit the Go type string of the field Lines.Text",
		`{"lines":[{"Text":[31337]}]}`:               "a JSON array does not fit the Go type string of the field Lines.Text",
		`{"byname":{"CANARY31337":{"count":31337}}}`: "a JSON number does not fit the Go type int8 of the field ByName.count",
		`{"byname":{"CANARY31337":31337}}`:           "a JSON number does not fit the Go type microeventstore.line of the field ByName",
		`{"lines":[{"price":"CANARY31337"}]}`:        "a value does not fit",
		`{"lines":[{"price":31337}]}`:                "a value does not fit",
		`{"at":"CANARY31337"}`:                       "a value does not fit",
		`{"number":"CANARY31337"}`:                   "a value does not fit",
		`["CANARY31337"]`:                            "a JSON array does not fit the Go type microeventstore.order",
	} {
		_, err := DecodeAs[order](Event{Raw: []byte(raw)})
		require.Error(t, err, raw)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "31337")
		assert.EqualError(t, err, into+want, raw)
	}
	_, err := DecodeAs[loud](Event{Raw: []byte(`{"a":"CANARY"}`)})
	assert.EqualError(t, err, "decode event into microeventstore.loud: a value does not fit")
	assert.ErrorContains(t, errors.Unwrap(err), "CANARY", "the cause is within reach of who asks for it")

	_, err = DecodeAs[rude](Event{Raw: []byte(`{"a":"CANARY"}`)})
	assert.EqualError(t, err, "decode event into microeventstore.rude: a JSON value does not fit the Go type int")

	var mismatch *json.UnmarshalTypeError
	o, err := DecodeAs[order](Event{Raw: []byte(`{"number":1,"lines":7}`)})
	assert.ErrorAs(t, err, &mismatch)
	assert.Zero(t, o)
}
