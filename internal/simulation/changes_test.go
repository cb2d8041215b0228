package simulation

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// A change of the table as its stream has it.
type change struct {
	json           json.RawMessage
	kind           string // INSERT, MODIFY, REMOVE
	hashKey        string
	rangeKey       string
	sequence       string
	raw            string // of the event after the change
	expired        bool
	sameEvent      bool // a MODIFY after which the event is what it was
	newTTL, oldTTL string
}

// tableStream is the change stream of the table.
type tableStream struct {
	server *fakedynamodb.Server
	ended  atomic.Bool
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
	bodies := s.server.StreamRecords(tableName, shard, n)
	records := make([]record, len(bodies))
	for i, body := range bodies {
		c := parseChange(body)
		records[i] = record{
			sequence: c.sequence,
			// The order of a DynamoDB stream is that of each item, not more.
			lane:    mix(text(c.hashKey + "\x00" + c.rangeKey)),
			change:  c,
			arrived: time.Now(),
		}
	}
	return records, closed
}

func parseChange(body json.RawMessage) *change {
	type image struct {
		PartitionKey struct{ S string } `json:"partitionKey"`
		EventID      struct{ S string } `json:"eventId"`
		Event        struct{ S string } `json:"event"`
		TTL          struct{ N string } `json:"ttl"`
	}
	var r struct {
		EventName    string
		UserIdentity *struct{ PrincipalId string } `json:"userIdentity"`
		DynamoDB     struct {
			Keys, NewImage, OldImage image
			SequenceNumber           string
		} `json:"dynamodb"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		panic("the fake's stream record is not JSON: " + err.Error())
	}
	return &change{
		json: body, kind: r.EventName, hashKey: r.DynamoDB.Keys.PartitionKey.S, rangeKey: r.DynamoDB.Keys.EventID.S,
		sequence: r.DynamoDB.SequenceNumber, raw: r.DynamoDB.NewImage.Event.S, expired: r.UserIdentity != nil,
		sameEvent: r.EventName == "MODIFY" && r.DynamoDB.NewImage.Event.S == r.DynamoDB.OldImage.Event.S,
		newTTL:    r.DynamoDB.NewImage.TTL.N, oldTTL: r.DynamoDB.OldImage.TTL.N,
	}
}
