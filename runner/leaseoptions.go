package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/internal/backoff"
)

// DefaultLeaseDuration is that of Amazon's Kinesis Client Library
// (failoverTimeMillis).
const DefaultLeaseDuration = 10 * time.Second

// LeaseAPI is what leases need of DynamoDB. It is implemented by *dynamodb.Client.
type LeaseAPI interface {
	// BatchGetItem reads the leases of the shards that the stream lists.
	BatchGetItem(ctx context.Context, input *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	// UpdateItem takes, renews and gives back leases, and sets checkpoints.
	UpdateItem(ctx context.Context, input *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	// DeleteItem removes the lease of a shard that the stream no longer has.
	DeleteItem(ctx context.Context, input *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// A LeaseOption configures [WithLeases].
type LeaseOption func(*leaseOptions) error

type leaseOptions struct {
	client   LeaseAPI
	table    string
	owner    string
	duration time.Duration
	kclKeys  bool
}

// WithLeases lets several replicas share the shards of a stream: each shard is
// read by the one that has its lease, a row of a DynamoDB table, which
// [ProvisionLeases] makes. The row keeps the checkpoint as well.
//
// Rows are laid out as by Amazon's Kinesis Client Library (KCL): leaseKey,
// leaseOwner, leaseCounter, checkpoint, checkpointSubSequenceNumber,
// ownerSwitchesSinceCheckpoint, parentShardId. A replica takes leases that nobody
// has or renews, and one at a time from who has more than a fair share. Whoever
// has lost a lease can no longer write its checkpoint: every write asks for the
// counter that the writer saw last. No clocks are compared; a lease is over when
// its counter has not moved for the lease's duration on the observer's own clock.
//
// Where a lease changes hands while its owner lives, as it does when replicas come
// and go, both may handle the same records for up to a third of its duration.
//
// The stream's name, as the source was given it, tells its leases from those of
// other streams. A stream that was deleted and made again under its name has
// shards that are called as before, and that have been read to their end as far as
// the leases say: delete those rows, or use another [WithConsumer]. A source that
// keeps its own checkpoints, such as a boltstore table's Changes, takes no leases.
//
// What it costs: a busy shard writes its row once every [WithCheckpointInterval], an
// idle one three times in a lease's duration, and as often each replica reads the rows
// of all shards that are listed. Longer intervals and leases cost less.
//
// What fails is tried again here and not by the client, whatever retries it is set
// to. The package comment has the IAM policies. There is no Scan in them.
func WithLeases(client LeaseAPI, table string, opts ...LeaseOption) Option {
	return option(func(r *options) error {
		l := &leaseOptions{client: client, table: table, duration: DefaultLeaseDuration}
		var errs []error
		if client == nil || table == "" {
			errs = append(errs, errors.New("WithLeases: the client is nil or the table has no name"))
		}
		for i, opt := range opts {
			if opt == nil {
				errs = append(errs, fmt.Errorf("WithLeases: option %d is nil", i))
				continue
			}
			if err := opt(l); err != nil {
				errs = append(errs, err)
			}
		}
		r.leases = l
		return errors.Join(errs...)
	})
}

// LeaseDuration sets for how long a lease holds if it is not renewed; the default
// is [DefaultLeaseDuration]. Leases are renewed three times as often. After a
// replica has died its shards stand still for that long. At least a second. All
// replicas need the same: one that has less takes the leases of others that live.
func LeaseDuration(d time.Duration) LeaseOption {
	return func(l *leaseOptions) error {
		l.duration = d
		if d < time.Second {
			return fmt.Errorf("LeaseDuration: %v is less than a second", d)
		}
		return nil
	}
}

// LeaseOwner sets what leaseOwner begins with, so that people can tell who has a
// lease; the default is the host's name. Something random follows: each run is an
// owner of its own.
func LeaseOwner(name string) LeaseOption {
	return func(l *leaseOptions) error {
		l.owner = name
		return nil
	}
}

// KCLLeaseKeys makes the shard's id alone the key of its lease, as the KCL does
// for a single stream, so that a consumer can go on where the KCL has stopped, and
// back. The table is then for one stream and one consumer: two would overwrite
// each other's checkpoints. By default the stream's name and [WithConsumer] are
// part of the key.
func KCLLeaseKeys() LeaseOption {
	return func(l *leaseOptions) error {
		l.kclKeys = true
		return nil
	}
}

// key returns the key of a shard's lease.
func (l *leaseOptions) key(consumer, stream, shard string) string {
	if l.kclKeys {
		return shard
	}
	return checkpointName(consumer, stream, shard)
}

// checkpointName is what the checkpoint of a shard is kept under.
func checkpointName(consumer, stream, shard string) string {
	name := stream + "/" + shard
	if consumer != "" {
		name = consumer + "/" + name
	}
	return name
}

// newOwner returns a name that no other run has.
func (l *leaseOptions) newOwner(ctx context.Context) string {
	name := l.owner
	if name == "" {
		name, _ = os.Hostname() // without it the random part alone has to do
	}
	return name + "-" + strconv.FormatInt(backoff.Chance(ctx, math.MaxInt64), 36)
}

// ProvisionLeasesAPI is what [ProvisionLeases] calls. It is implemented by
// *dynamodb.Client.
type ProvisionLeasesAPI interface {
	// CreateTable makes the table.
	CreateTable(ctx context.Context, input *dynamodb.CreateTableInput, opts ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	// DescribeTable says when it can be used.
	DescribeTable(ctx context.Context, input *dynamodb.DescribeTableInput, opts ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// ProvisionLeases makes a table for [WithLeases], billed on demand, and returns
// when it can be used. It is safe to run again, and by several at once. A table
// that is there already must have the string leaseKey as its only key.
func ProvisionLeases(ctx context.Context, client ProvisionLeasesAPI, table string) error {
	if client == nil || table == "" {
		return errors.New("provision leases: the client is nil or the table has no name")
	}
	input := &dynamodb.CreateTableInput{
		TableName:            aws.String(table),
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(attributeKey), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(attributeKey), KeyType: types.KeyTypeHash}},
	}
	_, err := client.CreateTable(ctx, input)
	if err != nil && !isA[*types.ResourceInUseException](err) {
		return fmt.Errorf("provision leases: %w", err)
	}
	for {
		described, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(table)})
		switch {
		case err != nil && !isA[*types.ResourceNotFoundException](err): // not seen yet
			return fmt.Errorf("provision leases: %w", err)
		case err == nil && described.Table != nil && isUsable(described.Table.TableStatus):
			keys := described.Table.KeySchema
			if len(keys) != 1 || aws.ToString(keys[0].AttributeName) != attributeKey || !isText(described.Table) {
				return fmt.Errorf("provision leases: the table is there and its key is not the string %s; use another table", attributeKey)
			}
			return nil
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("provision leases: %w", ctx.Err())
		}
	}
}

func isUsable(status types.TableStatus) bool {
	return status == types.TableStatusActive || status == types.TableStatusUpdating
}

// isText tells whether the attribute leaseKey of a table is a string.
func isText(table *types.TableDescription) bool {
	for _, attribute := range table.AttributeDefinitions {
		if aws.ToString(attribute.AttributeName) == attributeKey {
			return attribute.AttributeType == types.ScalarAttributeTypeS
		}
	}
	return false
}
