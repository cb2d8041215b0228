// Package eventsourcemapping does for tests what AWS Lambda's event source mapping
// does for a stream: it takes batches off a shard, invokes a function with each, and
// applies what the function answers to its place in the shard.
//
//	mapping := eventsourcemapping.Mapping{Invoke: handler.Invoke, BatchSize: 100, ReportBatchItemFailures: true}
//	err := mapping.Run(ctx, shard)
//
// Its rules are those of the AWS Lambda Developer Guide, "Using Lambda to process
// records from Amazon Kinesis Data Streams" and "Configuring partial batch response":
//
//   - Batches of a shard are handled one after another.
//   - An error fails the batch. So does an answer that names a record which the batch
//     does not have, an empty identifier, or anything that is no answer.
//   - An answer without failures (none, null, an empty list) is success.
//   - Otherwise the lowest sequence number that is named is where to go on: what comes
//     before it is done, and the rest is delivered again.
//   - A batch that failed is delivered again, in two halves if BisectOnError is set,
//     until its attempts are used up; then it goes to OnFailure, and the shard goes on.
//
// Without ReportBatchItemFailures answers are not looked at.
package eventsourcemapping
