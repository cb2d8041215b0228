package mestest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/mestest"
	"github.com/microeventstore/microeventstore/runner"
)

// The whole way, from records to the calls of a handler. The events are of 2023, so
// the store has to keep them for ever: as a rule they would have expired.
func Example() {
	t := new(testing.T) // in a test, its own
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "mestest-*") // in a test, t.TempDir
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	table, err := boltstore.Open(filepath.Join(folder, "events.db"))
	if err != nil {
		panic(err)
	}
	defer table.Close()
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		panic(err)
	}

	records := mestest.Records(t,
		`{"id":"1","type":"order-submitted","timestamp":1700000000000,"partitionKey":"order-42"}`,
		`{"id":"2","type":"payment-received","timestamp":1700000001000,"partitionKey":"order-42"}`)
	if err := mes.NewListener(store, nil).Handle(ctx, records); err != nil {
		panic(err)
	}
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		fmt.Println(m.Current.Type, "of", m.HashKey, "fired:", len(m.Events), "events")
		return nil
	})
	if err := runner.Trigger(ctx, table.Changes("test"), trigger, runner.UntilCaughtUp()); err != nil {
		panic(err)
	}
	// Output:
	// order-submitted of order-42 fired: 2 events
	// payment-received of order-42 fired: 2 events
}
