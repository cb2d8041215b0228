package mestest_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/mestest"
	"github.com/microeventstore/microeventstore/runner"
)

const (
	submitted = `{"id":"1","type":"order-submitted","timestamp":1700000000000,"partitionKey":"order-42"}`
	paid      = `{"id":"2","type":"payment-received","timestamp":1700000001000,"partitionKey":"order-42"}`
)

func TestHistoryIsWhatATriggerWouldHandOver(t *testing.T) {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	defer table.Close()
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)

	var real []*mes.MicroEventStore
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		real = append(real, m)
		return nil
	})
	// The later event comes first.
	listener := mes.NewListener(store, nil)
	require.NoError(t, listener.Handle(t.Context(), mestest.Records(t, paid)))
	require.NoError(t, listener.Handle(t.Context(), mestest.Records(t, []byte(submitted))))
	require.NoError(t, runner.Trigger(t.Context(), table.Changes("test"), trigger, runner.UntilCaughtUp()))
	require.Len(t, real, 2)
	require.Len(t, real[1].Changes, 1)
	real[1].Changes[0].Meta = mes.Meta{} // where that one came from
	require.Equal(t, mestest.History(t, "order-42", paid, submitted), real[1])

	// Changes made by hand find the events as well.
	real = nil
	require.NoError(t, trigger.Handle(t.Context(), mestest.Inserts(t, "order-42", submitted)))
	require.Len(t, real, 1)
}

func TestRecords(t *testing.T) {
	e := mestest.Event(t, map[string]any{"id": "3", "type": "t", "partitionKey": "p", "timestamp": 1})
	records := mestest.Records(t, submitted, "no JSON", e)
	require.Equal(t, "no JSON", string(records[1].Data))
	require.Equal(t, string(e.Raw), string(records[2].Data))
	require.Equal(t, "3", records[2].Meta.SequenceNumber)
}

// A failures is a testing.TB that remembers what was said to it.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}
func (f *failures) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(f)
}

func TestReadOnlyFindsAHandlerThatChangesTheHistory(t *testing.T) {
	history := func() *mes.MicroEventStore { return mestest.History(t, "order-42", submitted, paid) }
	for name, handler := range map[string]mes.Handler{
		"sorts":    func(_ context.Context, m *mes.MicroEventStore) error { slices.Reverse(m.Events); return nil },
		"writes":   func(_ context.Context, m *mes.MicroEventStore) error { m.Events[0].Type = "x"; return nil },
		"scribble": func(_ context.Context, m *mes.MicroEventStore) error { m.Events[1].Raw[3]++; return nil },
		"fails":    func(_ context.Context, m *mes.MicroEventStore) error { m.Events[1].ID = ""; return errors.New("x") },
		"cuts": func(_ context.Context, m *mes.MicroEventStore) error {
			m.Events = slices.Delete(m.Events, 0, 1)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &failures{TB: t}
			_ = mestest.ReadOnly(f, handler)(t.Context(), history())
			require.Len(t, f.said, 1)
			require.Contains(t, f.said[0], "shared history")
		})
	}
	f := &failures{TB: t}
	require.NoError(t, mestest.ReadOnly(f, func(_ context.Context, m *mes.MicroEventStore) error {
		m.Events = append(m.Events, mes.Event{})
		m.Current.Type = "its own copy"
		return nil
	})(t.Context(), history()))
	require.Empty(t, f.said)
}

func TestWhatCannotBeAnEventFailsTheTest(t *testing.T) {
	for name, build := range map[string]func(t testing.TB){
		"no JSON":      func(t testing.TB) { mestest.Event(t, "{") },
		"no object":    func(t testing.TB) { mestest.Event(t, 7) },
		"a channel":    func(t testing.TB) { mestest.Records(t, make(chan int)) },
		"no timestamp": func(t testing.TB) { mestest.Inserts(t, "p", `{"id":"1"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &failures{TB: t}
			require.Panics(t, func() { build(f) })
			require.Len(t, f.said, 1)
		})
	}
}
