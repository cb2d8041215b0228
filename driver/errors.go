package driver

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	// ErrClosed is returned by every method of a table that has been closed.
	ErrClosed = errors.New("the table is closed")

	// ErrInvalidItem is wrapped by errors that an item's own content causes: a
	// key of the wrong length, an item that is too large. Trying again cannot
	// help. What the table's state, its permissions or the network cause is
	// never such an error.
	ErrInvalidItem = errors.New("invalid item")

	// ErrConflict is wrapped by the error of an item whose keys are taken by
	// another event. Trying again cannot help.
	ErrConflict = errors.New("another event is stored under the same keys")

	// ErrUnknownEncoding is wrapped by errors of an event that is stored in a form
	// which this version of the table cannot read: a newer version wrote it, or it
	// was damaged. It is worth another try once all readers are of the newer
	// version, so it is never a reason to set the event aside.
	ErrUnknownEncoding = errors.New("an event is stored in a form that this version cannot read; update it, or look for what else writes to the table")

	// ErrInvalidQuery is wrapped by errors that a query's own values cause: a
	// key of the wrong length, a cursor that is not from this query.
	ErrInvalidQuery = errors.New("invalid query")
)

// A PutError names the items of a Put that may not have been stored.
type PutError struct {
	Failures []PutFailure // in ascending order of Index, one for an item
}

// A PutFailure is one item that may not have been stored.
type PutFailure struct {
	Index int // into the items given to Put
	Err   error
}

func (e *PutError) Error() string {
	if len(e.Failures) == 0 {
		return "put: no item failed"
	}
	first := e.Failures[0]
	return fmt.Sprintf("put: %d items not stored, the first is item %d: %v", len(e.Failures), first.Index, first.Err)
}

// Unwrap returns the error of each item.
func (e *PutError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, failure := range e.Failures {
		errs[i] = failure.Err
	}
	return errs
}

// Check reports, as an error that wraps [ErrInvalidItem], what no table may
// store: keys of the wrong length or that are not valid UTF-8, and items over
// MaxItemSize. A table whose items are smaller than [Item.Size] says calls
// CheckKeys instead and compares the size that it really stores.
func (i *Item) Check() error {
	if err := i.CheckKeys(); err != nil {
		return err
	}
	if size := i.Size(); size > MaxItemSize {
		return fmt.Errorf("%w: it is %d bytes and an item can be at most %d; store less of the event with a projection", ErrInvalidItem, size, MaxItemSize)
	}
	return nil
}

// CheckKeys is the part of Check that does not look at the size.
func (i *Item) CheckKeys() error {
	if err := CheckKey("hash key", i.HashKey, MaxHashKeySize); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidItem, err)
	}
	if err := CheckKey("range key", i.RangeKey, MaxRangeKeySize); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidItem, err)
	}
	if !utf8.ValidString(i.Type) {
		return fmt.Errorf("%w: its type is not valid UTF-8", ErrInvalidItem)
	}
	if i.TTL < 0 {
		return fmt.Errorf("%w: its TTL lies before 1970", ErrInvalidItem)
	}
	return nil
}

// CheckKey reports what keeps a string from being a key. DynamoDB would put
// U+FFFD in the place of bytes that are not UTF-8, and two keys would become
// one: such a key is refused instead.
func CheckKey(name, key string, maxSize int) error {
	switch {
	case key == "":
		return fmt.Errorf("the %s is empty", name)
	case len(key) > maxSize:
		return fmt.Errorf("the %s is %d bytes long and can be at most %d", name, len(key), maxSize)
	case !utf8.ValidString(key):
		return fmt.Errorf("the %s is not valid UTF-8", name)
	}
	return nil
}

// Check reports, as an error that wraps [ErrInvalidQuery], what no table can
// answer.
func (q *Query) Check() error {
	if err := CheckKey("hash key", q.HashKey, MaxHashKeySize); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidQuery, err)
	}
	for _, bound := range [...]string{q.From, q.To} {
		if bound == "" {
			continue
		}
		if err := CheckKey("bound of the range key", bound, MaxRangeKeySize); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidQuery, err)
		}
	}
	if q.Limit < 0 {
		return fmt.Errorf("%w: the limit is negative", ErrInvalidQuery)
	}
	return nil
}
