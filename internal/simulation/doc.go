// Package simulation runs the real library, on the real SDK, through a bad week in
// a second. It has tests and nothing else.
//
// A world has a simulated Kinesis stream, event source mappings as Lambda has
// them, function instances that crash, a DynamoDB (internal/fakedynamodb) behind a
// network that loses, cuts, delays and alters, and a user's handler that fails.
// Time is that of testing/synctest. All that happens follows from one seed: the
// same seed gives the same run, but for rare worlds (TestTheSameSeedGivesTheSameRun). Some worlds have several replicas of a container
// instead of functions, which share the shards by leases.
//
// An oracle looks on. It shares no code with the library: it knows which events
// the producers made and where each belongs, reads what the table was told to
// write, and counts what must not be. Every count must be 0. With InsertOnce it takes
// the library's word for a conflict.
//
// The network of an instance and the dice decide by what is asked and when, never
// by who comes first, since goroutines that wake at one instant run in any order.
package simulation
