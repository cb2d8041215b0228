package dynamostore

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A targets notes the X-Amz-Target of each request that the package makes, in all
// of its tests. Those that the tests make for themselves it leaves out: only the
// package's bodies come from memory.
type targets struct {
	mu   sync.Mutex
	seen map[string]bool
}

var allTargets = &targets{seen: make(map[string]bool)}

func (a *targets) note(r *http.Request) {
	if r.GetBody == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[r.Header.Get("X-Amz-Target")] = true
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
	lists, err := policies()
	if err != nil {
		return err
	}
	var documented, called []string
	for _, list := range lists {
		documented = append(documented, list...)
	}
	slices.Sort(documented)
	documented = slices.Compact(documented)
	for target := range a.seen {
		version, action, _ := strings.Cut(target, ".")
		if version != "DynamoDB_20120810" || !slices.Contains(documented, "dynamodb:"+action) {
			return fmt.Errorf("%s is called, and in no policy", target)
		}
		called = append(called, "dynamodb:"+action)
	}
	slices.Sort(called)
	if all && !slices.Equal(documented, called) {
		return fmt.Errorf("the policies list %v, and %v are called", documented, called)
	}
	return nil
}

// A suite is all tests, and then what they have seen together.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	narrowed := flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != "" || flag.Lookup("test.list").Value.String() != ""
	if err := allTargets.check(!narrowed); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "promise 19:", err)
		return 1
	}
	return code
}

// policies reads the actions that the package comment lists, in its order.
func policies() (actions [][]string, err error) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		return nil, err
	}
	text := regexp.MustCompile(`(?m)^//`).ReplaceAll(source, nil)
	for _, match := range regexp.MustCompile(`"Action": (\[[^\]]*\])`).FindAllSubmatch(text, -1) {
		var list []string
		if err := json.Unmarshal(match[1], &list); err != nil {
			return nil, err
		}
		slices.Sort(list)
		actions = append(actions, list)
	}
	return actions, nil
}
