package dynamostore

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// An itemWriter writes items as DynamoDB's JSON, without the SDK's values in
// between: what the SDK would write of [layout.encode]. What it cannot write at
// once it leaves to the two of them.
type itemWriter struct {
	layout *layout
	events eventMapper
	buffer []byte
}

// put appends the request that puts an item and returns the item's size, as
// itemSize counts it. It is false for what it leaves to the SDK, errors among it.
func (w *itemWriter) put(to []byte, item *driver.Item) (request []byte, size int, ok bool) {
	if item.CheckKeys() != nil || w.layout.asMap && checkMapID(item) != nil {
		return to, 0, false
	}
	names, wire := &w.layout.names, &w.layout.wire
	to = append(appendSDKText(append(to, wire.hashKey...), item.HashKey), '}')
	to = append(appendSDKText(append(to, wire.rangeKey...), item.RangeKey), '}')
	size = len(names.HashKey) + len(item.HashKey) + len(names.RangeKey) + len(item.RangeKey) + len(names.Event)
	to, n, ok := w.event(to, item.Event)
	if !ok {
		return to, 0, false
	}
	size += n
	if item.Type != "" {
		typ := strings.ToValidUTF8(item.Type, "\uFFFD")
		to = append(appendSDKText(append(to, wire.typ...), typ), '}')
		size += len(names.Type) + len(typ)
	}
	if !item.Timestamp.IsZero() {
		to, n = appendSDKNumber(append(to, wire.timestamp...), item.Timestamp.UnixMilli())
		size += len(names.Timestamp) + n
	}
	if item.TTL != 0 {
		to, n = appendSDKNumber(append(to, wire.ttl...), item.TTL)
		size += len(names.TTL) + n
	}
	return append(to, `}}}`...), size, size <= driver.MaxItemSize
}

// wireNames are what stands before the value of each attribute in the request that puts an
// item. The hash key's is the first one.
type wireNames struct {
	hashKey, rangeKey, typ, timestamp, ttl string
	eventText, eventMap, eventBinary       string
}

func newWireNames(names *AttributeNames) wireNames {
	before := func(name, kind string) string {
		return string(appendSDKText([]byte{','}, name)) + `:{"` + kind + `":`
	}
	return wireNames{
		hashKey:  `{"PutRequest":{"Item":{` + before(names.HashKey, "S")[1:],
		rangeKey: before(names.RangeKey, "S"), typ: before(names.Type, "S"),
		timestamp: before(names.Timestamp, "N"), ttl: before(names.TTL, "N"),
		eventText: before(names.Event, "S"), eventMap: before(names.Event, "M"), eventBinary: before(names.Event, "B"),
	}
}

// appendSDKNumber appends a number and the brace behind it, and returns its size.
func appendSDKNumber(to []byte, n int64) ([]byte, int) {
	begin := len(to) + 1
	to = strconv.AppendInt(append(to, '"'), n, 10)
	size := numberSize(string(to[begin:]))
	return append(to, `"}`...), size
}

// appendSDKText appends a string that is valid UTF-8.
func appendSDKText(to []byte, s string) []byte {
	if !standsForItself(s) {
		to, _ = jsonscan.AppendQuoted(to, []byte(s))
		return to
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}

// standsForItself tells whether the SDK writes a string as it is, but for the quotes.
func standsForItself(s string) bool {
	for len(s) >= 8 {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56 // one load
		if jsonscan.Quotables(word) != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// event appends the event's attribute in the form that encodeEvent gives it.
func (w *itemWriter) event(to, event []byte) (_ []byte, size int, ok bool) {
	wire := &w.layout.wire
	if w.layout.asMap {
		to = append(to, wire.eventMap...)
		if to, size, ok = w.events.object(to, event); !ok {
			return to, 0, false
		}
		return append(to, '}'), size, true
	}
	if w.layout.threshold == 0 || len(event) < w.layout.threshold {
		if to, ok = jsonscan.AppendQuoted(append(to, wire.eventText...), event); !ok {
			return to, 0, false
		}
		return append(to, '}'), len(event), true
	}
	if len(event) > maxEvent {
		return to, 0, false
	}
	packed, err := w.layout.packTo(w.buffer[:0], event)
	if err != nil {
		return to, 0, false
	}
	w.buffer = packed
	if len(packed) >= len(event) {
		if to, ok = jsonscan.AppendQuoted(append(to, wire.eventText...), event); ok {
			return append(to, '}'), len(event), true
		}
		return to, 0, false
	}
	to = append(append(to, wire.eventBinary...), '"')
	to = base64.StdEncoding.AppendEncode(to, packed)
	return append(to, `"}`...), len(packed), true
}
