package fakedynamodb

import (
	"net/http"
	"time"
)

// Call is one HTTP request, as a fault function sees it before it is handled.
type Call struct {
	// Target is the whole X-Amz-Target: "DynamoDB_20120810.PutItem".
	Target string
	// Operation is the part after the dot: "PutItem".
	Operation string
	// N counts the calls to the server, from 1, in the order of their arrival.
	N int
	// NOfTarget counts the calls with this Target, from 1.
	NOfTarget int
	// Attempt is the client's own count of its tries for this call, from 1.
	Attempt int
	// Body is the request's body; it must not be changed.
	Body []byte
}

// Table is the table's name; in a batch the first in alphabetical order, in a
// stream call the table whose stream it is; "" when the call names none.
func (c Call) Table() string { return tableOf(c.Body) }

// Fault is what happens to a call. The zero Fault is none: the call succeeds.
// Faults are made by the functions of this package, and After adds a delay.
type Fault struct {
	kind        faultKind
	err         *apiError
	delay       time.Duration
	n           int
	pick        func(int) bool
	alter       func([]byte) []byte
	crc         CRC
	onlyIfReply bool
}

type faultKind int

const (
	faultNone faultKind = iota
	faultError
	faultResetBefore
	faultResetAfter
	faultCut
	faultAlter
	faultEmpty
	faultHang
	faultHangAfter
	faultLandLater
	faultSlowReply
	faultUnprocessed
	faultPageCut
	faultEmptyPage
	faultStale
)

// CRC says which X-Amz-Crc32 header comes with an altered body.
type CRC int

const (
	// CRCOfOriginal leaves the header of the body as it was: a mismatch.
	CRCOfOriginal CRC = iota
	// CRCMissing sends no header.
	CRCMissing
	// CRCOfAltered sends a header that fits the altered body, as a faulty proxy
	// that rewrites answers would.
	CRCOfAltered
)

// None is no fault.
func None() Fault { return Fault{} }

// Throttle answers ProvisionedThroughputExceededException (HTTP 400); nothing
// is applied.
func Throttle() Fault { return Exception(http.StatusBadRequest, codeThroughput, msgThroughput) }

// ThrottleWith answers the throttling exception with the given code:
// ThrottlingException, RequestLimitExceeded or
// ProvisionedThroughputExceededException ("Error handling with DynamoDB").
func ThrottleWith(code string) Fault {
	return Exception(http.StatusBadRequest, code, "Rate of requests exceeds the allowed throughput.")
}

// Exception answers any error; nothing is applied.
func Exception(status int, code, message string) Fault {
	return Fault{kind: faultError, err: &apiError{status: status, code: code, message: message}}
}

// InternalError answers InternalServerError (HTTP 500); nothing is applied.
func InternalError() Fault {
	return Exception(http.StatusInternalServerError, codeInternal, "Internal server error")
}

// Unavailable answers ServiceUnavailable (HTTP 503); nothing is applied.
func Unavailable() Fault {
	return Exception(http.StatusServiceUnavailable, codeUnavailable, "Service is currently unavailable")
}

// AccessDenied answers AccessDeniedException (HTTP 400).
func AccessDenied() Fault {
	return Exception(http.StatusBadRequest, codeAccessDenied, "User: arn:aws:iam::000000000000:user/test is not authorized to perform this action")
}

// NotFound answers ResourceNotFoundException (HTTP 400), as for a table that
// does not exist.
func NotFound() Fault { return Exception(http.StatusBadRequest, codeNotFound, msgNoTable) }

// ResetBefore breaks the connection before the call is applied.
func ResetBefore() Fault { return Fault{kind: faultResetBefore} }

// ResetAfter applies the call and breaks the connection before the answer.
func ResetAfter() Fault { return Fault{kind: faultResetAfter} }

// CutBody applies the call and cuts the answer's body after n bytes, under the
// Content-Length of the whole: the client sees io.ErrUnexpectedEOF. An n beyond
// the body cuts the last byte; a negative one counts from the end.
func CutBody(n int) Fault { return Fault{kind: faultCut, n: n} }

// AlterBody applies the call and changes the answer's body. A nil change flips
// one bit in the middle.
func AlterBody(change func([]byte) []byte, crc CRC) Fault {
	return Fault{kind: faultAlter, alter: change, crc: crc}
}

// EmptyBody applies the call and answers 200 with an empty body.
func EmptyBody() Fault { return Fault{kind: faultEmpty} }

// Delay waits before the call is handled; a context that ends first ends the
// call, and nothing is applied.
func Delay(d time.Duration) Fault { return Fault{delay: d} }

// SlowReply applies the call at once and waits before the answer; a context
// that ends first leaves the call applied.
func SlowReply(d time.Duration) Fault { return Fault{kind: faultSlowReply, delay: d} }

// Hang never answers; the call ends with its context and is not applied.
func Hang() Fault { return Fault{kind: faultHang} }

// HangAfter applies the call and never answers.
func HangAfter() Fault { return Fault{kind: faultHangAfter} }

// LandLater never answers, and applies the call only when the test calls
// [Server.Land]: the attempt that timed out and lands after a newer one.
func LandLater() Fault { return Fault{kind: faultLandLater} }

// Unprocessed leaves some of a batch out: pick is asked for each of its writes
// or keys, in the order of the request (tables in alphabetical order). A nil
// pick leaves all. The call throttles when nothing is left, as the service does
// ("BatchWriteItem", API reference).
func Unprocessed(pick func(i int) bool) Fault {
	if pick == nil {
		pick = func(int) bool { return true }
	}
	return Fault{kind: faultUnprocessed, pick: pick}
}

// UnprocessedSilently is Unprocessed, but leaves all of them unprocessed
// without an exception where all were picked.
func UnprocessedSilently(pick func(i int) bool) Fault {
	f := Unprocessed(pick)
	f.onlyIfReply = true
	return f
}

// PageCut ends a Query's page after n items, with a LastEvaluatedKey.
func PageCut(n int) Fault { return Fault{kind: faultPageCut, n: n} }

// EmptyPage answers a Query that would have found something with no items and
// a LastEvaluatedKey, as a page full of items that its filter rejects would. The
// key lies just before the next item, so that a reader that goes on from it
// misses nothing and reads nothing twice; the key is of no item in the table.
func EmptyPage() Fault { return Fault{kind: faultEmptyPage} }

// Stale makes this call's eventually consistent read miss the table's last n
// writes. A consistent read does not notice.
func Stale(n int) Fault { return Fault{kind: faultStale, n: n} }

// After is the same fault after a delay; the wait ends with the context.
func (f Fault) After(d time.Duration) Fault {
	f.delay += d
	return f
}
