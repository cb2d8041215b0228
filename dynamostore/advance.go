package dynamostore

import "github.com/microeventstore/microeventstore/driver"

// leads returns the range key at which the answer to a query goes on, "" if it is
// the last. last is the range key of the answer's last item, if it has one, and
// after that of the page before. DynamoDB goes on after the last item that it has
// looked at, which without a filter is the last one that it sends; whatever leads
// elsewhere would leave events out, or never end.
func (l *layout) leads(query *driver.Query, goesOn attributes, last, after string) (string, error) {
	if len(goesOn) == 0 {
		return "", nil
	}
	key, ok := l.keyOf(goesOn)
	switch {
	case !ok || key.hashKey != query.HashKey || key.rangeKey == "":
		return "", wrongAnswer("Query", "the answer goes on at a key that is not of this query")
	case last != "" && key.rangeKey != last:
		return "", wrongAnswer("Query", "the answer goes on elsewhere than after its last item")
	case after != "" && (key.rangeKey == after || key.rangeKey < after != query.Descending):
		return "", wrongAnswer("Query", "the answer goes on at a key that does not come after the page before")
	}
	return key.rangeKey, nil
}

// within tells whether a query asks for a range key.
func within(query *driver.Query, rangeKey string) bool {
	return rangeKey >= query.From && (query.To == "" || rangeKey <= query.To)
}

// A trail is where the pages of an answer without a known order have gone on. It
// sees that they do not lead in a circle.
type trail map[itemKey]bool

func (t trail) add(l *layout, goesOn attributes) error {
	key, ok := l.keyOf(goesOn)
	if !ok || t[key] {
		return wrongAnswer("Query", "the answer goes on at no key, or at one where it has been before")
	}
	t[key] = true
	return nil
}
