package fakedynamodb

import "strings"

// token is one word of an expression.
type token struct {
	kind byte // 'i' identifier, '#' alias, ':' value, 'n' digits, 'o' operator, 0 end
	text string
	at   int
}

// maxExpression is "Quotas in Amazon DynamoDB", expression parameters: any
// expression string is at most 4 KB.
const maxExpression = 4 << 10

// lex splits an expression into tokens ("Using expressions in DynamoDB").
func lex(kind, text string) ([]token, *apiError) {
	if text == "" {
		return nil, invalid("Invalid %s: The expression can not be empty;", kind)
	}
	if len(text) > maxExpression {
		return nil, invalid("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", kind, len(text))
	}
	var out []token
	for i := 0; i < len(text); {
		c := text[i]
		start := i
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		case c == '#' || c == ':':
			for i++; i < len(text) && isWord(text[i]); i++ {
			}
			if i == start+1 {
				return nil, syntaxError(kind, text, text[start:i], start)
			}
			out = append(out, token{c, text[start:i], start})
		case c >= '0' && c <= '9':
			for ; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
			}
			out = append(out, token{'n', text[start:i], start})
		case isWord(c):
			for ; i < len(text) && isWord(text[i]); i++ {
			}
			out = append(out, token{'i', text[start:i], start})
		case strings.HasPrefix(text[i:], "<>"), strings.HasPrefix(text[i:], "<="), strings.HasPrefix(text[i:], ">="):
			i += 2
			out = append(out, token{'o', text[start:i], start})
		case strings.IndexByte("=<>(),.[]+-", c) >= 0:
			i++
			out = append(out, token{'o', text[start:i], start})
		default:
			return nil, syntaxError(kind, text, text[start:start+1], start)
		}
	}
	return append(out, token{at: len(text)}), nil
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func syntaxError(kind, text, tok string, at int) *apiError {
	if tok == "" {
		tok = "<EOF>"
	}
	near := text[max(0, at-6):min(len(text), at+len(tok)+6)]
	return invalid("Invalid %s: Syntax error; token: %q, near: %q", kind, tok, near)
}
