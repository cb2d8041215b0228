package dynamostore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// The names and values of aws-lambda-stream's layout. Source: its flavors collect,
// correlate and evaluate (npm, version 1.0.0).
const (
	streamHashKey       = "pk"
	streamRangeKey      = "sk"
	streamDiscriminator = "discriminator"
	streamData          = "data"
	streamSequence      = "sequenceNumber"
	streamExpire        = "expire"
	streamIndex         = "DataIndex"

	streamCollected  = "EVENT"  // an event under its own id: sk and discriminator
	streamCorrelated = "CORREL" // an event under one more key: discriminator
)

// LambdaStreamLayout keeps items as the npm package aws-lambda-stream does, so that
// a service can take over from one that is written in JavaScript, or run beside it.
// Without it items lie as the package comment says.
//
// What is saved are collected events:
//
//	pk              S, HASH   the event's id
//	sk              S, RANGE  EVENT
//	discriminator   S         EVENT
//	data            S         the hash key, which the index DataIndex finds it by
//	event           M         the event as a map: see [AsMap] for what that keeps
//	timestamp       N         when it happened, in epoch milliseconds
//	sequenceNumber  S         that of the record which brought it, if one did
//	ttl             N         when it expires, in epoch seconds
//	expire          BOOL, S   see [WithExpire]
//
// What is read under a hash key are the events collected under it and those which
// the flavor correlate has put there: pk the key, sk the event's id, discriminator
// CORREL. An event that is there as both is read once. What else is in the table is
// left alone.
//
// A few things are as that layout has them:
//
//   - An event has one place, which its id alone decides: another one with that id
//     takes it, under whatever hash key and of whatever time it is. So it has room
//     under one hash key, and stands there by its time and its id, whatever order
//     the index has; microeventstore.New refuses other options.
//   - The item holds the sequence number of its record. A producer's retry brings
//     another one, so it is a modification in the change stream.
//   - Reads through an index are eventually consistent: AWS has no others. A
//     trigger reads until the event that fired appears, and fails the change if
//     that takes too long; what was saved at about the same time may be missing.
//     So no page says that it is consistent, but for one of a single range key,
//     which is read from the table itself.
//   - One read is two requests or more, and reads all that is under the hash key,
//     also for a part of it: the index does not know the order.
//   - A trigger needs the view NEW_IMAGE or NEW_AND_OLD_IMAGES: the keys alone do
//     not tell what an event is collected under.
//   - Markers, which keep note of what a program has done, have no place.
//
// It does not go with [WithAttributeNames] and [WithCompression]. The policies in
// the package comment need the index as a resource as well: TABLE/index/DataIndex.
func LambdaStreamLayout() Option {
	return option(func(c *config) error {
		c.lambdaStream = true
		return nil
	})
}

// WithExpire marks the events that are saved in a [LambdaStreamLayout], so that the
// pipeline expired of aws-lambda-stream emits an event when DynamoDB deletes one:
// of the type given, or with "" of the event's own type and -expired.
func WithExpire(eventType string) Option {
	return option(func(c *config) error {
		c.expire = &eventType
		return nil
	})
}

var (
	// Not ErrInvalidItem: it is not the event that is at fault.
	errStreamMarker   = errors.New("dynamostore: LambdaStreamLayout has no place for markers")
	errStreamRangeKey = errors.New("dynamostore: LambdaStreamLayout orders events by their time and id: use the range key TimeAndID")
)

