package fakedynamodb

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// scanner reads the requests that are made most often without reflection. It
// understands plain requests only: whatever is unusual about one is bad, and then
// encoding/json reads it from the beginning and says what is wrong, if anything is.
type scanner struct {
	b   []byte
	at  int
	bad bool
}

// object reads an object; member is called where each value begins. A name that
// stands there twice is bad: encoding/json has its own idea of that.
func (s *scanner) object(member func(name string)) {
	var few [8]string
	names := few[:0]
	for more := s.open('{', '}'); more && !s.bad; more = s.more('}') {
		name := s.text()
		for _, before := range names {
			s.bad = s.bad || before == name
		}
		names = append(names, name)
		if s.expect(':'); !s.bad {
			member(name)
		}
	}
}

func (s *scanner) list(element func()) {
	for more := s.open('[', ']'); more && !s.bad; more = s.more(']') {
		element()
	}
}

// open reads the beginning of an object or a list; false if nothing is in it.
func (s *scanner) open(first, last byte) bool {
	s.expect(first)
	if s.peek() == last {
		s.at++
		return false
	}
	return true
}

func (s *scanner) more(last byte) bool {
	c := s.peek()
	s.at++
	s.bad = s.bad || c != ',' && c != last
	return c == ','
}

// peek is the next byte that is not white space; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) {
	s.bad = s.bad || s.peek() != c
	s.at++
}

// end tells whether all was understood, to the last byte.
func (s *scanner) end() bool {
	return !s.bad && s.peek() == 0 && s.at == len(s.b)
}

func (s *scanner) textAt() *string {
	text := s.text()
	return &text
}

// text reads a string.
func (s *scanner) text() string {
	if s.expect('"'); s.bad {
		return ""
	}
	from := s.at
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			raw := s.b[from:s.at]
			s.at++
			s.bad = s.bad || !utf8.Valid(raw)
			return string(raw)
		case c == '\\':
			return s.escaped(from)
		case c < ' ':
			s.bad = true
			return ""
		}
	}
	s.bad = true
	return ""
}

// escaped is text from the first backslash on.
func (s *scanner) escaped(from int) string {
	var text strings.Builder
	text.Grow(s.at - from + 256)
	text.Write(s.b[from:s.at])
	for start := s.at; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			text.Write(s.b[start:s.at])
			s.at++
			s.bad = s.bad || !utf8.ValidString(text.String())
			return text.String()
		case c == '\\' && s.at+1 < len(s.b):
			text.Write(s.b[start:s.at])
			s.at++
			n := strings.IndexByte(`"\/bfnrt`, s.b[s.at])
			if n < 0 {
				s.bad = true
				return ""
			}
			text.WriteByte("\"\\/\b\f\n\r\t"[n])
			start = s.at + 1
		case c < ' ' || c == '\\':
			s.bad = true
			return ""
		}
	}
	s.bad = true
	return ""
}

func (s *scanner) boolean() bool {
	for _, word := range []string{"true", "false"} {
		if s.peek() == word[0] && bytes.HasPrefix(s.b[s.at:], []byte(word)) {
			s.at += len(word)
			return word == "true"
		}
	}
	s.bad = true
	return false
}

// raw is an object as it stands there; only objects and strings are in it.
func (s *scanner) raw() json.RawMessage {
	s.peek()
	from := s.at
	s.skip(0)
	if s.bad {
		return nil
	}
	return s.b[from:s.at:s.at]
}

func (s *scanner) skip(depth int) {
	switch {
	case depth > 100:
		s.bad = true
	case s.peek() == '"':
		s.skipText()
	default:
		for more := s.open('{', '}'); more && !s.bad; more = s.more('}') {
			s.skipText()
			s.expect(':')
			if !s.bad {
				s.skip(depth + 1)
			}
		}
	}
}

func (s *scanner) skipText() {
	s.expect('"')
	for ; s.at < len(s.b) && !s.bad; s.at++ {
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return
		case c == '\\':
			s.at++
			s.bad = s.at == len(s.b) || strings.IndexByte(`"\/bfnrt`, s.b[s.at]) < 0
		case c < ' ':
			s.bad = true
		}
	}
	s.bad = true
}
