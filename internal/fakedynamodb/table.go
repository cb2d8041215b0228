package fakedynamodb

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// key is an attribute of a key schema.
type key struct{ name, kind string }

// schema is a primary key: HASH, and RANGE where it has a name.
type schema struct{ hash, rng key }

// names lists the schema's attributes.
func (s schema) names() []string {
	if s.rng.name == "" {
		return []string{s.hash.name}
	}
	return []string{s.hash.name, s.rng.name}
}

// row is an item where it lies. Rows are never changed, only replaced.
type row struct {
	item  item
	size  int
	hash  string // sort key of the primary HASH
	rng   string // sort key of the primary RANGE
	order string // place among the rows of one index HASH
	raw   json.RawMessage
}

// json is the whole item, written once. Server.mu is held.
func (r *row) json() json.RawMessage {
	if r.raw == nil {
		r.raw = rawItem(r.item)
	}
	return r.raw
}

func (r *row) primary() string { return pair(r.hash, r.rng) }

// pair joins two strings so that the pair has one spelling and its byte order
// is that of the parts.
func pair(a, b string) string {
	return strings.ReplaceAll(a, "\x00", "\x00\x01") + "\x00\x00" + b
}

// index is a set of rows: by HASH, then sorted by order. The table itself is
// one, and so is each global secondary index.
type index struct {
	name       string
	schema     schema
	projection string // ALL, KEYS_ONLY, INCLUDE
	include    []string
	rows       map[string][]*row
}

func (x *index) put(hash string, r *row) {
	rows := x.rows[hash]
	i, found := slices.BinarySearchFunc(rows, r.order, byOrder)
	if found {
		rows[i] = r
		return
	}
	x.rows[hash] = slices.Insert(rows, i, r)
}

func (x *index) remove(hash, order string) {
	rows := x.rows[hash]
	i, found := slices.BinarySearchFunc(rows, order, byOrder)
	if !found {
		return
	}
	if rows = slices.Delete(rows, i, i+1); len(rows) == 0 {
		delete(x.rows, hash)
		return
	}
	x.rows[hash] = rows
}

func byOrder(r *row, order string) int { return strings.Compare(r.order, order) }

// table is a table.
type table struct {
	index
	arn, id    string
	created    time.Time
	billing    string
	read       int64
	write      int64
	status     string
	pending    int // calls of DescribeTable until it is ACTIVE
	global     []*index
	ttl        string // attribute; "" = off
	stream     *stream
	protected  bool
	history    []undo // the last writes, for reads that lag
	inclusive  map[string]bool
	itemCount  int
	totalBytes int
}

// undo is a write, seen from before it.
type undo struct {
	key    string
	before *row // nil: the item was not there
}

// maxHistory is how far an eventually consistent read can lag ("DynamoDB read
// consistency" names no bound; this one is ours).
const maxHistory = 1000

// find looks a row up by its primary key.
func (t *table) find(hash, rng string) *row {
	rows := t.rows[hash]
	if i, ok := slices.BinarySearchFunc(rows, rng, byOrder); ok {
		return rows[i]
	}
	return nil
}

// newRow places an item that has been checked.
func (t *table) newRow(it item) *row {
	r := &row{item: it, size: it.size(), hash: it[t.schema.hash.name].sortKey()}
	if name := t.schema.rng.name; name != "" {
		r.rng = it[name].sortKey()
	}
	r.order = r.rng
	return r
}

// in places a row in a global secondary index, projected; false when the item
// lacks one of the index's key attributes ("Using Global Secondary Indexes in
// DynamoDB": such items are not in the index).
func (t *table) in(x *index, r *row) (hash string, placed *row, ok bool) {
	h, ok := r.item[x.schema.hash.name]
	if !ok {
		return "", nil, false
	}
	order := ""
	if name := x.schema.rng.name; name != "" {
		v, ok := r.item[name]
		if !ok {
			return "", nil, false
		}
		order = v.sortKey()
	}
	it := r.item
	if x.projection != "ALL" {
		it = item{}
		for _, n := range slices.Concat(t.schema.names(), x.schema.names(), x.include) {
			if v, ok := r.item[n]; ok {
				it[n] = v
			}
		}
	}
	// Items with the same index key lie in the order of their primary key.
	return h.sortKey(), &row{item: it, size: it.size(), hash: r.hash, rng: r.rng, order: pair(order, r.primary())}, true
}

// replace puts a row in the place of another; one of the two may be nil. It returns
// the write units that the indexes took.
func (t *table) replace(before, after *row) (indexUnits map[string]float64) {
	indexUnits = map[string]float64{}
	if before != nil {
		t.itemCount--
		t.totalBytes -= before.size
	}
	if after != nil {
		t.itemCount++
		t.totalBytes += after.size
		t.put(after.hash, after)
	} else {
		t.remove(before.hash, before.order)
	}
	for _, x := range t.global {
		if u := t.replaceIn(x, before, after); u > 0 {
			indexUnits[x.name] = u
		}
	}
	if len(t.history) >= 2*maxHistory {
		t.history = slices.Clone(t.history[maxHistory:])
	}
	t.history = append(t.history, undo{cmp.Or(before, after).primary(), before})
	return indexUnits
}

// replaceIn keeps an index up to date. A changed index key takes two writes,
// an unchanged projection none ("Using Global Secondary Indexes in DynamoDB",
// write capacity units).
func (t *table) replaceIn(x *index, before, after *row) float64 {
	var oldHash, newHash string
	var was, is *row
	if before != nil {
		oldHash, was, _ = t.in(x, before)
	}
	if after != nil {
		newHash, is, _ = t.in(x, after)
	}
	switch {
	case was == nil && is == nil:
		return 0
	case was == nil:
		x.put(newHash, is)
		return writeUnits(0, is.size)
	case is == nil:
		x.remove(oldHash, was.order)
		return writeUnits(was.size, 0)
	case oldHash == newHash && was.order == is.order:
		if was.item.equal(is.item) {
			return 0
		}
		x.put(newHash, is)
		return writeUnits(was.size, is.size)
	}
	x.remove(oldHash, was.order)
	x.put(newHash, is)
	return writeUnits(was.size, 0) + writeUnits(0, is.size)
}

// overlay is what an eventually consistent read that misses the last n writes
// sees in place of the rows it finds: by primary key, the row from before.
func (t *table) overlay(n int) map[string]*row {
	if n <= 0 || len(t.history) == 0 {
		return nil
	}
	seen := map[string]*row{}
	missed := t.history[max(0, len(t.history)-n):]
	for i := len(missed) - 1; i >= 0; i-- { // the oldest missed write wins
		seen[missed[i].key] = missed[i].before
	}
	return seen
}
