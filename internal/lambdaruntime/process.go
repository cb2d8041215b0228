package lambdaruntime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// functionARN is what the function is told that it is.
const functionARN = "arn:aws:lambda:us-east-1:123456789012:function:test"

const root = "/2018-06-01/runtime/"

// A Function is a running binary. Close ends it.
type Function struct {
	timeout time.Duration
	command *exec.Cmd
	server  *http.Server

	began   time.Time
	asked   sync.Once
	ready   chan struct{} // closed when it first asks for work
	next    chan *invocation
	ended   chan struct{} // closed when the process has ended
	exit    error         // why, once ended is closed
	pending sync.Map      // of *invocation, by request id
	count   atomic.Int64
}

type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan answer
}

type answer struct {
	body []byte
	err  error
}

// Start starts a binary, which has timeout for each invocation. Its output goes to
// output. env is added to an environment that holds nothing but what Lambda sets.
func Start(binary string, timeout time.Duration, output io.Writer, env ...string) (*Function, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Function{timeout: timeout, ready: make(chan struct{}), next: make(chan *invocation), ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"invocation/next", f.serveNext)
	mux.HandleFunc("POST "+root+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { f.serveAnswer(w, r, false) })
	mux.HandleFunc("POST "+root+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { f.serveAnswer(w, r, true) })
	f.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = f.server.Serve(listener) }() // it ends with Close

	f.command = exec.Command(binary) //nolint:noctx // a test's own binary, which Close ends
	f.command.Stdout, f.command.Stderr = output, output
	f.command.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(),
		"AWS_LAMBDA_FUNCTION_NAME=test", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "HOME=" + os.TempDir(),
	}, env...)
	f.began = time.Now()
	if err := f.command.Start(); err != nil {
		_ = f.server.Close()
		return nil, err
	}
	go func() {
		f.exit = f.command.Wait()
		close(f.ended)
	}()
	return f, nil
}

// serveNext gives the function its next invocation, as soon as there is one.
func (f *Function) serveNext(w http.ResponseWriter, r *http.Request) {
	f.asked.Do(func() { close(f.ready) })
	select {
	case <-r.Context().Done():
	case i := <-f.next:
		header := w.Header()
		header.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		header.Set("Lambda-Runtime-Invoked-Function-Arn", functionARN)
		header.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		header.Set("Content-Type", "application/json")
		_, _ = w.Write(i.payload) // if it does not arrive the invocation fails in time
	}
}

func (f *Function) serveAnswer(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	known, ok := f.pending.LoadAndDelete(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such invocation", http.StatusForbidden)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	a := answer{body: body}
	if failed {
		a = answer{err: fmt.Errorf("the function failed: %s", body)}
	}
	known.(*invocation).answer <- a
}

// Invoke invokes the function and returns what it answers. A function has one
// invocation at a time; others wait.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	i := &invocation{
		id: fmt.Sprintf("00000000-0000-4000-8000-%012d", f.count.Add(1)), payload: payload,
		deadline: time.Now().Add(f.timeout), answer: make(chan answer, 1),
	}
	f.pending.Store(i.id, i)
	defer f.pending.Delete(i.id)
	select {
	case f.next <- i:
	case <-f.ended:
		return nil, fmt.Errorf("the function has ended: %w", f.why())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	timeout := time.NewTimer(f.timeout + time.Second)
	defer timeout.Stop()
	select {
	case a := <-i.answer:
		return a.body, a.err
	case <-timeout.C:
		return nil, errors.New("the function did not answer before its deadline")
	case <-f.ended:
		return nil, fmt.Errorf("the function ended while it was invoked: %w", f.why())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *Function) why() error {
	if f.exit == nil {
		return errors.New("without an error")
	}
	return f.exit
}

// Ready waits until the function asks for work for the first time, and returns how
// long that took.
func (f *Function) Ready(ctx context.Context) (time.Duration, error) {
	select {
	case <-f.ready:
		return time.Since(f.began), nil
	case <-f.ended:
		return 0, fmt.Errorf("the function has ended: %w", f.why())
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Began is when the process was started.
func (f *Function) Began() time.Time { return f.began }

// PeakMemory is the most memory that the process has used, in bytes; 0 where the
// system does not tell.
func (f *Function) PeakMemory() int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(f.command.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// Close ends the process, and returns when it has ended.
func (f *Function) Close() error {
	_ = f.command.Process.Kill() // it may have ended
	<-f.ended
	return f.server.Close()
}
