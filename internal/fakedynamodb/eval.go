package fakedynamodb

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// get follows a document path.
func (it item) get(p path) (value, bool) {
	v, ok := it[p[0].name]
	for _, s := range p[1:] {
		switch {
		case !ok:
			return value{}, false
		case s.index < 0:
			v, ok = v.m[s.name] // nil map unless v is an M
		case v.kind == "L" && s.index < len(v.list):
			v = v.list[s.index]
		default:
			return value{}, false
		}
	}
	return v, ok
}

// eval is an operand's value for an item; false where there is none.
func (n *node) eval(it item) (value, bool) {
	switch n.op {
	case "value":
		return n.value, true
	case "path":
		return it.get(n.path)
	case "size":
		return n.kids[0].sizeOf(it)
	}
	return value{}, false
}

// sizeOf is the function size: characters are counted for a string, bytes for
// binary, members for the rest; numbers and booleans have none ("Condition and
// filter expressions, operators, and functions in DynamoDB").
func (n *node) sizeOf(it item) (value, bool) {
	v, ok := n.eval(it)
	if !ok {
		return v, false
	}
	size := 0
	switch v.kind {
	case "S":
		size = utf8.RuneCountInString(v.s)
	case "B":
		size = len(v.s)
	case "SS", "NS", "BS":
		size = len(v.set)
	case "L":
		size = len(v.list)
	case "M":
		size = len(v.m)
	default:
		return v, false
	}
	return intValue(size), true
}

// match says whether a condition holds for an item. A comparison with an
// attribute that is not there, or is of another type, does not hold; <> does
// ("Condition and filter expressions, operators, and functions in DynamoDB").
func (n *node) match(it item) bool {
	switch n.op {
	case "AND":
		return n.kids[0].match(it) && n.kids[1].match(it)
	case "OR":
		return n.kids[0].match(it) || n.kids[1].match(it)
	case "NOT":
		return !n.kids[0].match(it)
	case "attribute_exists":
		_, ok := n.kids[0].eval(it)
		return ok
	case "attribute_not_exists":
		_, ok := n.kids[0].eval(it)
		return !ok
	}
	args := make([]value, len(n.kids))
	for i, k := range n.kids {
		v, ok := k.eval(it)
		if !ok && n.op != "<>" && n.op != "IN" {
			return false
		}
		args[i] = v
	}
	a, b := args[0], args[min(1, len(args)-1)]
	switch n.op {
	case "=":
		return a.equal(b)
	case "<>":
		return !a.equal(b)
	case "IN":
		return a.kind != "" && slices.ContainsFunc(args[1:], a.equal)
	case "BETWEEN":
		return ordered("<=", b, a) && ordered("<=", a, args[2])
	case "begins_with":
		return a.kind == b.kind && (a.kind == "S" || a.kind == "B") && strings.HasPrefix(a.s, b.s)
	case "attribute_type":
		return b.kind == "S" && a.kind == b.s
	case "contains":
		return a.contains(b)
	}
	return ordered(n.op, a, b)
}

func (v value) contains(o value) bool {
	switch v.kind {
	case "S", "B":
		return o.kind == v.kind && strings.Contains(v.s, o.s)
	case "L":
		return slices.ContainsFunc(v.list, o.equal)
	default:
		return slices.ContainsFunc(v.set, o.equal)
	}
}

func ordered(op string, a, b value) bool {
	if a.kind != b.kind || a.kind != "S" && a.kind != "N" && a.kind != "B" {
		return false
	}
	c := compareValues(a, b)
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}
