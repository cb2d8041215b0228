package dynamostore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/microeventstore/microeventstore/driver"
)

// ErrUnknownEncoding is wrapped by the error of a Query that met an event in a
// form that this version cannot read. See [driver.ErrUnknownEncoding].
var ErrUnknownEncoding = driver.ErrUnknownEncoding

// An Error is a request that failed, for good or as often as it was made.
//
// Its text says what failed, and holds neither keys nor payloads: messages of
// DynamoDB that may quote them are left out. errors.As finds the SDK's own error
// (a smithy.APIError, an http response error, ...) with all it says, so mind
// where you log that one.
type Error struct {
	Operation string // the API call, such as BatchWriteItem
	Attempts  int    // how often it was made
	Code      string // DynamoDB's code, such as AccessDeniedException; "" if there was no answer

	text      string
	err       error // the SDK's
	end       error // of the context, if it had a part in it
	retryable bool
	skew      bool // a clock that is wrong may be the cause
	slow      bool // the attempt's time was over before there was an answer
	elsewhere bool // what is at the endpoint sends all requests to another address
}

func newError(operation, text string, err error) *Error {
	return &Error{Operation: operation, text: text, err: err, Attempts: 1}
}

func newContextError(operation string, end, err error) *Error {
	e := newError(operation, "", err)
	return e.ended(end, "its context has ended")
}

// ended notes that there is no more time, and why.
func (e *Error) ended(end error, why string) *Error {
	e.end, e.retryable = end, false
	if e.text != "" {
		why += ": " + e.text
	}
	e.text = why
	return e
}

func (e *Error) Error() string {
	attempts := ""
	if e.Attempts > 1 {
		attempts = fmt.Sprintf(" %d times", e.Attempts)
	}
	return fmt.Sprintf("dynamostore: %s failed%s: %s", e.Operation, attempts, e.text)
}

// Unwrap returns the SDK's error, and that of the context if it has ended.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	for _, err := range [...]error{e.end, e.err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// A panicError is a panic of the user's client. Its text leaves the value out.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic with a %T", e.value) }

// explain says what an error of the SDK means: in words, and whether the same
// request may succeed later.
func explain(operation string, link *link, err error) *Error {
	if link.redirected() {
		// It would be the same the next time, for every request.
		e := newError(operation, fmt.Sprintf("HTTP status %d: the endpoint sends us elsewhere, which is not followed; set the address it means", link.status), err)
		e.elsewhere = true
		return e
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return explainAPI(operation, api, err)
	}
	var answer *answerError
	if errors.As(err, &answer) {
		e := newError(operation, answer.text+link.statusText(), err)
		e.retryable = true
		return e
	}
	var panicked *panicError
	if errors.As(err, &panicked) {
		return newError(operation, "the client panicked: "+panicked.Error(), err)
	}
	var deserialization *smithy.DeserializationError
	if errors.As(err, &deserialization) {
		// Its text may hold a piece of the answer.
		e := newError(operation, "the answer cannot be read"+link.statusText(), err)
		e.retryable = true
		return e
	}
	if text, ok := network(err); ok {
		e := newError(operation, text, err)
		e.retryable = true
		return e
	}
	if link.applied && !link.sent {
		// Nothing has been sent: the credentials or the region are at fault, and
		// the SDK's text says how.
		var op *smithy.OperationError
		if errors.As(err, &op) {
			err = op.Err
		}
		return newError(operation, "it could not be sent: "+unsentText(err), err)
	}
	return newError(operation, fmt.Sprintf("the client returned a %T", err), err)
}

// unsentText is what the SDK says of a request that it could not send. Of a program
// that should have written credentials it quotes what that wrote.
func unsentText(err error) string {
	text, _, quotes := strings.Cut(err.Error(), "parse failed of process output: ")
	if quotes {
		text += "the output of credential_process is not what it should be"
	}
	return bounded(text)
}

// wrongAnswer is the error of an answer that came whole and says what cannot be.
func wrongAnswer(operation, text string) *Error {
	return newError(operation, text, &answerError{text: text})
}

// worthRetry tells whether the same request may succeed later, for codes that the
// SDK's own lists leave out.
func worthRetry(code string) bool {
	switch code {
	case "InternalServerError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException",
		"ReplicatedWriteConflictException",                               // global tables with strong consistency
		"TransactionConflictException", "TransactionInProgressException", // a transaction holds one of the items
		"LimitExceededException", // too many tables are being changed at once
		"UnknownError":           // not in the form of DynamoDB's errors
		return true
	}
	return false
}

// meaning says what a code means to the user; "" for the rare ones.
func meaning(code string) string {
	switch code {
	case "AccessDeniedException":
		return "the credentials may not make this call; the package documentation has the policy"
	case "ResourceNotFoundException":
		return "the table does not exist in this region and account; Provision makes it"
	case "ValidationException":
		return "DynamoDB does not accept the request (its message may quote keys and is left out); Check tells whether the table fits"
	case "ProvisionedThroughputExceededException", "ThrottlingException":
		return "the table, or one hash key of it, gets more than it can take"
	case "RequestLimitExceeded":
		return "the account's limit is reached"
	case "UnrecognizedClientException":
		return "the credentials are not known to AWS"
	case "InvalidSignatureException":
		return "the credentials are wrong, or the clock of this machine"
	case "ExpiredTokenException":
		return "the credentials have expired"
	case "ConditionalCheckFailedException":
		return "the item is there already"
	case "InternalServerError":
		return "DynamoDB has a problem"
	}
	return ""
}

// plainMessage tells errors whose messages name a table or a role and nothing else:
// those of some codes, and of all calls that are about the table and not its items.
func plainMessage(operation, code string) bool {
	switch operation {
	case "BatchWriteItem", "PutItem", "Query":
		return code == "AccessDeniedException" || code == "ResourceNotFoundException"
	}
	return true
}

func explainAPI(operation string, api smithy.APIError, err error) *Error {
	code := api.ErrorCode()
	text := printable(code)
	plain := plainMessage(operation, code) && api.ErrorMessage() != ""
	if misfit := misfitOf(api); misfit != fits && !plain {
		text += ": " + misfit.text()
	} else if meaning := meaning(code); meaning != "" && (!plain || code != "ValidationException") {
		text += ": " + meaning
	}
	if plain {
		text += " (" + bounded(api.ErrorMessage()) + ")"
	}
	status := 0
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	if status != 0 {
		text += fmt.Sprintf(", HTTP status %d", status)
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) && request.ServiceRequestID() != "" {
		text += ", request " + printable(request.ServiceRequestID())
	}
	e := newError(operation, text, err)
	e.Code = code
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	_, transient := retry.DefaultRetryableErrorCodes[code]
	e.retryable = throttled || transient || worthRetry(code) ||
		status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	switch code {
	case "InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "SignatureDoesNotMatch", "AuthFailure":
		e.skew = true
	}
	return e
}

// printable keeps what a server sent as a code or an id from being anything else.
func printable(s string) string {
	const most = 100
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:#", r) {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), most)]
}
