// Missing-answer shows how the absence of an event becomes something a rule can
// act on. Whoever is asked to pay has fifteen minutes. The request expires then,
// which is an event like any other; a rule looks whether the payment has come.
//
//	go run ./examples/missing-answer
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

const patience = 15 * time.Minute

// options let a request expire after fifteen minutes, and all else a good while
// later: the answer has to be there when its request expires.
func options() []mes.Option {
	return []mes.Option{mes.WithTTL(mes.ByType(
		map[string]mes.TTLPolicy{"payment-requested": mes.ExpireAfter(patience)},
		mes.ExpireAfter(mes.DefaultRetention)))}
}

func collected() mes.Filter {
	return mes.Types("payment-requested", "payment-received", "payment-requested-expired")
}

// decisions are the rules of the service. The first makes an event of the expiry,
// which the listener collects; the second is woken by that.
func decisions() []rules.Rule {
	return []rules.Rule{
		rules.OnExpired("payment-requested"),
		{
			ID:    "timed-out",
			Types: []string{"payment-requested-expired"},
			When:  unanswered,
			Emit:  rules.Copy("payment-timed-out"),
			Once:  true,
		},
	}
}

func unanswered(m *mes.MicroEventStore) ([]mes.Event, error) {
	if m.Has("payment-received") {
		return nil, nil
	}
	return []mes.Event{m.Current}, nil
}

// story is what the stream delivers. All of it has happened an hour ago, so that
// nobody has to wait for the requests to expire.
func story(now time.Time) []mes.Record {
	var records []mes.Record
	for i, e := range []struct{ eventType, payment string }{
		{"payment-requested", "payment-1"},
		{"payment-requested", "payment-2"},
		{"payment-received", "payment-1"},
		{"payment-requested", "payment-3"},
	} {
		records = append(records, mes.Record{Data: fmt.Appendf(nil, `{"id":"%d","type":%q,"partitionKey":%q,"timestamp":%d}`,
			i, e.eventType, e.payment, now.Add(time.Duration(i)*time.Second-time.Hour).UnixMilli())})
	}
	return records
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "missing-answer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "missing-answer-*")
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
	listener := mes.NewListener(store, collected())

	// In production: kinesispublisher.New(client, "events"), and what it publishes
	// comes back to the listener by that stream.
	publisher := mes.PublisherFunc(func(ctx context.Context, events ...mes.Event) error {
		for _, e := range events {
			fmt.Fprintf(out, "  emitted %s for %s, id %s\n", e.Type, e.PartitionKey, e.ID)
			if err := listener.Handle(ctx, []mes.Record{{Data: e.Raw}}); err != nil {
				return err
			}
		}
		return nil
	})
	evaluator, err := rules.New(store, publisher, decisions(), rules.WithSource("payments"))
	if err != nil {
		return err
	}
	for _, record := range story(time.Now()) {
		e, err := mes.Parse(record.Data)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, e.Type, e.PartitionKey)
		if err := listener.Handle(ctx, []mes.Record{record}); err != nil {
			return err
		}
	}
	removed, err := table.Sweep(ctx) // the table does that by itself, every minute
	if err != nil {
		return err
	}
	fmt.Fprintln(out, removed, "have expired")
	// One hash key at a time, so that the lines come in the same order every time.
	trigger := evaluator.Trigger(mes.WithConcurrency(1))
	return runner.Trigger(ctx, table.Changes("rules"), trigger, runner.UntilCaughtUp(), runner.WithBatchSize(1))
}
