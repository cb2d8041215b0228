package simulation

import (
	"sync"
	"sync/atomic"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// A change of the table as its stream has it.
type change struct {
	fakedynamodb.StreamChange
	hashKey  string
	rangeKey string
}

// tableStream is the change stream of the table.
type tableStream struct {
	server *fakedynamodb.Server
	ended  atomic.Bool

	mu   sync.Mutex
	read map[string][]record // what was read of each shard
}

func (s *tableStream) over() bool { return s.ended.Load() }

func (s *tableStream) shards() []shardInfo {
	var infos []shardInfo
	for _, shard := range s.server.StreamShards(tableName) {
		info := shardInfo{id: shard.ID}
		if shard.Parent != "" {
			info.parents = []string{shard.Parent}
		}
		infos = append(infos, info)
	}
	return infos
}

func (s *tableStream) records(shard string, n int) ([]record, bool) {
	ended := s.ended.Load()
	closed := ended
	for _, other := range s.server.StreamShards(tableName) {
		if other.ID == shard && other.Closed {
			closed = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.server.StreamChanges(tableName, shard, len(s.read[shard])) {
		s.read[shard] = append(s.read[shard], recordOf(c))
	}
	records := s.read[shard]
	return records[n:len(records):len(records)], closed
}

func recordOf(c fakedynamodb.StreamChange) record {
	at := c.New
	if !at.Exists() {
		at = c.Old
	}
	hashKey, rangeKey := at.Text("partitionKey"), at.Text("eventId")
	return record{
		sequence: c.SequenceNumber,
		// The order of a DynamoDB stream is that of each item, not more.
		lane:    mix(text(hashKey + "\x00" + rangeKey)),
		arrived: c.Created,
		change:  &change{c, hashKey, rangeKey},
	}
}
