package dynamostore

import (
	"strings"

	smithy "github.com/aws/smithy-go"
)

// A misfit is what a refusal says about the keys of the table. Nothing else says it
// to a program that may only write and read.
type misfit int

const (
	fits misfit = iota // as far as it says
	noRangeKey
	otherKeys
)

// misfitOf reads the message of a refusal, which may quote keys and is not shown. The
// messages are DynamoDB's as dynalite and dynoxide copy them, and dynoxide's own.
func misfitOf(api smithy.APIError) misfit {
	if api.ErrorCode() != "ValidationException" {
		return fits
	}
	for _, sign := range [...]struct {
		text string
		misfit
	}{
		// Duplicates there are none, unless the RANGE key does not count: split up, one
		// event of a batch would take the place of another.
		{"contains duplicates", noRangeKey},
		{"Query key condition not supported", noRangeKey},
		{"the table has no sort key", noRangeKey},

		{"does not match the schema", otherKeys},
		{"required keys", otherKeys},
		{"Missing the key", otherKeys},
		{"Type mismatch for key", otherKeys},
		{"missed key schema element", otherKeys},
		{"does not match schema type", otherKeys},
	} {
		if strings.Contains(api.ErrorMessage(), sign.text) {
			return sign.misfit
		}
	}
	return fits
}

// text says what is wrong, and what to do.
func (m misfit) text() string {
	if m == noRangeKey {
		return "the table has no RANGE key, as it seems, so that one event would take the place of another; use a table that Provision makes, or that Check passes"
	}
	return "the keys of the table are not those of the options; Check says which it has, and WithAttributeNames names them"
}
