package simulation

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// weather is when how much goes wrong.
type weather struct {
	dice      dice
	rate      float64       // of calls that go wrong on any day
	brownouts []span        // everything fails
	denied    []span        // the credentials are not enough
	healed    atomic.Bool   // from now on nothing goes wrong
	later     bool          // attempts that were given up may land later
	latency   time.Duration // the most that a good call takes
}

type span struct{ from, to time.Time }

func in(spans []span, now time.Time) bool {
	for _, s := range spans {
		if !now.Before(s.from) && now.Before(s.to) {
			return true
		}
	}
	return false
}

// A network is how one function instance reaches the table.
type network struct {
	server  *fakedynamodb.Server
	weather *weather
	totals  *totals
	spoiled atomic.Int64 // calls on which something went wrong
	dead    chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (n *network) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	body, err := io.ReadAll(request.Body)
	_ = request.Body.Close()
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	about := content(body)
	if inv := invocationOf(ctx); inv != nil {
		about = mix(about ^ inv.id)
	} else if r := replicaOf(ctx); r != nil {
		about = mix(about ^ r.id)
	}
	now := time.Now()
	pause := time.NewTimer(n.weather.dice.between(100*time.Microsecond, n.weather.latency, aboutLatency, about, uint64(now.UnixNano())))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-n.dead: // nobody is there to send anything
		<-ctx.Done()
		return nil, ctx.Err()
	default:
	}
	n.totals.calls.Add(1)
	return n.server.Behind(func(call fakedynamodb.Call) fakedynamodb.Fault {
		fault, bad := n.weather.fault(call, about)
		if bad {
			n.spoiled.Add(1)
			n.totals.faulted.Add(1)
		}
		return fault
	}).RoundTrip(request)
}

// fault decides what becomes of a call. bad says that the caller will notice.
func (w *weather) fault(call fakedynamodb.Call, about uint64) (_ fakedynamodb.Fault, bad bool) {
	now := time.Now()
	roll := func(more uint64) uint64 { return w.dice.roll(aboutFault, about, uint64(now.UnixNano()), more) }
	if w.healed.Load() {
		return fakedynamodb.None(), false
	}
	if in(w.denied, now) {
		return fakedynamodb.AccessDenied(), true
	}
	down := in(w.brownouts, now)
	if !down && !w.dice.hit(w.rate, aboutFault, about, uint64(now.UnixNano()), 1) {
		if call.Operation == "Query" {
			switch roll(2) % 20 {
			case 0:
				// Two in a row would stay where they are, which the service does not.
				if !bytes.Contains(call.Body, []byte("ExclusiveStartKey")) {
					return fakedynamodb.EmptyPage(), false
				}
			case 1:
				return fakedynamodb.PageCut(1 + int(roll(3)%20)), false
			}
		}
		return fakedynamodb.None(), false
	}
	kinds := uint64(18)
	if down {
		kinds = 14 // one who takes a part for the whole must not be saved by a later try
	}
	kind := roll(4) % kinds
	if down && call.Operation != "BatchWriteItem" {
		kind %= 12 // nothing else is left unprocessed
	}
	switch kind {
	case 0:
		return fakedynamodb.Throttle(), true
	case 1:
		return fakedynamodb.ThrottleWith([]string{"ThrottlingException", "RequestLimitExceeded"}[roll(5)%2]), true
	case 2:
		return fakedynamodb.InternalError(), true
	case 3:
		return fakedynamodb.Unavailable(), true
	case 4:
		return fakedynamodb.ResetBefore(), true
	case 5:
		return fakedynamodb.ResetAfter(), true
	case 6:
		return fakedynamodb.CutBody(int(roll(5)%400) - 100), true
	case 7:
		return fakedynamodb.AlterBody(nil, fakedynamodb.CRCOfOriginal), true
	case 8:
		return fakedynamodb.AlterBody(func([]byte) []byte { return []byte("{}") }, fakedynamodb.CRCOfAltered), true
	case 9:
		return fakedynamodb.AlterBody(func(b []byte) []byte { return b[:len(b)*3/4] }, fakedynamodb.CRCMissing), true
	case 10:
		return fakedynamodb.EmptyBody(), true
	case 11:
		switch {
		case down || roll(6)%3 == 0:
			return fakedynamodb.Hang(), true
		case w.later && roll(6)%3 == 1:
			return fakedynamodb.LandLater(), true
		}
		return fakedynamodb.HangAfter(), true
	case 12:
		return fakedynamodb.UnprocessedSilently(nil), true
	case 13, 14, 15:
		mask := roll(5)
		return fakedynamodb.Unprocessed(func(i int) bool { return mask>>(i%64)&1 == 1 }), true
	case 16:
		return fakedynamodb.SlowReply(time.Duration(1 + roll(5)%uint64(9*time.Second))), true
	default:
		return fakedynamodb.Delay(time.Duration(1 + roll(5)%uint64(9*time.Second))), true
	}
}

// Do is what the SDK asks of an HTTP client.
func (n *network) Do(request *http.Request) (*http.Response, error) { return n.RoundTrip(request) }
