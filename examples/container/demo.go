package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/runner"
)

// demonstrate makes what the program needs, publishes the events of one order, and
// makes the program end when the order is complete.
func (c *container) demonstrate(ctx context.Context, stop func()) error {
	if err := dynamostore.Provision(ctx, c.dynamodb, c.table); err != nil {
		return err
	}
	if err := runner.ProvisionLeases(ctx, c.dynamodb, c.leases); err != nil {
		return err
	}
	name := aws.String(c.stream)
	var exists *types.ResourceInUseException
	if _, err := c.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2)}); err != nil && !errors.As(err, &exists) {
		return err
	}
	if err := kinesis.NewStreamExistsWaiter(c.kinesis).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: name}, time.Minute); err != nil {
		return err
	}
	ready := c.ready
	c.ready = func(ctx context.Context, order *mes.MicroEventStore) error {
		defer stop()
		return ready(ctx, order)
	}
	now := time.Now().UnixMilli()
	for i, event := range []string{"order-submitted", "payment-received", "order-noted", "order-packed"} {
		_, err := c.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{
			StreamName: name, PartitionKey: aws.String(event),
			Data: fmt.Appendf(nil, `{"id":"%d-%d","type":%q,"timestamp":%d,"partitionKey":"order-42"}`, now, i, event, now+int64(i)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
