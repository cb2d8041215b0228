package dynamostore

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestATableWithOtherKeysIsSaidInWords(t *testing.T) {
	for message, want := range map[string]string{
		"Provided list of item keys contains duplicates":                                                           "the table has no RANGE key, as it seems",
		"Query key condition not supported":                                                                        "the table has no RANGE key, as it seems",
		"Query filter contains a sort key condition but the table has no sort key":                                 "the table has no RANGE key, as it seems",
		"The provided key element does not match the schema":                                                       "the keys of the table are not those of the options",
		"One or more parameter values were invalid: Missing the key secret-sk in the item":                         "the keys of the table are not those of the options",
		"One or more parameter values were invalid: Type mismatch for key secret-hash expected: N actual: S":       "the keys of the table are not those of the options",
		"Query condition missed key schema element: secret-sk":                                                     "the keys of the table are not those of the options",
		"One or more parameter values were invalid: Condition parameter type does not match schema type":           "the keys of the table are not those of the options",
		"One or more parameter values were invalid: Size of hashkey has exceeded the maximum size: secret-hash":    "DynamoDB does not accept the request",
		"Item size has exceeded the maximum allowed size":                                                          "DynamoDB does not accept the request",
		"ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: secret-hash": "DynamoDB does not accept the request",
	} {
		s := &stub{answer: func(call) (*http.Response, error) { return refusal("ValidationException", message), nil }}
		for name, operation := range operations {
			err := operation(t.Context(), s.table())
			require.ErrorContains(t, err, want, name)
			require.ErrorContains(t, err, "Check", "what to do")
			require.NotErrorIs(t, err, driver.ErrInvalidItem)
			leaksNothing(t, err)
		}
	}
	// What the operation is about has its own words, which name the table alone.
	s := &stub{answer: func(call) (*http.Response, error) {
		return refusal("ValidationException", "Type mismatch for key"), nil
	}}
	require.ErrorContains(t, Check(t.Context(), s.client(), "events"), "ValidationException (Type mismatch for key)")
}
