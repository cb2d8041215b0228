package faults

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

const redacted = "[redacted]"

// redacted returns the payload without the values at the paths.
func (o *options) redacted(data []byte) (*payload, error) {
	if len(o.redact) == 0 {
		return newPayload(data), nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value map[string]any
	if jsonscan.Check(data) != nil || decoder.Decode(&value) != nil || value == nil {
		return nil, errors.New("nothing can be redacted in what is not one JSON object")
	}
	// The map has the last of the members of one name: the others are lost.
	tokens := json.NewDecoder(bytes.NewReader(data))
	tokens.UseNumber()
	lost := repeats(tokens)
	for _, path := range o.redact {
		lost = redact(value, path) || lost
	}
	if !lost {
		return newPayload(data), nil
	}
	without, err := json.Marshal(value)
	if err != nil {
		return nil, errors.New("what is left after redaction cannot be marshalled")
	}
	p := newPayload(without)
	p.Redacted = true
	return p, nil
}

// redact replaces the value at a path, in every element of a list on the way.
func redact(value any, path []string) (lost bool) {
	switch v := value.(type) {
	case map[string]any:
		member, there := v[path[0]]
		if !there {
			return false
		}
		if len(path) == 1 {
			v[path[0]] = redacted
			return true
		}
		return redact(member, path[1:])
	case []any:
		for _, element := range v {
			lost = redact(element, path) || lost
		}
	}
	return lost
}

// repeats reads a JSON value, and tells whether an object in it has two members
// of one name. What cannot be read counts as one that has.
func repeats(tokens *json.Decoder) (found bool) {
	token, err := tokens.Token()
	if err != nil {
		return true
	}
	open, nested := token.(json.Delim)
	if !nested {
		return false
	}
	names := make(map[json.Token]bool)
	for tokens.More() {
		if open == '{' {
			name, err := tokens.Token()
			if err != nil {
				return true
			}
			found = found || names[name]
			names[name] = true
		}
		found = repeats(tokens) || found
	}
	_, err = tokens.Token()
	return found || err != nil
}
