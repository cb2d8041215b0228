package memorytable

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func item(hash, rng, event string) driver.Item {
	return driver.Item{HashKey: hash, RangeKey: rng, Event: []byte(event), ID: "id " + rng, PartitionKey: "pk"}
}

func mustPut(t *testing.T, table *Table, items ...driver.Item) {
	t.Helper()
	if err := table.Put(t.Context(), items); err != nil {
		t.Fatal(err)
	}
}

// keys reads a query whole and returns its range keys, pages apart.
func keys(t *testing.T, table *Table, q driver.Query) string {
	t.Helper()
	var pages []string
	for {
		page, err := table.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, i := range page.Items {
			keys = append(keys, i.RangeKey)
		}
		pages = append(pages, strings.Join(keys, ","))
		if q.Cursor = page.Next; page.Next == "" {
			return strings.Join(pages, "|")
		}
	}
}

func TestOnPutFailsBeforeItTakesEffect(t *testing.T) {
	boom := errors.New("boom")
	fail := true
	table := NewWith(Options{OnPut: func(context.Context, []driver.Item) error {
		if fail {
			return boom
		}
		return nil
	}})
	if err := table.Put(t.Context(), []driver.Item{item("h", "1", "{}")}); !errors.Is(err, boom) {
		t.Errorf("Put: %v, want the hook's error", err)
	}
	if n := table.Len(); n != 0 {
		t.Errorf("%d items were stored, want none", n)
	}
	fail = false
	mustPut(t, table, item("h", "1", "{}"))
	if n := table.Len(); n != 1 {
		t.Errorf("%d items, want 1", n)
	}
}

func TestOnPutFailsSomeItems(t *testing.T) {
	throttled := errors.New("throttled")
	table := NewWith(Options{OnPut: func(_ context.Context, items []driver.Item) error {
		return &driver.PutError{Failures: []driver.PutFailure{{Index: 2, Err: throttled}}}
	}})
	err := table.Put(t.Context(), []driver.Item{item("h", "1", "{}"), item("h", "", "{}"), item("h", "3", "{}"), item("h", "4", "{}")})
	var partial *driver.PutError
	if !errors.As(err, &partial) || len(partial.Failures) != 2 {
		t.Fatalf("Put: %v, want a *driver.PutError of 2 items", err)
	}
	if f := partial.Failures[0]; f.Index != 1 || !errors.Is(f.Err, driver.ErrInvalidItem) {
		t.Errorf("first failure %v, want item 1, invalid", f)
	}
	if f := partial.Failures[1]; f.Index != 2 || !errors.Is(f.Err, throttled) {
		t.Errorf("second failure %v, want item 2, throttled", f)
	}
	if got := keys(t, table, driver.Query{HashKey: "h"}); got != "1,4" {
		t.Errorf("stored %s, want 1,4", got)
	}
}

func TestAfterPutFailsAfterItTookEffect(t *testing.T) {
	lost := errors.New("the answer was lost")
	table := NewWith(Options{AfterPut: func(context.Context, []driver.Item) error { return lost }})
	if err := table.Put(t.Context(), []driver.Item{item("h", "1", "{}")}); !errors.Is(err, lost) {
		t.Errorf("Put: %v, want the hook's error", err)
	}
	if n := table.Len(); n != 1 {
		t.Errorf("%d items, want 1", n)
	}
}

func TestQueryHooks(t *testing.T) {
	boom := errors.New("boom")
	table := NewWith(Options{
		OnQuery: func(_ context.Context, q driver.Query) error {
			if q.HashKey == "bad" {
				return boom
			}
			return nil
		},
		AfterQuery: func(_ context.Context, q driver.Query, page driver.Page) (driver.Page, error) {
			if q.HashKey == "empty" {
				return driver.Page{Consistent: true}, nil
			}
			return page, nil
		},
	})
	mustPut(t, table, item("empty", "1", "{}"), item("good", "1", "{}"))
	if _, err := table.Query(t.Context(), driver.Query{HashKey: "bad"}); !errors.Is(err, boom) {
		t.Errorf("Query: %v, want the hook's error", err)
	}
	if got := keys(t, table, driver.Query{HashKey: "empty"}); got != "" {
		t.Errorf("read %s, want nothing", got)
	}
	if got := keys(t, table, driver.Query{HashKey: "good"}); got != "1" {
		t.Errorf("read %s, want 1", got)
	}
}

