package memorytable

import "github.com/microeventstore/microeventstore/driver"

// A Kind is what happened to an item.
type Kind string

// The kinds of changes.
const (
	Insert Kind = "insert"
	Modify Kind = "modify"
	Remove Kind = "remove"
)

// A Change is one row of the table's change stream. A Put of an item that is
// there already, the same in all fields, makes none.
type Change struct {
	Kind              Kind
	HashKey, RangeKey string
	New               driver.Item // zero for Remove
	Old               driver.Item // zero for Insert
	Expired           bool        // removed by Expire, not by Delete
}

func (t *Table) logChange(kind Kind, item, old driver.Item) {
	t.data.changes = append(t.data.changes, Change{
		Kind: kind, HashKey: item.HashKey, RangeKey: item.RangeKey, New: item, Old: old,
	})
}

func (t *Table) logRemoval(old driver.Item, expired bool) {
	t.data.changes = append(t.data.changes, Change{
		Kind: Remove, HashKey: old.HashKey, RangeKey: old.RangeKey, Old: old, Expired: expired,
	})
}

// Changes returns all changes so far, oldest first.
func (t *Table) Changes() []Change {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Change(nil), t.data.changes...)
}

// Items returns the items of a hash key as they are now, in range-key order. It
// is the test's own look: it is not counted, runs no hook, and works on a
// closed table.
func (t *Table) Items(hashKey string) []driver.Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.data.collations[hashKey]
	if c == nil {
		return nil
	}
	return append([]driver.Item(nil), c.items...)
}

// Len returns the number of items in the table, under all hash keys.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.data.collations {
		n += len(c.items)
	}
	return n
}
