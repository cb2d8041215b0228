package fakedynamodb_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// try puts the item anew under a condition.
func (h *harness) try(it attributes, condition string, names map[string]string, values attributes) error {
	_, err := h.client.PutItem(h.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: it,
		ConditionExpression: aws.String(condition), ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	return err
}

func TestConditions(t *testing.T) {
	h := start(t)
	it := row("p", "s", attributes{"s": text("héllo"), "n": num("10"), "b": binary("ab"), "z": &types.AttributeValueMemberNULL{Value: true},
		"m":  &types.AttributeValueMemberM{Value: attributes{"k": num("1"), "l": &types.AttributeValueMemberL{Value: []types.AttributeValue{text("x"), text("y")}}}},
		"ss": &types.AttributeValueMemberSS{Value: []string{"a", "b"}}})
	h.put(it)
	all := attributes{":hello": text("héllo"), ":he": text("hé"), ":nine": num("9"), ":ten": num("10.0"), ":five": num("5"), ":two": num("2"),
		":a": text("a"), ":y": text("y"), ":S": text("S"), ":ba": binary("a"), ":ss": &types.AttributeValueMemberSS{Value: []string{"b", "a"}}}
	for condition, want := range map[string]bool{
		"attribute_exists(s)": true, "attribute_exists(x)": false, "attribute_not_exists(x)": true, "attribute_not_exists(m.k)": false,
		"attribute_exists(m.l[1])": true, "attribute_exists(m.l[2])": false, "attribute_exists(z)": true,
		"s = :hello": true, ":hello = s": true, "s <> :hello": false, "x <> :hello": true, "x = :hello": false, "s = :ten": false, "s <> :ten": true,
		"n > :nine": true, "n >= :ten": true, "n < :nine": false, "n <= :ten": true, "n = :ten": true, "s > :nine": false, "x < :nine": false,
		"n BETWEEN :nine AND :ten": true, "n between :two and :five": false, "n IN (:nine, :ten)": true, "n IN (:nine)": false, "x IN (:nine)": false,
		"begins_with(s, :he)": true, "begins_with(s, :a)": false, "begins_with(b, :ba)": true, "begins_with(n, :he)": false,
		"contains(s, :he)": true, "contains(ss, :a)": true, "contains(ss, :y)": false, "contains(m.l, :y)": true,
		"attribute_type(s, :S)": true, "attribute_type(n, :S)": false,
		"size(s) = :five": true, "size(b) = :two": true, "size(ss) = :two": true, "size(m) = :two": true, "size(m.l) = :two": true, "size(x) = :two": false, "size(n) = :two": false,
		"ss = :ss": true, "m.l[1] = :y": true, "n > m.k": true,
		"NOT s = :hello": false, "NOT (s = :a OR s = :y)": true, "s = :a OR s = :hello": true, "s = :a AND s = :hello": false,
		"s = :hello OR s = :a AND s = :y": true, "(s = :hello OR s = :a) AND s = :y": false, "not s = :a and n = :ten": true,
	} {
		t.Run(condition, func(t *testing.T) {
			var values attributes
			for _, k := range regexp.MustCompile(`:\w+`).FindAllString(condition, -1) {
				if values == nil {
					values = attributes{}
				}
				values[k] = all[k]
			}
			err := h.try(it, condition, nil, values)
			if want {
				assert.NoError(t, err)
			} else {
				refused(t, err, "ConditionalCheckFailedException", "")
			}
		})
	}
	assert.Nil(t, h.get("p", "none"))
	require.NoError(t, h.try(row("p", "new"), "attribute_not_exists(pk)", nil, nil))
}

func TestExpressionsThatAreRefused(t *testing.T) {
	h := start(t)
	v := attributes{":v": text("x")}
	for name, c := range map[string]struct {
		condition string
		names     map[string]string
		values    attributes
		part      string
	}{
		"nothing":                {"", nil, nil, "The expression can not be empty"},
		"an undefined value":     {"a = :w", nil, v, "attribute value used in expression is not defined; attribute value: :w"},
		"an undefined name":      {"#a = :v", map[string]string{"#b": "b"}, v, "not defined; attribute name: #a"},
		"an unused value":        {"attribute_exists(a)", nil, v, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"},
		"an unused name":         {"a = :v", map[string]string{"#a": "a"}, v, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},
		"bad syntax":             {"a = = :v", nil, v, "Syntax error; token: \"=\""},
		"an open end":            {"a =", nil, nil, "Syntax error; token: \"<EOF>\""},
		"a bare path":            {"a", nil, nil, "Syntax error"},
		"too much":               {"a = :v :v", nil, v, "Syntax error"},
		"a bad character":        {"a ! :v", nil, v, "Syntax error; token: \"!\""},
		"a lone sigil":           {"# = :v", nil, v, "Syntax error"},
		"redundant brackets":     {"((a = :v))", nil, v, "redundant parentheses"},
		"an unknown function":    {"foo(a)", nil, nil, "Invalid function name; function: foo"},
		"a function in capitals": {"ATTRIBUTE_EXISTS(a)", nil, nil, "Invalid function name"},
		"too few operands":       {"begins_with(a)", nil, nil, "Incorrect number of operands"},
		"size on its own":        {"size(a)", nil, nil, "Syntax error"},
		"no path":                {"attribute_exists(:v)", nil, v, "requires a document path"},
		"order of a list":        {"a < :v", nil, attributes{":v": nested(1)}, "Incorrect operand type"},
		"prefix of a number":     {"begins_with(a, :v)", nil, attributes{":v": num("1")}, "Incorrect operand type"},
		"bounds turned round":    {"a BETWEEN :v AND :u", nil, attributes{":v": num("2"), ":u": num("1")}, "upper bound to be greater than or equal to lower bound"},
		"bounds of two types":    {"a BETWEEN :v AND :u", nil, attributes{":v": num("2"), ":u": text("1")}, "same data type"},
		"a bad value":            {"a = :v", nil, attributes{":v": num("x")}, "ExpressionAttributeValues contains invalid value"},
		"a bad value name":       {"a = :v", nil, attributes{"v": text("x")}, "ExpressionAttributeValues contains invalid key"},
		"a bad alias":            {"a = :v", map[string]string{"a": "a"}, v, "ExpressionAttributeNames contains invalid key"},
		"an empty alias":         {"#a = :v", map[string]string{"#a": ""}, v, "Empty attribute name"},
		"4 KB and one":           {"a = :v" + strings.Repeat(" ", 4091), nil, v, "Expression size has exceeded the maximum allowed size"},
	} {
		t.Run(name, func(t *testing.T) { invalid(t, h.try(row("p", "s"), c.condition, c.names, c.values), c.part) })
	}
	_, err := h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s"), ExpressionAttributeNames: map[string]string{"#a": "a"}})
	invalid(t, err, "ExpressionAttributeNames can only be specified when using expressions")
	_, err = h.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s"), ExpressionAttributeValues: v})
	invalid(t, err, "ExpressionAttributeValues can only be specified when using expressions")
}

func TestReservedWords(t *testing.T) {
	h := start(t)
	for _, word := range []string{"ttl", "TTL", "type", "timestamp", "status", "name", "data", "Year", "key", "hash", "size"} {
		invalid(t, h.try(row("p", "s"), "attribute_not_exists("+word+")", nil, nil), "Attribute name is a reserved keyword; reserved keyword: "+word)
		require.NoError(t, h.try(row("p", "s"), "attribute_not_exists(#a)", map[string]string{"#a": word}, nil))
	}
	for _, word := range []string{"event", "eventId", "partitionKey", "sk", "pk", "discriminator"} {
		require.NoError(t, h.try(row("p", "s"), "attribute_not_exists("+word+") OR attribute_exists("+word+")", nil, nil))
	}
}
