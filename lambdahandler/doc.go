// Package lambdahandler makes an AWS Lambda function of a listener or of a trigger:
//
//	lambda.Start(lambdahandler.Kinesis(listener))
//	lambda.Start(lambdahandler.DynamoDB(trigger))
//
// [SQS], [SNS] and [EventBridge] are for services that get their events that way.
//
// # What an event source mapping needs
//
// The mappings of [Kinesis], [DynamoDB] and [SQS] have ReportBatchItemFailures in
// their FunctionResponseTypes: the function then says where to go on, and what is
// done is not repeated. For a mapping without it, give the handler [WholeBatch]:
// else Lambda takes a failure for success, and its records are lost.
//
// Bound the retries (MaximumRetryAttempts, MaximumRecordAgeInSeconds), split batches
// (BisectBatchOnFunctionError), and set an on-failure destination: a record that can
// never succeed holds up its shard otherwise, unless there is a fault handler. The
// folder examples/deploy has templates of all that.
//
// # What becomes of a record
//
// A record is done once the listener or the trigger is done with it. All others are
// left to Lambda, which delivers them again: the response names the first record
// of the shard that is not done, and Lambda goes on from there, so that later ones
// that are done come a second time. That is harmless.
//
// Some time before Lambda's deadline no more work is begun, and no more records are
// opened; what is not done by then is left over for the next invocation. That is a
// tenth of the time that the invocation has, at least 500 ms, and never more than half
// of it: see [WithDeadlineMargin].
//
// # Memory and time
//
// A batch is 6 MB at most, but what is compressed in it may be a thousand times as much.
// It is opened in parts of 4 MiB, each of which is handled before the next one, and of
// one event no more than 16 MiB are opened: a function of 256 MB is enough for that,
// with GOMEMLIMIT=220MiB, and one of 128 MB for events that are small when they are
// opened. Batches of events of 390 KB took 60 to 95 MB at the peak, those of events of
// 15 MiB up to 160. Set GOMEMLIMIT to a little less than nine tenths of the function's
// memory: without it the heap may grow to twice of what is in use before it is
// collected. A trigger takes what its histories take: see [mes.MaxBytes].
//
// One Kinesis record opens to 64 MiB and 16 times its size at most, and one change to
// 32 MiB. A function whose timeout is too short for that, with the CPU that its memory
// buys, would get no further: give it ten seconds at least.
//
// # Permissions
//
// Where the store's table is one of DynamoDB, the function of a listener needs this;
// TABLE stands for the table's ARN:
//
//	{
//	  "Effect": "Allow",
//	  "Action": ["dynamodb:BatchWriteItem"],
//	  "Resource": "TABLE"
//	}
//
// That of a trigger needs the same with another action:
//
//	"Action": ["dynamodb:Query"]
//
// The package comment of dynamostore says what a store or a handler needs that does
// more, such as InsertOnce. A fault handler has needs of its own, and Lambda reads the
// stream in the function's name: examples/deploy/actions.json lists all of that.
//
// # Two ways to the same answer
//
// A handler has Invoke, which [lambda.Start] calls with the bytes of an event and which
// reads them in one pass; that takes a fraction of the time that encoding/json needs
// for the events of package events. For those who compose handlers of such events it
// also has Handle, which takes and returns them. Both give the same answer to what
// both can read. But encoding/json decodes no event of which one record has the wrong
// type or broken base64: Invoke fails that record, and whoever calls Handle fails all.
// Of an object that names a member twice, which no service sends, they may take
// another one, and of two lists of Records Invoke takes both.
//
// For a mapping with a tumbling window use Invoke. It gives Lambda back the state that
// came with the batch; without one Lambda takes every answer for a failure, and the
// events of package events have no place for it.
//
// [lambda.Start]: https://pkg.go.dev/github.com/aws/aws-lambda-go/lambda#Start
package lambdahandler
