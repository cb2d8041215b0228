package fakedynamodb

import (
	"strconv"
	"strings"
)

// node is a part of a condition: a leaf (path or value), an operator over
// operands, or a function call.
type node struct {
	op     string // AND OR NOT = <> < <= > >= BETWEEN IN, a function's name, "path" or "value"
	kids   []*node
	path   path
	value  value
	parens bool
}

// path is a document path: an attribute name, then map keys and list indexes.
type path []step

type step struct {
	name  string
	index int // -1: a name
}

func (p path) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.name
		if s.index >= 0 {
			parts[i] = "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// parser reads one expression of a call. Names and values are shared by all
// the expressions of the call, which together must use each of them.
type parser struct {
	kind   string // ConditionExpression, ...
	text   string
	tokens []token
	names  *aliases
}

func newParser(kind, text string, names *aliases) (*parser, *apiError) {
	tokens, err := lex(kind, text)
	return &parser{kind, text, tokens, names}, err
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) keyword(words ...string) bool {
	t := p.peek()
	for _, w := range words {
		if t.kind == 'i' && strings.EqualFold(t.text, w) || t.kind == 'o' && t.text == w {
			return true
		}
	}
	return false
}

func (p *parser) accept(words ...string) bool {
	if p.keyword(words...) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(word string) *apiError {
	if p.accept(word) {
		return nil
	}
	return p.unexpected()
}

func (p *parser) unexpected() *apiError {
	t := p.peek()
	return syntaxError(p.kind, p.text, t.text, t.at)
}

func (p *parser) invalid(format string, args ...any) *apiError {
	err := invalid(format, args...)
	err.message = "Invalid " + p.kind + ": " + err.message
	return err
}

// parseCondition reads a whole condition, filter or key condition. The grammar
// and its precedence (NOT, then AND, then OR) are those of "Condition and
// filter expressions, operators, and functions in DynamoDB".
func parseCondition(kind, text string, names *aliases) (*node, *apiError) {
	p, err := newParser(kind, text, names)
	if err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != 0 {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *parser) or() (*node, *apiError) {
	left, err := p.and()
	for err == nil && p.accept("OR") {
		var right *node
		right, err = p.and()
		left = &node{op: "OR", kids: []*node{left, right}}
	}
	return left, err
}

func (p *parser) and() (*node, *apiError) {
	left, err := p.not()
	for err == nil && p.accept("AND") {
		var right *node
		right, err = p.not()
		left = &node{op: "AND", kids: []*node{left, right}}
	}
	return left, err
}

func (p *parser) not() (*node, *apiError) {
	if p.accept("NOT") {
		n, err := p.not()
		return &node{op: "NOT", kids: []*node{n}}, err
	}
	if p.accept("(") {
		n, err := p.or()
		if err == nil {
			err = p.expect(")")
		}
		if err == nil && n.parens {
			err = p.invalid("The expression has redundant parentheses;")
		}
		if err != nil {
			return nil, err
		}
		n.parens = true
		return n, nil
	}
	return p.comparison()
}

// boolean says which functions stand alone as a condition; size does not.
func (n *node) boolean() bool {
	switch n.op {
	case "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains":
		return true
	}
	return false
}

func (p *parser) comparison() (*node, *apiError) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	var n *node
	switch {
	case p.accept("=", "<>", "<", "<=", ">", ">="):
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		n = &node{op: t.text, kids: []*node{left, right}}
	case p.accept("BETWEEN"):
		low, err := p.operand()
		if err == nil {
			err = p.expect("AND")
		}
		if err != nil {
			return nil, err
		}
		high, err := p.operand()
		if err != nil {
			return nil, err
		}
		n = &node{op: "BETWEEN", kids: []*node{left, low, high}}
	case p.accept("IN"):
		kids, err := p.arguments()
		if err != nil {
			return nil, err
		}
		n = &node{op: "IN", kids: append([]*node{left}, kids...)}
	case left.boolean():
		return left, nil
	default:
		return nil, p.unexpected()
	}
	return n, p.checkOperands(n)
}

func (p *parser) arguments() ([]*node, *apiError) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var out []*node
	for {
		n, err := p.operand()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if !p.accept(",") {
			return out, p.expect(")")
		}
	}
}
