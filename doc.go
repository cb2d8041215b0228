// Package microeventstore collects the events that one service cares about,
// collates them under keys of its own choosing, and hands it the whole history of
// a key, oldest first, whenever something is added to it.
//
// A stream processor often needs more than the event in its hand: has this order
// been paid and packed? Asking another service costs autonomy. A micro event store
// is one service's own, bounded collection of the events it needs to answer such
// questions (John Gilbert, JavaScript Cloud Native Development Cookbook).
//
// # The way of an event
//
// A [Listener] takes a batch of records off a stream, keeps the events that pass a
// [Filter], and saves each in a table: under a hash key (what it belongs to; see
// [HashKeyFunc]) and a range key (when it happened; see [RangeKey]). The table's
// change stream wakes a [Trigger], which reads back all events of the hash key and
// hands them to your [Handler] as a [MicroEventStore]. A [TTLPolicy] bounds the
// collection.
//
//	table, err := boltstore.Open("events.db")
//	store, err := microeventstore.New(table)
//	listener := microeventstore.NewListener(store, microeventstore.Types("order-submitted", "payment-received"))
//	trigger := microeventstore.NewTrigger(store, func(ctx context.Context, m *microeventstore.MicroEventStore) error {
//		if m.Has("order-submitted") && m.Has("payment-received") {
//			return ship(ctx, m.HashKey, m.Events)
//		}
//		return nil
//	})
//	err = listener.Handle(ctx, records)
//	err = runner.Trigger(ctx, table.Changes("shipping"), trigger)
//
// # Who acknowledges what
//
// Handle of a listener and of a trigger returns nil when everything in the batch
// is done, or a *[BatchError] that names exactly what must be delivered again. A
// record is done once its event is stored, filtered out, too old to be kept, or
// accepted by the [FaultHandler]. Nothing else counts: an error that the record's
// own content has not caused is always worth another try.
//
// # Decisions
//
// Package rules declares conditions over histories and the higher-order events to
// emit when they hold, once or each time; package kinesispublisher sends these.
// Package faults keeps what could not be handled, and puts it through again.
//
// # What is promised, and what is not
//
// A handler is called at least once for each change, and always with a complete
// history in range-key order that holds the event that fired; otherwise the change
// fails and comes again. A condition on the history that was true stays true, so a
// handler meets it again with the next event and must be idempotent.
//
// Saving is idempotent: an item is a function of the event's bytes and the store's
// configuration, so a redelivery writes what is there already and wakes nobody.
//
// Not promised: that calls for one hash key come in the order of the events across
// batches (the history is right whenever it is read), and that side effects of a
// handler happen exactly once.
//
// # Tables
//
// Package boltstore keeps the table in one file, package dynamostore in DynamoDB.
// Whatever implements the contract in package driver, and passes package
// drivertest, will do.
package microeventstore
