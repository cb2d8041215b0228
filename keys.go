package microeventstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A HashKeyFunc says what an event belongs to: all events with one hash key
// are one collation. The empty string means that the event is not collated
// under this key.
//
// The key must follow from the event's bytes alone, never from a clock, from
// chance or from [Event.Meta]: a redelivered event has to find its own item
// again. A store refuses keys that are not UTF-8 or longer than 2,048 bytes.
//
// An error sets the event aside as a fault; none of the library's own errors
// hold anything of the event's content. A HashKeyFunc is called from many
// goroutines at once.
type HashKeyFunc func(Event) (string, error)

// PartitionKey takes the event's own partition key. An event without one is
// not collated.
func PartitionKey() HashKeyFunc {
	return func(e Event) (string, error) { return e.PartitionKey, nil }
}

// Field takes the value at a dotted path, such as thing.group, as [Event.Field]
// finds it.
//
// A string gives its value, with escapes resolved. A number gives its text
// exactly as the event has it, so 7, 7.0 and 7e0 are three keys, 7 and "7" one,
// and no digit of a long number is lost. An event where the value is absent,
// null or "" is not collated.
//
// A boolean, an object or an array is an error, and so is a string that cannot
// be decoded exactly (half of a surrogate pair, bytes that are not UTF-8): two
// such strings would become one key. An empty path is an error.
func Field(path string) HashKeyFunc {
	return func(e Event) (string, error) {
		if path == "" {
			return "", errors.New(`hash key Field: the path is empty; name a field, such as "thing.group"`)
		}
		value, _ := e.Field(path)
		if jsonscan.KindOf(value) == jsonscan.Bool {
			return "", fmt.Errorf("hash key Field(%q): the value is a boolean; choose one that is a string or a number", path)
		}
		key, err := keyText(value)
		if err != nil {
			return "", fmt.Errorf("hash key Field(%q): %w", path, err)
		}
		return key, nil
	}
}

// Tag takes the value of a tag, where [Event.Tag] finds it: a string's value, the
// text of a number or a boolean. An event without the tag, or with one that is
// null or empty, is not collated.
//
// An object or an array is an error, and so is a string that cannot be decoded
// exactly; see [Field]. An empty name is an error.
func Tag(name string) HashKeyFunc {
	return func(e Event) (string, error) {
		if name == "" {
			return "", errors.New(`hash key Tag: the name is empty; name a tag, such as "user"`)
		}
		value, _ := e.findTag(name)
		key, err := keyText(value)
		if err != nil {
			return "", fmt.Errorf("hash key Tag(%q): %w", name, err)
		}
		return key, nil
	}
}

// keyText makes a key of a JSON value; "" of none.
func keyText(value []byte) (string, error) {
	kind := jsonscan.KindOf(value)
	if kind == jsonscan.Null || len(value) == 0 {
		return "", nil
	}
	key, ok := scalarText(value)
	switch {
	case ok:
		return key, nil
	case kind == jsonscan.Str:
		return "", errors.New("the string cannot be decoded exactly; the producer must send valid JSON in UTF-8, without lone surrogates")
	}
	return "", fmt.Errorf("the value is %s; choose one that is a string or a number", kind)
}

// Prefix puts prefix before the key of f, so that keys of several functions
// cannot meet: Prefix("user-", Tag("user")). Where f gives "", so does Prefix.
// A nil f is an error when the key is asked for.
//
// One prefix must not begin with another: with "a" and "ab", the keys "bc" and
// "c" would meet.
func Prefix(prefix string, f HashKeyFunc) HashKeyFunc {
	return func(e Event) (string, error) {
		if f == nil {
			return "", errors.New("hash key Prefix: the function is nil; pass one, such as PartitionKey()")
		}
		key, err := f(e)
		if err != nil || key == "" {
			return "", err
		}
		return prefix + key, nil
	}
}

// Suffix puts suffix behind the key of f, so that events with one key can be in
// several collations: Suffix(".fraud", PartitionKey()). Otherwise it is like
// [Prefix], and one suffix must not end with another.
func Suffix(suffix string, f HashKeyFunc) HashKeyFunc {
	return func(e Event) (string, error) {
		if f == nil {
			return "", errors.New("hash key Suffix: the function is nil; pass one, such as PartitionKey()")
		}
		key, err := f(e)
		if err != nil || key == "" {
			return "", err
		}
		return key + suffix, nil
	}
}

// Join makes one key of several parts, with the separator between them:
// Join("#", Tag("region"), PartitionKey()). Different parts always make
// different keys.
//
// Every function is called, and the first error is returned. Then, if any part
// is empty, so is the key: the event is not collated. Then a part that holds
// the separator is an error, since "a#b" and "c" would be taken for "a" and
// "b#c"; with a separator of several characters, so is a part that would make
// it appear too early ("a-" before "--"). An empty separator, a nil function
// and no functions at all are errors when the key is asked for.
func Join(separator string, f ...HashKeyFunc) HashKeyFunc {
	f = slices.Clone(f)
	return func(e Event) (string, error) {
		if separator == "" {
			return "", errors.New(`hash key Join: the separator is empty; pass one, such as "#"`)
		}
		if len(f) == 0 {
			return "", errors.New("hash key Join: there is nothing to join; pass at least one function")
		}
		var few [4]string
		parts, empty := few[:0], false
		for i, f := range f {
			if f == nil {
				return "", fmt.Errorf("hash key Join: function %d is nil; pass one, such as PartitionKey()", i+1)
			}
			part, err := f(e)
			if err != nil {
				return "", err
			}
			empty = empty || part == ""
			parts = append(parts, part)
		}
		if empty {
			return "", nil
		}
		key := strings.Join(parts, separator)
		rest := key
		for i, part := range parts {
			// Whoever splits the key again must find the same parts.
			found, after, _ := strings.Cut(rest, separator)
			if len(found) != len(part) {
				return "", fmt.Errorf("hash key Join: part %d holds the separator %q; choose one that no part holds", i+1, separator)
			}
			rest = after
		}
		return key, nil
	}
}
