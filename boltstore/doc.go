// Package boltstore is a table in one file: a micro event store on a laptop, in
// a test, or on a machine that has no server at all. It keeps the contract of
// package driver and brings a change feed that a runner reads for a trigger.
//
//	table, err := boltstore.Open("events.db")
//	store, err := mes.New(table)
//	err = runner.Trigger(ctx, table.Changes("my-consumer"), trigger)
//
// # What it promises
//
//   - Acknowledged is durable. When Put, Delete or SetCheckpoint returns nil, the
//     change has been synced to the disk and outlives kill -9 and a power cut.
//     The folder is synced too, so that a new file does not vanish.
//   - Many goroutines may save at once. While one transaction is being synced,
//     all Puts that arrive are collected for the next one; a Put that is alone
//     never waits for company.
//   - Reads are consistent: a Query shows every Put that returned before it.
//   - Items whose TTL has passed are removed by a sweep in the background, and
//     each removal appears in the change feed as an expiry.
//   - Every record carries a checksum, over its key too. Opening a damaged file
//     gives [ErrDamaged], and never a wrong answer, a panic or a call that hangs.
//     (What cannot be told is a root page in the place of a newer one that the disk
//     has lost without a word: that is a whole file, as it was before.)
//
// # The change feed
//
// Every item that is inserted, modified or removed makes one change, numbered
// from 1 without gaps. An item that is replaced by an identical one makes none.
// Changes are kept for the retention ([WithRetention], 24 hours by default) and
// until every live consumer has acknowledged them; a consumer is live until
// [ConsumerLifetime] after it was last seen. The payload of a new item is not
// written twice: New is read from the item itself, and is nil once a later
// change has replaced or removed it. Old is kept in the feed, so a removal
// carries the event that it removed until the feed lets go of it.
//
// # Limits and caveats
//
//   - One process at a time may have the file open; a second one gets
//     [ErrInUse]. The file must lie on a local disk, since locks and shared
//     memory maps do not work over a network file system.
//   - A file that Open creates only its owner may read. One that is there already
//     keeps its mode: who may read it, and all events in it, is up to whoever made it.
//   - Open reads the whole file once to verify it: about a second for a
//     gigabyte that is on a fast disk.
//   - The file never shrinks. Space that removed items leave is used again.
//   - Delete removes an item from the table at once, and its last event from the
//     feed only with the retention. Freed pages are not overwritten.
//   - Where the newest of bbolt's two root pages is damaged, bbolt goes on with
//     the one before: that loses the last transaction, as if its Put had been cut
//     off by a power failure. The two cannot be told apart.
//   - A disk that says that it has synced and has not is beyond what any file
//     format can repair.
//   - The whole file is verified when it is opened, and only then. Damage that
//     comes while it is open (a disk that fails, a program that ignores the lock)
//     is found by the checksums of what is read, but what is missing may go
//     unnoticed until the next Open. bbolt believes the heads of pages and the
//     branches of its tree: over a page whose length has become absurd it may
//     take minutes, and down a branch that leads to a root page it may go without
//     end. Stop the process and open the file again: that verifies it.
//
// # Reading the source
//
// open.go and table.go are the life of a table; put.go, query.go (with page.go),
// delete.go, sweep.go and checkpoints.go one operation each. commit.go joins the
// writes of many goroutines in one transaction. changes.go and consumers.go are
// the feed. encoding.go says what the bytes are, verify.go checks a file before
// it is used, and guard.go keeps what bbolt does on a damaged page from reaching
// the caller.
package boltstore
