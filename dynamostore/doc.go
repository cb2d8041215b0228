// Package dynamostore keeps a micro event store in Amazon DynamoDB, or in anything
// that speaks its API.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	client := dynamodb.NewFromConfig(cfg)
//	table := dynamostore.New(client, "events")
//	store, err := microeventstore.New(table)
//
// [Provision] makes the table; [Check] tells in words what about an existing one
// does not fit.
//
// # The item
//
// One item for an event under a hash key. The names are those of the JavaScript
// Cloud Native Development Cookbook; [WithAttributeNames] sets others.
//
//	partitionKey  S, HASH   the hash key
//	eventId       S, RANGE  the range key
//	event         S         the event's JSON, byte for byte
//	              B         the same, compressed: see WithCompression and
//	                        WithDictionaries
//	              M         as a map: see AsMap
//	type          S         the event's type, absent if it has none
//	timestamp     N         when it happened, in epoch milliseconds, absent if unknown
//	ttl           N         when it expires, in epoch seconds, absent for never
//
// All three forms of the event are read, whatever the options say. For tables
// of the npm package aws-lambda-stream there is [LambdaStreamLayout]. The item
// follows from the event and the options alone: writing it again changes
// nothing, and DynamoDB then puts nothing into the change stream. (An event
// that is not valid UTF-8 is stored as B, as a string would not keep it; a map cannot
// hold it.)
//
// # What the SDK leaves open
//
// A Table works with whatever HTTP client the SDK's client has, and does itself
// what neither of them does: it gives net/http the request from memory, so that
// connections are not dropped under large answers; reads each answer to its end
// before it believes any of it; compares the checksum that DynamoDB sends (the SDK
// only logs a mismatch) and refuses an empty answer (the SDK takes it for success);
// limits the time of each attempt; and owns the retries, which the SDK's own quota
// would end after about 50 failures. The client's own retries and retry options
// have no effect on the calls that a Table makes.
//
// A call makes a request again until it succeeds, fails for good, or the deadline
// of its context is near: it returns a tenth of its time before that, at most 250
// ms. Waits between attempts double from 25 ms up to 5 s, each a random part of
// that.
//
// # Who writes requests and reads answers
//
// Most of the time that an event takes goes into the SDK's values of attributes. So
// a Table writes what it puts straight to JSON, and takes the events out of the
// bytes of an answer, where the client is a [*dynamodb.Client] without middleware
// of your own: see [WithCodec]. The SDK resolves, signs and sends as ever, and
// reads each answer that is not what DynamoDB usually writes.
//
// The events of a page share memory: one that is kept may keep all of them alive.
//
// # Permissions
//
// Saving and reading (Put and Query), which is all that a listener and a trigger
// need; TABLE stands for the table's ARN:
//
//	{
//	  "Effect": "Allow",
//	  "Action": ["dynamodb:BatchWriteItem", "dynamodb:Query"],
//	  "Resource": "TABLE"
//	}
//
// For PutIfAbsent as well:
//
//	"Action": ["dynamodb:PutItem", "dynamodb:Query"]
//
// For Delete:
//
//	"Action": ["dynamodb:BatchWriteItem", "dynamodb:Query"]
//
// Queries of a [LambdaStreamLayout] also need TABLE/index/DataIndex among the
// resources.
//
// For Check, and for Provision:
//
//	"Action": ["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"]
//
//	"Action": ["dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive",
//	           "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive"]
//
// # Limits
//
// A hash key takes about 1,000 write units a second, whatever the table's own
// limits are; a unit is 1 KiB of an item. Past that, DynamoDB throttles, and Put
// waits. In a global table each region's stream shows every change, so every
// region's trigger fires.
package dynamostore
