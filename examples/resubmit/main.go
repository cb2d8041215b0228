// Resubmit puts the faults of a service through its listener again, after what was
// wrong with it has been mended. Without -db it plays the whole story: a listener
// that cannot read one kind of order sets such records aside, in the table where
// the events are; then comes the next version.
//
//	go run ./examples/resubmit
//	go run ./examples/resubmit -db events.db -source orders
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/faults"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "resubmit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("resubmit", flag.ContinueOnError)
	db := flags.String("db", "", "take the faults in the table in `FILE` (default: a story of its own)")
	source := flags.String("source", "orders", "the `NAME` of the service whose faults are meant")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *db != "" {
		if _, err := os.Stat(*db); err != nil {
			return err // a table that is not there would be made
		}
		return onTable(*db, func(table driver.Table) error { return resubmit(ctx, table, *source, out) })
	}
	folder, err := os.MkdirTemp("", "resubmit-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	return onTable(filepath.Join(folder, "events.db"), func(table driver.Table) error {
		if err := firstVersion(ctx, table, *source, out); err != nil {
			return err
		}
		return resubmit(ctx, table, *source, out)
	})
}

func onTable(path string, do func(driver.Table) error) error {
	table, err := boltstore.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(do(table), table.Close())
}

// byOrder is the key of the mended version: some producers say orderId.
func byOrder(e mes.Event) (string, error) {
	key, err := mes.Field("order")(e)
	if err != nil || key != "" {
		return key, err
	}
	return mes.Field("orderId")(e)
}

// firstVersion is the listener with the bug.
func firstVersion(ctx context.Context, table driver.Table, source string, out io.Writer) error {
	store, err := mes.New(table, mes.WithHashKey(mes.Field("order")))
	if err != nil {
		return err
	}
	set, err := faults.NewStore(table)
	if err != nil {
		return err
	}
	// The payload may be kept, for it has nothing secret: so it can be resubmitted.
	listener := mes.NewListener(store, nil, mes.WithFaultHandler(faults.Save(set, source, faults.WithPayload())))
	now := time.Now()
	var records []mes.Record
	for i, order := range []string{`"order":"42"`, `"orderId":"42"`, `"orderId":"43"`, `"nothing":"at all"`} {
		records = append(records, mes.Record{
			Data: fmt.Appendf(nil, `{"id":"%d","type":"order-changed","timestamp":%d,%s}`, i, now.UnixMilli()+int64(i), order),
			Meta: mes.Meta{Stream: "events", Shard: "0", SequenceNumber: fmt.Sprint(i), Arrived: now.Add(time.Duration(i) * time.Millisecond)},
		})
	}
	if err := listener.Handle(ctx, records); err != nil {
		return err
	}
	return show(ctx, store, out)
}

// resubmit is the mended version: it takes the faults that there are.
func resubmit(ctx context.Context, table driver.Table, source string, out io.Writer) error {
	store, err := mes.New(table, mes.WithHashKey(byOrder))
	if err != nil {
		return err
	}
	set, err := faults.NewStore(table)
	if err != nil {
		return err
	}
	var list []mes.Event
	for fault, err := range set.Events(ctx, faults.HashKey(source)) {
		if err != nil {
			return err
		}
		list = append(list, fault)
	}
	if len(list) == 0 {
		fmt.Fprintf(out, "there are no faults of %s\n", source)
		return nil
	}
	// Without a fault handler, what is still a fault is reported.
	err = faults.Resubmit(ctx, mes.NewListener(store, nil), nil, list...)
	var still *mes.BatchError
	if err != nil && !errors.As(err, &still) {
		return err
	}
	failed := make(map[int]error)
	if still != nil {
		for _, failure := range still.Failures {
			failed[failure.Index] = failure.Err
		}
	}
	for i, fault := range list {
		was, err := mes.DecodeAs[struct {
			Fault struct{ Error, Shard, SequenceNumber string }
		}](fault)
		if err != nil {
			return err
		}
		result := "done"
		if failed[i] != nil {
			result = fmt.Sprint("still a fault: ", failed[i])
		}
		fmt.Fprintf(out, "record %s of shard %s: %s\n", was.Fault.SequenceNumber, was.Fault.Shard, result)
	}
	return show(ctx, store, out)
}

// show prints what is known of the orders of the story.
func show(ctx context.Context, store *mes.Store, out io.Writer) error {
	for _, order := range []string{"42", "43"} {
		m, err := store.GetMicroEventStore(ctx, order)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "order %s has %d events\n", order, len(m.Events))
	}
	return nil
}
