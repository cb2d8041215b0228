// Package kinesisrecord turns what one Kinesis record holds into the records that
// a listener takes. Every host that reads Kinesis uses it, so that all read alike.
//
// One Kinesis record may hold many events: the Kinesis Producer Library (KPL) packs
// them into an aggregate. And each may be compressed: as a whole, by gzip or zstd,
// or in parts, as the npm library aws-lambda-stream does.
package kinesisrecord
