package fakedynamodb

import "strings"

// keyCondition is a KeyConditionExpression: one HASH value, and an interval of
// RANGE values.
type keyCondition struct {
	hash value
	op   string // "" = all
	a, b string // sort keys of the operands
}

// readKeyCondition holds a parsed condition against a key schema: equality on
// HASH, and at most one more condition, on RANGE, with =, <, <=, >, >=, BETWEEN
// or begins_with ("Key condition expressions for the Query operation in
// DynamoDB").
func readKeyCondition(n *node, s schema) (keyCondition, *apiError) {
	var c keyCondition
	parts := []*node{n}
	if n.op == "AND" {
		parts = n.kids
	}
	seen := map[string]bool{}
	for _, p := range parts {
		switch p.op {
		case "AND":
			return c, invalid("Conditions can be of length 1 or 2 only")
		case "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with":
		default:
			return c, invalid("Invalid operator used in KeyConditionExpression: %s", p.op)
		}
		left, values := operands(p)
		if left == nil {
			return c, invalid("Invalid KeyConditionExpression: Operands of a condition must be a key attribute and values")
		}
		name := left.path[0].name
		if len(left.path) > 1 {
			return c, invalid("Key Condition Expression does not support nested attributes")
		}
		if seen[name] {
			return c, invalid("Invalid KeyConditionExpression: The number of conditions on the keys is invalid")
		}
		seen[name] = true
		if err := c.set(p.op, name, values, s); err != nil {
			return c, err
		}
	}
	if !seen[s.hash.name] {
		return c, invalid("Query condition missed key schema element: %s", s.hash.name)
	}
	if len(seen) == 2 && !seen[s.rng.name] {
		if s.rng.name == "" {
			return c, invalid("Query key condition not supported")
		}
		return c, invalid("Query condition missed key schema element: %s", s.rng.name)
	}
	return c, nil
}

// operands gives the path and the values of one condition; "value = path" is
// turned round.
func operands(n *node) (left *node, values []value) {
	kids := n.kids
	if n.op == "=" && kids[0].op == "value" {
		kids = []*node{kids[1], kids[0]}
	}
	if kids[0].op != "path" {
		return nil, nil
	}
	for _, k := range kids[1:] {
		if k.op != "value" {
			return nil, nil
		}
		values = append(values, k.value)
	}
	return kids[0], values
}

func (c *keyCondition) set(op, name string, values []value, s schema) *apiError {
	var k key
	switch name {
	case s.hash.name:
		k = s.hash
	case s.rng.name:
		k = s.rng
	default:
		return nil // the missing key is the error that the service names
	}
	for _, v := range values {
		if v.kind != k.kind {
			return invalidParameter("Condition parameter type does not match schema type")
		}
		if err := checkKeySizes(s, item{name: v}, ""); err != nil && op != "begins_with" {
			return err
		}
	}
	if name == s.hash.name {
		if op != "=" {
			return invalid("Query key condition not supported")
		}
		c.hash = values[0]
		return nil
	}
	c.op = op
	c.a = values[0].sortKey()
	if len(values) > 1 {
		c.b = values[1].sortKey()
	}
	return nil
}

// includes: the RANGE value is in the interval.
func (c keyCondition) includes(s string) bool {
	switch c.op {
	case "=":
		return s == c.a
	case "<":
		return s < c.a
	case "<=":
		return s <= c.a
	case ">":
		return s > c.a
	case ">=":
		return s >= c.a
	case "BETWEEN":
		return s >= c.a && s <= c.b
	case "begins_with":
		return strings.HasPrefix(s, c.a)
	}
	return true
}

// below: the RANGE value lies before the interval.
func (c keyCondition) below(s string) bool {
	switch c.op {
	case "=", ">=", "BETWEEN", "begins_with":
		return s < c.a
	case ">":
		return s <= c.a
	}
	return false
}
