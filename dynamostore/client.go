package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// An API is what a [Table] needs of DynamoDB. A [*dynamodb.Client] is one.
//
// Another implementation has to apply the options that it is given to the client
// that it calls in the end: they hold the checks of the answer and switch off the
// client's own retries. An answer that does not report the consumed capacity that
// was asked for is not believed.
type API interface {
	// BatchWriteItem puts or deletes up to 25 items.
	BatchWriteItem(ctx context.Context, params *dynamodb.BatchWriteItemInput, optFns ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	// PutItem puts one item, if a condition holds.
	PutItem(ctx context.Context, params *dynamodb.PutItemInput, optFns ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	// Query reads a page of the items of a hash key.
	Query(ctx context.Context, params *dynamodb.QueryInput, optFns ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// A CheckAPI is what [Check] needs of DynamoDB. A [*dynamodb.Client] is one.
type CheckAPI interface {
	// DescribeTable tells a table's keys, status and stream.
	DescribeTable(ctx context.Context, params *dynamodb.DescribeTableInput, optFns ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	// DescribeTimeToLive tells whether TTL is on, and for which attribute.
	DescribeTimeToLive(ctx context.Context, params *dynamodb.DescribeTimeToLiveInput, optFns ...func(*dynamodb.Options)) (*dynamodb.DescribeTimeToLiveOutput, error)
}

// A ProvisionAPI is what [Provision] needs of DynamoDB. A [*dynamodb.Client] is
// one.
type ProvisionAPI interface {
	CheckAPI
	// CreateTable makes a table.
	CreateTable(ctx context.Context, params *dynamodb.CreateTableInput, optFns ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	// UpdateTable switches the stream on.
	UpdateTable(ctx context.Context, params *dynamodb.UpdateTableInput, optFns ...func(*dynamodb.Options)) (*dynamodb.UpdateTableOutput, error)
	// UpdateTimeToLive switches TTL on.
	UpdateTimeToLive(ctx context.Context, params *dynamodb.UpdateTimeToLiveInput, optFns ...func(*dynamodb.Options)) (*dynamodb.UpdateTimeToLiveOutput, error)
}

// isNil also sees a nil client inside an interface, which would panic at its
// first call.
func isNil(client any) bool {
	if client == nil {
		return true
	}
	c, ok := client.(*dynamodb.Client)
	return ok && c == nil
}