func TestHooksMayCallTheTableAndWaitForTheContext(t *testing.T) {
	var table *Table
	table = NewWith(Options{OnPut: func(ctx context.Context, items []driver.Item) error {
		if items[0].RangeKey == "slow" {
			<-ctx.Done()
			return nil
		}
		_, err := table.Query(ctx, driver.Query{HashKey: "h"})
		return err
	}})
	mustPut(t, table, item("h", "1", "{}"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := table.Put(ctx, []driver.Item{item("h", "slow", "{}")})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put: %v, want the context's error", err)
	}
	if n := table.Len(); n != 1 {
		t.Errorf("%d items, want 1: a Put whose context ended stores nothing", n)
	}
}

func TestPages(t *testing.T) {
	var items []driver.Item
	for i := range 5 {
		items = append(items, item("h", fmt.Sprint(i), "{}"))
	}
	for _, c := range []struct {
		opts  Options
		query driver.Query
		want  string
	}{
		{Options{}, driver.Query{}, "0,1,2,3,4"},
		{Options{PageSize: 2}, driver.Query{}, "0,1|2,3|4"},
		{Options{PageSize: 2}, driver.Query{Descending: true}, "4,3|2,1|0"},
		{Options{PageSize: 2}, driver.Query{Limit: 1, From: "1", To: "2"}, "1|2"},
		{Options{PageSize: 3, EmptyPages: true}, driver.Query{}, "|0,1,2||3,4|"},
		{Options{EmptyPages: true}, driver.Query{From: "9"}, "|"},
	} {
		table := NewWith(c.opts)
		mustPut(t, table, items...)
		c.query.HashKey = "h"
		if got := keys(t, table, c.query); got != c.want {
			t.Errorf("%+v, %+v: pages %q, want %q", c.opts, c.query, got, c.want)
		}
	}
}

func TestLag(t *testing.T) {
	table := NewWith(Options{Lag: 2})
	mustPut(t, table, item("h", "1", "{}"))
	if got := keys(t, table, driver.Query{HashKey: "h", Consistent: true}); got != "1" {
		t.Errorf("a consistent read sees %q, want 1", got)
	}
	for i, want := range []string{"", "", "1", "1"} {
		if got := keys(t, table, driver.Query{HashKey: "h"}); got != want {
			t.Errorf("read %d sees %q, want %q", i, got, want)
		}
	}
	page, err := table.Query(t.Context(), driver.Query{HashKey: "h"})
	if err != nil || page.Consistent {
		t.Errorf("a read that may be stale says Consistent (error %v)", err)
	}
}

func TestEventual(t *testing.T) {
	table := NewWith(Options{Lag: 1, Eventual: true})
	mustPut(t, table, item("h", "1", "{}"))
	for i, want := range []int{0, 1} {
		page, err := table.Query(t.Context(), driver.Query{HashKey: "h", Consistent: true})
		if err != nil || page.Consistent || len(page.Items) != want {
			t.Errorf("read %d: %d items, consistent %v, error %v; want %d, false, nil", i, len(page.Items), page.Consistent, err, want)
		}
	}
}

func TestReopenKeepsItems(t *testing.T) {
	table := NewWith(Options{PageSize: 1})
	mustPut(t, table, item("h", "1", "{}"), item("h", "2", "{}"))
	again := table.Reopen()
	if got := keys(t, again, driver.Query{HashKey: "h"}); got != "1|2" {
		t.Errorf("pages %q, want 1|2", got)
	}
	if _, err := table.Query(t.Context(), driver.Query{HashKey: "h"}); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("Query of the old one: %v, want ErrClosed", err)
	}
}
