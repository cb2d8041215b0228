// Package rulestest is for the tests of the examples: it runs a service of rules
// through everything that a stream and a crash can do to it, and holds the functions
// of examples/deploy to their roles.
package rulestest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/rules"
)

// A Service is what an example is made of.
type Service struct {
	Options []mes.Option
	Filter  mes.Filter
	Rules   func() []rules.Rule
}

// A Scenario is what happens to it, and what has to come of that.
type Scenario struct {
	// Events makes the events of a run that begins now.
	Events func(t *rapid.T, now time.Time) []mes.Event
	// Wait is how much time passes then, until events have expired.
	Wait time.Duration
	// Want names what the service must have emitted in the end, whatever
	// happened: each once, if not on the stream then by its id and bytes. A name
	// is an event's type, a space and its partition key. In runs in which all
	// events expire before that, it need not have emitted more than it had claimed.
	Want func(events []mes.Event) []string
	// Ignore are types that it may emit as often as it likes.
	Ignore []string
}

// errCrash is what goes wrong.
var errCrash = errors.New("crash")

// Crashes runs a service through random orders, duplicates, redeliveries, races
// and crashes.
func Crashes(t *testing.T, service Service, scenario Scenario) {
	rapid.Check(t, func(rt *rapid.T) {
		// A bubble for each run: rapid ends early when its own clock has gone on by
		// a day.
		var failed any
		synctest.Test(t, func(*testing.T) {
			defer func() { failed = recover() }()
			c := &chaos{rt: rt, service: service, random: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
			c.run(scenario)
		})
		if failed != nil {
			panic(failed) //nolint:forbidigo // rapid's own, on its way to rapid
		}
	})
}

// A chaos is one run.
type chaos struct {
	rt      *rapid.T
	service Service
	table   *memorytable.Table

	mu        sync.Mutex
	random    *rand.Rand
	crashes   int // that are left
	images    int // how many of the changes carry their event: 0 none, 1 some, 2 all
	published []mes.Event

	read    int // of the table's changes
	fedBack int // of what was published
	pending []mes.Change
}

// chance is true once in n times.
func (c *chaos) chance(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n) == 0
}

// crash fails now and then, as often as there are crashes left.
func (c *chaos) crash(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crashes == 0 || c.random.IntN(n) != 0 {
		return nil
	}
	c.crashes--
	return errCrash
}

// Publish takes events, all, some or none, and says so or not.
func (c *chaos) Publish(_ context.Context, events ...mes.Event) error {
	if err := c.crash(4); err != nil {
		return err
	}
	var failures []mes.Failure
	for i, e := range events {
		if err := c.crash(6); err != nil {
			failures = append(failures, mes.Failure{Index: i, Err: err})
			continue
		}
		c.mu.Lock()
		c.published = append(c.published, e.Clone())
		c.mu.Unlock()
	}
	if len(failures) > 0 {
		return &mes.PublishError{Failures: failures}
	}
	return c.crash(3) // between emit and acknowledge
}

func (c *chaos) run(scenario Scenario) {
	put := func(context.Context, []driver.Item) error { return c.crash(8) }
	c.table = memorytable.NewWith(memorytable.Options{
		OnPut: put, AfterPut: put,
		OnQuery:  func(context.Context, driver.Query) error { return c.crash(12) },
		PageSize: rapid.SampledFrom([]int{0, 1, 3}).Draw(c.rt, "page size"),
	})
	c.crashes = rapid.IntRange(0, 25).Draw(c.rt, "crashes")
	events := scenario.Events(c.rt, time.Now())
	c.images = rapid.IntRange(0, 2).Draw(c.rt, "images")
	c.listen(events)
	early := rapid.Bool().Draw(c.rt, "all expires early")
	if !early {
		c.settle()
	}
	if scenario.Wait > 0 {
		<-time.After(scenario.Wait)
		c.table.Expire(time.Now())
	}
	if !early {
		c.settle()
		check(c.rt, c.published, scenario.Want(events), scenario.Want(events), scenario.Ignore)
		return
	}
	for range c.random.IntN(5) {
		c.deliver()
		c.feedBack()
	}
	claimed := c.claimed()
	<-time.After(mes.DefaultRetention + time.Hour)
	if c.chance(2) {
		c.table.Expire(time.Now())
	}
	c.settle()
	c.table.Expire(time.Now())
	c.settle()
	check(c.rt, c.published, claimed, scenario.Want(events), scenario.Ignore)
}

// claimed names what rules with Once have written down to be published, whether it
// has been or not; see rules/once.go.
func (c *chaos) claimed() (names []string) {
	seen := make(map[string]bool)
	for _, change := range c.table.Changes() {
		if seen[change.HashKey] {
			continue
		}
		seen[change.HashKey] = true
		for _, item := range c.table.Items(change.HashKey) {
			if !strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) || !strings.HasSuffix(item.RangeKey, "claim") {
				continue
			}
			var claim struct{ Events []string }
			require.NoError(c.rt, json.Unmarshal(item.Event, &claim))
			for _, text := range claim.Events {
				e, err := mes.Parse([]byte(text))
				require.NoError(c.rt, err)
				names = append(names, nameOf(&e))
			}
		}
	}
	return names
}

