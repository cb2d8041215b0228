package dynamostore

import (
	"bytes"
	"time"

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
	apart   bool // each item has a text of its own
	once    bool // of the outlines only the last one is needed

	hashKey string // that of the items before, which most of them have
	types   [4]string
	rotate  int

	strings arena.Text
	events  arena.Bytes
	most    int // how many bytes an event had, at most
	buffer  []byte
	mould   jsonscan.Mould

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

// item reads the item at i, which is empty before, and returns the index after it. It
// is false for what it leaves to the SDK.
func (r *itemReader) item(item *driver.Item, b []byte, i int) (end int, ok bool) {
	i = jsonscan.Space(b, i)
	if r.mould.Usable() {
		end, ok = r.cast(item, b, i)
		if r.mould.Fitted(ok); ok {
			return end, true
		}
		*item = driver.Item{}
	}
	r.mould.Open(i)
	if end, ok = r.members(item, b, i); !ok {
		r.mould.Unfit()
	}
	r.mould.Close(b, end)
	return end, ok
}

// The holes of a mould of items: the inside of a string for each of the slots, and what
// is read by a function of its own.
const (
	holeEventText uint8 = iota + slotTTL + 1
	holeEventMap
	holeEventBinary
	holeOther // the value of an attribute that is none of the item's
)

// cast is item for one that is written as those before were.
func (r *itemReader) cast(item *driver.Item, b []byte, i int) (end int, ok bool) {
	for piece, hole := range r.mould.Holes() {
		if i, ok = r.mould.Piece(piece, b, i); !ok {
			return i, false
		}
		switch hole {
		case holeEventText:
			i, ok = r.eventText(item, b, i)
		case holeEventMap:
			i, ok = r.eventMap(item, b, i)
		case holeEventBinary:
			i, ok = r.eventBinary(item, b, i)
		case holeOther:
			i, ok = r.walker.skip(b, i)
		default:
			begin := i
			if i, ok = jsonscan.PlainText(b, i); ok {
				r.keep(item, int(hole), b[begin:i])
			}
		}
		if !ok {
			return i, false
		}
	}
	return r.mould.Piece(len(r.mould.Holes()), b, i)
}

// members is item for any other.
func (r *itemReader) members(item *driver.Item, b []byte, i int) (int, bool) {
	if i >= len(b) || b[i] != '{' {
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
		end, ok := r.walker.skip(b, i) // of the wrong type it is as good as absent; see decode
		if r.mould.Hole(b, holeOther, i, end); slot != 0 {
			r.mould.Unfit() // in the next item it may be of the right one
		}
		return end, ok
	}
	if at, ok = quoted(b, at); !ok {
		return at, false
	}
	begin := at
	if r.buffer, at, ok = jsonscan.AppendText(r.buffer[:0], b, at); !ok {
		return at, false
	}
	r.mould.Hole(b, uint8(slot), begin, at-1)
	r.keep(item, slot, r.buffer)
	return closed(b, at)
}

// keep keeps what an attribute's string stands for.
func (r *itemReader) keep(item *driver.Item, slot int, value []byte) {
	switch slot {
	case slotHashKey:
		if string(value) != r.hashKey {
			r.hashKey = r.strings.String(value)
		}
		item.HashKey = r.hashKey
	case slotRangeKey:
		item.RangeKey = r.strings.String(value)
	case slotType:
		item.Type = r.typeName(value)
	case slotTimestamp:
		if ms, ok := shortInteger(value); ok {
			item.Timestamp = time.UnixMilli(ms).UTC()
		}
	case slotTTL:
		item.TTL, _ = shortInteger(value)
	}
}

// typeName returns the name of a type. A history has few of them.
func (r *itemReader) typeName(value []byte) string {
	for i := range r.types {
		if r.types[i] == string(value) {
			return r.types[i]
		}
	}
	name := r.strings.String(value)
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
