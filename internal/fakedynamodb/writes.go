package fakedynamodb

import "cmp"

// Write is a write that was applied: the row is as it says, whether or not the
// client ever saw an answer.
type Write struct {
	// Operation is the call: PutItem, DeleteItem, UpdateItem, BatchWriteItem, or
	// TTL for an item that expired.
	Operation string
	Table     string
	// Key is the item's primary key and Item what was written ("": it was
	// removed), as DynamoDB JSON with sorted attribute names.
	Key, Item string
	// Changed is false when the write changed nothing.
	Changed bool
	// Call is the Call.N of the request, 0 for TTL.
	Call int
}

// Writes lists the applied writes in order.
func (s *Server) Writes() []Write { return s.WritesFrom(0) }

// WritesFrom lists the applied writes but for the first n.
func (s *Server) WritesFrom(n int) []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= len(s.writes) {
		return nil
	}
	out := make([]Write, len(s.writes)-n)
	for i, w := range s.writes[n:] {
		out[i] = w.render()
	}
	return out
}

// ForgetWrites drops what [Server.Writes] would list, which otherwise grows for as
// long as the server is there.
func (s *Server) ForgetWrites() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = nil
}

// written is a Write before anyone has asked for its text.
type written struct {
	op, table     string
	schema        schema
	before, after *row
	changed       bool
	call          int
}

func (w written) render() Write {
	out := Write{Operation: w.op, Table: w.table, Changed: w.changed, Call: w.call}
	if w.after != nil {
		out.Item = string(w.after.json())
	}
	out.Key = string(appendItem(nil, w.at().item.only(w.schema.names()...)))
	return out
}

// at is the row that was written, or removed.
func (w written) at() *row { return cmp.Or(w.after, w.before) }

// Items gives all items of a table as DynamoDB JSON, in the order of their
// hash keys' and range keys' bytes; nil when there is no such table.
func (s *Server) Items(tableName string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[tableName]
	if t == nil {
		return nil
	}
	out := []string{}
	for _, h := range sortedKeys(t.rows) {
		for _, r := range t.rows[h] {
			out = append(out, string(r.json()))
		}
	}
	return out
}

// apply replaces a row, tells the stream and keeps the record. It returns the
// write units: the table's and each index's.
func (s *Server) apply(t *table, op string, before, after *row, expired bool) used {
	u := used{table: t.name, units: writeUnits(sizeOf(before), sizeOf(after))}
	if before == nil && after == nil {
		return u
	}
	changed := before == nil || after == nil || !before.item.equal(after.item)
	if changed {
		u.indexes = t.replace(before, after)
		// "Change data capture for DynamoDB Streams": a put or update that does
		// not change any data writes no stream record.
		t.stream.add(s, t, before, after, expired)
	}
	s.writes = append(s.writes, written{op, t.name, t.schema, before, after, changed, s.current})
	return u
}
