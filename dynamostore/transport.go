package dynamostore

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// maxAnswer bounds an answer, in bytes. The largest that there can be is a batch
// of 25 items of 400 KiB that comes back unprocessed, with every character
// escaped to six.
const maxAnswer = 64 << 20

// An answerError says that an answer cannot be believed. It holds none of it.
type answerError struct {
	text string
	err  error // may be nil
}

func (e *answerError) Error() string { return e.text }
func (e *answerError) Unwrap() error { return e.err }

// A link stands between the SDK's client and its HTTP client during one attempt.
// It makes up for what the two of them leave open: see the package comment.
type link struct {
	next    dynamodb.HTTPClient
	bodies  *sync.Pool // room for answers; nil unless there is a codec, which gives it back
	connect *connector
	body    []byte // the request's, where the codec has written it
	applied bool   // the client took our options
	sent    bool   // the request has left the SDK
	status  int    // of the answer, if there was one
}

// statusText names the status of an answer that is not a good one.
func (l *link) statusText() string {
	if l.status == 0 || l.status == http.StatusOK {
		return ""
	}
	return fmt.Sprintf(", HTTP status %d", l.status)
}

// redirected tells whether the answer sends us elsewhere. Whatever else is in it,
// it is none of DynamoDB's.
func (l *link) redirected() bool { return l.status >= 300 && l.status < 400 }

// install is an option of one call.
func (l *link) install(o *dynamodb.Options) {
	l.applied = true
	l.next = l.connect.client(o.HTTPClient)
	o.HTTPClient = l
	// There is one owner of retries, and it is not the SDK: its retries count
	// against a quota that is empty after about 50 failures, and know nothing of
	// unprocessed items.
	o.Retryer = aws.NopRetryer{}
	o.RetryMaxAttempts = 0
	// The SDK only logs a mismatch. Do sees to it.
	o.DisableValidateResponseChecksum = true
}

// Do sends a request and reads the whole answer.
func (l *link) Do(request *http.Request) (*http.Response, error) {
	l.sent = true
	request, err := inMemory(request, l.body)
	if err != nil {
		return nil, err
	}
	next := l.next
	if next == nil {
		next = http.DefaultClient
	}
	response, err := next.Do(request)
	if err != nil {
		if response != nil { // a redirection that the client did not want to follow
			l.status = response.StatusCode
			if response.Body != nil {
				_ = response.Body.Close()
			}
		}
		return nil, err
	}
	if response == nil || response.Body == nil {
		return nil, &answerError{text: "there is no answer"}
	}
	l.status = response.StatusCode
	body, err := readAnswer(response, l.bodies)
	if err != nil {
		return nil, err
	}
	response.Body = newMemoryBody(body)
	return response, nil
}

// A memoryBody is an answer of which all is known.
type memoryBody struct {
	bytes.Reader
	all []byte
}

func newMemoryBody(all []byte) *memoryBody {
	b := &memoryBody{all: all}
	b.Reset(all)
	return b
}

func (b *memoryBody) Close() error { return nil }

// mostKept bounds what is kept of an answer for the next one, in bytes: there are
// some of a little more than DynamoDB's 1 MB.
const mostKept = 2 << 20

// release gives back the room of an answer that nobody will look at again.
func (b *memoryBody) release(bodies *sync.Pool) {
	all := b.all
	b.all = nil
	b.Reset(nil)
	if cap(all) <= mostKept {
		bodies.Put(&all)
	}
}

// inMemory puts a body from memory in the place of the SDK's, on which net/http
// now and then drops the connection of a call that succeeded: the SDK's wrapper
// returns io.EOF from WriteTo once it is closed. written is what the codec has
// written: if that is what the SDK sends, it is not copied.
func inMemory(request *http.Request, written []byte) (*http.Request, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return request, nil
	}
	sink := bodySink{written: written}
	if n := request.ContentLength; n > 0 && written == nil {
		sink.body = make([]byte, 0, n)
	}
	_, err := io.Copy(&sink, request.Body)
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	body := sink.body
	request = request.WithContext(request.Context()) // a copy
	request.ContentLength = int64(len(body))
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	return request, nil
}

// A bodySink keeps what is written to it.
type bodySink struct {
	written, body []byte
}

// Write copies what it is given, unless that is what it knows is written, in the
// very same memory, which nobody changes any more.
func (s *bodySink) Write(p []byte) (int, error) {
	if len(s.body) == 0 && len(p) > 0 && len(p) == len(s.written) && &p[0] == &s.written[0] {
		s.body = s.written[:len(p):len(p)]
		return len(p), nil
	}
	s.body = append(s.body, p...)
	return len(p), nil
}

// readAnswer reads the body and closes it. It returns what it can vouch for.
func readAnswer(response *http.Response, bodies *sync.Pool) ([]byte, error) {
	defer func() { _ = response.Body.Close() }()
	var room []byte
	if bodies != nil {
		if kept, ok := bodies.Get().(*[]byte); ok {
			room = (*kept)[:0]
		}
	}
	buffer := bytes.NewBuffer(room)
	if n := response.ContentLength; n > 0 && n <= maxAnswer {
		buffer.Grow(int(n) + bytes.MinRead)
	}
	if _, err := buffer.ReadFrom(io.LimitReader(response.Body, maxAnswer+1)); err != nil {
		return nil, &answerError{text: "the answer broke off", err: err}
	}
	body := buffer.Bytes()
	if len(body) > maxAnswer {
		return nil, &answerError{text: fmt.Sprintf("the answer has more than %d bytes", maxAnswer)}
	}
	if response.StatusCode >= http.StatusInternalServerError {
		// The status says all. What is in the body is often a proxy's.
		return body, nil
	}
	if len(body) == 0 {
		return nil, &answerError{text: "the answer is empty"}
	}
	if n := response.ContentLength; n >= 0 && int64(len(body)) != n {
		return nil, &answerError{text: "the answer broke off", err: io.ErrUnexpectedEOF}
	}
	return body, verify(response, body)
}

// verify checks the answer against the checksum that DynamoDB sends along. Where
// something on the way has unpacked it, or there is none (some servers that speak
// the API), JSON that is whole has to do.
func verify(response *http.Response, body []byte) error {
	sum := response.Header.Get("X-Amz-Crc32")
	if sum != "" && !response.Uncompressed {
		want, err := strconv.ParseUint(sum, 10, 32)
		if err != nil || crc32.ChecksumIEEE(body) != uint32(want) {
			return &answerError{text: "the answer does not match its checksum"}
		}
		return nil
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Encoding") != "" {
		return nil
	}
	if err := jsonscan.Check(body); err != nil {
		return &answerError{text: "the answer is not JSON"}
	}
	return nil
}

// errNoCapacity says that an answer lacks what was asked for: something other
// than DynamoDB wrote it.
var errNoCapacity error = &answerError{
	text: "the answer does not report the consumed capacity that was asked for, so it may not be the table's",
}
