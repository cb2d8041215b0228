package fakedynamodb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"
)

// stream is a change stream of a table: "Change data capture for DynamoDB
// Streams". It outlives being turned off, with its shards closed.
type stream struct {
	arn, label, table string
	view              string
	keys              []any // the table's KeySchema
	enabled           bool
	created           time.Time
	shards            []*shard // all, in the order in which they were made
	open              []*shard
	seq               int
	made              int // shards there have ever been
}

// shard holds records; a closed one has an end.
type shard struct {
	id, parent string
	start, end string // sequence numbers; end "" = open
	records    []*record
	trimmed    int // records that are gone
}

// record is a change that changed something.
type record struct {
	n             int
	seq           string
	view          string
	schema        schema
	before, after *row
	expired       bool
	created       int64 // seconds
	raw           json.RawMessage
}

// sequence numbers are decimal strings of 21 to 40 digits ("StreamRecord", API
// reference), growing along the stream.
func (st *stream) sequence() string {
	st.seq++
	return fmt.Sprintf("1%020d", st.seq)
}

// setStream turns a stream on or off. Each one is new, with a label of its own
// ("StreamSpecification", API reference: turning on what is on, or off what is
// off, is a ValidationException).
func (s *Server) setStream(t *table, spec streamSpec) *apiError {
	on := t.stream != nil && t.stream.enabled
	if !spec.StreamEnabled {
		if spec.StreamViewType != "" {
			return invalidParameter("StreamViewType cannot be specified when StreamEnabled is false")
		}
		if !on {
			return invalid("Table has no stream to disable: TableName: %s", t.name)
		}
		t.stream.disable()
		return nil
	}
	switch spec.StreamViewType {
	case "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES":
	default:
		return invalidParameter("Unknown StreamViewType: %q", spec.StreamViewType)
	}
	if on {
		return invalid("Table already has an enabled stream: TableName: %s", t.name)
	}
	now := s.now()
	label := now.UTC().Format("2006-01-02T15:04:05.000")
	for n := 1; s.streams[t.arn+"/stream/"+label] != nil; n++ { // turned off and on within a millisecond
		label = now.UTC().Add(time.Duration(n) * time.Millisecond).Format("2006-01-02T15:04:05.000")
	}
	st := &stream{
		arn: t.arn + "/stream/" + label, label: label, table: t.name, view: spec.StreamViewType,
		keys: t.schema.describe(map[string]string{}), enabled: true, created: now,
	}
	for range s.shards {
		st.newShard("")
	}
	t.stream = st
	s.streams[st.arn] = st
	return nil
}

func (st *stream) newShard(parent string) {
	st.made++
	sh := &shard{
		id:     fmt.Sprintf("shardId-%020d-%08x", st.created.UnixMilli(), st.made),
		parent: parent, start: st.sequence(),
	}
	st.shards = append(st.shards, sh)
	st.open = append(st.open, sh)
}

func (st *stream) disable() {
	if st == nil || !st.enabled {
		return
	}
	st.enabled = false
	for _, sh := range st.open {
		sh.end = st.sequence()
	}
	st.open = nil
}

// streamOf is the last stream of a table; nil if it has had none.
func (s *Server) streamOf(tableName string) *stream {
	if t := s.tables[tableName]; t != nil {
		return t.stream
	}
	return nil
}

// RollShards closes every open shard of the table's stream and opens a child
// in its place, as the service does every few hours.
func (s *Server) RollShards(tableName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streamOf(tableName)
	if st == nil {
		return
	}
	closed := st.open
	st.open = nil
	for _, sh := range closed {
		sh.end = st.sequence()
		st.newShard(sh.id)
	}
}

// TrimStream removes all records so far from the table's stream, as the service
// does after 24 hours, and closed shards with them.
func (s *Server) TrimStream(tableName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streamOf(tableName)
	if st == nil {
		return
	}
	kept := st.shards[:0:0]
	for _, sh := range st.shards {
		sh.trimmed += len(sh.records)
		sh.records = nil
		if sh.end == "" {
			kept = append(kept, sh)
		}
	}
	st.shards = kept
}

// add writes a record of a change that changed something.
func (st *stream) add(s *Server, t *table, before, after *row, expired bool) {
	if st == nil || !st.enabled {
		return
	}
	r := &record{
		seq: st.sequence(), n: st.seq, view: st.view, schema: t.schema, before: before, after: after, expired: expired,
		created: s.now().Unix(), // whole seconds
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.at().hash)) // never fails
	sh := st.open[int(h.Sum32()%uint32(len(st.open)))]
	sh.records = append(sh.records, r)
}

// at is the item that the record is about.
func (r *record) at() *row { return cmp.Or(r.after, r.before) }

func (r *record) name() string {
	switch {
	case r.before == nil:
		return "INSERT"
	case r.after == nil:
		return "REMOVE"
	}
	return "MODIFY"
}

// json is the record as GetRecords gives it, written when it is first asked for.
// The view type decides which images are in it ("StreamSpecification", API
// reference); a removal by TTL says so in its userIdentity ("DynamoDB Streams and
// Time to Live"). Server.mu is held.
func (r *record) json() json.RawMessage {
	if r.raw != nil {
		return r.raw
	}
	keys := r.at().item.only(r.schema.names()...)
	size := keys.size()
	d := map[string]any{
		"ApproximateCreationDateTime": r.created,
		"Keys":                        rawItem(keys),
		"SequenceNumber":              r.seq,
		"StreamViewType":              r.view,
	}
	if r.after != nil && (r.view == "NEW_IMAGE" || r.view == "NEW_AND_OLD_IMAGES") {
		d["NewImage"] = r.after.json()
		size += r.after.size
	}
	if r.before != nil && (r.view == "OLD_IMAGE" || r.view == "NEW_AND_OLD_IMAGES") {
		d["OldImage"] = r.before.json()
		size += r.before.size
	}
	d["SizeBytes"] = size
	out := map[string]any{
		"eventID": fmt.Sprintf("%032x", r.n), "eventName": r.name(), "eventVersion": "1.1",
		"eventSource": "aws:dynamodb", "awsRegion": region, "dynamodb": d,
	}
	if r.expired {
		out["userIdentity"] = map[string]any{"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
	}
	r.raw = reply(out)
	return r.raw
}
