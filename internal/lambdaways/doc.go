// Package lambdaways tests that both ways to hand a Kinesis payload to package
// lambdahandler, its bytes and what package events makes of them, lead to the same:
// the same answer, the same events saved, the same faults.
//
// It is a package of its own because it links no AWS SDK. After each execution of a
// fuzz target the engine looks at the counters of all code that is linked, which took
// most of the time.
package lambdaways
