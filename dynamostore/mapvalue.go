package dynamostore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Limits of numbers and of nesting. Source: "Constraints" and "Quotas in Amazon
// DynamoDB": up to 38 digits of precision, magnitudes from 1E-130 to
// 9.99...E+125, attributes nested up to 32 levels deep. Measured on AWS (dynoxide,
// tests/nesting_depth.rs): a string within 31 maps is taken, within 32 it is not. So
// the innermost value is a level as well.
const (
	maxDigits   = 38
	minExponent = -130
	maxExponent = 125
	maxNesting  = 32
)

// maxReadNesting bounds what is read. It is more than DynamoDB allows, and less
// than what would cost a stack.
const maxReadNesting = 100

// mapOf turns a JSON object into a map, as JavaScript's DocumentClient does. Its
// errors hold nothing of the event.
func mapOf(event []byte) (types.AttributeValue, error) {
	if !utf8.Valid(event) { // encoding/json would put U+FFFD in its place
		return nil, errors.New("the event is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(event))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errors.New("the event is not JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the event's JSON")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("the event is not a JSON object")
	}
	return valueOf(object, 1)
}

// valueOf turns what encoding/json decoded into an attribute value. depth is how
// many maps and lists are open, and one for the value itself.
func valueOf(value any, depth int) (types.AttributeValue, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("the event nests deeper than %d levels", maxNesting)
	}
	switch v := value.(type) {
	case nil:
		return &types.AttributeValueMemberNULL{Value: true}, nil
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}, nil
	case string:
		return text(v), nil
	case json.Number:
		if err := checkNumber(string(v)); err != nil {
			return nil, err
		}
		return &types.AttributeValueMemberN{Value: string(v)}, nil
	case []any:
		list := make([]types.AttributeValue, len(v))
		for i, element := range v {
			var err error
			if list[i], err = valueOf(element, depth+1); err != nil {
				return nil, err
			}
		}
		return &types.AttributeValueMemberL{Value: list}, nil
	case map[string]any:
		object := make(attributes, len(v))
		for name, member := range v {
			if name == "" || len(name) > 65535 {
				return nil, errors.New("the name of a member is empty, or longer than 65535 bytes")
			}
			var err error
			if object[name], err = valueOf(member, depth+1); err != nil {
				return nil, err
			}
		}
		return &types.AttributeValueMemberM{Value: object}, nil
	}
	return nil, errors.New("the event holds a value that JSON does not have")
}

// checkNumber reports a JSON number that DynamoDB does not take.
func checkNumber(n string) error {
	digits, exponent := significant(n)
	switch {
	case digits == 0:
		return nil
	case digits > maxDigits:
		return fmt.Errorf("the event holds a number of more than %d digits", maxDigits)
	case exponent < minExponent || exponent > maxExponent:
		return errors.New("the event holds a number that is too large or too small")
	}
	return nil
}

