package fakedynamodb

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// "DynamoDB Streams quotas" and "GetRecords", API reference.
const (
	maxRecords      = 1000
	maxRecordsBytes = 1 << 20
	maxShards       = 100
	iteratorLife    = 15 * time.Minute
)

func (s *Server) stream(arn string) (*stream, *apiError) {
	st := s.streams[arn]
	if st == nil {
		return nil, failure(codeNotFound, "Requested resource not found: Stream: %s not found", arn)
	}
	return st, nil
}

func (s *Server) listStreams(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct {
		TableName               string
		Limit                   int
		ExclusiveStartStreamArn string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.Limit <= 0 || in.Limit > maxShards {
		in.Limit = maxShards
	}
	list := []any{}
	out := map[string]any{}
	last := ""
	for _, arn := range sortedKeys(s.streams) {
		st := s.streams[arn]
		if arn <= in.ExclusiveStartStreamArn || in.TableName != "" && st.table != tableName(in.TableName) {
			continue
		}
		if len(list) == in.Limit {
			out["LastEvaluatedStreamArn"] = last
			break
		}
		list = append(list, map[string]any{"StreamArn": arn, "TableName": st.table, "StreamLabel": st.label})
		last = arn
	}
	out["Streams"] = list
	return reply(out), nil
}

// describeStream lists shards, 100 at a time ("DescribeStream", API reference).
func (s *Server) describeStream(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct {
		StreamArn             string
		Limit                 *int
		ExclusiveStartShardId string
		ShardFilter           *struct{ ShardId, Type string }
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	st, err := s.stream(in.StreamArn)
	if err != nil {
		return nil, err
	}
	limit := maxShards
	if in.Limit != nil {
		limit = min(limit, *in.Limit)
	}
	if limit < 1 {
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", limit)
	}
	status := "DISABLED"
	if st.enabled {
		status = "ENABLED"
	}
	d := map[string]any{
		"StreamArn": st.arn, "StreamLabel": st.label, "StreamStatus": status, "StreamViewType": st.view,
		"TableName": st.table, "KeySchema": st.keys, "CreationRequestDateTime": seconds(st.created),
	}
	shards := []any{}
	last := ""
	for _, sh := range st.shards {
		if in.ExclusiveStartShardId != "" && sh.id <= in.ExclusiveStartShardId {
			continue
		}
		if f := in.ShardFilter; f != nil && sh.parent != f.ShardId {
			continue
		}
		if len(shards) == limit {
			d["LastEvaluatedShardId"] = last
			break
		}
		shards = append(shards, sh.describe())
		last = sh.id
	}
	d["Shards"] = shards
	return reply(map[string]any{"StreamDescription": d}), nil
}

func (sh *shard) describe() map[string]any {
	span := map[string]any{"StartingSequenceNumber": sh.start}
	if sh.end != "" {
		span["EndingSequenceNumber"] = sh.end
	}
	out := map[string]any{"ShardId": sh.id, "SequenceNumberRange": span}
	if sh.parent != "" {
		out["ParentShardId"] = sh.parent
	}
	return out
}

// iterator is a place in a shard: the number of records before it, trimmed ones
// included.
type iterator struct {
	arn, shard string
	at         int
	made       time.Time
}

func (it iterator) String() string {
	text := fmt.Sprintf("%s|%s|%d|%d", it.arn, it.shard, it.at, it.made.UnixNano())
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func parseIterator(s string) (iterator, *apiError) {
	bad := invalid("Invalid ShardIterator")
	text, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(text), "|")
	if err != nil || len(parts) != 4 {
		return iterator{}, bad
	}
	at, err1 := strconv.Atoi(parts[2])
	made, err2 := strconv.ParseInt(parts[3], 10, 64)
	if err1 != nil || err2 != nil {
		return iterator{}, bad
	}
	return iterator{parts[0], parts[1], at, time.Unix(0, made)}, nil
}

func (s *Server) shard(arn, id string) (*shard, *apiError) {
	st, err := s.stream(arn)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(st.shards, func(sh *shard) bool { return sh.id == id })
	if i < 0 {
		return nil, failure(codeNotFound, "Requested resource not found: Shard does not exist")
	}
	return st.shards[i], nil
}

// getShardIterator: "GetShardIterator", API reference.
func (s *Server) getShardIterator(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct{ StreamArn, ShardId, ShardIteratorType, SequenceNumber string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	sh, err := s.shard(in.StreamArn, in.ShardId)
	if err != nil {
		return nil, err
	}
	it := iterator{in.StreamArn, in.ShardId, sh.trimmed, s.now()}
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
	case "LATEST":
		it.at += len(sh.records)
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		if in.SequenceNumber == "" {
			return nil, invalid("SequenceNumber must be specified for ShardIteratorType %s", in.ShardIteratorType)
		}
		if in.SequenceNumber < sh.start || sh.end != "" && in.SequenceNumber > sh.end {
			return nil, invalid("Invalid SequenceNumber: it is not within the shard")
		}
		n, found := slices.BinarySearchFunc(sh.records, in.SequenceNumber, func(r *record, seq string) int { return strings.Compare(r.seq, seq) })
		// A shard's own StartingSequenceNumber is always a place to begin,
		// unless records behind it are gone.
		if !found && n == 0 && sh.trimmed > 0 {
			return nil, failure(codeTrimmed, "The operation attempted to read past the oldest stream record in a shard")
		}
		if found && in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			n++
		}
		it.at += n
	default:
		return nil, invalid("1 validation error detected: Value '%s' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, LATEST, TRIM_HORIZON]", in.ShardIteratorType)
	}
	return reply(map[string]any{"ShardIterator": it.String()}), nil
}

// getRecords reads up to 1000 records and 1 MB. An answer without a
// NextShardIterator is the end of a closed shard; an empty one is not
// ("GetRecords", API reference).
func (s *Server) getRecords(body []byte, _ Fault) ([]byte, *apiError) {
	var in struct {
		ShardIterator string
		Limit         *int
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	limit := maxRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > maxRecords {
		return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 1000", limit)
	}
	it, err := parseIterator(in.ShardIterator)
	if err != nil {
		return nil, err
	}
	if s.now().Sub(it.made) > iteratorLife {
		return nil, failure(codeExpired, "The shard iterator has expired. Shard iterators are only valid for 15 minutes")
	}
	sh, err := s.shard(it.arn, it.shard)
	if err != nil {
		return nil, err
	}
	if it.at < sh.trimmed {
		return nil, failure(codeTrimmed, "The operation attempted to read past the oldest stream record in a shard")
	}
	rows := sh.records[it.at-sh.trimmed:]
	records := []json.RawMessage{}
	size := 0
	for _, r := range rows {
		if len(records) == limit || len(records) > 0 && size+len(r.json()) > maxRecordsBytes {
			break
		}
		records = append(records, r.json())
		size += len(r.json())
	}
	out := map[string]any{"Records": records}
	if sh.end == "" || len(records) < len(rows) {
		it.at += len(records)
		it.made = s.now()
		out["NextShardIterator"] = it.String()
	}
	return reply(out), nil
}
