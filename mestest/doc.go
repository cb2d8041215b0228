// Package mestest holds what users need to test their filters, keys and handlers
// in a few lines: builders for events, records, changes and histories, and a
// check for handlers.
//
// A test of a handler alone makes a history and calls it:
//
//	m := mestest.History(t, "order-42",
//		`{"id":"1","type":"order-submitted","timestamp":1700000000000,"partitionKey":"order-42"}`,
//		`{"id":"2","type":"payment-received","timestamp":1700000001000,"partitionKey":"order-42"}`)
//	err := handle(ctx, m)
//
// A test of the whole way uses a table in a file. Events that are written down in
// a test grow old: unless the store keeps them for ever they expire, after 33 days
// by default, and an expired event is saved without an error but fires nothing.
//
//	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
//	store, err := microeventstore.New(table, microeventstore.WithTTL(microeventstore.NeverExpire()))
//	err = microeventstore.NewListener(store, filter).Handle(ctx, mestest.Records(t, events...))
//	err = runner.Trigger(ctx, table.Changes("test"), trigger, runner.UntilCaughtUp())
package mestest
