// Command bench compares the library with the way a user would have written it
// himself: with aws-sdk-go-v2, its attributevalue, aws-lambda-go's event types and
// encoding/json. "make bench" runs it.
//
// Both sides do the same work in turns, in one process, against one stub server in
// another, and only ratios count: the machine's noise is larger than what is
// compared, and moves ratios by a tenth or two from one run to the next. CPU is the
// process's own, user and system, the garbage collector's included. Each figure is the
// median of the rounds.
//
// The plain side reuses its client, gives its slices room, and decodes no more than
// it needs: of JSON the four members that say what an event is. Whoever unmarshals the
// whole of an event pays for it on top, on either side. Of an event that is stored as a
// map it makes JSON, as ours does; a second plain side leaves it at a Go map. The SDK
// drops the connection under a large answer now and then, up to ten times in a hundred,
// and tries again after a pause: so the wall time of the plain side says little there.
//
// Where there is a limit (the same bytes through net/http and one scan of them, base64 or
// zstd alone, a bare cursor), the table says what that costs in a simple way: what a call
// costs without the SDK is the least for whoever makes it. Payloads are made up, of 1 and of
// 10 KB, or GitHub's webhooks.
//
//	make bench                     all paths, and how much was left to the SDK: more than
//	                               1 % of GitHub's is a failure (payloads of Kinesis have
//	                               one reader only)
//	make bench ONLY='Query.*S, '   some of them; ROUNDS=7 is how often each is measured
//	make bench-peer                against aws-lambda-stream, from npm; needs node
//	make bench-compare BASE=v0.1.0 against a revision, by benchstat
//	make capacity                  what saving and reading consumes, for docs/cost.md
//
// "make bench" and "make bench-peer" also write their results to bench/results, as
// JSON, with the versions of all that took part.
package main
