// Package driver is the contract between the micro event store and the table
// that keeps its items. Users of the store do not need it; whoever writes a new
// kind of table implements [Table] and proves it with package drivertest.
//
// # The model
//
// A table holds items. An item is found by two keys, as in DynamoDB: the hash
// key groups items into collations, the range key orders them within one. Both
// are compared byte by byte. A table has at most one item for a pair of keys.
//
// # Rules for every implementation
//
//   - All methods are safe for use by many goroutines at once.
//   - Every method honours its context: it returns soon after the context ends,
//     or a little before its deadline, with an error that wraps the context's,
//     unless it had finished by then.
//   - What a method was given belongs to its caller again once it has returned:
//     a table that needs the bytes for longer copies them. What a method returns
//     is never changed afterwards, by either side, but for what is given back to a [Releaser].
//   - After Close every method returns [ErrClosed]; Close itself returns nil when
//     it is called again.
//   - No method panics, whatever its arguments are and whatever the storage holds.
//   - No error text contains a key or a payload. They are the user's secrets.
package driver

import (
	"context"
	"time"
)

// Limits that DynamoDB sets and that every table keeps to, so that what one
// table takes every other one takes too. All are in bytes. Source: "Quotas in
// Amazon DynamoDB", Amazon DynamoDB Developer Guide.
const (
	MaxHashKeySize  = 2048
	MaxRangeKeySize = 1024
	MaxItemSize     = 409_600
)

// MarkerPrefix begins the range keys that are reserved for the store's own
// bookkeeping. A table treats such items like any other; the store leaves them
// out of histories.
const MarkerPrefix = "\x01"

// An Item is one event under one hash key.
type Item struct {
	HashKey  string // 1 to MaxHashKeySize bytes of valid UTF-8
	RangeKey string // 1 to MaxRangeKeySize bytes of valid UTF-8

	// Event is the event's JSON. A table gives it back byte for byte.
	Event []byte

	// Type and Timestamp stand beside the event so that people and stream
	// filters can see them. Type is valid UTF-8. Timestamp has millisecond
	// resolution (a table cuts a finer one to milliseconds); the zero time means
	// that the event has none.
	Type      string
	Timestamp time.Time

	// ID and PartitionKey repeat what Event says, if Complete is set. A table may
	// keep all three as they were put, which saves the store from parsing Event
	// again, or return them empty.
	ID           string
	PartitionKey string
	Complete     bool

	// Outline is for the tables of this module: where one has looked at all of
	// Event already, it says what the store would have to look for again. It counts
	// for Event in the very memory that it was made for: whoever changes bytes there
	// sets it to nil. Tables of others leave it nil, which is always
	// right.
	Outline any

	// SequenceNumber is that of the record that brought the event, and no part of
	// the event. Only a [ForeignLayout] is given it.
	SequenceNumber string

	// TTL is when the item expires, in seconds since 1970-01-01T00:00:00Z, or 0
	// for never. A table may delete the item at any moment after that, and need
	// never do so: readers leave expired items out themselves.
	TTL int64
}

// Expired tells whether the item's TTL has been reached.
func (i *Item) Expired(now time.Time) bool {
	return i.TTL != 0 && now.Unix() >= i.TTL
}

// A Query selects the items of one hash key.
type Query struct {
	HashKey string

	// From and To bound the range keys, both inclusive; "" sets no bound.
	// Bounds that no key can lie between select nothing.
	From, To string

	// Descending returns the greatest range key first.
	Descending bool

	// Limit is the most items that a page may hold; 0 leaves it to the table.
	// With a Limit or without, a table bounds its pages by a few MB. A page may hold fewer
	// items than Limit, or none, and still not be the last.
	Limit int

	// Consistent asks to see every Put that had returned before the call began.
	Consistent bool

	// Cursor is the Next of the page before, or "" for the first page. All other
	// fields but Limit are as they were then. A cursor does not survive an
	// upgrade of the table.
	Cursor string
}

// A Page is a part of the answer to a Query.
type Page struct {
	// Items are in range-key order, without gaps or repetitions from page to
	// page as far as items that existed all the while are concerned. They may
	// share memory with each other.
	Items []Item

	// Next is the cursor of the next page; "" after the last one.
	Next string

	// Consistent says that the page shows every Put that had returned before
	// the Query began. A table that was asked for it and cannot say so leaves
	// it false; it never guesses.
	Consistent bool

	// Room is by what a [Releaser] knows the page again. Other tables leave it nil.
	Room any
}

