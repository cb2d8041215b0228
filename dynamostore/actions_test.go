package dynamostore

import (
	"net/http"

	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

// A targets notes what the package calls, in all of its tests. What the tests call
// for themselves it leaves out: only the package's bodies come from memory.
type targets struct{ iampolicy.Watch }

var allTargets = new(targets)

func (a *targets) note(r *http.Request) {
	if r.GetBody != nil {
		a.Note(r)
	}
}

// watch notes what goes to a server.
func (a *targets) watch(next http.RoundTripper) http.RoundTripper { return watcher{a, next} }

type watcher struct {
	*targets
	next http.RoundTripper
}

func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.note(r)
	return w.next.RoundTrip(r)
}

func (w watcher) CloseIdleConnections() {
	if c, ok := w.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// check compares what was seen with the policies of the package comment. Where not
// all tests ran, something may be missing.
func (a *targets) check(all bool) error {
	policies, err := iampolicy.Read("doc.go")
	if err != nil {
		return err
	}
	return iampolicy.Compare(iampolicy.Union(policies...), a.Called(), all)
}
