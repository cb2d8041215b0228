// Package pageway sees that the pages of a query can follow one another: for whoever
// reads a table page by page, and would go on for ever where they lead in a circle.
package pageway

import (
	"errors"

	"github.com/microeventstore/microeventstore/driver"
)

// A Way is what is remembered of the pages before. Its zero value is for a query that
// begins.
type Way struct {
	previous string // the range key of the last item

	// Of empty pages in a row: how many there were, and where one of them led. That
	// is the one of the last power of two (Brent's way to find a circle of any size).
	empty int
	mark  string
}

// Check returns why the next page of a query cannot be right.
func (w *Way) Check(query *driver.Query, page *driver.Page) error {
	switch {
	case len(page.Items) > 0:
		w.empty = 0
	case page.Next != "" && w.circles(page.Next):
		return errors.New("empty pages lead in a circle")
	}
	for i := range page.Items {
		item := &page.Items[i]
		if item.HashKey != query.HashKey {
			return errors.New("an item belongs to another hash key")
		}
		if w.previous != "" && (item.RangeKey <= w.previous) != query.Descending || item.RangeKey == w.previous {
			return errors.New("the items are not in the order of their range keys")
		}
		w.previous = item.RangeKey
	}
	return nil
}

// circles notes where an empty page leads. It tells, sooner or later, whether such
// pages go round.
func (w *Way) circles(next string) bool {
	w.empty++
	if w.empty > 1 && next == w.mark {
		return true
	}
	if w.empty&(w.empty-1) == 0 {
		w.mark = next
	}
	return false
}