// listen saves events as a listener does that is given some of them twice.
func (c *chaos) listen(events []mes.Event) {
	store := c.store()
	listener := mes.NewListener(store, c.service.Filter)
	var records []mes.Record
	for _, e := range events {
		for range 1 + c.random.IntN(2) {
			records = append(records, mes.Record{Data: slices.Clone(e.Raw)})
		}
	}
	c.random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for len(records) > 0 {
		n := 1 + c.random.IntN(len(records))
		c.handle(listener, records[:n])
		records = records[n:]
		if c.chance(2) {
			c.deliver() // the trigger does not wait for the rest
		}
	}
}

// handle delivers records until they are saved.
func (c *chaos) handle(listener *mes.Listener, records []mes.Record) {
	var err error
	for range 100 {
		if err = listener.Handle(context.Background(), records); err == nil {
			return
		}
	}
	require.NoError(c.rt, err, "though nothing crashes any more")
}

func (c *chaos) store() *mes.Store {
	store, err := mes.New(c.table, c.service.Options...)
	require.NoError(c.rt, err)
	return store
}

// trigger is that of a process that has just started.
func (c *chaos) trigger() *mes.Trigger {
	store := c.store()
	evaluator, err := rules.New(store, mes.PublisherFunc(c.Publish), c.service.Rules())
	require.NoError(c.rt, err)
	var opts []mes.TriggerOption
	if c.chance(3) {
		opts = append(opts, mes.Coalesce())
	}
	return evaluator.Trigger(opts...)
}

// settle goes on until nothing is left to do.
func (c *chaos) settle() {
	for range 10_000 {
		c.deliver()
		c.feedBack()
		if c.pull(); len(c.pending) == 0 && c.fedBack == len(c.published) {
			return
		}
	}
	require.Fail(c.rt, "it does not come to an end")
}

// feedBack collects what was published, as the listener on the stream does.
func (c *chaos) feedBack() {
	news := c.published[c.fedBack:]
	c.fedBack = len(c.published)
	listener := mes.NewListener(c.store(), c.service.Filter)
	for _, e := range news {
		c.handle(listener, []mes.Record{{Data: slices.Clone(e.Raw)}})
	}
}

// pull takes the changes that are new.
func (c *chaos) pull() {
	store := c.store()
	all := c.table.Changes()
	for _, change := range all[c.read:] {
		c.pending = append(c.pending, changeOf(c.rt, store, change))
	}
	c.read = len(all)
}

func changeOf(t require.TestingT, store *mes.Store, c memorytable.Change) mes.Change {
	change := mes.Change{HashKey: c.HashKey, RangeKey: c.RangeKey, Expired: c.Expired, Meta: mes.Meta{Arrived: time.Now()}}
	change.Kind = map[memorytable.Kind]mes.ChangeKind{
		memorytable.Insert: mes.Inserted, memorytable.Modify: mes.Modified, memorytable.Remove: mes.Removed,
	}[c.Kind]
	image := func(item driver.Item) *mes.Event {
		if item.HashKey == "" {
			return nil
		}
		e, err := store.DecodeItem(item)
		require.NoError(t, err)
		return &e
	}
	change.New, change.Old = image(c.New), image(c.Old)
	return change
}

// deliver gives some of the changes to one or two processes at once. What fails
// comes again, and so does some of what does not.
func (c *chaos) deliver() {
	c.pull()
	batches := [][]mes.Change{c.batch()}
	if c.chance(2) {
		batches = append(batches, c.batch())
	}
	if c.chance(3) {
		batches = append(batches, slices.Clone(batches[0])) // at the same time
	}
	errs := make([]error, len(batches))
	var processes sync.WaitGroup
	for i, batch := range batches {
		trigger := c.trigger()
		processes.Go(func() { errs[i] = trigger.Handle(context.Background(), batch) })
	}
	processes.Wait()
	var again []mes.Change
	for i, batch := range batches {
		var failed *mes.BatchError
		if errors.As(errs[i], &failed) {
			for _, failure := range failed.Failures {
				again = append(again, batch[failure.Index])
			}
		} else if errs[i] != nil {
			again = append(again, batch...)
		}
		for _, change := range batch {
			if c.crash(5) != nil {
				again = append(again, change) // its acknowledgement is lost
			}
		}
	}
	c.pending = append(again, c.pending...)
}

// batch takes some of the changes that are left. The changes of an item stay in
// order, all others come as they like.
func (c *chaos) batch() []mes.Change {
	var batch, rest []mes.Change
	passed := make(map[string]bool) // items of which a change was left
	several := make(map[string]bool)
	inOrder := false
	for _, change := range c.pending {
		item := fmt.Sprintf("%q %q", change.HashKey, change.RangeKey)
		if passed[item] || c.chance(3) {
			passed[item] = true
			rest = append(rest, change)
			continue
		}
		inOrder = inOrder || several[item]
		several[item] = true
		if c.images == 0 || c.images == 1 && c.chance(2) {
			change.New = nil
		}
		batch = append(batch, change)
	}
	c.pending = rest
	if !inOrder {
		c.random.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	}
	return batch
}

// check compares what was published with what had to be, and what might have been.
func check(t require.TestingT, published []mes.Event, must, may, ignore []string) {
	got := make(map[string]mes.Event)
	for _, e := range published {
		if slices.Contains(ignore, e.Type) {
			continue
		}
		name := nameOf(&e)
		if first, again := got[name]; again {
			require.Equal(t, string(first.Raw), string(e.Raw), "the same event is always the same")
		}
		got[name] = e
	}
	names := slices.Collect(maps.Keys(got))
	require.Subset(t, names, must)
	require.Subset(t, may, names)
}

func nameOf(e *mes.Event) string { return e.Type + " " + e.PartitionKey }