// A Table stores items. See the package comment for the rules that hold for all
// its methods.
type Table interface {
	// Put stores items, each one replacing the item with the same keys. No two
	// of them have the same keys. An item that is replaced by an identical one
	// is not a change: nothing appears in the table's change stream.
	//
	// nil means that every item is stored, as durably as the table ever stores.
	// A *PutError says which items may not be; all others are stored. With any
	// other error each item may or may not be stored. An error that is the fault
	// of an item's own content, and will be so for ever, wraps [ErrInvalidItem];
	// no other error does. One invalid item never keeps the others from being
	// stored.
	Put(ctx context.Context, items []Item) error

	// Query returns one page of the items of a hash key. A hash key that has no
	// items is no error. A table may return items that have expired.
	Query(ctx context.Context, query Query) (Page, error)

	// Close waits for calls under way and releases everything the table holds.
	Close() error
}

// A Releaser is a Table that uses the memory of a page again, if it gets it back.
type Releaser interface {
	// Release takes back a page that Query returned: its Items, which nobody looks at
	// again, and what their Outlines say. The strings and the Events that the items had
	// stay as they are. A page that is not given back is as good, and one that is given
	// back twice is given back once.
	//
	// A table that is made of another one and keeps any of its Items must hide the other's
	// Release, which comes along where the other is embedded as what it is.
	Release(page Page)
}

// A Deleter is a Table that can delete a collation.
type Deleter interface {
	// Delete removes every item of a hash key, markers too, and returns how
	// many there were. Each removal appears in the change stream as one that
	// was not an expiry. Items put while Delete runs may stay. After an error
	// some items may be gone; calling Delete again finishes the work.
	Delete(ctx context.Context, hashKey string) (int, error)
}

// A ForeignLayout is a Table that can keep its items as another program does, so
// that both work on one table.
type ForeignLayout interface {
	// ForeignLayout tells whether this table does. Then an event has its place
	// under one hash key alone, and there it stands by its time and its id: the
	// store refuses options that want anything else. Such a table vouches for
	// nothing (see Page.Consistent) but in the answer to a Query for one range
	// key, with From and To the same.
	ForeignLayout() bool
}

// HasForeignLayout tells whether a table is a [ForeignLayout] that says so. What
// keys a change of such a table has does not follow from its Keys alone: hosts take
// them from an image of the item where there is one.
func HasForeignLayout(table Table) bool {
	foreign, ok := table.(ForeignLayout)
	return ok && foreign.ForeignLayout()
}

// An ImageDecoder is a Table whose change stream carries images of its items in
// DynamoDB JSON, as DynamoDB Streams does. Hosts use it to make changes of them.
type ImageDecoder interface {
	// DecodeImage makes an item of an image: {"name":{"S":"value"},...}, as it
	// stands in a stream record. An image that holds no event, such as the keys
	// alone, gives an item whose Event is nil. The item shares no memory with
	// the image.
	//
	// An error wraps [ErrUnknownEncoding] if only a newer version can read the
	// event, and [ErrInvalidItem] if nothing ever will: the image is not
	// DynamoDB JSON, or a key is missing or not a string.
	DecodeImage(image []byte) (Item, error)
}

// A BatchImageDecoder is an ImageDecoder that decodes many images at less cost.
type BatchImageDecoder interface {
	ImageDecoder

	// NewImageDecoder returns a function that does as DecodeImage does, for the
	// images of one batch. Their items share memory with one another, none with
	// the images. The function must not be called by several goroutines at once.
	NewImageDecoder() func(image []byte) (Item, error)
}

// An ImageScanner is a BatchImageDecoder that can decode an image while whoever
// holds the text around it is on its way through, so that nobody walks it twice.
type ImageScanner interface {
	BatchImageDecoder

	// NewImageScanner returns a function that makes an item of the image which a
	// text begins with: the same as DecodeImage does, and how many bytes the image
	// has. They are valid JSON in UTF-8; what comes after them is not looked at. It
	// is false for an image that has to be decoded by itself, such as one that holds
	// more than its own length, or is none. It is for the images of one text, in
	// their order, and must not be called by several goroutines at once. What the
	// item's Outline says is good until the next call.
	NewImageScanner() func(text []byte) (item Item, size int, ok bool)
}

// PutIfAbsent is a Table that can leave alone what it has already.
type PutIfAbsent interface {
	// PutIfAbsent is like Put, but an item whose keys are taken changes nothing.
	// If the item that has them holds another event (its bytes are compared, not
	// its other attributes), that is an error of this item alone, which wraps
	// [ErrConflict]. An item that has expired does not count as there.
	PutIfAbsent(ctx context.Context, items []Item) error
}

// Checkpoints is a Table that can keep, beside its items, how far readers of
// streams have come. Hosts use it where the stream itself does not remember.
type Checkpoints interface {
	// Checkpoint returns what was set last under a name, or "" when nothing was.
	Checkpoint(ctx context.Context, name string) (string, error)
	// SetCheckpoint sets what a name stands for, and returns when that is
	// durable. Name and value have 1 to MaxRangeKeySize bytes of valid UTF-8; an
	// error that wraps ErrInvalidItem says that they have not. Neither touches an
	// item, nor appears in the change stream.
	SetCheckpoint(ctx context.Context, name, value string) error
}
