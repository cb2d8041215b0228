package dynamostore

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// A layout says how an item lies in the table. What it writes depends on nothing
// but the item and the options: writing an event again must change nothing, for
// then DynamoDB puts nothing in the change stream.
type layout struct {
	names     AttributeNames
	wire      wireNames
	threshold int
	asMap     bool
	compressor

	// lambdaStream says that items lie as aws-lambda-stream has them. Whatever
	// knows but the six names above is not for that layout.
	lambdaStream bool
	expire       *string
}

func newLayout(c *config) layout {
	return layout{
		names: c.names, wire: newWireNames(&c.names), threshold: c.threshold, asMap: c.asMap, compressor: newCompressor(c.dictionaries...),
		lambdaStream: c.lambdaStream, expire: c.expire,
	}
}

// attributeNames are the names of the attributes that decode looks at.
func (l *layout) attributeNames() []string {
	n := &l.names
	if l.lambdaStream {
		return []string{n.HashKey, n.RangeKey, n.Event, n.Timestamp, n.TTL, streamDiscriminator, streamData}
	}
	return []string{n.HashKey, n.RangeKey, n.Event, n.Type, n.Timestamp, n.TTL}
}

type attributes = map[string]types.AttributeValue

// encode returns the attributes of an item. An error wraps driver.ErrInvalidItem.
func (l *layout) encode(item *driver.Item) (attributes, error) {
	if err := item.CheckKeys(); err != nil {
		return nil, err
	}
	if l.asMap {
		if err := checkMapID(item); err != nil {
			return nil, err
		}
	}
	event, err := l.encodeEvent(item.Event)
	if err != nil {
		return nil, err
	}
	if l.lambdaStream {
		return l.encodeStream(item, event)
	}
	to := make(attributes, 6)
	to[l.names.HashKey] = text(item.HashKey)
	to[l.names.RangeKey] = text(item.RangeKey)
	to[l.names.Event] = event
	if item.Type != "" {
		// A copy for people and filters. DynamoDB would mend it like this.
		to[l.names.Type] = text(strings.ToValidUTF8(item.Type, "\uFFFD"))
	}
	if !item.Timestamp.IsZero() {
		to[l.names.Timestamp] = number(item.Timestamp.UnixMilli())
	}
	if item.TTL != 0 {
		to[l.names.TTL] = number(item.TTL)
	}
	return to, nil
}

func (l *layout) encodeEvent(event []byte) (types.AttributeValue, error) {
	if l.asMap {
		value, err := mapOf(event)
		if err != nil {
			return nil, fmt.Errorf("%w: AsMap: %w", driver.ErrInvalidItem, err)
		}
		return value, nil
	}
	// As a string, bytes that are not UTF-8 would come back as others.
	valid := utf8.Valid(event)
	if valid && (l.threshold == 0 || len(event) < l.threshold) {
		return text(string(event)), nil
	}
	if len(event) > maxEvent {
		return nil, fmt.Errorf("%w: its event is %d bytes and can be at most %d before compression; store less of it with a projection",
			driver.ErrInvalidItem, len(event), maxEvent)
	}
	packed, err := l.pack(event)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if valid && len(packed) >= len(event) {
		return text(string(event)), nil
	}
	return &types.AttributeValueMemberB{Value: packed}, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func checkSize(size int) error {
	if size > driver.MaxItemSize {
		return fmt.Errorf("%w: it is %d bytes as it is stored and an item can be at most %d; store less of the event with a projection, or compress it",
			driver.ErrInvalidItem, size, driver.MaxItemSize)
	}
	return nil
}

// itemSize is the size of an item in bytes as DynamoDB counts it, or a little
// more. Source: "DynamoDB item sizes and formats", Amazon DynamoDB Developer Guide.
func itemSize(item attributes) int {
	size := 0
	for name, value := range item {
		size += len(name) + valueSize(value)
	}
	return size
}

func valueSize(value types.AttributeValue) int {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return numberSize(v.Value)
	case *types.AttributeValueMemberM:
		size := 3
		for name, member := range v.Value {
			size += 1 + len(name) + valueSize(member)
		}
		return size
	case *types.AttributeValueMemberL:
		size := 3
		for _, element := range v.Value {
			size += 1 + valueSize(element)
		}
		return size
	}
	return 1 // BOOL and NULL; there are no others in what is written
}

// numberSize is a byte for two digits, and one more, and one for a minus sign. It
// does not drop zeros at either end as DynamoDB does, but no number that DynamoDB
// takes is larger than 38 digits make it.
func numberSize(n string) int {
	digits, size := 0, 1
	for i := 0; i < len(n) && n[i]|0x20 != 'e'; i++ {
		switch c := n[i]; {
		case c == '-':
			size++
		case '0' <= c && c <= '9':
			digits++
		}
	}
	return size + (min(digits, maxDigits)+1)/2
}

// wireSize is the most bytes that a value takes in the JSON of a request.
func wireSize(value types.AttributeValue) int {
	const frame = len(`{"BOOL":false},`)
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return frame + quotedSize(v.Value)
	case *types.AttributeValueMemberB:
		return frame + len(v.Value)/3*4 + 6
	case *types.AttributeValueMemberN:
		return frame + len(v.Value) + 2
	case *types.AttributeValueMemberM:
		size := frame + 2
		for name, member := range v.Value {
			size += quotedSize(name) + 1 + wireSize(member)
		}
		return size
	case *types.AttributeValueMemberL:
		size := frame + 2
		for _, element := range v.Value {
			size += wireSize(element)
		}
		return size
	}
	return frame
}

// quotedSize is the most bytes that a string takes in JSON, whoever writes it.
// Counting takes time, so short strings are taken to be all escapes.
func quotedSize(s string) int {
	if len(s) <= 16<<10 {
		return 2 + 6*len(s)
	}
	size := 2
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c >= utf8.RuneSelf: // U+2028: 3 bytes, as an escape 6
			size += 2
		case c < ' ' || c == '<' || c == '>' || c == '&' || c == 0x7f:
			size += 6
		default:
			size++
		}
	}
	return size
}
