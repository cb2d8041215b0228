package runner

import (
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	mes "github.com/microeventstore/microeventstore"
)

// The attributes of a lease, and checkpoints that are no sequence numbers, as the
// KCL has them (DynamoDBLeaseSerializer.java and SentinelCheckpoint.java of
// awslabs/amazon-kinesis-client).
const (
	attributeKey          = "leaseKey"
	attributeOwner        = "leaseOwner"
	attributeCounter      = "leaseCounter"
	attributeCheckpoint   = "checkpoint"
	attributeSubSequence  = "checkpointSubSequenceNumber"
	attributeSwitches     = "ownerSwitchesSinceCheckpoint"
	attributeParents      = "parentShardId"
	checkpointOldest      = "TRIM_HORIZON"
	checkpointLatest      = "LATEST"
	checkpointAtTimestamp = "AT_TIMESTAMP"
	checkpointEnd         = "SHARD_END"
)

// A leaseRow is a lease as it stands in the table.
type leaseRow struct {
	exists  bool
	owner   string // "" for nobody
	counter int64
	done    mes.Position
	ended   bool
}

type attributes = map[string]types.AttributeValue

var errNoLease = errors.New("a row of the lease table is not a lease, or not a whole one")

// decodeLease makes a lease of a row. The errors of two numbers that are no
// numbers have nothing to say beyond that.
func decodeLease(row attributes) (l leaseRow, err error) {
	counter, ok := row[attributeCounter].(*types.AttributeValueMemberN)
	if !ok {
		return l, errNoLease
	}
	if l.counter, err = strconv.ParseInt(counter.Value, 10, 64); err != nil {
		return leaseRow{}, errNoLease
	}
	l.exists = true
	if attribute, there := row[attributeOwner]; there {
		// An empty one would look free, and could not be taken.
		owner, ok := attribute.(*types.AttributeValueMemberS)
		if !ok || owner.Value == "" {
			return leaseRow{}, errNoLease
		}
		l.owner = owner.Value
	}
	checkpoint, ok := row[attributeCheckpoint].(*types.AttributeValueMemberS)
	if !ok {
		return leaseRow{}, errNoLease
	}
	switch checkpoint.Value {
	case checkpointEnd:
		l.ended = true
	case checkpointOldest, checkpointLatest, checkpointAtTimestamp:
		// Where the KCL was told to begin at the end and has not read anything
		// yet, reading from the beginning misses nothing.
	default:
		l.done.SequenceNumber = checkpoint.Value
		if sub, ok := row[attributeSubSequence].(*types.AttributeValueMemberN); ok {
			if l.done.SubSequence, err = strconv.ParseInt(sub.Value, 10, 64); err != nil {
				return leaseRow{}, errNoLease
			}
		}
	}
	return l, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