// significant returns how many digits a JSON number has between its first and
// its last that are not zero, and the power of ten that the first one counts.
// Zero has no digits.
func significant(n string) (digits, exponent int) {
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(n, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	leading := len(all) - len(strings.TrimLeft(all, "0"))
	digits = len(strings.Trim(all, "0"))
	if digits == 0 {
		return 0, 0
	}
	const most = 1 << 30 // beyond every limit, however much further
	negative := strings.HasPrefix(power, "-")
	for _, c := range strings.TrimLeft(power, "+-") {
		exponent = min(exponent*10+int(c-'0'), most)
	}
	if negative {
		exponent = -exponent
	}
	return digits, exponent + len(whole) - 1 - leading
}

// appendJSON appends a value as JSON, the members of maps sorted by name. Sets
// become arrays, and binary values base64, as they do in JavaScript's JSON of
// what DocumentClient reads.
func appendJSON(to []byte, value types.AttributeValue, depth int) ([]byte, error) {
	if depth > maxReadNesting {
		return nil, errors.New("it nests too deep")
	}
	var err error
	switch v := value.(type) {
	case *types.AttributeValueMemberNULL:
		return append(to, "null"...), nil
	case *types.AttributeValueMemberBOOL:
		if v.Value {
			return append(to, "true"...), nil
		}
		return append(to, "false"...), nil
	case *types.AttributeValueMemberS:
		return appendQuoted(to, v.Value), nil
	case *types.AttributeValueMemberN:
		return appendNumber(to, v.Value)
	case *types.AttributeValueMemberB:
		return appendQuoted(to, base64.StdEncoding.EncodeToString(v.Value)), nil
	case *types.AttributeValueMemberM:
		to = append(to, '{')
		for i, name := range slices.Sorted(maps.Keys(v.Value)) {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(appendQuoted(to, name), ':')
			if to, err = appendJSON(to, v.Value[name], depth+1); err != nil {
				return nil, err
			}
		}
		return append(to, '}'), nil
	case *types.AttributeValueMemberL:
		return appendArray(to, v.Value, func(to []byte, element types.AttributeValue) ([]byte, error) {
			return appendJSON(to, element, depth+1)
		})
	case *types.AttributeValueMemberSS:
		return appendArray(to, v.Value, func(to []byte, s string) ([]byte, error) { return appendQuoted(to, s), nil })
	case *types.AttributeValueMemberNS:
		return appendArray(to, v.Value, appendNumber)
	case *types.AttributeValueMemberBS:
		return appendArray(to, v.Value, func(to, b []byte) ([]byte, error) {
			return appendQuoted(to, base64.StdEncoding.EncodeToString(b)), nil
		})
	}
	return nil, fmt.Errorf("it holds a value of type %T", value)
}

func appendArray[T any](to []byte, elements []T, one func([]byte, T) ([]byte, error)) ([]byte, error) {
	to = append(to, '[')
	for i, element := range elements {
		if i > 0 {
			to = append(to, ',')
		}
		var err error
		if to, err = one(to, element); err != nil {
			return nil, err
		}
	}
	return append(to, ']'), nil
}

// appendNumber keeps every digit, and the way it is written if JSON allows it.
func appendNumber(to []byte, n string) ([]byte, error) {
	sign := ""
	n = strings.TrimPrefix(n, "+")
	if rest, ok := strings.CutPrefix(n, "-"); ok {
		sign, n = "-", rest
	}
	mantissa, power, scaled := strings.Cut(strings.ToLower(n), "e")
	whole, fraction, fractional := strings.Cut(mantissa, ".")
	exponent := strings.TrimPrefix(strings.TrimPrefix(power, "-"), "+")
	if !isDigits(whole+fraction) || scaled && (!isDigits(exponent) || len(power)-len(exponent) > 1) {
		return nil, errors.New("it holds a number that is none")
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	to = append(append(to, sign...), whole...)
	if fractional && fraction != "" {
		to = append(append(to, '.'), fraction...)
	}
	if scaled {
		to = append(append(to, 'e'), power...)
	}
	return to, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// appendQuoted appends a string as JSON. It escapes only what it must.
func appendQuoted(to []byte, s string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			to = utf8.AppendRune(to, r) // U+FFFD for what is not UTF-8
			i += size
			continue
		}
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, `\n`...)
		case '\r':
			to = append(to, `\r`...)
		case '\t':
			to = append(to, `\t`...)
		default:
			if c < ' ' {
				to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				to = append(to, c)
			}
		}
		i++
	}
	return append(to, '"')
}

// equalValues compares values as DynamoDB does: numbers by value, whichever way
// they are written.
func equalValues(a, b types.AttributeValue) bool {
	switch a := a.(type) {
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && canonicalNumber(a.Value) == canonicalNumber(b.Value)
	case *types.AttributeValueMemberM:
		b, ok := b.(*types.AttributeValueMemberM)
		if !ok || len(a.Value) != len(b.Value) {
			return false
		}
		for name, member := range a.Value {
			other, ok := b.Value[name]
			if !ok || !equalValues(member, other) {
				return false
			}
		}
		return true
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		return ok && slices.EqualFunc(a.Value, b.Value, equalValues)
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberBOOL:
		b, ok := b.(*types.AttributeValueMemberBOOL)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberNULL:
		_, ok := b.(*types.AttributeValueMemberNULL)
		return ok
	}
	return false // sets and binary values do not come from JSON
}

// canonicalNumber writes equal numbers alike.
func canonicalNumber(n string) string {
	n = strings.TrimPrefix(n, "+")
	digits, exponent := significant(n)
	if digits == 0 {
		return "0"
	}
	sign := ""
	if strings.HasPrefix(n, "-") {
		sign = "-"
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(n), "e")
	all := strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(mantissa), "0")
	return fmt.Sprintf("%s%se%d", sign, all, exponent)
}
