// Fraud shows a sliding window: five card events of one user within ten minutes
// are suspicious. Orders are collated by order, card events by user as well, and
// the rule sees no more of a user's history than those ten minutes.
//
//	go run ./examples/fraud
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

const (
	window = 10 * time.Minute
	limit  = 5 // card events within the window
)

// options collate each event by its order, and by its user where it has one. The
// prefixes keep the two kinds of key apart.
func options() []mes.Option {
	return []mes.Option{mes.WithHashKey(
		mes.Prefix("order#", mes.PartitionKey()),
		mes.Prefix("user#", mes.Tag("user")),
	)}
}

func collected() mes.Filter { return mes.Types("card-charged", "card-declined") }

// decisions are the rules of the service.
func decisions() []rules.Rule {
	return []rules.Rule{{
		ID:        "fraud",
		KeyPrefix: "user#",
		Types:     []string{"card-charged", "card-declined"},
		Within:    window,
		When:      tooMany,
		Emit:      rules.One("fraud-suspected"),
		Once:      true,
	}}
}

// tooMany returns the first five events that lie within ten minutes of each other.
// It slides over the window, since an event that comes late is not the last.
func tooMany(m *mes.MicroEventStore) ([]mes.Event, error) {
	events := m.Events
	for i := range len(events) - limit + 1 {
		few := events[i : i+limit]
		if few[limit-1].Timestamp.Sub(few[0].Timestamp) <= window {
			return few, nil
		}
	}
	return nil, nil
}

// story is what the stream delivers; the second event of ann comes late.
func story(now time.Time) []mes.Record {
	var records []mes.Record
	for i, e := range []struct {
		user    string
		minutes int
	}{
		{"ann", 0}, {"bob", 0}, {"ann", 3}, {"bob", 6}, {"ann", 5}, {"ann", 8}, {"bob", 12}, {"bob", 18}, {"bob", 24}, {"ann", 1}, {"ann", 9},
	} {
		records = append(records, mes.Record{Data: fmt.Appendf(nil, `{"id":"%d","type":"card-charged","partitionKey":"order-%d","timestamp":%d,"tags":{"user":%q}}`,
			i, i, now.Add(time.Duration(e.minutes)*time.Minute).UnixMilli(), e.user)})
	}
	return records
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fraud:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	folder, err := os.MkdirTemp("", "fraud-*")
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
			alert, err := mes.DecodeAs[struct{ Triggers []struct{ ID string } }](e)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "  emitted %s for %s, id %s, because of %v\n", e.Type, e.PartitionKey, e.ID, alert.Triggers)
		}
		return nil
	})
	evaluator, err := rules.New(store, publisher, decisions(), rules.WithSource("fraud"))
	if err != nil {
		return err
	}
	listener, trigger := mes.NewListener(store, collected()), evaluator.Trigger()
	for _, record := range story(time.Now()) {
		e, err := mes.Parse(record.Data)
		if err != nil {
			return err
		}
		user, _ := e.Tag("user")
		fmt.Fprintln(out, e.ID, e.Type, user)
		if err := listener.Handle(ctx, []mes.Record{record}); err != nil {
			return err
		}
		if err := runner.Trigger(ctx, table.Changes("rules"), trigger, runner.UntilCaughtUp()); err != nil {
			return err
		}
	}
	return nil
}
