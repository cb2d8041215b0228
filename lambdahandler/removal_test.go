package lambdahandler

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// What was removed is all that a change of a removal has: one that cannot be read is a
// fault, and no handler is called without it.
func TestPromise09ARemovalWithoutItsEventIsAFault(t *testing.T) {
	good := inserted(t, "k", "1")
	for name, broken := range map[string]string{
		"no JSON":  image(t, "k", "2", "no JSON"),
		"no event": image(t, "k", "2", ""),
	} {
		t.Run(name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, invoke invoker) {
				var set faultSink
				var handled []string
				trigger := mes.NewTrigger(stored(t, "1"), func(_ context.Context, m *mes.MicroEventStore) error {
					handled = append(handled, m.Current.ID)
					return nil
				}, mes.OnKinds(mes.Inserted, mes.Removed), mes.WithFaultHandler(set.handle),
					mes.WithWindows(func(mes.Change) (mes.Window, bool) { return mes.Window{Alone: true}, true }))
				removed := row{name: "REMOVE", keys: image(t, "k", "2", ""), old: broken}
				got, err := invoke(t, DynamoDB(trigger), removed, good, row{name: "MODIFY", keys: good.keys, new: good.new, old: broken})
				require.NoError(t, err)
				require.Empty(t, got)
				require.Len(t, set.all, 1)
				require.Equal(t, mes.Removed, set.all[0].Change.Kind)
				require.Equal(t, "k", set.all[0].Change.HashKey)
				require.Equal(t, []string{"1"}, handled)
			})
		})
	}
}
