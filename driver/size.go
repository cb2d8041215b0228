package driver

import "strconv"

// The names of the attributes of an item in the layout that every table
// assumes when it measures one.
const (
	AttributeHashKey   = "partitionKey"
	AttributeRangeKey  = "eventId"
	AttributeEvent     = "event"
	AttributeType      = "type"
	AttributeTimestamp = "timestamp"
	AttributeTTL       = "ttl"
)

// Size is the size of the item in bytes as DynamoDB counts it in the default
// layout: the names and the values of its attributes, where a number takes a
// byte for two digits and one more. Source: "DynamoDB item sizes and formats",
// Amazon DynamoDB Developer Guide.
func (i *Item) Size() int {
	size := len(AttributeHashKey) + len(i.HashKey) +
		len(AttributeRangeKey) + len(i.RangeKey) +
		len(AttributeEvent) + len(i.Event)
	if i.Type != "" {
		size += len(AttributeType) + len(i.Type)
	}
	if !i.Timestamp.IsZero() {
		size += len(AttributeTimestamp) + numberSize(i.Timestamp.UnixMilli())
	}
	if i.TTL != 0 {
		size += len(AttributeTTL) + numberSize(i.TTL)
	}
	return size
}

// numberSize counts one byte more for a minus sign, as DynamoDB does. It never
// counts less than DynamoDB, which drops zeros at either end.
func numberSize(n int64) int {
	var text [20]byte
	digits := len(strconv.AppendInt(text[:0], n, 10))
	size := 1 + (digits+1)/2
	if n < 0 {
		size++
	}
	return size
}
