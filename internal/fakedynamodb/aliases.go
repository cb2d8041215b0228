package fakedynamodb

import (
	"slices"
	"strings"
)

// aliases are the ExpressionAttributeNames and ExpressionAttributeValues of a
// call, and which of them its expressions used.
type aliases struct {
	names  map[string]string
	values map[string]value
	used   map[string]bool
}

// newAliases checks the placeholders of a call. given says whether the call
// has any expression for them ("Expression attribute names (aliases) in
// DynamoDB", "Using expression attribute values in DynamoDB").
func newAliases(names map[string]string, values map[string]*wireValue, expressions ...*string) (*aliases, *apiError) {
	given := slices.ContainsFunc(expressions, func(e *string) bool { return e != nil })
	a := &aliases{names: names, values: map[string]value{}, used: map[string]bool{}}
	switch {
	case names != nil && !given:
		return nil, invalid("ExpressionAttributeNames can only be specified when using expressions")
	case values != nil && !given:
		return nil, invalid("ExpressionAttributeValues can only be specified when using expressions")
	case names != nil && len(names) == 0:
		return nil, invalid("ExpressionAttributeNames must not be empty")
	case values != nil && len(values) == 0:
		return nil, invalid("ExpressionAttributeValues must not be empty")
	}
	for _, k := range sortedKeys(names) {
		if !placeholder(k, '#') {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", k)
		}
		if names[k] == "" {
			return nil, invalid("ExpressionAttributeNames contains invalid value: Empty attribute name; key: %q", k)
		}
	}
	for _, k := range sortedKeys(values) {
		if !placeholder(k, ':') {
			return nil, invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", k)
		}
		v, err := values[k].check(0)
		if err != nil {
			return nil, invalid("ExpressionAttributeValues contains invalid value: %s for key %s", err.message, k)
		}
		a.values[k] = v
	}
	return a, nil
}

func placeholder(k string, sigil byte) bool {
	if len(k) < 2 || k[0] != sigil {
		return false
	}
	for i := 1; i < len(k); i++ {
		if !isWord(k[i]) {
			return false
		}
	}
	return true
}

func (a *aliases) name(kind string, t token) (string, *apiError) {
	switch {
	case t.kind == '#':
		n, ok := a.names[t.text]
		if !ok {
			return "", invalid("Invalid %s: An expression attribute name used in the document path is not defined; attribute name: %s", kind, t.text)
		}
		a.used[t.text] = true
		return n, nil
	case isReserved(t.text):
		return "", invalid("Invalid %s: Attribute name is a reserved keyword; reserved keyword: %s", kind, t.text)
	}
	return t.text, nil
}

func (a *aliases) value(kind, name string) (value, *apiError) {
	v, ok := a.values[name]
	if !ok {
		return v, invalid("Invalid %s: An expression attribute value used in expression is not defined; attribute value: %s", kind, name)
	}
	a.used[name] = true
	return v, nil
}

// allUsed: a placeholder that no expression uses is an error.
func (a *aliases) allUsed() *apiError {
	for _, m := range []struct {
		what string
		keys []string
	}{
		{"ExpressionAttributeNames", sortedKeys(a.names)},
		{"ExpressionAttributeValues", sortedKeys(a.values)},
	} {
		var unused []string
		for _, k := range m.keys {
			if !a.used[k] {
				unused = append(unused, k)
			}
		}
		if unused != nil {
			return invalid("Value provided in %s unused in expressions: keys: {%s}", m.what, strings.Join(unused, ", "))
		}
	}
	return nil
}
