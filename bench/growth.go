package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/microeventstore/microeventstore/dynamostore"

	mes "github.com/microeventstore/microeventstore"
)

// runGrowth prints what a trigger reads while a history of events of 1 KB grows, 10
// s apart and each handled once, without and with a history cache: by how much it
// grows in each batch, and to how many events.
func (b *bencher) runGrowth() error {
	fmt.Printf("\n%-22s %10s %10s %12s %12s %12s\n", "a history grows to", "in steps of", "cache", "queries", "read units", "bytes/event*")
	for _, step := range []int{1, 10, 100} {
		for _, n := range []int{10, 100, 1000, 10_000} {
			if n < step {
				continue
			}
			for _, cached := range []bool{false, true} {
				if !cached && n*n/step > 1_000_000 {
					continue // gigabytes
				}
				c, err := b.grow(n, step, cached)
				if err != nil {
					return err
				}
				fmt.Printf("%-22d %10d %10v %12d %12d %12.0f\n", n, step, cached, c.Queries, c.Units, float64(c.ItemBytes)/float64(n))
			}
		}
	}
	fmt.Println("* of items that are read, for each event that is added")
	return nil
}

func (b *bencher) grow(n, step int, cached bool) (c serverCounts, err error) {
	list := make([]mes.Event, n)
	for i := range list {
		raw := bytes.Replace(made(i, 4), fmt.Append(nil, began+i), fmt.Append(nil, began+i*10_000), 1)
		if list[i], err = mes.Parse(raw); err != nil {
			return c, err
		}
	}
	name := fmt.Sprintf("growth-%d-%d-%v", n, step, cached)
	store, err := mes.New(dynamostore.New(b.client, name))
	if err != nil {
		return c, err
	}
	var opts []mes.TriggerOption
	if cached {
		opts = append(opts, mes.WithHistoryCache(64<<20, 5*time.Second))
	}
	seen := 0
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		seen = len(m.Events)
		return nil
	}, opts...)
	before, err := b.serverCounts()
	if err != nil {
		return c, err
	}
	for at := 0; at < n; at += step {
		fired := list[at : at+step]
		if err := b.load(name, fired, ourLayout); err != nil {
			return c, err
		}
		changes := make([]mes.Change, step)
		for i := range changes {
			changes[i] = mes.Change{Kind: mes.Inserted, HashKey: "key", RangeKey: rangeKeyOf(&fired[i])}
		}
		if err := trigger.Handle(b.ctx, changes); err != nil {
			return c, err
		}
		if seen != at+step {
			return c, fmt.Errorf("a history of %d events in place of %d", seen, at+step)
		}
	}
	after, err := b.serverCounts()
	return after.minus(before), err
}
