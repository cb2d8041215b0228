package faults_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// failing returns a trigger whose handler takes nothing, on a table; and the store that
// its faults are saved in.
func failing(t *testing.T, events, set *memorytable.Table, opts ...mes.Option) (*mes.Trigger, *mes.Store) {
	t.Helper()
	store, err := mes.New(events, mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)
	kept, err := faults.NewStore(set, opts...)
	require.NoError(t, err)
	return mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return mes.Permanent(errBad) },
		mes.OnKinds(mes.Inserted, mes.Modified, mes.Removed), mes.WithFaultHandler(faults.Save(kept, "orders"))), kept
}

func insert(t *testing.T, trigger *mes.Trigger, id, key string) mes.Change {
	t.Helper()
	e, err := mes.NewEvent(map[string]any{"id": id, "type": "t", "partitionKey": key, "timestamp": time.Now().UnixMilli()})
	require.NoError(t, err)
	require.NoError(t, trigger.Store().Save(t.Context(), e))
	m, err := trigger.Store().GetMicroEventStore(t.Context(), key)
	require.NoError(t, err)
	return mes.Change{Kind: mes.Inserted, HashKey: key, RangeKey: m.Events[len(m.Events)-1].RangeKey, New: &m.Events[len(m.Events)-1]}
}

// What producers may have chosen says nothing of where an event came from.
func TestNoFaultIsDroppedForItsKeys(t *testing.T) {
	for name, shared := range map[string]bool{"a table of its own": false, "a shared table": true} {
		t.Run(name, func(t *testing.T) {
			events, set := memorytable.New(), memorytable.New()
			if shared {
				set = events
			}
			trigger, kept := failing(t, events, set)
			changes := []mes.Change{
				insert(t, trigger, "1", "order-1"),
				insert(t, trigger, "1", "fault#order-2"),
				insert(t, trigger, "fault-", "fault#order-3"),
				insert(t, trigger, "fault-"+strings.Repeat("0", 30), "fault#order-4"),
				insert(t, trigger, "fault-"+strings.Repeat("0", 32), "fault#order-5"), // its event says what it is
				insert(t, trigger, "fault-"+strings.Repeat("0", 32), "order-6"),
			}
			changes[2].New, changes[3].New = nil, nil
			removed := changes[1]
			removed.Kind, removed.New, removed.Old = mes.Removed, nil, removed.New
			changes = append(changes, removed)
			require.NoError(t, trigger.Handle(t.Context(), changes))
			require.Len(t, stored(t, kept), len(changes))
		})
	}
}

func TestAFaultAboutAFaultIsRefused(t *testing.T) {
	for name, opts := range map[string][]mes.Option{"time and id": nil, "id": {mes.WithRangeKey(mes.EventID())}} {
		t.Run(name, func(t *testing.T) {
			table := memorytable.New()
			trigger, kept := failing(t, table, table, opts...) // it forgets OnlyHashKeys
			require.NoError(t, trigger.Handle(t.Context(), []mes.Change{insert(t, trigger, "1", "order-1")}))
			list := stored(t, kept)
			require.Len(t, list, 1)

			change := mes.Change{Kind: mes.Inserted, HashKey: faults.HashKey("orders"), RangeKey: list[0].RangeKey, New: &list[0]}
			removed := change
			removed.Kind, removed.New, removed.Old = mes.Removed, nil, &list[0]
			keys := change
			keys.New = nil
			for _, c := range []mes.Change{change, removed, keys} {
				err := trigger.Handle(t.Context(), []mes.Change{c})
				require.ErrorContains(t, err, "mes.OnlyHashKeys(faults.NotFaults)", "it is not dropped in silence")
				require.Len(t, stored(t, kept), 1, "and wakes nobody")
			}
		})
	}
}
