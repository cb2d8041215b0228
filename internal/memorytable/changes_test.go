package memorytable

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func logOf(table *Table) string {
	var log []string
	for _, c := range table.Changes() {
		entry := fmt.Sprintf("%s %s/%s %s>%s", c.Kind, c.HashKey, c.RangeKey, c.Old.Event, c.New.Event)
		if c.Expired {
			entry += " expired"
		}
		log = append(log, entry)
	}
	return strings.Join(log, "\n")
}

func TestChanges(t *testing.T) {
	table := New()
	mustPut(t, table, item("h", "2", "a"), item("h", "1", "b"))
	mustPut(t, table, item("h", "2", "a")) // identical: no change
	mustPut(t, table, item("h", "2", "c"))
	expiring := item("g", "1", "d")
	expiring.TTL = 100
	mustPut(t, table, expiring)
	if n := table.Expire(time.Unix(99, 0)); n != 0 {
		t.Errorf("%d items expired before their time", n)
	}
	if n := table.Expire(time.Unix(100, 0)); n != 1 {
		t.Errorf("%d items expired, want 1", n)
	}
	if n, err := table.Delete(t.Context(), "h"); n != 2 || err != nil {
		t.Errorf("Delete: %d, %v; want 2, nil", n, err)
	}
	want := `insert h/2 >a
insert h/1 >b
modify h/2 a>c
insert g/1 >d
remove g/1 d> expired
remove h/1 b>
remove h/2 c>`
	if got := logOf(table); got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
	if n := table.Len(); n != 0 {
		t.Errorf("%d items are left", n)
	}
}

func TestIdenticalDependsOnWhatIsKept(t *testing.T) {
	for _, keep := range []bool{false, true} {
		table := NewWith(Options{KeepComplete: keep})
		i := item("h", "1", "a")
		i.Timestamp = time.Unix(1, 5_000_000)
		mustPut(t, table, i)
		i.Timestamp = i.Timestamp.Add(1) // below a millisecond
		mustPut(t, table, i)
		if n := len(table.Changes()); n != 1 {
			t.Errorf("%d changes, want 1", n)
		}
		got := table.Items("h")[0]
		if got.Complete != keep || (got.ID != "") != keep || (got.PartitionKey != "") != keep {
			t.Errorf("KeepComplete %v: kept %+v", keep, got)
		}
		var bare driver.Item // without an ID nothing is complete
		bare.HashKey, bare.RangeKey = "bare", "1"
		mustPut(t, table, bare)
		if table.Items("bare")[0].Complete {
			t.Error("an item without an ID is Complete")
		}
	}
}
