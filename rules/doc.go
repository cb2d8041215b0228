// Package rules turns histories into decisions: rules that look at a micro event
// store whenever something is added to it, and emit higher-order events.
//
//	evaluator, err := rules.New(store, publisher, []rules.Rule{{
//		ID:   "order-ready",
//		When: rules.Have("order-submitted", "payment-received", "order-packed"),
//		Emit: rules.Copy("order-ready"),
//		Once: true,
//	}})
//	trigger := evaluator.Trigger()
//
// The trigger is one like any other: give it to a host. All rules are evaluated
// over one read of the history, which is no larger than the rules that a change
// wakes need, and none where they need only the event itself.
//
// # What an emitted event is
//
// Its id is that of the event that fired and the rule's, with a dot between them,
// and a number from 1 behind another dot where the rule emits several:
// 4711.order-ready, 4711.reminders.2. Its partition key is the hash key, without
// the rule's prefix and suffix. It has the tags of its causes (the extension
// attributes of a CloudEvent too), but for source and region, and in triggers the
// id, type and timestamp of each. So it is the same event whenever it is emitted
// again, and whoever receives it twice can tell by its id. What else it says is what
// the rule makes of the history as it is then: if that has grown between two
// deliveries of a change, the second may have other causes. Only with Once are the
// bytes the same as well.
//
// # How often
//
// A condition that has become true stays true: a rule emits again, for each
// change that finds it so, under the id of that change's event. A rule with Once
// emits once for a collation: the same bytes, though they may reach the stream
// more than once, however often the condition holds, a batch is redelivered, or
// two processes race.
//
// How that is done: the first to find the condition true puts a marker into the
// collation, if there is none, with the bytes of the events. Then it publishes
// them. Then it puts a second marker, which says so. Whoever finds the first
// without the second publishes the bytes that are written there, even if the event
// that fired has expired since: as long as changes come again, nothing that was
// claimed is lost. The markers live at least a day longer than any event that the
// rule has seen in the collation, and are renewed when the rule wakes, the first also
// whenever publishing is tried again. Once they have expired, all begins anew; so
// a claim that nobody tries to publish for a day after the last event has expired
// is lost, as may happen where a process stands still for longer than that.
//
// All the events that a rule with Once emits together must fit into one item, which
// has 409,600 bytes; more is a fault. The markers come with the history where that is
// read as a whole; a rule with Last or Within, or without When, costs one more
// query for a hash key and batch, and the first time that its condition holds one
// read of the whole collation, to know how long the markers have to live. A marker is
// in the table but in no history and wakes no trigger, though its change counts as
// read and skipped in [mes.BatchStats].
//
// # Erasure
//
// [mes.Store.Delete] removes a collation and its markers. What a rule has put
// elsewhere it does not: an event that Correlate has stored under another hash key
// has to be deleted there too. A rule with Correlate or Once looks whether its event
// is still there, and puts nothing back if it was deleted by then; but a rule that is
// just at work when Delete runs may still put back what it has read before. So
// delete again once the trigger has caught up.
//
// # What goes wrong
//
// A rule that fails or panics does not keep the others from running. The change
// is then reported as failed and comes again, and so do the events of the other
// rules, under the same ids. An error that the rule has marked Permanent goes to the
// trigger's fault handler instead. A change whose events could not be published
// is not acknowledged; one whose events the publisher refuses for good is such an
// error, and with Once it comes back: see [Rule].
package rules
