package deploy_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Both templates are read into trees of these: a string for what is written out, an
// expr for what is not, a choice, a list ([]any), an object (map[string]any).
type (
	// An expr is a reference or a call, as text.
	expr string
	// A choice is one of two values.
	choice struct {
		condition expr
		yes, no   any
	}
)

// MarshalJSON keeps a reference from passing for text.
func (e expr) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("%s is not written out", string(e))
}

// A node is an object of a template. What is taken out of it is understood; whatever
// is left at its end is not, and fails.
type node struct {
	path    string
	members map[string]any
	hcl     bool // names are those of Terraform
	wrong   *[]error
}

func (n node) fail(format string, args ...any) {
	*n.wrong = append(*n.wrong, fmt.Errorf("%s: %s", n.path, fmt.Sprintf(format, args...)))
}

// key is what the template calls a member.
func (n node) key(name string) string {
	if !n.hcl || strings.Contains(name, " ") {
		return name
	}
	if other, ok := map[string]string{
		"Destination": "destination_arn", "KeyId": "kms_key_id", "RetentionPeriodHours": "retention_period",
		"MessageRetentionPeriod": "message_retention_seconds", "TimeToLiveSpecification": "ttl",
	}[name]; ok {
		return other
	}
	return apart(name, '_')
}

// apart has the words of a name in lower case, with a mark between them.
func apart(name string, mark byte) string {
	var text []byte
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			if i > 0 {
				text = append(text, mark)
			}
			c += 'a' - 'A'
		}
		text = append(text, c)
	}
	return string(text)
}

func (n node) take(name string) any {
	key := n.key(name)
	value, ok := n.members[key]
	if !ok {
		n.fail("has no %s", key)
	}
	delete(n.members, key)
	return value
}

// end reports what nothing has taken.
func (n node) end() {
	for name, value := range n.members {
		n.fail("has %s, which this test does not know: %v", name, value)
	}
}

// is compares a member with the values that it may have.
func (n node) is(name string, want ...any) {
	got := n.take(name)
	if !slices.ContainsFunc(want, func(w any) bool { return reflect.DeepEqual(w, got) }) {
		n.fail("%s is %v and not %v", n.key(name), got, want)
	}
}

// text is a member that is written out and not empty.
func (n node) text(name string) string {
	text, _ := n.take(name).(string)
	if text == "" {
		n.fail("%s is no text", n.key(name))
	}
	return text
}

func (n node) number(name string, least, most int) int {
	text, _ := n.take(name).(string)
	number, err := strconv.Atoi(text)
	if err != nil || number < least || number > most {
		n.fail("%s is %q and no number from %d to %d", n.key(name), text, least, most)
	}
	return number
}

// in has a member, which is an object, looked at and ended.
func (n node) in(name string, look func(node)) {
	n.inside(n.key(name), n.take(name), look)
}

func (n node) inside(name string, value any, look func(node)) {
	if list, ok := value.(blocks); ok && len(list) == 1 {
		value = list[0]
	}
	members, ok := value.(map[string]any)
	if !ok {
		n.fail("%s is no object", name)
		return
	}
	copied := make(map[string]any, len(members))
	for key, member := range members {
		copied[key] = member
	}
	inner := node{path: strings.TrimPrefix(n.path+"."+name, "."), members: copied, hcl: n.hcl, wrong: n.wrong}
	look(inner)
	inner.end()
}

// each has every object of a list looked at, of which there are as many as said;
// any number but none if that is 0.
func (n node) each(name string, count int, look func(int, node)) {
	var list []any
	switch value := n.take(name).(type) {
	case []any:
		list = value
	case blocks:
		for _, block := range value {
			list = append(list, block)
		}
	}
	if len(list) == 0 || count != 0 && len(list) != count {
		n.fail("%s has %d entries", n.key(name), len(list))
		return
	}
	for i, value := range list {
		n.inside(fmt.Sprintf("%s[%d]", n.key(name), i), value, func(inner node) { look(i, inner) })
	}
}

// values are those of a list, or the one that stands there without a list.
func (n node) values(name string) []any {
	switch value := n.take(name).(type) {
	case []any:
		return value
	case string, expr:
		return []any{value}
	}
	n.fail("%s is no list", n.key(name))
	return nil
}

// report runs the checks of a template.
func report(path string, members map[string]any, hcl bool, look func(node)) error {
	var wrong []error
	node{wrong: &wrong, hcl: hcl}.inside(path, members, look)
	return errors.Join(wrong...)
}
