package kinesispublisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// An Error says why a record was not accepted. Its text holds neither keys nor
// payloads; errors.As finds the SDK's own error, with all that that one says.
type Error struct {
	Code     string // Kinesis' code, such as ProvisionedThroughputExceededException; "" if there was none
	Attempts int    // how many requests in a row got nothing done, the last one among them

	text      string
	err       error // the SDK's
	end       error // of the context, if it had a part in it
	retryable bool
}

func (e *Error) Error() string {
	text := "kinesispublisher: PutRecords failed"
	if e.Attempts > 1 {
		text += fmt.Sprintf(" %d times", e.Attempts)
	}
	if e.end != nil {
		text += ", and there is no time left"
	}
	return text + ": " + e.text
}

// Unwrap returns the SDK's error, and that of the context if it has ended.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range [...]error{e.end, e.err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func newContextError(end, err error) *Error {
	return &Error{text: "its context has ended", end: end, err: err}
}

// refusal is the error of records that Kinesis has refused by themselves.
func refusal(code string) *Error {
	text := "Kinesis has refused records: " + printable(code)
	switch code {
	case "ProvisionedThroughputExceededException":
		text = "a shard gets more than it can take"
	case "InternalFailure":
		text = "Kinesis has a problem"
	case "":
		text = "the answer does not say where a record was stored"
	}
	return &Error{Code: code, text: text, retryable: true}
}

// explain says what an error of the SDK means, and whether the same request may
// succeed later.
func explain(err error) *Error {
	e := &Error{err: err}
	e.retryable = retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	var api smithy.APIError
	var panicked *panicError
	var unreadable *smithy.DeserializationError
	var response *smithyhttp.ResponseError
	switch {
	case errors.As(err, &response) && response.HTTPStatusCode() >= 300 && response.HTTPStatusCode() < 400:
		// It would be the same the next time.
		e.text = fmt.Sprintf("HTTP status %d: the endpoint sends us elsewhere; set the address it means", response.HTTPStatusCode())
		e.retryable = false
	case errors.As(err, &api):
		e.Code = api.ErrorCode()
		e.text = "Kinesis says " + printable(e.Code)
		switch e.Code {
		case "":
			e.text = "Kinesis has refused the request, and does not say why"
		case "ResourceNotFoundException":
			e.text = "the stream does not exist in this region and account"
		case "AccessDeniedException":
			e.text = "the credentials may not call kinesis:PutRecords on the stream"
		case "InternalFailure", "ServiceUnavailable", "KMSThrottlingException":
			e.retryable = true
		}
	case errors.As(err, &panicked):
		e.text = panicked.Error()
	case errors.As(err, &unreadable):
		e.text, e.retryable = "the answer cannot be read", true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.text, e.retryable = "the HTTP client gave up", true
	case e.retryable:
		e.text = "the network failed"
	default:
		e.text = fmt.Sprintf("the client returned a %T", within(err))
	}
	return e
}

// within returns what the SDK's own frame says no more of than which call it was;
// the error of another client may have no frame.
func within(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// printable keeps what a server sent as a code from being anything else.
func printable(code string) string {
	const most = 100
	code = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:#", r) {
			return r
		}
		return -1
	}, code)
	return code[:min(len(code), most)]
}

// protect turns a panic of the user's client into an error.
func protect(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value}
		}
	}()
	return f()
}

// A panicError is a panic of the user's client. Its text leaves the value out.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("the client panicked with a %T", e.value) }
