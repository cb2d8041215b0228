package memorytable

import (
	"context"
	"sync"
	"testing"

	"github.com/microeventstore/microeventstore/driver"
)

func TestCounts(t *testing.T) {
	table := NewWith(Options{PageSize: 2})
	mustPut(t, table, item("h", "1", "{}"), item("h", "2", "{}"), item("h", "3", "{}"))
	_ = keys(t, table, driver.Query{HashKey: "h"})
	if _, err := table.Delete(t.Context(), "h"); err != nil {
		t.Fatal(err)
	}
	want := Counts{Puts: 1, Queries: 2, Deletes: 1, ItemsPut: 3, ItemsRead: 3, MaxPutsPerKey: 1}
	if got := table.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	table.ResetCounts()
	if got := table.Counts(); got != (Counts{}) {
		t.Errorf("counts %+v after ResetCounts", got)
	}
}

func TestMaxPutsPerKey(t *testing.T) {
	for _, c := range []struct {
		keys []string // of puts that are under way at once
		want int
	}{
		{[]string{"a", "b", "c"}, 1},
		{[]string{"a", "b", "a"}, 2},
		{[]string{"a", "a", "a"}, 3},
	} {
		var together, wg sync.WaitGroup
		together.Add(len(c.keys))
		table := NewWith(Options{OnPut: func(context.Context, []driver.Item) error {
			together.Done()
			together.Wait()
			return nil
		}})
		for _, key := range c.keys {
			wg.Go(func() {
				if err := table.Put(t.Context(), []driver.Item{item("h", key, "{}")}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := table.Counts().MaxPutsPerKey; got != c.want {
			t.Errorf("puts of %v at once: MaxPutsPerKey %d, want %d", c.keys, got, c.want)
		}
	}
}
