package microeventstore_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
)

func TestPromise10ANilContextIsSaid(t *testing.T) {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	store, err := mes.New(table)
	require.NoError(t, err)
	event, err := mes.Parse([]byte(`{"id":"1","type":"t","timestamp":1700000000000,"partitionKey":"k"}`))
	require.NoError(t, err)
	var none context.Context
	_, err = store.GetMicroEventStore(none, "k")
	require.ErrorContains(t, err, "the context is nil")
	for _, last := range [][]mes.ReadOption{nil, {mes.Last(1)}} {
		errs := 0
		for _, err := range store.Events(none, "k", last...) {
			require.ErrorContains(t, err, "the context is nil")
			errs++
		}
		require.Equal(t, 1, errs)
	}
	require.ErrorContains(t, store.Save(none, event), "the context is nil")
	require.ErrorContains(t, store.Delete(none, "k"), "the context is nil")
	record := mes.Record{Data: event.Raw}
	require.ErrorContains(t, mes.NewListener(store, nil).Handle(none, []mes.Record{record, record}), "the context is nil")
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return nil })
	change := mes.Change{Kind: mes.Inserted, HashKey: "k", RangeKey: "r"}
	require.ErrorContains(t, trigger.Handle(none, []mes.Change{change}), "the context is nil")
	require.ErrorContains(t, trigger.Refire(none, "k", "l"), "the context is nil")
	require.NoError(t, store.Close(), "no call is under way any more")
}

// A breakingHandler panics at each line.
type breakingHandler struct{ slog.Handler }

func (breakingHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (breakingHandler) Handle(context.Context, slog.Record) error { panic("logger") }

func TestPromise09ALoggerDecidesOverNoEvent(t *testing.T) {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	store, err := mes.New(table, mes.WithLogger(slog.New(breakingHandler{})), mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	listener := mes.NewListener(store, nil, mes.WithFaultHandler(func(context.Context, mes.Fault) error {
		t.Error("it is no fault")
		return nil
	}))
	require.NoError(t, listener.Handle(t.Context(), []mes.Record{{Data: []byte(`{"id":"1","type":"t","timestamp":5,"partitionKey":"k"}`)}}))
	m, err := store.GetMicroEventStore(t.Context(), "k")
	require.NoError(t, err)
	require.Len(t, m.Events, 1)
}
