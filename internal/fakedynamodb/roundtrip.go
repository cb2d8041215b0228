package fakedynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// answer is what handling a call came to.
type answer struct {
	status int
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	return s.roundTrip(req, func() func(Call) Fault { return s.fault })
}

// Behind is another way to the same server, with faults of its own instead of
// those of [Server.Inject]: the network of one client among many.
func (s *Server) Behind(fault func(Call) Fault) http.RoundTripper {
	return behind{s, fault}
}

type behind struct {
	server *Server
	fault  func(Call) Fault
}

// RoundTrip implements http.RoundTripper.
func (b behind) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.server.roundTrip(req, func() func(Call) Fault { return b.fault })
}

// roundTrip asks which the fault function is while it holds faultMu.
func (s *Server) roundTrip(req *http.Request, faults func() func(Call) Fault) (*http.Response, error) {
	ctx := req.Context()
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	target := req.Header.Get("X-Amz-Target")
	if apiErr := checkRequest(req); apiErr != nil {
		return respond(req, answer{apiErr.status, apiErr.body()}), nil
	}
	n, f := s.faultFor(req, target, body, faults)
	handle := func(f Fault) answer { return s.handle(n, target, body, f) }
	if f.kind == faultSlowReply {
		a := handle(Fault{})
		if err := wait(ctx, f.delay); err != nil {
			return nil, err
		}
		return respond(req, a), nil
	}
	if err := wait(ctx, f.delay); err != nil {
		return nil, err
	}
	switch f.kind {
	case faultError:
		return respond(req, answer{f.err.status, f.err.body()}), nil
	case faultResetBefore:
		return nil, connectionReset()
	case faultResetAfter:
		handle(Fault{})
		return nil, connectionReset()
	case faultHang:
		return nil, hang(ctx)
	case faultHangAfter:
		handle(Fault{})
		return nil, hang(ctx)
	case faultLandLater:
		s.mu.Lock()
		s.landing = append(s.landing, func() { s.dispatch(n, target, body, Fault{}) })
		s.mu.Unlock()
		return nil, hang(ctx)
	}
	return f.distort(respond(req, handle(f))), nil
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	var body bytes.Buffer
	body.Grow(int(min(max(0, req.ContentLength), maxBatchBytes)) + bytes.MinRead)
	_, err := body.ReadFrom(req.Body)
	// A RoundTripper must always close the body (net/http).
	if cerr := req.Body.Close(); err == nil {
		err = cerr
	}
	return body.Bytes(), err
}

// checkRequest is what the service's front door asks of every call ("DynamoDB
// low-level API"): POST, a target, a signature, the right content type.
func checkRequest(req *http.Request) *apiError {
	switch {
	case req.Method != http.MethodPost:
		return failure(codeUnknown, "")
	case req.Header.Get("X-Amz-Target") == "":
		return failure(codeUnknown, "")
	case !strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-amz-json-1.0"):
		return failure(codeSerialization, "Unexpected content type")
	case !strings.HasPrefix(req.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
		return failure("MissingAuthenticationTokenException", "Request is missing Authentication Token")
	}
	return nil
}

func (s *Server) faultFor(req *http.Request, target string, body []byte, faults func() func(Call) Fault) (int, Fault) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.mu.Lock()
	s.calls++
	s.targets[target]++
	call := Call{Target: target, N: s.calls, NOfTarget: s.targets[target], Body: body, Attempt: attempt(req)}
	s.mu.Unlock()
	fault := faults()
	if fault == nil {
		return call.N, Fault{}
	}
	_, call.Operation, _ = strings.Cut(target, ".")
	return call.N, fault(call)
}

// attempt reads the client's count from its header: "attempt=2; max=3".
func attempt(req *http.Request) int {
	for part := range strings.SplitSeq(req.Header.Get("Amz-Sdk-Request"), ";") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(part), "attempt="); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return 1
}

// tableOf finds the table that a call names.
func tableOf(body []byte) string {
	// A quote within a string would be escaped, so this is a member of some object;
	// and only here is the member of that name a string.
	if _, rest, ok := bytes.Cut(body, []byte(`"TableName":"`)); ok {
		if name, _, ok := bytes.Cut(rest, []byte{'"'}); ok {
			return tableName(string(name))
		}
	}
	var named struct {
		TableName     string
		RequestItems  map[string]json.RawMessage
		StreamArn     string
		ShardIterator string
	}
	if json.Unmarshal(body, &named) != nil {
		return ""
	}
	arn := named.StreamArn
	if it, err := parseIterator(named.ShardIterator); err == nil {
		arn = it.arn
	}
	switch {
	case named.TableName != "":
		return tableName(named.TableName)
	case len(named.RequestItems) > 0:
		return tableName(sortedKeys(named.RequestItems)[0])
	}
	return tableName(arn)
}

// tableName cuts a table's name out of an ARN; a name it leaves alone
// ("PutItem", API reference: TableName may be the ARN).
func tableName(s string) string {
	if _, rest, ok := strings.Cut(s, ":table/"); ok {
		s, _, _ = strings.Cut(rest, "/")
	}
	return s
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func connectionReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

// handle applies a call, one at a time.
func (s *Server) handle(n int, target string, body []byte, f Fault) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dispatch(n, target, body, f)
}

func (s *Server) dispatch(n int, target string, body []byte, f Fault) answer {
	op := s.operationOf(target)
	if op == nil {
		err := failure(codeUnknown, "")
		if target == prefixDB+"Scan" {
			err = failure(codeAccessDenied, "fakedynamodb refuses Scan")
		}
		return answer{err.status, err.body()}
	}
	s.current = n
	out, err := op(body, f)
	if err != nil {
		return answer{err.status, err.body()}
	}
	return answer{http.StatusOK, out}
}

const (
	prefixDB      = "DynamoDB_20120810."
	prefixStreams = "DynamoDBStreams_20120810."
)

// respond builds the HTTP response, with the checksum that the service sends.
func respond(req *http.Request, a answer) *http.Response {
	body := a.body
	header := http.Header{}
	header.Set("Content-Type", "application/x-amz-json-1.0")
	header.Set("X-Amzn-Requestid", "FAKEDYNAMODB")
	if strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") && a.status == http.StatusOK && len(body) > gzipFrom {
		body = compress(body)
		header.Set("Content-Encoding", "gzip")
	}
	header.Set(crcHeader, checksum(body))
	return response(req, a.status, header, body)
}

func response(req *http.Request, status int, header http.Header, body []byte) *http.Response {
	header.Set("Content-Length", strconv.Itoa(len(body)))
	return &http.Response{
		Status:     strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode: status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}
