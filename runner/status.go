package runner

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A Monitor shows how runs are doing, such as to a health check. The zero Monitor
// is ready for use; give it to runs with [WithMonitor], to several if you like.
// It is safe for use by many goroutines at once.
type Monitor struct {
	mu     sync.Mutex
	boards []*board
}

// A Status is what a [Monitor] shows. It marshals to JSON.
type Status struct {
	// Shards are those that runs know of, read by them or by others, sorted by
	// stream and shard. There is one for each run that knows of it.
	Shards []ShardStatus `json:"shards"`
	// LastError is the last error that was met, of a shard or of a run as a
	// whole, behind the names of the stream and the shard, and LastErrorAt is
	// when; empty if there was none.
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	// FailingMillis is how long the run or shard that has been failing for longest has
	// been doing so, in milliseconds; 0 if none is. It is the number to alarm on.
	FailingMillis int64 `json:"failingMillis"`
}

// A ShardStatus is how a shard is doing.
type ShardStatus struct {
	Stream string `json:"stream,omitempty"`
	Shard  string `json:"shard"`
	// Owner is who has the lease: "" for nobody, or where there are no leases.
	Owner string `json:"owner,omitempty"`
	// Reading says that it is read by a run of this monitor.
	Reading bool `json:"reading"`
	// Ended says that it has been read to its end.
	Ended bool `json:"ended,omitempty"`
	// MillisBehind is how old the oldest record is that has been read and is not
	// done, or 0 when everything that could be read is. It is 0 for what others
	// read.
	MillisBehind int64 `json:"millisBehind"`
	// LastError is what the shard has been failing with; "" once it goes on.
	LastError string `json:"lastError,omitempty"`
}

// Status returns how the runs are doing now. A run that has ended is no longer in
// it.
func (m *Monitor) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	status := Status{Shards: []ShardStatus{}}
	for _, b := range m.boards {
		b.show(&status)
	}
	slices.SortFunc(status.Shards, func(a, b ShardStatus) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Shard, b.Shard))
	})
	return status
}

func (m *Monitor) join(stream string) *board {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &board{stream: stream, shards: make(map[string]*ShardStatus), arrived: make(map[string]time.Time), failing: make(map[string]time.Time)}
	m.boards = append(m.boards, b)
	return b
}

func (m *Monitor) leave(b *board) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boards = slices.DeleteFunc(m.boards, func(other *board) bool { return other == b })
}

// A board is what one run tells its monitor.
type board struct {
	stream string

	mu      sync.Mutex
	shards  map[string]*ShardStatus
	arrived map[string]time.Time // when the oldest record in hand had, by shard
	last    string
	lastAt  time.Time
	failing map[string]time.Time // since when, by shard; "" is the run as a whole
}

func (b *board) show(status *Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, s := range b.shards {
		shown := *s
		if arrived, behind := b.arrived[id]; behind {
			shown.MillisBehind = max(time.Since(arrived).Milliseconds(), 0)
		}
		status.Shards = append(status.Shards, shown)
	}
	if b.lastAt.After(status.LastErrorAt) {
		status.LastError, status.LastErrorAt = b.last, b.lastAt
	}
	for _, since := range b.failing {
		status.FailingMillis = max(status.FailingMillis, time.Since(since).Milliseconds(), 1)
	}
}

// update changes what is shown of a shard.
func (b *board) update(id string, change func(*ShardStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shards[id]
	if s == nil {
		s = &ShardStatus{Stream: b.stream, Shard: id}
		b.shards[id] = s
	}
	change(s)
}

func (b *board) state(id string, state shardState) {
	b.update(id, func(s *ShardStatus) { s.Owner, s.Ended = state.owner, state.ended })
}

func (b *board) begin(id string) { b.update(id, func(s *ShardStatus) { s.Reading = true }) }

func (b *board) end(id string) {
	b.succeeded(id)
	b.behind(id, time.Time{})
	b.update(id, func(s *ShardStatus) { s.Reading = false })
}

// behind notes when the oldest record in hand had arrived; the zero time for none.
func (b *board) behind(id string, arrived time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if arrived.IsZero() {
		delete(b.arrived, id)
	} else {
		b.arrived[id] = arrived
	}
}

// failed notes an error of a shard, or with "" of the run.
func (b *board) failed(id string, err error) {
	if id != "" {
		b.update(id, func(s *ShardStatus) { s.LastError = err.Error() })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.lastAt = err.Error(), time.Now()
	for _, where := range []string{id, b.stream} {
		if where != "" {
			b.last = where + ": " + b.last
		}
	}
	if _, failing := b.failing[id]; !failing {
		b.failing[id] = b.lastAt
	}
}

// succeeded notes that a shard, or with "" the run, goes on. It returns since when
// that had been failing, or the zero time.
func (b *board) succeeded(id string) (since time.Time) {
	if id != "" {
		b.update(id, func(s *ShardStatus) { s.LastError = "" })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	since = b.failing[id]
	delete(b.failing, id)
	return since
}

// drop forgets a shard that the stream no longer has.
func (b *board) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shards, id)
	delete(b.arrived, id)
	delete(b.failing, id)
}
