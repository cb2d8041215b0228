package dynamostore

import (
	"github.com/klauspost/compress/zstd"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

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
	hole := holeEventMap
	if kind != "M" {
		if at, ok = quoted(b, at); !ok {
			return at, false
		}
	}
	begin := at
	switch kind {
	case "M":
		at, ok = r.eventMap(item, b, at)
	case "S":
		hole = holeEventText
		at, ok = r.eventText(item, b, at)
	case "B":
		hole = holeEventBinary
		at, ok = r.eventBinary(item, b, at)
	default:
		return at, false
	}
	if !ok {
		return at, false
	}
	r.mould.Hole(b, hole, begin, at)
	return closed(b, at)
}

// eventText reads an event that is stored as a string, of which the opening quote is
// before i, and returns the index after it.
func (r *itemReader) eventText(item *driver.Item, b []byte, i int) (int, bool) {
	// What is unescaped is never longer than what it is made of. But where that ends is
	// not known yet.
	most := len(b) - i + jsonscan.InnerRoom
	for want := r.usualSize(); ; want *= 4 {
		room := r.reserve(min(want, most), most)
		text, places, end, ok := jsonscan.AppendInner(room, r.roomForPlaces(), b, i)
		if ok {
			item.Event = r.kept(text)
			item.Outline = r.outline(item.Event, places)
			return end, true
		}
		if end >= 0 {
			break // it is not for want of room
		}
	}
	end, ok := jsonscan.SkipText(b, i)
	if !ok {
		return end, false
	}
	text, end, ok := jsonscan.AppendText(r.reserve(end-i+8, most), b, i)
	if ok {
		item.Event = r.kept(text)
	}
	return end, ok
}

// eventMap is eventText for a map.
func (r *itemReader) eventMap(item *driver.Item, b []byte, i int) (int, bool) {
	most := len(b) - i + 8
	r.walker.places = r.roomForPlaces()
	text, end, ok := r.walker.renderMap(r.reserve(min(r.usualSize(), most), most), b, i, 1)
	if !ok {
		return end, false
	}
	item.Event = r.kept(text)
	item.Outline = r.outline(item.Event, r.walker.places)
	return end, true
}

// eventBinary is eventText for what is compressed.
func (r *itemReader) eventBinary(item *driver.Item, b []byte, i int) (int, bool) {
	if r.inPlace {
		return i, false
	}
	var ok bool
	if r.buffer, i, ok = binaryOf(r.buffer[:0], b, i); !ok {
		return i, false
	}
	event, err := r.layout.unpackTo(r.events.Reserve(unpackedSize(r.buffer)), r.buffer)
	if err != nil {
		return i, false
	}
	item.Event = r.events.Keep(event)
	return i, true
}

// mostRoom is how many bytes are made room for at once for the events of a payload, which
// are not kept for long: those of most. Each large allocation costs far more than its bytes.
const mostRoom = 1 << 20

// reserve returns room for n bytes, where those of all events of a text together will be
// rest at the most.
func (r *itemReader) reserve(n, rest int) []byte {
	if r.apart {
		return r.events.Reserve(n)
	}
	if r.inPlace && r.most == 0 && rest > mostRoom/16 { // half of a payload of Lambda is events
		r.events.Grow(min(rest/2, mostRoom))
	}
	return r.events.ReserveOf(n, rest)
}

// usualSize is room for an event that is not much larger than those before.
func (r *itemReader) usualSize() int { return 256 + r.most + r.most/4 }

// kept keeps an event in the room that it was written to.
func (r *itemReader) kept(text []byte) []byte {
	r.most = max(r.most, len(text))
	return r.events.Keep(text)
}

// roomForPlaces returns an empty slice for the places of an event's members.
func (r *itemReader) roomForPlaces() []jsonscan.Place {
	if r.once {
		r.places, r.outlines = r.places[:0], r.outlines[:0]
	}
	if cap(r.places)-len(r.places) < 64 {
		r.places = make([]jsonscan.Place, 0, min(max(8*cap(r.places), 128), 8192))
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
		r.outlines = make([]jsonscan.Outline, 0, min(max(8*cap(r.outlines), 16), 1024))
	}
	r.outlines = append(r.outlines, jsonscan.NewOutline(event, places[:len(places):len(places)]))
	return &r.outlines[len(r.outlines)-1]
}
