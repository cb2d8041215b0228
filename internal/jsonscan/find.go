package jsonscan

import "strings"

// A Kind is what kind of value a JSON text is.
type Kind uint8

// The kinds of value. The zero Kind is none of them.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	Str
	Array
	Obj
)

// String returns the kind with its article, for error messages.
func (k Kind) String() string {
	return [...]string{"no value", "null", "a boolean", "a number", "a string", "an array", "an object"}[min(k, Obj)]
}

// KindOf returns the kind of a value that is known to be valid.
func KindOf(value []byte) Kind {
	i := space(value, 0)
	if i >= len(value) {
		return Invalid
	}
	switch c := value[i]; {
	case c == '"':
		return Str
	case c == '{':
		return Obj
	case c == '[':
		return Array
	case c == 'n':
		return Null
	case c == 't', c == 'f':
		return Bool
	case c == '-', '0' <= c && c <= '9':
		return Number
	}
	return Invalid
}

// Member returns the last member of that name of the object b. It is false where
// there is none, and where b is no valid object.
func Member(b []byte, name string) ([]byte, bool) {
	var found []byte
	var buf [64]byte
	o := Members(b)
	for o.Next() {
		if key, ok := o.Name(buf[:]); ok && string(key) == name {
			found = o.Value
		}
	}
	if found == nil || o.phase != atEnd || o.fault != none {
		return nil, false
	}
	return found, true
}

// Find returns the value at a path of member names with dots between them,
// through objects only; the last of equal names counts, at each level. It is
// false where there is none, where b is not valid, and for a path with an empty
// name in it.
func Find(b []byte, path string) ([]byte, bool) {
	for {
		name, rest, more := strings.Cut(path, ".")
		if name == "" {
			return nil, false
		}
		found, ok := Member(b, name)
		if !ok || !more {
			return found, ok
		}
		b, path = found, rest
	}
}
