package fakedynamodb_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func nested(depth int) types.AttributeValue {
	v := text("x")
	for range depth {
		v = &types.AttributeValueMemberL{Value: []types.AttributeValue{v}}
	}
	return v
}

func TestValuesComeBack(t *testing.T) {
	h := start(t)
	want := row("p", "s", attributes{
		"s": text("a \"q\" \\ \n\t\x01 <>& \u2028 €"), "e": text(""), "n": num("-0.5"), "b": binary("\x00\xff"), "eb": binary(""),
		"t": &types.AttributeValueMemberBOOL{Value: true}, "f": &types.AttributeValueMemberBOOL{},
		"z": &types.AttributeValueMemberNULL{Value: true}, "ss": &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
		"ns": &types.AttributeValueMemberNS{Value: []string{"-1", "2", "10"}},
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{[]byte("a"), []byte("b")}},
		"l":  &types.AttributeValueMemberL{Value: []types.AttributeValue{num("1"), text("x")}},
		"el": &types.AttributeValueMemberL{Value: []types.AttributeValue{}}, "em": &types.AttributeValueMemberM{Value: attributes{}},
		"m": &types.AttributeValueMemberM{Value: attributes{"k": nested(30)}},
	})
	h.put(want)
	assert.Equal(t, want, h.get("p", "s"))
}

func TestNumbersComeBackInOneSpelling(t *testing.T) {
	h := start(t)
	h.put(row("p", "s", attributes{"n": num("1.50e2")}))
	assert.Equal(t, num("150"), h.get("p", "s")["n"])
}

func TestTextThatIsNotUTF8IsReplaced(t *testing.T) {
	h := start(t)
	h.put(row("h\xff", "s"))
	assert.NotEmpty(t, h.get("h\xfe", "s"), "both became h\uFFFD")
}

func TestValuesThatAreRefused(t *testing.T) {
	h := start(t)
	for name, c := range map[string]struct {
		value types.AttributeValue
		part  string
	}{
		"a set twice":         {&types.AttributeValueMemberSS{Value: []string{"a", "b", "a"}}, "Input collection [a, b, a] contains duplicates"},
		"a number twice":      {&types.AttributeValueMemberNS{Value: []string{"1", "1.0"}}, "contains duplicates"},
		"bytes twice":         {&types.AttributeValueMemberBS{Value: [][]byte{[]byte("a"), []byte("a")}}, "contains duplicates"},
		"an empty set":        {&types.AttributeValueMemberSS{Value: []string{}}, "may not be empty"},
		"an empty binary set": {&types.AttributeValueMemberBS{Value: [][]byte{}}, "Binary sets should not be empty"},
		"null that is false":  {&types.AttributeValueMemberNULL{Value: false}, "must have the value of true"},
		"33 levels":           {nested(32), "Nesting Levels have exceeded supported limits"},
		"39 digits":           {num("123456789012345678901234567890123456789"), "38 significant digits"},
		"no number":           {num("abc"), "cannot be converted to a numeric value: abc"},
		"no number, inside":   {&types.AttributeValueMemberM{Value: attributes{"n": num("x")}}, "cannot be converted to a numeric value: x"},
		"too large a number":  {num("1e126"), "Number overflow"},
		"too small a number":  {num("1e-131"), "Number underflow"},
	} {
		t.Run(name, func(t *testing.T) { invalid(t, h.tryPut(row("p", "s", attributes{"v": c.value})), c.part) })
	}
	require.NoError(t, h.tryPut(row("p", "s", attributes{"v": nested(31)})))
	assert.Len(t, h.server.Writes(), 1, "nothing that was refused was applied")
}
