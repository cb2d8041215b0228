package microeventstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/runner"
)

// openTable opens a table for an example, in a folder that close removes.
func openTable() (table *boltstore.Table, remove func()) {
	folder, err := os.MkdirTemp("", "example-*")
	if err != nil {
		log.Fatal(err)
	}
	table, err = boltstore.Open(filepath.Join(folder, "events.db"))
	if err != nil {
		log.Fatal(err)
	}
	return table, func() {
		_ = table.Close()
		_ = os.RemoveAll(folder)
	}
}

func newStore(table *boltstore.Table, opts ...mes.Option) *mes.Store {
	// The events of the examples are old.
	store, err := mes.New(table, append([]mes.Option{mes.WithTTL(mes.NeverExpire())}, opts...)...)
	if err != nil {
		log.Fatal(err)
	}
	return store
}

func newEvent(id, eventType, order string, minute int) mes.Event {
	e, err := mes.NewEvent(map[string]any{
		"id": id, "type": eventType, "partitionKey": order,
		"timestamp": fmt.Sprintf("2024-05-01T12:%02d:00Z", minute),
	})
	if err != nil {
		log.Fatal(err)
	}
	return e
}

// The whole way of an event: off a stream, into the table, and with its history
// to the handler.
func Example() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table)

	listener := mes.NewListener(store, mes.Types("order-submitted", "payment-received"))
	err := listener.Handle(ctx, []mes.Record{
		{Data: []byte(`{"id":"1","type":"order-submitted","timestamp":1714564800000,"partitionKey":"order-42"}`)},
		{Data: []byte(`{"id":"2","type":"page-viewed","timestamp":1714564801000,"partitionKey":"order-42"}`)},
		{Data: []byte(`{"id":"3","type":"payment-received","timestamp":1714564802000,"partitionKey":"order-42"}`)},
	})
	if err != nil {
		log.Fatal(err)
	}

	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		fmt.Println(m.Current.Type, "makes", len(m.Events), "events; paid:", m.Has("payment-received"))
		return nil
	})
	err = runner.Trigger(ctx, table.Changes("shipping"), trigger, runner.UntilCaughtUp())
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// order-submitted makes 2 events; paid: true
	// payment-received makes 2 events; paid: true
}

func ExampleStore_Save() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table)

	submitted := newEvent("1", "order-submitted", "order-42", 0)
	fmt.Println(store.Save(ctx, submitted))
	fmt.Println(store.Save(ctx, submitted), "again") // changes nothing

	// What cannot be saved is named; what can be is.
	err := store.Save(ctx, newEvent("2", "order-submitted", "", 1), newEvent("3", "payment-received", "order-42", 2))
	var failed *mes.SaveError
	if errors.As(err, &failed) {
		for _, failure := range failed.Failures {
			fmt.Println("event", failure.Index, "for ever:", mes.IsPermanent(failure.Err))
		}
	}
	// Output:
	// <nil>
	// <nil> again
	// event 0 for ever: true
}

func ExampleStore_GetMicroEventStore() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table)
	// In whatever order they arrive:
	err := store.Save(ctx, newEvent("3", "order-packed", "order-42", 3), newEvent("1", "order-submitted", "order-42", 0), newEvent("2", "payment-received", "order-42", 2))
	if err != nil {
		log.Fatal(err)
	}

	m, err := store.GetMicroEventStore(ctx, "order-42", mes.Last(2))
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range m.Events {
		fmt.Println(e.Timestamp.Format("15:04"), e.Type)
	}
	// Output:
	// 12:02 payment-received
	// 12:03 order-packed
}

func ExampleStore_Events() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table)
	if err := store.Save(ctx, newEvent("1", "order-submitted", "order-42", 0), newEvent("2", "payment-received", "order-42", 2)); err != nil {
		log.Fatal(err)
	}

	for e, err := range store.Events(ctx, "order-42") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.ID, e.Type)
	}
	// Output:
	// 1 order-submitted
	// 2 payment-received
}

