package deploy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// blocks are those of one type and with the same labels.
type blocks []map[string]any

// parseHCL reads as much of HashiCorp's language as the template is written in, and
// fails at the rest. A block is found under its type and labels, with spaces between.
func parseHCL(text string) (map[string]any, error) {
	p := &hclParser{}
	pattern := regexp.MustCompile(`^(?:#[^\n]*|[ \t]+|("(?:[^"\\$\n]|\\.|\$\{[^}\n]*\}|\$)*"|-?\d+(?:\.\d+)?|[A-Za-z_][\w-]*|<=|>=|==|!=|&&|\|\||[=?:,.(){}\[\]\n]))`)
	for rest := text; rest != ""; {
		match := pattern.FindStringSubmatch(rest)
		if match == nil {
			line, _, _ := strings.Cut(rest, "\n")
			return nil, fmt.Errorf("it cannot be read from here: %q", line)
		}
		if match[1] != "" {
			p.tokens = append(p.tokens, match[1])
		}
		rest = rest[len(match[0]):]
	}
	body := p.body("")
	return body, p.err
}

type hclParser struct {
	tokens []string
	err    error
}

// peek returns the next token; an empty one at the end, and after an error.
func (p *hclParser) peek() string {
	if len(p.tokens) == 0 || p.err != nil {
		return ""
	}
	return p.tokens[0]
}

func (p *hclParser) next() string {
	token := p.peek()
	if token != "" {
		p.tokens = p.tokens[1:]
	}
	return token
}

func (p *hclParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *hclParser) want(token string) {
	if got := p.next(); got != token {
		p.fail("%q where %q should be", got, token)
	}
}

func (p *hclParser) lines() {
	for p.peek() == "\n" {
		p.next()
	}
}

func isName(token string) bool {
	return token != "" && (token[0] == '_' || 'A' <= token[0] && token[0] <= 'Z' || 'a' <= token[0] && token[0] <= 'z')
}

// name is a name, or a string as a label or a key.
func (p *hclParser) name() string {
	token := p.next()
	if text, err := strconv.Unquote(token); err == nil {
		return text
	}
	if !isName(token) {
		p.fail("%q where a name should be", token)
	}
	return token
}

func (p *hclParser) body(end string) map[string]any {
	members := make(map[string]any)
	for p.lines(); p.peek() != end && p.err == nil; p.lines() {
		name := p.name()
		if p.peek() == "=" {
			p.next()
			p.add(members, name, p.value())
		} else {
			for p.peek() != "{" && p.err == nil {
				name += " " + p.name()
			}
			p.want("{")
			block := p.body("}")
			p.want("}")
			if list, ok := members[name].(blocks); ok {
				members[name] = append(list, block)
			} else {
				p.add(members, name, blocks{block})
			}
		}
		if p.peek() != end { // a block on one line
			p.want("\n")
		}
	}
	return members
}

func (p *hclParser) add(members map[string]any, name string, value any) {
	if _, ok := members[name]; ok {
		p.fail("%s stands twice", name)
	}
	members[name] = value
}

// value is an expression: one value, a comparison of several, or a choice.
func (p *hclParser) value() any {
	before := p.tokens
	value := p.single()
	for slices.Contains([]string{"<=", ">=", "==", "!=", "&&", "||"}, p.peek()) {
		p.next()
		p.single()
		value = expr(strings.ReplaceAll(strings.Join(before[:len(before)-len(p.tokens)], " "), " . ", "."))
	}
	if p.peek() != "?" {
		return value
	}
	condition, ok := value.(expr)
	if !ok {
		p.fail("a choice by %v", value)
	}
	p.want("?")
	yes := p.value()
	p.want(":")
	return choice{condition, yes, p.value()}
}

func (p *hclParser) single() any {
	token := p.next()
	switch {
	case token == "[":
		list := []any{}
		for p.lines(); p.peek() != "]" && p.err == nil; p.lines() {
			list = append(list, p.value())
			if p.lines(); p.peek() != "]" {
				p.want(",")
			}
		}
		p.want("]")
		return list
	case token == "{":
		members := make(map[string]any)
		for p.lines(); p.peek() != "}" && p.err == nil; p.lines() {
			name := p.name()
			p.want("=")
			p.add(members, name, p.value())
			if p.peek() == "," {
				p.next()
			} else if p.peek() != "}" {
				p.want("\n")
			}
		}
		p.want("}")
		return members
	case strings.HasPrefix(token, `"`):
		if strings.Contains(token, "${") {
			return expr(token[1 : len(token)-1])
		}
		text, err := strconv.Unquote(token)
		if err != nil {
			p.fail("%s: %w", token, err)
		}
		return text
	case token == "true" || token == "false" || strings.Trim(token, "-.0123456789") == "" && strings.ContainsAny(token, "0123456789"):
		return token
	case !isName(token):
		p.fail("%q where a value should be", token)
	}
	if p.peek() == "(" {
		p.next()
		argument := p.value()
		p.want(")")
		if token == "jsonencode" {
			return argument
		}
		return expr(fmt.Sprintf("%s(%v)", token, argument))
	}
	for p.peek() == "." {
		p.next()
		token += "." + p.name()
	}
	return expr(token)
}
