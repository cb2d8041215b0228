package simulation

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"time"
)

// A record as an event source mapping sees it.
type record struct {
	sequence string
	lane     uint64 // records of one lane are delivered in their order
	shard    string
	events   []*event // of a Kinesis record; several in an aggregate
	change   *change
	arrived  time.Time
}

func (r record) String() string {
	if r.change != nil {
		return fmt.Sprintf("change %s of %q/%q (%s)", r.sequence, r.change.hashKey, r.change.rangeKey, r.change.EventName)
	}
	return fmt.Sprintf("record %s, event %d of class %d", r.sequence, r.events[0].n, r.events[0].class)
}

// A feed is a stream that an event source mapping reads.
type feed interface {
	shards() []shardInfo
	// records are those behind the first n of a shard; closed says that nothing
	// will ever follow them.
	records(shard string, n int) (records []record, closed bool)
	// over says that there will be no other shards.
	over() bool
}

type shardInfo struct {
	id      string
	parents []string
}

// A kinesis is a Kinesis data stream: shards that split and merge, and sequence
// numbers of different lengths.
type kinesis struct {
	mu    sync.Mutex
	all   []*kinesisShard
	ended bool
}

type kinesisShard struct {
	shardInfo
	from, to uint64 // of the hash range, both inclusive
	closed   bool
	log      []record
	next     uint64
}

func newKinesis(shards int, d dice) *kinesis {
	k := new(kinesis)
	width := uint64(1<<32) / uint64(shards)
	for i := range uint64(shards) {
		to := (i + 1) * width
		if i == uint64(shards)-1 {
			to = 1 << 32
		}
		k.open(i*width, to-1, d)
	}
	return k
}

func (k *kinesis) open(from, to uint64, d dice, parents ...string) {
	n := len(k.all)
	k.all = append(k.all, &kinesisShard{
		shardInfo: shardInfo{id: fmt.Sprintf("shardId-%012d", n), parents: parents},
		from:      from, to: to,
		// Soon they will have a digit more.
		next: 9_999_990 - d.roll(uint64(n))%20,
	})
}

func place(partition string) uint64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(partition)) // never fails
	return mix(uint64(h.Sum32())) & (1<<32 - 1)
}

// put appends a record.
func (k *kinesis) put(d dice, events ...*event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := place(events[0].partition)
	for _, s := range k.all {
		if !s.closed && s.from <= at && at <= s.to {
			s.next += 1 + d.roll(s.next)%7
			s.log = append(s.log, record{
				sequence: strconv.FormatUint(s.next, 10), lane: mix(at), shard: s.id, events: events, arrived: time.Now(),
			})
			return
		}
	}
}

// reshard splits a shard, or merges two neighbours.
func (k *kinesis) reshard(d dice, about uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var open []*kinesisShard
	for _, s := range k.all {
		if !s.closed {
			open = append(open, s)
		}
	}
	s := open[d.below(len(open), about, 1)]
	if d.hit(0.5, about, 2) && s.to-s.from > 100 {
		s.closed = true
		middle := s.from + (s.to-s.from)/2
		k.open(s.from, middle, d, s.id)
		k.open(middle+1, s.to, d, s.id)
		return
	}
	for _, other := range open {
		if other.from == s.to+1 {
			s.closed, other.closed = true, true
			k.open(s.from, other.to, d, s.id, other.id)
			return
		}
	}
}

// end closes the stream: nothing will ever follow.
func (k *kinesis) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
}

func (k *kinesis) over() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

func (k *kinesis) shards() []shardInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	infos := make([]shardInfo, len(k.all))
	for i, s := range k.all {
		infos[i] = s.shardInfo
	}
	return infos
}

func (k *kinesis) records(shard string, n int) ([]record, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.all {
		if s.id == shard {
			return s.log[n:len(s.log):len(s.log)], s.closed || k.ended
		}
	}
	return nil, true
}