// One event, kept by order and by user.
func ExampleWithHashKey() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table, mes.WithHashKey(
		mes.Prefix("order#", mes.PartitionKey()),
		mes.Prefix("user#", mes.Tag("user"))))

	e, err := mes.Parse([]byte(`{"id":"1","type":"order-submitted","timestamp":1714564800000,"partitionKey":"42","tags":{"user":"ann"}}`))
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, e); err != nil {
		log.Fatal(err)
	}
	for _, key := range []string{"order#42", "user#ann"} {
		m, err := store.GetMicroEventStore(ctx, key)
		fmt.Println(key, len(m.Events), err)
	}
	// Output:
	// order#42 1 <nil>
	// user#ann 1 <nil>
}

// Keep what is needed of large events.
func ExampleWithProjection() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table, mes.WithProjection(func(e mes.Event) (json.RawMessage, error) {
		amount, _ := e.Field("payment.amount")
		return json.Marshal(map[string]any{
			"id": e.ID, "type": e.Type, "timestamp": e.Timestamp.UnixMilli(), "partitionKey": e.PartitionKey,
			"amount": amount,
		})
	}))
	e, err := mes.Parse([]byte(`{"id":"1","type":"paid","timestamp":1714564800000,"partitionKey":"42","payment":{"amount":9.90,"card":"4111"}}`))
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, e); err != nil {
		log.Fatal(err)
	}
	m, err := store.GetMicroEventStore(ctx, "42")
	fmt.Println(string(m.Events[0].Raw), err)
	// Output: {"amount":9.90,"id":"1","partitionKey":"42","timestamp":1714564800000,"type":"paid"} <nil>
}

// Records that can never succeed are set aside, and the rest goes on.
func ExampleWithFaultHandler() {
	table, remove := openTable()
	defer remove()
	store := newStore(table)

	listener := mes.NewListener(store, nil, mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
		fmt.Printf("set aside %s: %v\n", fault.Record.Meta.SequenceNumber, fault.Err)
		return nil // accepted: it is not delivered again
	}))
	err := listener.Handle(context.Background(), []mes.Record{
		{Data: []byte(`{"id":"1","type":"order-submitted","timestamp":1714564800000,"partitionKey":"order-42"}`)},
		{Data: []byte(`{"id":"2","type":"order-submitted","timestamp":1714564800000}`), Meta: mes.Meta{SequenceNumber: "4711"}},
	})
	fmt.Println("all done:", err == nil)
	// Output:
	// set aside 4711: no hash-key function has a key for the event; filter such events out, or give them a key
	// all done: true
}

// One call for all that has happened to a key, instead of one for each event.
func ExampleCoalesce() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table)
	if err := store.Save(ctx, newEvent("1", "order-submitted", "order-42", 0), newEvent("2", "payment-received", "order-42", 2)); err != nil {
		log.Fatal(err)
	}

	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		fmt.Println(m.HashKey, "has", len(m.New), "new events of", len(m.Events))
		return nil
	}, mes.Coalesce())
	if err := runner.Trigger(ctx, table.Changes("shipping"), trigger, runner.UntilCaughtUp()); err != nil {
		log.Fatal(err)
	}
	// Output: order-42 has 2 new events of 2
}

// After a bug in the handler was mended, it is called again for what is stored.
func ExampleTrigger_Refire() {
	ctx := context.Background()
	table, remove := openTable()
	defer remove()
	store := newStore(table)
	if err := store.Save(ctx, newEvent("1", "order-submitted", "order-42", 0), newEvent("2", "payment-received", "order-42", 2)); err != nil {
		log.Fatal(err)
	}

	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		fmt.Println(m.Current.Type, "as it stood:", len(m.UpTo(m.Current)))
		return nil
	})
	fmt.Println(trigger.Refire(ctx, "order-42"))
	// Output:
	// order-submitted as it stood: 1
	// payment-received as it stood: 2
	// <nil>
}
