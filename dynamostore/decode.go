package dynamostore

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// decode makes an item of its attributes. What it does not know it ignores: the
// table may have attributes that are its owner's. Of an item that some other
// program wrote, only the keys and the event must be in order.
func (l *layout) decode(from attributes) (driver.Item, error) {
	if l.lambdaStream {
		return l.decodeStream(from)
	}
	var item driver.Item
	hashKey, ok := from[l.names.HashKey].(*types.AttributeValueMemberS)
	if !ok || hashKey == nil {
		return item, wrongAnswer("Query", "an item has no hash key that is a string; Check tells whether the table fits")
	}
	rangeKey, ok := from[l.names.RangeKey].(*types.AttributeValueMemberS)
	if !ok || rangeKey == nil {
		return item, wrongAnswer("Query", "an item has no range key that is a string; Check tells whether the table fits")
	}
	event, err := l.decodeEvent(from[l.names.Event])
	if err != nil {
		return item, err
	}
	item = driver.Item{HashKey: hashKey.Value, RangeKey: rangeKey.Value, Event: event}
	if v, ok := from[l.names.Type].(*types.AttributeValueMemberS); ok {
		item.Type = v.Value
	}
	if ms, ok := integer(from[l.names.Timestamp]); ok {
		item.Timestamp = time.UnixMilli(ms).UTC()
	}
	if seconds, ok := integer(from[l.names.TTL]); ok {
		item.TTL = seconds
	}
	return item, nil
}

// decodeEvent returns an event in whatever form it is stored; nil if there is
// none. Its errors wrap ErrUnknownEncoding.
func (l *layout) decodeEvent(value types.AttributeValue) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case *types.AttributeValueMemberS:
		return []byte(v.Value), nil
	case *types.AttributeValueMemberB:
		event, err := l.unpack(v.Value)
		if err != nil {
			return nil, fmt.Errorf("dynamostore: %w: %w", ErrUnknownEncoding, err)
		}
		return event, nil
	case *types.AttributeValueMemberM:
		event, err := appendJSON(nil, v, 1)
		if err != nil {
			return nil, fmt.Errorf("dynamostore: %w: %w", ErrUnknownEncoding, err)
		}
		return event, nil
	}
	return nil, fmt.Errorf("dynamostore: %w: it is neither a string nor binary nor a map", ErrUnknownEncoding)
}

// sameEvent tells whether an event is the one that is stored. As a map an event
// has lost its bytes, so there it is the values that count.
func (l *layout) sameEvent(event []byte, stored types.AttributeValue) (bool, error) {
	got, err := l.decodeEvent(stored)
	if err != nil {
		return false, err
	}
	if _, isMap := stored.(*types.AttributeValueMemberM); !isMap {
		return bytes.Equal(event, got), nil
	}
	value, err := mapOf(event)
	if err != nil {
		return false, nil // no map could hold it
	}
	return equalValues(value, stored), nil
}

// integer reads a number, without what it has behind the point. What is no number
// (another program may have written it) is taken as absent.
func integer(value types.AttributeValue) (int64, bool) {
	v, ok := value.(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	return parseInteger(v.Value)
}

func parseInteger(number string) (int64, bool) {
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(f) {
		return 0, false
	}
	switch f = math.Floor(f); {
	case f >= math.MaxInt64:
		return math.MaxInt64, true
	case f <= math.MinInt64:
		return math.MinInt64, true
	}
	return int64(f), true
}
