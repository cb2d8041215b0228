package lambdahandler

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A stream is what a payload of a table's change stream holds, whichever way it has
// come: its changes, and in the same order the records of those that are not complete.
type stream struct {
	changes []mes.Change
	records []streamRecord
}

// A streamRecord is what a record of a table's change stream holds besides its change.
// It is DynamoDB JSON; nil where there is none.
type streamRecord struct {
	change         int // the index of its change
	keys, new, old []byte

	complete bool  // the change has what these hold,
	err      error // or this is why not: see [changer.complete]
}

func newStream(n int) stream {
	s := stream{changes: make([]mes.Change, n), records: make([]streamRecord, n)}
	for i := range s.records {
		s.records[i].change = i
	}
	return s
}

func kindOf(name []byte) mes.ChangeKind {
	switch string(name) {
	case "INSERT":
		return mes.Inserted
	case "MODIFY":
		return mes.Modified
	case "REMOVE":
		return mes.Removed
	}
	return 0
}

// isTTL tells who removes what has expired: "Working with expired items and time to
// live", Amazon DynamoDB Developer Guide. A removal by hand has no identity, nor has
// an expiry that was replicated from another region.
func isTTL(identityType, principal []byte) bool {
	return string(identityType) == "Service" && string(principal) == "dynamodb.amazonaws.com"
}

// A changer completes the changes of stream records.
type changer struct {
	images  driver.ImageDecoder
	decoder func(image []byte) (driver.Item, error)                 // nil until it is needed
	scan    func(text []byte) (item driver.Item, size int, ok bool) // nil for none
	restore func(driver.Item) (mes.Event, error)
	events  []mes.Event // room for the events of many changes
	left    int         // how many more there may be, at a guess

	foreign bool // a change's keys do not follow from its Keys: see driver.HasForeignLayout
}

// newChanger returns a changer for up to n changes of one batch: what they decode to
// shares memory.
func newChanger(store *mes.Store, images driver.ImageDecoder, n int) *changer {
	return &changer{images: images, restore: store.ItemDecoder(), left: n, foreign: driver.HasForeignLayout(store.Table())}
}

// decode makes an item of an image.
func (c *changer) decode(image []byte) (driver.Item, error) {
	if c.decoder == nil {
		c.decoder = c.images.DecodeImage
		if batch, ok := c.images.(driver.BatchImageDecoder); ok {
			c.decoder = batch.NewImageDecoder()
		}
	}
	return c.decoder(image)
}

// errKeys is wrapped by errors of a record that does not have the keys of the table.
// All records of a stream have those that its table has, so it is the function that
// has the wrong table, or other names of attributes: that is no fault of a record's.
var errKeys = errors.New("the change does not have the keys of the trigger's table: look at the names of its attributes, at the view type of its stream, and at which stream the function gets")

// A decodedImage is what an image holds of a change.
type decodedImage struct {
	hashKey, rangeKey string
	event             *mes.Event // nil for a marker
	err               error      // there is no event in it
}

// open looks at what has been decoded of an image.
func (c *changer) open(item *driver.Item) decodedImage {
	image := decodedImage{hashKey: item.HashKey, rangeKey: item.RangeKey}
	if !image.marks() {
		image.event, image.err = c.event(item)
	}
	return image
}

// marks tells whether it is no event's, so that nobody is to be woken.
func (i *decodedImage) marks() bool { return strings.HasPrefix(i.rangeKey, driver.MarkerPrefix) }

// complete gives the change of a record what its images hold. What has been decoded of
// them already is in images: of the new one and of the old one, nil for none. An error is
// one that the record has not caused; what it has caused is in the change.
func (c *changer) complete(change *mes.Change, record *streamRecord, images [2]*decodedImage) error {
	if change.Err != nil {
		if record.keys != nil && !c.foreign { // whose it is, even so
			if item, err := c.decode(record.keys); err == nil {
				change.HashKey, change.RangeKey = item.HashKey, item.RangeKey
			}
		}
		return nil
	}
	var errs [2]error
	found := false
	for i, image := range [...][]byte{record.new, record.old} {
		if image == nil {
			continue
		}
		decoded := images[i]
		if decoded == nil {
			item, err := c.decode(image)
			if err != nil {
				errs[i] = err
				continue
			}
			opened := c.open(&item)
			decoded = &opened
		}
		if !found {
			change.HashKey, change.RangeKey, found = decoded.hashKey, decoded.rangeKey, true
		}
		if decoded.marks() {
			return nil
		}
		if errs[i] = decoded.err; i == 0 {
			change.New = decoded.event
		} else {
			change.Old = decoded.event
		}
	}
	if change.Err = errs[0]; record.new == nil {
		change.Err = errs[1] // what was there before matters only where nothing else is
	}
	if found || c.foreign && change.Err != nil {
		return nil
	}
	if record.keys != nil {
		item, err := c.decode(record.keys)
		if err != nil {
			return fmt.Errorf("%w: %w", errKeys, err)
		}
		change.HashKey, change.RangeKey = item.HashKey, item.RangeKey
	} else if change.Err == nil {
		return fmt.Errorf("%w: it has none", errKeys)
	}
	return nil
}

// errNoEvent is of an item that another program keeps in the table: to read the
// history of its hash key would not help.
var errNoEvent = errors.New("the image of the item holds no event")

// mostEvents is how many events there is room for at once, at most.
const mostEvents = 1024

// event makes an event of an item.
func (c *changer) event(item *driver.Item) (*mes.Event, error) {
	if item.Event == nil {
		return nil, errNoEvent
	}
	e, err := c.restore(*item)
	if err != nil {
		return nil, err
	}
	if len(c.events) == cap(c.events) {
		c.events = make([]mes.Event, 0, max(16, min(c.left, mostEvents)))
		c.left -= cap(c.events)
	}
	c.events = append(c.events, e)
	return &c.events[len(c.events)-1], nil
}

// The attributes that tell in which region an item was written.
const (
	attributeReplica = "aws:rep:updateregion" // global tables of version 2017.11.29
	attributeRegion  = "awsregion"            // by custom
)

// elsewhere tells whether a change is one of another region, or only adds the name
// of the region that it comes from.
func (record *streamRecord) elsewhere(change *mes.Change) bool {
	if change.Expired {
		return false // other regions are not told that the TTL has done it
	}
	image := record.new
	if image == nil {
		image = record.old
	}
	for _, name := range [...]string{attributeReplica, attributeRegion} {
		region := regionOf(image, name)
		if region == "" {
			continue
		}
		adorned := change.Kind == mes.Modified && record.new != nil && record.old != nil && regionOf(record.old, name) == "" && sameButRegion(record.new, record.old)
		return adorned || change.Meta.Region != "" && region != change.Meta.Region
	}
	return false
}

// sameButRegion tells whether two images differ in nothing but what a global table
// adds to an item.
func sameButRegion(a, b []byte) bool {
	attributes := func(image []byte) (map[string]string, error) {
		values := make(map[string]string)
		o := jsonscan.Members(image)
		for o.Next() {
			if name := string(o.Key); name != attributeRegion && !strings.HasPrefix(name, "aws:rep:") {
				values[name] = string(o.Value)
			}
		}
		return values, o.Err()
	}
	x, errX := attributes(a)
	y, errY := attributes(b)
	return errX == nil && errY == nil && maps.Equal(x, y)
}

func regionOf(image []byte, name string) string {
	attribute, ok := jsonscan.Member(image, name)
	if !ok {
		return ""
	}
	value, _ := jsonscan.Member(attribute, "S")
	region, _ := jsonscan.String(value)
	return region
}
