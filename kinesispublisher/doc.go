// Package kinesispublisher publishes events to an Amazon Kinesis data stream: a
// [microeventstore.Publisher] for what rules emit, and for faults.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	publisher := kinesispublisher.New(kinesis.NewFromConfig(cfg), "events")
//	evaluator, err := rules.New(store, publisher, list)
//
// A record is the event's Raw, byte for byte; its partition key is the event's,
// or the event's id where it has none. One that is longer than Kinesis takes (256
// characters), or is not valid UTF-8, becomes sha256: and its hash.
//
// # Order, and what happens to failures
//
// Records go out in requests of up to [MaxRecords] and about 5 MiB, one request
// after the other. Kinesis may take some records of a request and refuse others,
// such as those of a shard that gets too much. These are sent again after a
// while, and what follows with the same partition key waits for them: from then
// on one record of that key goes out in a request. So records of one key can only
// change places within one request, in which Kinesis itself keeps no order;
// [WithStrictOrder] rules that out too.
//
// # Permissions
//
// STREAM stands for the stream's ARN:
//
//	{
//	  "Effect": "Allow",
//	  "Action": ["kinesis:PutRecords"],
//	  "Resource": "STREAM"
//	}
//
// A stream that is encrypted with a key of your own needs kms:GenerateDataKey for it.
package kinesispublisher