// encodeStream adds to an item's event what stands around it. The keys of the item
// have been checked.
func (l *layout) encodeStream(item *driver.Item, event types.AttributeValue) (attributes, error) {
	if strings.HasPrefix(item.RangeKey, driver.MarkerPrefix) {
		return nil, errStreamMarker
	}
	id := item.ID
	if !item.Complete {
		e, err := mes.Parse(item.Event)
		if err != nil {
			return nil, fmt.Errorf("%w: LambdaStreamLayout: the event's id cannot be read", driver.ErrInvalidItem)
		}
		id = e.ID
	}
	if err := driver.CheckKey("event's id", id, driver.MaxHashKeySize); err != nil {
		return nil, fmt.Errorf("%w: LambdaStreamLayout: %w", driver.ErrInvalidItem, err)
	}
	if streamKey(id, item.Timestamp) != item.RangeKey {
		return nil, errStreamRangeKey
	}
	to := attributes{
		l.names.HashKey:     text(id),
		l.names.RangeKey:    text(streamCollected),
		streamDiscriminator: text(streamCollected),
		streamData:          text(item.HashKey),
		l.names.Event:       event,
		l.names.Timestamp:   number(item.Timestamp.UnixMilli()),
	}
	if item.SequenceNumber != "" {
		to[streamSequence] = text(item.SequenceNumber)
	}
	if item.TTL != 0 {
		to[l.names.TTL] = number(item.TTL)
	}
	switch {
	case l.expire == nil:
	case *l.expire == "":
		to[streamExpire] = &types.AttributeValueMemberBOOL{Value: true}
	default:
		to[streamExpire] = text(*l.expire)
	}
	return to, nil
}

// streamKey is the range key of an event, as a store with TimeAndID makes it.
func streamKey(id string, at time.Time) string {
	key, err := mes.TimeAndID().AppendRangeKey(nil, &mes.Event{ID: id, Timestamp: at})
	if err != nil {
		return ""
	}
	return string(key)
}

// streamID returns the event's id of a range key. It is "" for one that streamKey
// does not make.
func streamID(rangeKey string) string {
	_, id, _ := strings.Cut(rangeKey, "#")
	return id
}

// streamRounds deals the indexes of items out so that of those with one id, which
// have one place, the first is put before the second.
func streamRounds(items []driver.Item) (rounds [][]int) {
	seen := make(map[string]int, len(items))
	for i := range items {
		id := streamID(items[i].RangeKey)
		n := seen[id]
		seen[id]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], i)
	}
	return rounds
}

// decodeStream makes an item of its attributes. What is no event under a hash key
// gets the range key of a marker: it wakes nobody and counts in no read.
func (l *layout) decodeStream(from attributes) (driver.Item, error) {
	key, ok := l.keyOf(from)
	if !ok {
		return driver.Item{}, wrongAnswer("Query", "an item has no keys that are strings; Check tells whether the table fits")
	}
	item := driver.Item{HashKey: key.hashKey, RangeKey: driver.MarkerPrefix + key.rangeKey}
	id := key.rangeKey
	switch discriminator, _ := stringOf(from[streamDiscriminator]); {
	case key.rangeKey == streamCollected:
		data, ok := stringOf(from[streamData])
		if !ok {
			return item, nil // collected under no key, or the keys alone
		}
		id, item.HashKey = key.hashKey, data
	case discriminator != streamCorrelated:
		return item, nil
	}
	var err error
	if item.Event, err = l.decodeEvent(from[l.names.Event]); err != nil {
		return driver.Item{}, err
	}
	var member struct{ Type string }
	if json.Unmarshal(item.Event, &member) == nil {
		item.Type = member.Type
	}
	ms, _ := integer(from[l.names.Timestamp])
	item.Timestamp = time.UnixMilli(ms).UTC()
	if item.RangeKey = streamKey(id, item.Timestamp); item.RangeKey == "" {
		// What has no time that is one is the oldest.
		item.Timestamp = time.UnixMilli(0).UTC()
		item.RangeKey = streamKey(id, item.Timestamp)
	}
	if seconds, ok := integer(from[l.names.TTL]); ok {
		item.TTL = seconds
	}
	return item, nil
}

func stringOf(value types.AttributeValue) (string, bool) {
	s, ok := value.(*types.AttributeValueMemberS)
	if !ok || s == nil || s.Value == "" {
		return "", false
	}
	return s.Value, true
}

// checkMapID refuses an event whose id is the hash of its bytes, which a map does
// not keep: it would be read back as another event.
func checkMapID(item *driver.Item) error {
	if strings.HasPrefix(item.ID, "sha256:") && !bytes.Contains(item.Event, []byte(item.ID)) {
		return fmt.Errorf("%w: the event has no id of its own, and a map does not keep the bytes that its id is made of", driver.ErrInvalidItem)
	}
	return nil
}
