package markers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestACacheKnowsWhatWasReadAndWritten(t *testing.T) {
	c := new(Cache)
	require.Same(t, c, FromContext(NewContext(t.Context(), c)))
	_, known := FromContext(t.Context()).Get("a")
	require.False(t, known)

	c.Set(driver.Item{RangeKey: "a1"})
	items, known := c.Get("a")
	require.False(t, known, "there may be others")
	require.Len(t, items, 1)

	c.Know("a", []driver.Item{{RangeKey: "a2"}, {RangeKey: "a3"}})
	items, known = c.Get("a")
	require.True(t, known)
	require.Len(t, items, 2)
	items, known = c.Get("b")
	require.False(t, known)
	require.Empty(t, items)

	c.Complete()
	_, known = c.Get("b")
	require.True(t, known)
}
