package fakedynamodb

import (
	"cmp"
	"maps"
	"slices"
)

type updateInput struct {
	writeInput
	Key              map[string]*wireValue
	UpdateExpression *string
}

// updateItem puts the item together from the one that is there, or from the
// key where there is none ("UpdateItem", API reference).
func (s *Server) updateItem(body []byte, _ Fault) ([]byte, *apiError) {
	var in updateInput
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	names, err := newAliases(in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ConditionExpression, in.UpdateExpression)
	if err != nil {
		return nil, err
	}
	var acts []action
	if in.UpdateExpression != nil {
		if acts, err = parseUpdate(*in.UpdateExpression, names); err != nil {
			return nil, err
		}
	}
	cond, err := in.condition(names, "NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
	if err != nil {
		return nil, err
	}
	t, err := s.table(in.TableName)
	if err != nil {
		return nil, err
	}
	k, err := t.checkKey(in.Key)
	if err != nil {
		return nil, err
	}
	for _, a := range acts {
		if _, ok := k[a.path[0].name]; ok {
			return nil, invalidParameter("Cannot update attribute %s. This attribute is part of the key", a.path[0].name)
		}
	}
	before, at := t.lookup(k)
	if err := in.holds(cond, before); err != nil {
		return nil, err
	}
	if before != nil {
		at = before
	}
	after, err := t.update(at.item, acts)
	if err != nil {
		return nil, err
	}
	u := s.apply(t, "UpdateItem", before, after, false)
	out := map[string]any{}
	if a := returned(in.ReturnValues, before, after, acts); a != nil {
		out["Attributes"] = rawItem(a)
	}
	return reply(withCapacity(out, u, in.ReturnConsumedCapacity)), nil
}

// update applies the actions to a copy; all of them see the item as it was.
func (t *table) update(old item, acts []action) (*row, *apiError) {
	fresh := old.clone()
	// Removals from a list go from its end, so that each index means what it
	// meant in the item as it was.
	slices.SortStableFunc(acts, func(a, b action) int {
		if a.op == "REMOVE" && b.op == "REMOVE" {
			return cmp.Compare(b.path[len(b.path)-1].index, a.path[len(a.path)-1].index)
		}
		return cmp.Compare(rank(a.op), rank(b.op))
	})
	for _, a := range acts {
		if err := a.apply(old, fresh); err != nil {
			return nil, err
		}
	}
	if err := t.checkKeys(fresh); err != nil {
		return nil, err
	}
	after := t.newRow(fresh)
	if after.size > maxItemSize {
		return nil, invalid("Item size to update has exceeded the maximum allowed size")
	}
	return after, nil
}

// rank is the order in which clauses are applied; -1: no clause.
func rank(op string) int { return slices.Index([]string{"SET", "ADD", "DELETE", "REMOVE"}, op) }

// returned is ReturnValues: the whole item or, for UPDATED_*, the attributes
// that the actions name.
func returned(mode string, before, after *row, acts []action) item {
	var names []string
	for _, a := range acts {
		names = append(names, a.path[0].name)
	}
	pick := func(it item) item {
		if it = it.only(names...); len(it) == 0 {
			return nil
		}
		return it
	}
	switch {
	case mode == "ALL_NEW":
		return after.item
	case mode == "UPDATED_NEW":
		return pick(after.item)
	case mode == "ALL_OLD" && before != nil:
		return before.item
	case mode == "UPDATED_OLD" && before != nil:
		return pick(before.item)
	}
	return nil
}

// clone copies an item so that its maps and lists can be changed.
func (it item) clone() item {
	out := maps.Clone(it)
	for name, v := range out {
		out[name] = v.clone()
	}
	return out
}

func (v value) clone() value {
	switch v.kind {
	case "M":
		v.m = v.m.clone()
	case "L":
		v.list = slices.Clone(v.list)
		for i := range v.list {
			v.list[i] = v.list[i].clone()
		}
	}
	return v
}
