package memorytable

import "github.com/microeventstore/microeventstore/driver"

// Counts are what a table was asked. Calls that were refused because the table
// was closed or their context had ended are not among them; calls that a hook
// failed are.
type Counts struct {
	Puts, Queries, Deletes int // calls; a PutIfAbsent is a Put
	ItemsPut               int // given to Put, whether stored or not
	ItemsRead              int // returned by Query, before AfterQuery

	// MaxPutsPerKey is the most Puts that were under way at once with an item
	// of the same two keys. A Put is under way until its AfterPut has returned.
	MaxPutsPerKey int
}

// Counts returns what was counted since the table was made or ResetCounts was
// called.
func (t *Table) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.data.counts
}

// ResetCounts sets all counts to zero.
func (t *Table) ResetCounts() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data.counts = Counts{}
}

func (t *Table) putBegins(items []driver.Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range keysOf(items) {
		t.data.inFlight[k]++
		t.data.counts.MaxPutsPerKey = max(t.data.counts.MaxPutsPerKey, t.data.inFlight[k])
	}
}

func (t *Table) putEnds(items []driver.Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range keysOf(items) {
		if t.data.inFlight[k]--; t.data.inFlight[k] == 0 {
			delete(t.data.inFlight, k)
		}
	}
}

// keysOf makes a key that a call holds twice count once.
func keysOf(items []driver.Item) map[key]bool {
	keys := make(map[key]bool, len(items))
	for i := range items {
		keys[key{items[i].HashKey, items[i].RangeKey}] = true
	}
	return keys
}
