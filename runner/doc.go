// Package runner feeds a listener or a trigger from a stream in a process of your
// own, without Lambda.
//
// [Listen] and [Trigger] read the shards of a source, call Handle, remember how
// far they have come, and try again what failed, until their context ends:
//
//	err := runner.Listen(ctx, runner.Kinesis(kinesisClient, "events"), listener)
//	err := runner.Trigger(ctx, runner.DynamoDBStream(streamsClient, "table"), trigger)
//	err := runner.Trigger(ctx, table.Changes("my-consumer"), trigger)
//
// # What is promised
//
// Records are handled at least once, in the order of their shard, and parents
// before their children. A checkpoint never passes a record that is not done. A
// record that fails is tried again in place, with growing pauses and in smaller
// and smaller company, and its shard waits; the other shards go on. With
// [WithMaxAttempts] or [WithMaxAge] a record that goes on failing is handed to the
// fault handler of the listener or trigger. Without them it waits for as long as
// it takes: nothing is dropped unless you say when.
//
// # Checkpoints
//
// With [WithLeases] they are in the lease table, and any number of replicas may
// read one stream. Otherwise one process may read it, and they are kept by the
// source, if it can (a boltstore table's Changes can), or by the store's table, if
// that can ([driver.Checkpoints]; a boltstore table can), and else in memory: then
// each start begins with the oldest record that the stream keeps, which costs time
// and, since saving is idempotent, nothing else.
//
// # Permissions
//
// [Kinesis]; STREAM stands for the stream's ARN:
//
//	{
//	  "Effect": "Allow",
//	  "Action": ["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"],
//	  "Resource": "STREAM"
//	}
//
// [DynamoDBStream], of TABLE/stream/*, where TABLE stands for the table's ARN:
//
//	"Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
//
// and where it is given a table and not the ARN of a stream, as well:
//
//	"Action": ["dynamodb:ListStreams"]
//
// [WithLeases], and [ProvisionLeases], of the lease table:
//
//	"Action": ["dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem"]
//
//	"Action": ["dynamodb:CreateTable", "dynamodb:DescribeTable"]
//
// The store has needs of its own: those of a DynamoDB table are in the package
// comment of dynamostore. A Kinesis stream that is encrypted with a key of your own
// needs kms:Decrypt for it.
//
// # Reading the source
//
// run.go is what users call. engine.go lists the shards and starts a worker for
// each; worker.go reads one; settle.go deals with what fails; drain.go ends it.
// owner.go says who decides which shards are read: local.go for one process,
// leases.go, lease.go and leasestate.go for several. kinesis.go and
// dynamodbstream.go are the sources, on iterators.go. retries.go says who makes a
// call again. status.go shows how all that is doing.
package runner
