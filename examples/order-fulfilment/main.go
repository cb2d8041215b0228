// Order-fulfilment shows the simplest decision that needs a history: an order is
// ready when it has been submitted, paid and packed, in whatever order that
// happened, and that is said exactly once.
//
//	go run ./examples/order-fulfilment
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/rules"
	"github.com/microeventstore/microeventstore/runner"
)

// collected says which events the service keeps.
func collected() mes.Filter {
	return mes.All(mes.Types("order-submitted", "payment-received", "order-packed"), mes.NotSkipped())
}

// decisions are the rules of the service.
func decisions() []rules.Rule {
	return []rules.Rule{{
		ID:   "order-ready",
		When: rules.Have("order-submitted", "payment-received", "order-packed"),
		Emit: rules.One("order-ready"),
		Once: true,
	}}
}

// story is what the stream delivers: out of order, and some of it twice.
func story(now time.Time) []mes.Record {
	var records []mes.Record
	for i, e := range []struct{ id, eventType, order string }{
		{"1", "order-packed", "order-1"}, // nothing is known of it yet
		{"2", "order-submitted", "order-2"},
		{"3", "payment-received", "order-1"},
		{"4", "order-submitted", "order-1"},
		{"4", "order-submitted", "order-1"}, // delivered twice
		{"5", "payment-received", "order-2"},
		{"6", "order-packed", "order-1"}, // a second parcel
	} {
		records = append(records, mes.Record{Data: fmt.Appendf(nil, `{"id":%q,"type":%q,"partitionKey":%q,"timestamp":%d}`,
			e.id, e.eventType, e.order, now.Add(time.Duration(i)*time.Second).UnixMilli())})
	}
	return records
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "order-fulfilment:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "order-fulfilment-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	table, err := boltstore.Open(filepath.Join(folder, "events.db"))
	if err != nil {
		return err
	}
	defer func() { _ = table.Close() }()
	store, err := mes.New(table)
	if err != nil {
		return err
	}

	// In production: kinesispublisher.New(client, "events").
	publisher := mes.PublisherFunc(func(_ context.Context, events ...mes.Event) error {
		for _, e := range events {
			fmt.Fprintf(out, "  emitted %s for %s, id %s\n", e.Type, e.PartitionKey, e.ID)
		}
		return nil
	})
	evaluator, err := rules.New(store, publisher, decisions(), rules.WithSource("fulfilment"))
	if err != nil {
		return err
	}
	listener, trigger := mes.NewListener(store, collected()), evaluator.Trigger()
	for _, record := range story(time.Now()) {
		e, err := mes.Parse(record.Data)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, e.Type, e.PartitionKey)
		if err := listener.Handle(ctx, []mes.Record{record}); err != nil {
			return err
		}
		if err := runner.Trigger(ctx, table.Changes("rules"), trigger, runner.UntilCaughtUp()); err != nil {
			return err
		}
	}
	return nil
}
