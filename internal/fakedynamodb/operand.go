package fakedynamodb

import (
	"strconv"
	"strings"
)

// operand reads a value, a document path or a function call.
func (p *parser) operand() (*node, *apiError) {
	t := p.peek()
	switch {
	case t.kind == ':':
		p.next()
		v, err := p.names.value(p.kind, t.text)
		return &node{op: "value", value: v}, err
	case t.kind == 'i' && len(p.tokens) > 1 && p.tokens[1].text == "(":
		p.next()
		return p.function(t.text)
	case t.kind == 'i' || t.kind == '#':
		path, err := p.path()
		return &node{op: "path", path: path}, err
	}
	return nil, p.unexpected()
}

func (p *parser) function(name string) (*node, *apiError) {
	want := map[string]int{"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2,
		"begins_with": 2, "contains": 2, "size": 1}
	if p.kind == "UpdateExpression" {
		want = map[string]int{"if_not_exists": 2, "list_append": 2}
	}
	count, ok := want[name]
	if !ok {
		return nil, p.invalid("Invalid function name; function: %s", name)
	}
	kids, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if len(kids) != count {
		return nil, p.invalid("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(kids))
	}
	n := &node{op: name, kids: kids}
	return n, p.checkOperands(n)
}

// checkOperands refuses operands that no item could make right.
func (p *parser) checkOperands(n *node) *apiError {
	var want string
	switch n.op {
	case "attribute_exists", "attribute_not_exists", "if_not_exists":
		if n.kids[0].op != "path" {
			return p.invalid("Operator or function requires a document path; operator or function: %s", n.op)
		}
		return nil
	case "<", "<=", ">", ">=", "BETWEEN":
		want = "S N B"
	case "begins_with":
		want = "S B"
	case "size":
		if n.kids[0].op == "value" && strings.Contains("N BOOL NULL", n.kids[0].value.kind) {
			return p.invalid("Incorrect operand type for operator or function; operator or function: size, operand type: %s", n.kids[0].value.kind)
		}
		return nil
	default:
		return nil
	}
	for _, k := range n.kids {
		if k.op == "value" && !strings.Contains(" "+want+" ", " "+k.value.kind+" ") {
			return p.invalid("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", n.op, k.value.kind)
		}
	}
	if n.op == "BETWEEN" && n.kids[1].op == "value" && n.kids[2].op == "value" {
		low, high := n.kids[1].value, n.kids[2].value
		if low.kind != high.kind {
			return p.invalid("The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", show(low), show(high))
		}
		if compareValues(low, high) > 0 {
			return p.invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", show(low), show(high))
		}
	}
	return nil
}

func show(v value) string { return "{" + v.kind + ":" + v.s + "}" }

// path reads name, name.name, name[0] and so on.
func (p *parser) path() (path, *apiError) {
	var out path
	for {
		t := p.next()
		name, err := p.names.name(p.kind, t)
		if err != nil {
			return nil, err
		}
		out = append(out, step{name: name, index: -1})
		for p.accept("[") {
			n := p.next()
			i, bad := strconv.Atoi(n.text)
			if n.kind != 'n' || bad != nil {
				return nil, syntaxError(p.kind, p.text, n.text, n.at)
			}
			out = append(out, step{index: i})
			if err := p.expect("]"); err != nil {
				return nil, err
			}
		}
		if !p.accept(".") {
			return out, nil
		}
		if k := p.peek().kind; k != 'i' && k != '#' {
			return nil, p.unexpected()
		}
	}
}
