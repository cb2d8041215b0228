// Package fakedynamodb is an Amazon DynamoDB inside the test's own process: an
// [http.RoundTripper] that speaks the service's wire protocol, under the real
// client of aws-sdk-go-v2.
//
//	server := fakedynamodb.New()
//	client := server.Client()
//	_, err := client.CreateTable(ctx, ...)
//
// It exists for what no local server can do: fail on demand. [Server.Inject]
// decides, call by call, whether the call is throttled, reset before or after
// it was applied, answered with a cut, altered or empty body, left hanging, or
// answered with some of its items unprocessed. There is no network, no
// goroutine and no randomness in it, so it works inside a testing/synctest
// bubble and gives the same run twice.
//
// It shares no code with the library that it helps to test: an error in a
// parser used on both sides would cancel itself out. Each rule names the page
// of the AWS documentation that it was taken from; where AWS documents a limit
// but not the message, the message is the one that the service sends.
//
// # What it leaves out
//
// Scan is refused, because the library promises never to call it. There are no
// transactions, no PartiQL, no local secondary indexes, no backups, no global
// tables, and none of the parameters from before expressions (Expected,
// KeyConditions, AttributesToGet). A parameter that the fake does not know is
// refused with a ValidationException that says so, never ignored.
package fakedynamodb
