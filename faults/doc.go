// Package faults sets aside the records and changes that can never succeed, as
// events, and puts them through their handler again once it is mended.
//
// A fault becomes an event of the type fault. It goes to a stream, with [Publish],
// or into a micro event store of faults, with [Save], which may be on the same
// table as the events:
//
//	store, err := mes.New(table)
//	set, err := faults.NewStore(table)
//	listener := mes.NewListener(store, filter, mes.WithFaultHandler(faults.Save(set, "orders", faults.WithPayload())))
//	...
//	err = faults.Resubmit(ctx, listener, nil, list...)
//
// A [mes.FaultHandler] of your own does instead whatever you like.
//
// # What a fault event says
//
// Its fault member has the error's text, the operation (listen or trigger), and
// where the record came from: stream, shard, sequenceNumber, subSequence, messageId,
// region and arrived; and of a change its kind, hashKey and rangeKey. The payload is
// there only with [WithPayload]. The event is the same, with the same id, whenever
// the same record is a fault again, but for the text of the error; as long as the
// record says when it arrived, for else its time is that of the moment.
//
// # A shared table
//
// On the table of the events, a trigger is woken by faults as well: give it
// mes.OnlyHashKeys(faults.NotFaults), or what it makes a fault of is delivered to it
// again and again, see [Save]. And no event may be stored there under a hash key that
// begins with "fault#", see [NewStore]. A table of its own needs neither.
package faults
