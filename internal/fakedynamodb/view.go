package fakedynamodb

import (
	"encoding/json"
	"time"
)

// Image is an item as it was, as a test looks at it past the API.
type Image struct{ row *row }

// Exists tells whether there was an item.
func (i Image) Exists() bool { return i.row != nil }

// Text is the text of an attribute of type S or N; "" if there is none.
func (i Image) Text(name string) string {
	if i.row == nil {
		return ""
	}
	v := i.row.item[name]
	if v.kind != "S" && v.kind != "N" {
		return ""
	}
	return v.s
}

// Applied is a [Write] without its JSON, which takes most of the time where there
// are many.
type Applied struct {
	Table   string
	Removed bool
	Changed bool
	Image   Image // what was written, or what was removed
}

// AppliedFrom lists the applied writes but for the first n.
func (s *Server) AppliedFrom(n int) []Applied {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= len(s.writes) {
		return nil
	}
	out := make([]Applied, len(s.writes)-n)
	for i, w := range s.writes[n:] {
		out[i] = Applied{Table: w.table, Removed: w.after == nil, Changed: w.changed, Image: Image{w.at()}}
	}
	return out
}

// StreamShard is a shard of a table's change stream, as a test looks at it past
// the API.
type StreamShard struct {
	ID, Parent string
	Closed     bool
}

// StreamShards lists the shards of the table's stream in the order in which they
// were made.
func (s *Server) StreamShards(tableName string) []StreamShard {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streamOf(tableName)
	if st == nil {
		return nil
	}
	shards := make([]StreamShard, len(st.shards))
	for i, sh := range st.shards {
		shards[i] = StreamShard{ID: sh.id, Parent: sh.parent, Closed: sh.end != ""}
	}
	return shards
}

// StreamChange is a record of a table's change stream, as a test looks at it past
// the API.
type StreamChange struct {
	SequenceNumber string
	EventName      string // INSERT, MODIFY, REMOVE
	Expired        bool
	Created        time.Time // as the record says: whole seconds
	Old, New       Image     // whatever the view shows of them
	server         *Server
	record         *record
}

// JSON is the record as GetRecords gives it.
func (c StreamChange) JSON() json.RawMessage {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.record.json()
}

// StreamChanges are the records of a shard of the table's stream, but for the
// first n that there ever were.
func (s *Server) StreamChanges(tableName, shardID string, n int) []StreamChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streamOf(tableName)
	if st == nil {
		return nil
	}
	for _, sh := range st.shards {
		if sh.id != shardID {
			continue
		}
		var changes []StreamChange
		for _, r := range sh.records[min(max(0, n-sh.trimmed), len(sh.records)):] {
			changes = append(changes, StreamChange{
				SequenceNumber: r.seq, EventName: r.name(), Expired: r.expired, Created: time.Unix(r.created, 0),
				Old: Image{r.before}, New: Image{r.after}, server: s, record: r,
			})
		}
		return changes
	}
	return nil
}
