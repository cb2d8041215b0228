package fakedynamodb

import (
	"slices"
	"strings"
)

// action is one part of an UpdateExpression.
type action struct {
	op   string // SET REMOVE ADD DELETE
	path path
	expr *node
}

const msgBadPath = "The document path provided in the update expression is invalid for update"

// parseUpdate reads SET, REMOVE, ADD and DELETE clauses, each at most once
// ("Using update expressions in DynamoDB").
func parseUpdate(text string, names *aliases) ([]action, *apiError) {
	p, err := newParser("UpdateExpression", text, names)
	if err != nil {
		return nil, err
	}
	var acts []action
	seen := map[string]bool{}
	for p.peek().kind != 0 {
		op := strings.ToUpper(p.peek().text)
		if rank(op) < 0 || p.peek().kind != 'i' {
			return nil, p.unexpected()
		}
		if seen[op] {
			return nil, p.invalid("The %q section can only be used once in an update expression;", op)
		}
		seen[op] = true
		p.next()
		for {
			a, err := p.action(op)
			if err != nil {
				return nil, err
			}
			for _, other := range acts {
				if overlap(a.path, other.path) {
					return nil, p.invalid("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", other.path, a.path)
				}
			}
			acts = append(acts, a)
			if !p.accept(",") {
				break
			}
		}
	}
	return acts, nil
}

func (p *parser) action(op string) (action, *apiError) {
	a := action{op: op}
	if k := p.peek().kind; k != 'i' && k != '#' {
		return a, p.unexpected()
	}
	var err *apiError
	if a.path, err = p.path(); err != nil || op == "REMOVE" {
		return a, err
	}
	if op == "SET" {
		if err := p.expect("="); err != nil {
			return a, err
		}
		a.expr, err = p.sum()
		return a, err
	}
	if a.expr, err = p.operand(); err != nil {
		return a, err
	}
	allowed := " SS NS BS "
	if op == "ADD" {
		allowed += "N "
	}
	if a.expr.op != "value" {
		return a, p.unexpected()
	}
	if kind := a.expr.value.kind; !strings.Contains(allowed, " "+kind+" ") {
		return a, p.invalid("Incorrect operand type for operator or function; operator: %s, operand type: %s", op, kind)
	}
	return a, nil
}

func (p *parser) sum() (*node, *apiError) {
	left, err := p.operand()
	if err != nil || !p.keyword("+", "-") {
		return left, err
	}
	op := p.next().text
	right, err := p.operand()
	return &node{op: op, kids: []*node{left, right}}, err
}

// compute is the value of a SET for the item as it was.
func (n *node) compute(old item) (value, *apiError) {
	switch n.op {
	case "value":
		return n.value, nil
	case "if_not_exists":
		if v, ok := old.get(n.kids[0].path); ok {
			return v, nil
		}
		return n.kids[1].compute(old)
	case "path":
		if v, ok := old.get(n.path); ok {
			return v, nil
		}
		return value{}, invalid("The provided expression refers to an attribute that does not exist in the item")
	}
	a, err := n.kids[0].compute(old)
	if err != nil {
		return a, err
	}
	b, err := n.kids[1].compute(old)
	if err != nil {
		return b, err
	}
	mismatch := invalid("An operand in the update expression has an incorrect data type")
	if n.op == "list_append" {
		if a.kind != "L" || b.kind != "L" {
			return a, mismatch
		}
		return value{kind: "L", list: slices.Concat(a.list, b.list)}, nil
	}
	if a.kind != "N" || b.kind != "N" {
		return a, mismatch
	}
	return addNumbers(a, b, n.op == "-")
}

func addNumbers(a, b value, subtract bool) (value, *apiError) {
	sum, err := a.num.add(b.num, subtract)
	return value{kind: "N", s: sum.text(), num: sum}, err
}

func (a action) apply(old, fresh item) *apiError {
	if a.op == "REMOVE" {
		return fresh.assign(a.path, nil)
	}
	if a.op == "SET" {
		v, err := a.expr.compute(old)
		if err != nil {
			return err
		}
		v = v.clone()
		return fresh.assign(a.path, &v)
	}
	v, err := a.combine(old)
	if err != nil {
		return err
	}
	return fresh.assign(a.path, v)
}

// combine is ADD (a number, or members of a set) and DELETE (members of a set;
// the last member takes the attribute with it).
func (a action) combine(old item) (*value, *apiError) {
	was, ok := old.get(a.path)
	arg := a.expr.value
	if !ok {
		if a.op == "ADD" {
			return &arg, nil
		}
		return nil, nil
	}
	if was.kind != arg.kind {
		return nil, invalid("An operand in the update expression has an incorrect data type")
	}
	if arg.kind == "N" {
		sum, err := addNumbers(was, arg, false)
		return &sum, err
	}
	out := value{kind: was.kind}
	for _, m := range was.set {
		if a.op == "ADD" || !slices.ContainsFunc(arg.set, m.equal) {
			out.set = append(out.set, m)
		}
	}
	if a.op == "ADD" {
		for _, m := range arg.set {
			if !slices.ContainsFunc(was.set, m.equal) {
				out.set = append(out.set, m)
			}
		}
		slices.SortFunc(out.set, compareValues)
	}
	if len(out.set) == 0 {
		return nil, nil
	}
	return &out, nil
}

// assign writes a value at a path, or removes what is there (nil). What leads to
// it must be there; removing what is not there changes nothing.
func (it item) assign(p path, v *value) *apiError {
	name := p[0].name
	if len(p) == 1 {
		if v == nil {
			delete(it, name)
		} else {
			it[name] = *v
		}
		return nil
	}
	inner, ok := it[name]
	if !ok {
		return invalid(msgBadPath)
	}
	err := inner.assign(p[1:], v)
	it[name] = inner
	return err
}

func (v *value) assign(p path, to *value) *apiError {
	i := p[0].index
	switch {
	case i < 0 && v.kind == "M":
		return v.m.assign(p, to)
	case i < 0 || v.kind != "L":
		return invalid(msgBadPath)
	case len(p) > 1 && i < len(v.list):
		return v.list[i].assign(p[1:], to)
	case len(p) > 1:
		return invalid(msgBadPath)
	case to == nil && i < len(v.list):
		v.list = slices.Delete(v.list, i, i+1)
	case to == nil:
	case i < len(v.list):
		v.list[i] = *to
	default: // beyond the end: appended
		v.list = append(v.list, *to)
	}
	return nil
}
