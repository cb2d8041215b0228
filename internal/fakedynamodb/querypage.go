package fakedynamodb

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const msgBadStart = "The provided starting key is invalid"

// keyNames are the attributes of a LastEvaluatedKey: those of the table, and of
// the index when one is queried.
func (q *search) keyNames() []string {
	names := slices.Concat(q.t.schema.names(), q.x.schema.names())
	slices.Sort(names)
	return slices.Compact(names)
}

// checkStart reads an ExclusiveStartKey ("Paginating table query results in
// DynamoDB"). It need not be the key of an item that is there, but must lie
// within the query.
func (q *search) checkStart(wire map[string]*wireValue) *apiError {
	if wire == nil {
		return nil
	}
	it, err := checkItem(wire, 0)
	if err != nil {
		return invalid("The provided starting key is invalid: %s", err.message)
	}
	names := q.keyNames()
	if len(it) != len(names) {
		return invalid(msgBadStart)
	}
	for _, k := range slices.Concat(q.t.keys(), []key{q.x.schema.hash, q.x.schema.rng}) {
		if v, ok := it[k.name]; k.name != "" && (!ok || v.kind != k.kind) {
			return invalid(msgBadStart)
		}
	}
	for _, sch := range []schema{q.t.schema, q.x.schema} {
		if err := checkKeySizes(sch, it, ""); err != nil {
			return invalid("The provided starting key is invalid: %s", err.message)
		}
	}
	if !it[q.x.schema.hash.name].equal(q.cond.hash) {
		return invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	if rng := q.x.schema.rng.name; rng != "" && !q.cond.includes(it[rng].sortKey()) && !q.issued(it) {
		return invalid("The provided starting key does not match the range key predicate")
	}
	q.startSet = it
	q.start = q.place(it)
	return nil
}

// place is the row that a key would be in the index.
func (q *search) place(it item) *row {
	r := q.t.newRow(it)
	if q.x != &q.t.index {
		_, r, _ = q.t.in(q.x, r)
	}
	return r
}

// candidates are the rows that the key condition and the starting key leave, in
// the order of the query.
func (q *search) candidates(consistent bool, lag int) []*row {
	hash := q.cond.hash.sortKey()
	rows := q.x.rows[hash]
	if !consistent {
		rows = q.lagging(rows, hash, lag)
	}
	// The rows are sorted and the condition is an interval: find its ends.
	from, _ := slices.BinarySearchFunc(rows, 0, func(r *row, _ int) int {
		if q.cond.below(q.rangeOf(r)) {
			return -1
		}
		return 1
	})
	to := from
	if from < len(rows) {
		n, _ := slices.BinarySearchFunc(rows[from:], 0, func(r *row, _ int) int {
			if q.cond.includes(q.rangeOf(r)) {
				return -1
			}
			return 1
		})
		to += n
	}
	rows = rows[from:to]
	if !q.forward {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	if q.start == nil {
		return rows
	}
	again := q.issued(q.startSet) && q.t.inclusive[q.token(q.startSet)]
	i := slices.IndexFunc(rows, func(r *row) bool {
		c := strings.Compare(r.order, q.start.order)
		if !q.forward {
			c = -c
		}
		return c > 0 || c == 0 && again
	})
	if i < 0 {
		return nil
	}
	return rows[i:]
}

// rangeOf is the sort key of a row's RANGE attribute in the index.
func (q *search) rangeOf(r *row) string {
	if q.x == &q.t.index {
		return r.rng
	}
	name := q.x.schema.rng.name
	if name == "" {
		return ""
	}
	return r.item[name].sortKey()
}

// lagging puts rows from before the last writes in the place of what is there.
func (q *search) lagging(rows []*row, hash string, lag int) []*row {
	old := q.t.overlay(lag)
	if old == nil {
		return rows
	}
	out := slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { _, ok := old[r.primary()]; return ok })
	for _, k := range sortedKeys(old) {
		r := old[k]
		if r == nil {
			continue
		}
		h, ok := r.hash, true
		if q.x != &q.t.index {
			h, r, ok = q.t.in(q.x, r)
		}
		if ok && h == hash {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *row) int { return strings.Compare(a.order, b.order) })
	return out
}

// page cuts the candidates at the limit, at 1 MB, or where a fault says; more
// says that there is a LastEvaluatedKey. A page that ends at its limit has one
// even when nothing follows, because the service has not looked further.
func (q *search) page(rows []*row, f Fault) (page []*row, more bool) {
	limit := len(rows) + 1
	if q.limit > 0 {
		limit = q.limit
	}
	if f.kind == faultPageCut {
		limit = max(1, min(limit, f.n))
	}
	if f.kind == faultEmptyPage {
		limit = 0
	}
	size := 0
	for i, r := range rows {
		if i == limit || i > 0 && size+r.size > maxPage {
			return rows[:i], true
		}
		size += r.size
	}
	return rows, len(rows) > 0 && len(rows) == limit
}

// keyBefore makes a LastEvaluatedKey for an empty page: a key that lies just
// before the first row, as if an item that the page passed had been there. Where
// there is no such key the row's own is sent, and its next use begins with it.
func (q *search) keyBefore(first *row) item {
	k := first.item.only(q.keyNames()...)
	if q.t.inclusive == nil {
		q.t.inclusive = map[string]bool{}
	}
	rng := q.x.schema.rng
	if v, ok := k[rng.name]; ok && rng.kind == "S" {
		if s, ok := q.neighbour(v.s); ok {
			k[rng.name] = value{kind: "S", s: s}
			at := q.place(k)
			if q.start != nil && (at.order > q.start.order) != q.forward {
				k = q.startSet // there is nothing between the two
			}
			q.t.inclusive[q.token(k)] = q.t.inclusive[q.token(k)]
			return k
		}
	}
	q.t.inclusive[q.token(k)] = true
	return k
}

// neighbour is a string just before (or, backwards, just behind) another.
func (q *search) neighbour(s string) (string, bool) {
	if !q.forward {
		return s + "\x00", len(s) < maxRangeSize
	}
	r, n := utf8.DecodeLastRuneInString(s)
	if r == 0 {
		return s[:len(s)-n], len(s) > n
	}
	if r--; r >= 0xD800 && r < 0xE000 { // surrogates are not characters
		r = 0xD7FF
	}
	before := s[:len(s)-n] + string(r) + "\U0010FFFF"
	return before, len(before) <= maxRangeSize
}

// token names a key that keyBefore made; those may lie outside the condition.
func (q *search) token(k item) string { return q.x.name + string(appendItem(nil, k)) }

func (q *search) issued(k item) bool {
	_, ok := q.t.inclusive[q.token(k)]
	return ok
}
