package fakedynamodb

import "slices"

const msgKeyMismatch = "The provided key element does not match the schema"

// checkKeys holds an item that is to be put against the schema: all key
// attributes there, of the right type, not empty, not too long ("Naming rules
// and data types", "Quotas in Amazon DynamoDB": partition key length, sort key
// length).
func (t *table) checkKeys(it item) *apiError {
	for _, k := range t.keys() {
		v, ok := it[k.name]
		if !ok {
			return invalidParameter("Missing the key %s in the item", k.name)
		}
		if v.kind != k.kind {
			return invalidParameter("Type mismatch for key %s expected: %s actual: %s", k.name, k.kind, v.kind)
		}
	}
	if err := checkKeySizes(t.schema, it, ""); err != nil {
		return err
	}
	for _, x := range t.global {
		for _, k := range []key{x.schema.hash, x.schema.rng} {
			if v, ok := it[k.name]; ok && v.kind != k.kind {
				return invalidParameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", k.name, k.kind, v.kind, x.name)
			}
		}
		if err := checkKeySizes(x.schema, it, x.name); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) keys() []key {
	if t.schema.rng.name == "" {
		return []key{t.schema.hash}
	}
	return []key{t.schema.hash, t.schema.rng}
}

// checkKeySizes: neither empty nor too long.
func checkKeySizes(s schema, it item, indexName string) *apiError {
	for _, k := range []key{s.hash, s.rng} {
		v, ok := it[k.name]
		if !ok || v.kind == "N" {
			continue
		}
		what := "string"
		if v.kind == "B" {
			what = "binary"
		}
		switch {
		case len(v.s) == 0 && indexName != "":
			return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", what, indexName, k.name)
		case len(v.s) == 0:
			return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", what, k.name)
		case k == s.hash && len(v.s) > maxHashSize:
			return invalidParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
		case k == s.rng && len(v.s) > maxRangeSize:
			return invalidParameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
		}
	}
	return nil
}

// checkKey reads the Key of a call: exactly the key attributes.
func (t *table) checkKey(wire map[string]*wireValue) (item, *apiError) {
	it, err := checkItem(wire, 0)
	if err != nil {
		return nil, err
	}
	if len(it) != len(t.keys()) {
		return nil, invalid(msgKeyMismatch)
	}
	for _, k := range t.keys() {
		if v, ok := it[k.name]; !ok || v.kind != k.kind {
			return nil, invalid(msgKeyMismatch)
		}
	}
	return it, checkKeySizes(t.schema, it, "")
}

// checkNewItem checks an item that is to be put as a whole.
func (t *table) checkNewItem(wire map[string]*wireValue) (*row, *apiError) {
	it, err := checkItem(wire, 0)
	if err != nil {
		return nil, err
	}
	return t.checkPut(it)
}

func (t *table) checkPut(it item) (*row, *apiError) {
	if err := t.checkKeys(it); err != nil {
		return nil, err
	}
	r := t.newRow(it)
	if r.size > maxItemSize {
		return nil, invalid("Item size has exceeded the maximum allowed size")
	}
	return r, nil
}

// lookup finds the row of a checked key, and a row that stands for the key
// where there is none.
func (t *table) lookup(k item) (found, at *row) {
	at = t.newRow(k)
	return t.find(at.hash, at.rng), at
}

// only is an item cut down to some attributes.
func (it item) only(names ...string) item {
	out := item{}
	for name, v := range it {
		if slices.Contains(names, name) {
			out[name] = v
		}
	}
	return out
}

// table finds a table that data calls may use.
func (s *Server) table(name string) (*table, *apiError) {
	if name == "" {
		return nil, invalid("1 validation error detected: Value at 'tableName' failed to satisfy constraint: Member must not be null")
	}
	t := s.tables[tableName(name)]
	if t == nil || t.status == "CREATING" {
		return nil, noTable()
	}
	return t, nil
}
