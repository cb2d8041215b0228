package dynamostore

import (
	"bytes"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/arena"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// An itemReader makes items of DynamoDB's JSON, without the SDK's values in
// between. What it does not take at once (see wireWalker) it leaves to the SDK and
// [layout.decode], which make the same of it. The items of one reader share
// memory.
type itemReader struct {
	layout  *layout
	walker  wireWalker
	inPlace bool // the items are to need no more room than what they are made of

	hashKey string // that of the items before, which most of them have
	types   [4]string
	rotate  int

	strings arena.Text
	events  arena.Bytes
	buffer  []byte

	outlines []jsonscan.Outline // room for those of many events
	places   []jsonscan.Place
}

// The attributes that make an item.
const (
	slotHashKey = 1 << iota
	slotRangeKey
	slotEvent
	slotType
	slotTimestamp
	slotTTL
)

// slot tells which attribute has that name, 0 for one that is none of the item's.
func (l *layout) slot(name []byte) int {
	switch string(name) {
	case l.names.HashKey:
		return slotHashKey
	case l.names.RangeKey:
		return slotRangeKey
	case l.names.Event:
		return slotEvent
	case l.names.Type:
		return slotType
	case l.names.Timestamp:
		return slotTimestamp
	case l.names.TTL:
		return slotTTL
	}
	return 0
}

// item reads the item at i and returns the index after it. It is false for what
// it leaves to the SDK.
func (r *itemReader) item(item *driver.Item, b []byte, i int) (int, bool) {
	if i = jsonscan.Space(b, i); i >= len(b) || b[i] != '{' {
		return i, false
	}
	seen := 0
	for {
		var name []byte
		var ok bool
		if name, i, ok = memberName(b, jsonscan.Space(b, i+1)); !ok {
			return i, false
		}
		slot := r.layout.slot(name)
		if seen&slot != 0 {
			return i, false // the last one would count
		}
		seen |= slot
		if i, ok = r.attribute(item, slot, b, i); !ok {
			return i, false
		}
		if i = jsonscan.Space(b, i); i >= len(b) {
			return i, false
		}
		if b[i] == '}' {
			return i + 1, seen&(slotHashKey|slotRangeKey) == slotHashKey|slotRangeKey
		}
		if b[i] != ',' {
			return i, false
		}
	}
}

// memberName reads a member's name and its colon.
func memberName(b []byte, i int) (name []byte, end int, ok bool) {
	begin, ok := quoted(b, i)
	if !ok {
		return nil, i, false
	}
	if i, ok = jsonscan.SkipText(b, begin); !ok {
		return nil, i, false
	}
	name = b[begin : i-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		return nil, i, false
	}
	if i = jsonscan.Space(b, i); i >= len(b) || b[i] != ':' {
		return nil, i, false
	}
	return name, i + 1, true
}

// attribute reads an attribute value into what it is of the item.
func (r *itemReader) attribute(item *driver.Item, slot int, b []byte, i int) (int, bool) {
	if slot == slotEvent {
		return r.event(item, b, i)
	}
	kind, at, ok := r.walker.open(b, i)
	if !ok {
		return i, false
	}
	want := "S"
	if slot == slotTimestamp || slot == slotTTL {
		want = "N"
	}
	if kind != want || slot == 0 {
		if slot == slotHashKey || slot == slotRangeKey {
			return i, false
		}
		return r.walker.skip(b, i) // of the wrong type it is as good as absent; see decode
	}
	if at, ok = quoted(b, at); !ok {
		return at, false
	}
	if r.buffer, at, ok = jsonscan.AppendText(r.buffer[:0], b, at); !ok {
		return at, false
	}
	switch slot {
	case slotHashKey:
		if string(r.buffer) != r.hashKey {
			r.hashKey = r.strings.String(r.buffer)
		}
		item.HashKey = r.hashKey
	case slotRangeKey:
		item.RangeKey = r.strings.String(r.buffer)
	case slotType:
		item.Type = r.typeName()
	case slotTimestamp:
		if ms, ok := shortInteger(r.buffer); ok {
			item.Timestamp = time.UnixMilli(ms).UTC()
		}
	case slotTTL:
		item.TTL, _ = shortInteger(r.buffer)
	}
	return closed(b, at)
}

// typeName returns the string in the buffer. A history has few types.
func (r *itemReader) typeName() string {
	for i := range r.types {
		if r.types[i] == string(r.buffer) {
			return r.types[i]
		}
	}
	name := r.strings.String(r.buffer)
	r.types[r.rotate] = name
	r.rotate = (r.rotate + 1) % len(r.types)
	return name
}

// shortInteger is parseInteger without a string for the numbers there are.
func shortInteger(number []byte) (int64, bool) {
	if len(number) == 0 || len(number) > 18 {
		return parseInteger(string(number))
	}
	var n int64
	for _, c := range number {
		if c < '0' || c > '9' {
			return parseInteger(string(number))
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// unpackedSize is how much room a packed event needs, as far as it says so. Short
// ones do not.
func unpackedSize(packed []byte) int {
	var header zstd.Header
	if err := header.Decode(packed); err != nil || !header.HasFCS || header.FrameContentSize > maxEvent {
		return 256
	}
	return int(header.FrameContentSize)
}

// event reads the event in any of the forms that decodeEvent knows.
func (r *itemReader) event(item *driver.Item, b []byte, i int) (int, bool) {
	kind, at, ok := r.walker.open(b, i)
	if !ok {
		return i, false
	}
	switch kind {
	case "S":
		if at, ok = quoted(b, at); !ok {
			return at, false
		}
		// What is unescaped is never longer than what it is made of, and both
		// functions want a little behind it.
		room := r.events.Reserve(len(b) - at + max(8, jsonscan.InnerRoom))
		if text, places, end, ok := jsonscan.AppendInner(room, r.roomForPlaces(), b, at); ok {
			item.Event = r.events.Keep(text)
			item.Outline = r.outline(item.Event, places)
			return closed(b, end)
		}
		var text []byte
		if text, at, ok = jsonscan.AppendText(room, b, at); !ok {
			return at, false
		}
		item.Event = r.events.Keep(text)
	case "M":
		var text []byte
		r.walker.places = r.roomForPlaces()
		if text, at, ok = r.walker.renderMap(r.events.Reserve(len(b)-at+8), b, at, 1); !ok {
			return at, false
		}
		item.Event = r.events.Keep(text)
		item.Outline = r.outline(item.Event, r.walker.places)
	case "B":
		if r.inPlace {
			return at, false
		}
		if at, ok = quoted(b, at); !ok {
			return at, false
		}
		if r.buffer, at, ok = binaryOf(r.buffer[:0], b, at); !ok {
			return at, false
		}
		event, err := r.layout.unpackTo(r.events.Reserve(unpackedSize(r.buffer)), r.buffer)
		if err != nil {
			return at, false
		}
		item.Event = r.events.Keep(event)
	default:
		return at, false
	}
	return closed(b, at)
}

// roomForPlaces returns an empty slice for the places of an event's members.
func (r *itemReader) roomForPlaces() []jsonscan.Place {
	if cap(r.places)-len(r.places) < 64 {
		r.places = make([]jsonscan.Place, 0, min(max(4*cap(r.places), 128), 4096))
	}
	return r.places[len(r.places):]
}

// outline returns the outline of an event, of which the places were appended to what
// roomForPlaces had returned.
func (r *itemReader) outline(event []byte, places []jsonscan.Place) *jsonscan.Outline {
	if n := len(r.places) + len(places); n <= cap(r.places) {
		r.places = r.places[:n]
	}
	if len(r.outlines) == cap(r.outlines) {
		r.outlines = make([]jsonscan.Outline, 0, min(max(4*cap(r.outlines), 16), 512))
	}
	r.outlines = append(r.outlines, jsonscan.NewOutline(event, places[:len(places):len(places)]))
	return &r.outlines[len(r.outlines)-1]
}
