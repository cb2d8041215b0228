package fakedynamodb

import (
	"fmt"
	"net/http"
)

// The error codes of the service ("Error handling with DynamoDB", and the
// Errors sections of the API reference).
const (
	codeValidation     = "ValidationException"
	codeSerialization  = "SerializationException"
	codeNotFound       = "ResourceNotFoundException"
	codeInUse          = "ResourceInUseException"
	codeCondition      = "ConditionalCheckFailedException"
	codeThroughput     = "ProvisionedThroughputExceededException"
	codeThrottling     = "ThrottlingException"
	codeAccessDenied   = "AccessDeniedException"
	codeUnknown        = "UnknownOperationException"
	codeInternal       = "InternalServerError"
	codeUnavailable    = "ServiceUnavailable"
	codeExpired        = "ExpiredIteratorException"
	codeTrimmed        = "TrimmedDataAccessException"
	msgNoTable         = "Requested resource not found"
	msgThroughput      = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."
	msgConditionFailed = "The conditional request failed"
)

// namespace is what stands before the # of __type. The client cuts it off; it
// is sent because the service sends it ("DynamoDB low-level API").
func namespace(code string) string {
	switch code {
	case codeValidation:
		return "com.amazon.coral.validate"
	case codeSerialization, codeUnknown, codeAccessDenied:
		return "com.amazon.coral.service"
	case codeThrottling, codeUnavailable:
		return "com.amazon.coral.availability"
	}
	return "com.amazonaws.dynamodb.v20120810"
}

// apiError is an error that goes to the client as an answer.
type apiError struct {
	status  int
	code    string
	message string
	item    item // ReturnValuesOnConditionCheckFailure=ALL_OLD
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// body is the error's JSON: __type and message ("DynamoDB low-level API",
// error response content).
func (e *apiError) body() []byte {
	out := append([]byte(`{"__type":`), jsonText(namespace(e.code)+"#"+e.code)...)
	// The service spells it both ways; errors of the Coral framework and
	// AccessDeniedException come with a capital M in places. The client
	// accepts either.
	out = append(out, `,"message":`...)
	out = append(out, jsonText(e.message)...)
	if e.item != nil {
		out = append(out, `,"Item":`...)
		out = appendItem(out, e.item)
	}
	return append(out, '}')
}

func failure(code, format string, args ...any) *apiError {
	status := http.StatusBadRequest
	switch code {
	case codeInternal:
		status = http.StatusInternalServerError
	case codeUnavailable:
		status = http.StatusServiceUnavailable
	}
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &apiError{status: status, code: code, message: message}
}

func invalid(format string, args ...any) *apiError {
	return failure(codeValidation, format, args...)
}

// invalidParameter is the form in which most complaints about values come.
func invalidParameter(format string, args ...any) *apiError {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

func noTable() *apiError { return failure(codeNotFound, msgNoTable) }
