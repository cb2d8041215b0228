package runner

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// There is one owner of retries. Whatever a run makes again itself, with pauses
// that grow, the SDK makes only once: beneath the run's retries its own would
// multiply the calls of a service that throttles, and read a shard of Kinesis more
// often than the source's pace allows. What no run makes again is left to the SDK:
// the removal of a lease that is over, and ProvisionLeases.

func kinesisOnce(o *kinesis.Options) { o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0 }

func streamOnce(o *dynamodbstreams.Options) { o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0 }

func leaseOnce(o *dynamodb.Options) { o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0 }
