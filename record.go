package microeventstore

import (
	"strconv"
	"time"
)

// Meta says where and when an event was delivered. It is never stored: the same
// event has a new Meta each time it is delivered.
type Meta struct {
	Stream         string    // the stream's name or ARN
	Shard          string    // the shard's id
	SequenceNumber string    // a decimal number, comparable within one shard
	MessageID      string    // of a message of a queue or a topic, which have no shards
	SubSequence    int64     // the place within an aggregated record, from 0
	Arrived        time.Time // when the stream took the record

	PartitionKey    string // the record's own, which need not be the event's
	ExplicitHashKey string // decimal, or empty
	Region          string // of the stream, such as eu-west-1
}

// A Record is an event as a stream delivers it.
type Record struct {
	// Data holds the event as the decoder expects it, by default its JSON. The
	// listener only reads it, and has let go of it when Handle returns.
	Data []byte
	Meta Meta
	// Err says that the host could not even decode the record. Handle treats
	// such a record as poison: Data is not looked at.
	Err error
}

// ChangeKind is what happened to an item.
type ChangeKind int

// The kinds of change. The zero ChangeKind is none of them, and a trigger
// treats a change that has it as poison.
const (
	Inserted ChangeKind = iota + 1
	Modified
	Removed
)

// String returns the name that DynamoDB Streams gives the kind.
func (k ChangeKind) String() string {
	switch k {
	case Inserted:
		return "INSERT"
	case Modified:
		return "MODIFY"
	case Removed:
		return "REMOVE"
	}
	return "ChangeKind(" + strconv.Itoa(int(k)) + ")"
}

// A Change is one row of a table's change stream.
type Change struct {
	Kind              ChangeKind
	HashKey, RangeKey string

	// New and Old are the item's event after and before the change; nil where
	// there was none, and where the stream leaves it out.
	New, Old *Event

	Expired bool // a removal by TTL, not by a caller
	Meta    Meta // of the change, not of the event

	// Err says that the host could not decode the change: it is poison, unless
	// the error wraps driver.ErrUnknownEncoding.
	Err error
}
