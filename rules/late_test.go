package rules_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/rules"
)

func TestOnceHoldsForAnExpiryThatIsHandledDaysLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := rules.OnExpired("requested")
		rule.Once = true
		w := newWorld(t, []rules.Rule{rule}, mes.WithTTL(mes.ExpireAfter(time.Hour)))
		seconds := int(time.Since(t0()).Seconds())
		w.save(event(t, "1", "requested", "p", seconds), event(t, "2", "requested", "p", seconds+1))
		time.Sleep(4 * 24 * time.Hour)
		w.table.Expire(time.Now())
		for range 2 {
			w.handled = 0
			require.NoError(t, w.fire())
		}
		changes := w.changes(0)
		for i := range changes {
			require.NoError(t, w.trigger.Handle(t.Context(), changes[i:i+1]))
		}
		require.Len(t, w.stream.ids(), 1)
	})
}

func TestTagsThatAreNoObjectAreNone(t *testing.T) {
	for _, tags := range []string{`"tags":["red"]`, `"tags":"red"`, `"tags":null`, `"data":{"tags":[1]}`} {
		w := newWorld(t, []rules.Rule{{ID: "r", Emit: rules.One("x")}})
		w.save(event(t, "1", "a", "p", 0, tags))
		require.NoError(t, w.fire())
		require.Equal(t, map[string]any{"source": "test"}, decoded(t, w.stream.take()[0])["tags"])
	}
}

type foreignTable struct{ *memorytable.Table }

func (foreignTable) ForeignLayout() bool { return true }

func TestOnceIsRefusedWhereThereIsNoPlaceForMarkers(t *testing.T) {
	store, err := mes.New(foreignTable{memorytable.New()}, mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)
	_, err = rules.New(store, new(stream), []rules.Rule{{ID: "o", Emit: rules.One("x"), Once: true}})
	require.ErrorContains(t, err, `rule "o": Once: the layout of the table has no place for markers`)
}
