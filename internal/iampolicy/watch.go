package iampolicy

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Watch notes which actions are called, by the X-Amz-Target of the requests. Its
// zero value is ready, for any number of goroutines.
type Watch struct {
	mu   sync.Mutex
	seen map[string]bool
}

// Note notes the action of a request.
func (w *Watch) Note(r *http.Request) { w.NoteAction(actionOf(r)) }

// NoteAction notes an action, such as kinesis:GetRecords, that was called without a
// request: of a fake in the place of a client.
func (w *Watch) NoteAction(action string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[string]bool)
	}
	w.seen[action] = true
}

// Called returns what was noted, sorted.
func (w *Watch) Called() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.seen))
}

// actionOf returns the action of a request, or what it is where no policy could
// allow it: of another service or version, or in another protocol.
func actionOf(r *http.Request) string {
	target := r.Header.Get("X-Amz-Target")
	service, action, _ := strings.Cut(target, ".")
	switch service {
	case "DynamoDB_20120810", "DynamoDBStreams_20120810":
		return "dynamodb:" + action
	case "Kinesis_20131202":
		return "kinesis:" + action
	case "":
		return r.Method + " " + r.URL.Path
	}
	return target
}

// Transport notes what goes to a server.
func (w *Watch) Transport(next http.RoundTripper) http.RoundTripper { return transport{w, next} }

type transport struct {
	watch *Watch
	next  http.RoundTripper
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.watch.Note(r)
	return t.next.RoundTrip(r)
}

// CloseIdleConnections is how http.Client closes those of a transport.
func (t transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// A Doer is what the SDK's clients take for an HTTP client.
type Doer interface {
	// Do sends a request.
	Do(r *http.Request) (*http.Response, error)
}

// Client notes what goes through an HTTP client.
func (w *Watch) Client(next Doer) Doer { return client{w, next} }

type client struct {
	watch *Watch
	next  Doer
}

func (c client) Do(r *http.Request) (*http.Response, error) {
	c.watch.Note(r)
	return c.next.Do(r)
}
