// Late-correlation shows a key that only the history reveals. The carrier's events
// know a tracking number and nothing of orders. The label's event knows both: once
// it is there, what the carrier has said, before and after, is put back under the
// order.
//
//	go run ./examples/late-correlation
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

// options collate by order and by tracking number, as far as an event knows them.
func options() []mes.Option {
	return []mes.Option{mes.WithHashKey(
		mes.Prefix("order#", mes.Field("order")),
		mes.Prefix("tracking#", mes.Field("tracking")),
	)}
}

func collected() mes.Filter {
	return mes.Types("order-submitted", "label-printed", "parcel-scanned", "parcel-delivered")
}

// decisions are the rules of the service.
func decisions() []rules.Rule {
	return []rules.Rule{
		{
			ID:        "by-order",
			KeyPrefix: "tracking#",
			When:      carried,
			Correlate: order,
		},
		{
			ID:        "fulfilled",
			KeyPrefix: "order#",
			When:      rules.Have("order-submitted", "parcel-delivered"),
			Emit:      rules.One("order-fulfilled"),
			Once:      true,
		},
	}
}

// carried returns what has to be put under the order: what has just come, or all
// that was waiting for the label if that is what has come.
func carried(m *mes.MicroEventStore) ([]mes.Event, error) {
	byCarrier := mes.Types("parcel-scanned", "parcel-delivered")
	if byCarrier(m.Current) {
		return []mes.Event{m.Current}, nil
	}
	return m.Filter(byCarrier), nil
}

// order returns the key of the order that a tracking number belongs to, or "" if
// nobody knows that yet.
func order(m *mes.MicroEventStore, _ []mes.Event) (string, error) {
	label, found := m.First(mes.Types("label-printed"))
	if !found {
		return "", nil
	}
	return mes.Prefix("order#", mes.Field("order"))(label)
}

// story is what the stream delivers.
func story(now time.Time) []mes.Record {
	var records []mes.Record
	for i, e := range []string{
		`"type":"order-submitted","order":"42"`,
		`"type":"parcel-scanned","tracking":"T1"`, // before anybody knows whose it is
		`"type":"label-printed","order":"42","tracking":"T1"`,
		`"type":"parcel-delivered","tracking":"T2"`,
		`"type":"parcel-delivered","tracking":"T1"`,
		`"type":"order-submitted","order":"43"`,
		`"type":"label-printed","order":"43","tracking":"T2"`, // late: it has arrived
	} {
		records = append(records, mes.Record{Data: fmt.Appendf(nil, `{"id":"%d","timestamp":%d,%s}`,
			i, now.Add(time.Duration(i)*time.Second).UnixMilli(), e)})
	}
	return records
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "late-correlation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "late-correlation-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	table, err := boltstore.Open(filepath.Join(folder, "events.db"))
	if err != nil {
		return err
	}
	defer func() { _ = table.Close() }()
	store, err := mes.New(table, options()...)
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
	evaluator, err := rules.New(store, publisher, decisions(), rules.WithSource("shipping"))
	if err != nil {
		return err
	}
	// One hash key at a time, so that the same event fires every time.
	listener, trigger := mes.NewListener(store, collected()), evaluator.Trigger(mes.WithConcurrency(1))
	for _, record := range story(time.Now()) {
		e, err := mes.Parse(record.Data)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, e.ID, e.Type)
		if err := listener.Handle(ctx, []mes.Record{record}); err != nil {
			return err
		}
		if err := runner.Trigger(ctx, table.Changes("rules"), trigger, runner.UntilCaughtUp()); err != nil {
			return err
		}
	}
	m, err := store.GetMicroEventStore(ctx, "order#42")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "the history of order 42:")
	for _, e := range m.Events {
		fmt.Fprintln(out, " ", e.Type)
	}
	return nil
}
