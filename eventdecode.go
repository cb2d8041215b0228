package microeventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// Decode stores Raw in the value that v points to, by the rules of
// [encoding/json], except that a number that goes into an interface becomes a
// [json.Number] and so keeps all its digits. To decode the payload of a
// CloudEvent or an EventBridge event, use [Event.Data].
//
// It returns an error where v is not a pointer or is nil, where the event has no
// Raw or its Raw is not valid, and where a value does not fit, in which case v
// may hold some of the event. The error's text holds nothing of the event;
// [errors.As] reaches the cause, whose text may.
func (e Event) Decode(v any) error {
	if p := reflect.ValueOf(v); p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("decode event: want a pointer that is not nil, got %T", v)
	}
	if len(e.Raw) == 0 {
		return errors.New("decode event: it has no Raw")
	}
	if err := jsonscan.Check(e.Raw); err != nil { // the decoder below ignores what follows the value
		return fmt.Errorf("decode event: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(e.Raw))
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil {
		return &quietError{text: "decode event into " + reflect.TypeOf(v).Elem().String() + ": " + whyNotDecoded(err), cause: err}
	}
	return nil
}

// DecodeAs is [Event.Decode] into a new T. With an error comes the zero T.
func DecodeAs[T any](e Event) (T, error) {
	var v T
	if err := e.Decode(&v); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// whyNotDecoded says what encoding/json found, without the values that its own
// errors, and those of the user's types, quote.
func whyNotDecoded(err error) string {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) || mismatch.Type == nil {
		return "a value does not fit"
	}
	kind, _, _ := strings.Cut(mismatch.Value, " ") // "number 300" and the like
	switch kind {
	case "number", "string", "bool", "array", "object", "null":
	default:
		kind = "value"
	}
	text := "a JSON " + kind + " does not fit the Go type " + mismatch.Type.String()
	if mismatch.Field != "" {
		text += " of the field " + mismatch.Field
	}
	return text
}

// A quietError keeps the cause of an error within reach, but its text, which may
// hold someone's data, out of logs.
type quietError struct {
	text  string
	cause error
}

func (e *quietError) Error() string { return e.text }
func (e *quietError) Unwrap() error { return e.cause }
