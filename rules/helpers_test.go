package rules_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// t0 is when the events of the tests begin.
func t0() time.Time { return time.UnixMilli(1_548_967_022_000).UTC() }

// event makes an event that happened some seconds after t0, with other members.
func event(t testing.TB, id, eventType, partitionKey string, seconds int, more ...string) mes.Event {
	t.Helper()
	text := fmt.Sprintf(`{"id":%q,"type":%q,"partitionKey":%q,"timestamp":%d%s}`,
		id, eventType, partitionKey, t0().Add(time.Duration(seconds)*time.Second).UnixMilli(), strings.Join(append([]string{""}, more...), ","))
	e, err := mes.Parse([]byte(text))
	require.NoError(t, err)
	return e
}

// A stream is a publisher whose events a test can look at, and that can fail.
type stream struct {
	mu     sync.Mutex
	events []mes.Event
	before func(events []mes.Event) error // nothing is sent
	after  func(events []mes.Event) error // all is sent
}

func (s *stream) Publish(_ context.Context, events ...mes.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		if err := s.before(events); err != nil {
			return err
		}
	}
	for _, e := range events {
		s.events = append(s.events, e.Clone())
	}
	if s.after != nil {
		return s.after(events)
	}
	return nil
}

// ids returns the ids of what was published, in order.
func (s *stream) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.events))
	for _, e := range s.events {
		ids = append(ids, e.ID)
	}
	return ids
}

func (s *stream) take() []mes.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = nil
	return events
}

// A world is a store in memory, its rules, and what they publish.
type world struct {
	t       testing.TB
	table   *memorytable.Table
	store   *mes.Store
	stream  *stream
	trigger *mes.Trigger
	handled int // of the changes
}

func newWorld(t testing.TB, list []rules.Rule, opts ...mes.Option) *world {
	t.Helper()
	return newWorldOn(t, memorytable.New(), list, opts...)
}

func newWorldOn(t testing.TB, table *memorytable.Table, list []rules.Rule, opts ...mes.Option) *world {
	t.Helper()
	w := &world{t: t, table: table, stream: new(stream)}
	var err error
	w.store, err = mes.New(table, append([]mes.Option{mes.WithTTL(mes.NeverExpire())}, opts...)...)
	require.NoError(t, err)
	w.use(list)
	return w
}

// use makes a trigger of rules, as a process that starts does.
func (w *world) use(list []rules.Rule, opts ...mes.TriggerOption) {
	w.t.Helper()
	evaluator, err := rules.New(w.store, w.stream, list, rules.WithSource("test"))
	require.NoError(w.t, err)
	w.trigger = evaluator.Trigger(opts...)
}

func (w *world) save(events ...mes.Event) {
	w.t.Helper()
	require.NoError(w.t, w.store.Save(context.Background(), events...))
}

// changes returns the changes of the table from one on, as a host makes them.
func (w *world) changes(from int) []mes.Change {
	var changes []mes.Change
	for i, c := range w.table.Changes() {
		if i < from {
			continue
		}
		change := mes.Change{HashKey: c.HashKey, RangeKey: c.RangeKey, Expired: c.Expired,
			Meta: mes.Meta{Shard: "0", SequenceNumber: strconv.Itoa(i + 1), Arrived: time.Now()}}
		change.Kind = map[memorytable.Kind]mes.ChangeKind{
			memorytable.Insert: mes.Inserted, memorytable.Modify: mes.Modified, memorytable.Remove: mes.Removed,
		}[c.Kind]
		image := func(item driver.Item) *mes.Event {
			if item.HashKey == "" {
				return nil
			}
			e, err := w.store.DecodeItem(item)
			if err != nil {
				change.Err = err
			}
			return &e
		}
		change.New, change.Old = image(c.New), image(c.Old)
		changes = append(changes, change)
	}
	return changes
}

// fire hands over the changes that have not been handled.
func (w *world) fire() error {
	w.t.Helper()
	changes := w.changes(w.handled)
	err := w.trigger.Handle(context.Background(), changes)
	if err == nil {
		w.handled += len(changes)
	}
	return err
}

// decoded is an emitted event as its receiver sees it.
func decoded(t testing.TB, e mes.Event) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(e.Raw)))
	decoder.UseNumber()
	var v map[string]any
	require.NoError(t, decoder.Decode(&v))
	return v
}

// markersIn returns the kinds of the markers under a hash key that have not expired.
func (w *world) markersIn(hashKey string) []string {
	var kinds []string
	for _, item := range w.table.Items(hashKey) {
		if strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) && !item.Expired(time.Now()) {
			kinds = append(kinds, strings.Fields(item.RangeKey[strings.LastIndex(item.RangeKey, driver.MarkerPrefix)+1:])[0])
		}
	}
	slices.Sort(kinds)
	return kinds
}

var errCrash = errors.New("crash")
