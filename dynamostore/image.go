package dynamostore

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

var _ driver.ImageScanner = (*Table)(nil)

// NewImageDecoder returns a DecodeImage for many images: see
// [driver.BatchImageDecoder].
func (t *Table) NewImageDecoder() func(image []byte) (driver.Item, error) {
	reader := itemReader{layout: &t.layout, apart: true}
	return func(image []byte) (driver.Item, error) { return t.decodeImage(&reader, image) }
}

// NewImageScanner returns a decoder of images that finds their ends itself: see
// [driver.ImageScanner].
func (t *Table) NewImageScanner() func(text []byte) (item driver.Item, size int, ok bool) {
	reader := itemReader{layout: &t.layout, inPlace: true, once: true}
	off := t.wrong != nil || t.config == nil || t.layout.lambdaStream || t.config.codec == CodecSDK
	return func(text []byte) (item driver.Item, size int, ok bool) {
		if off {
			return driver.Item{}, 0, false
		}
		if size, ok = reader.item(&item, text, 0); !ok {
			return driver.Item{}, 0, false
		}
		// All events together must take no more room than the text, which they do as
		// long as none is longer than what it is made of.
		off = len(item.Event) > size
		t.counts.ownImages.Add(1)
		return item, size, true
	}
}

// DecodeImage makes an item of an image in the table's change stream: see
// [driver.ImageDecoder].
func (t *Table) DecodeImage(image []byte) (driver.Item, error) {
	return t.decodeImage(&itemReader{layout: &t.layout}, image)
}

func (t *Table) decodeImage(reader *itemReader, image []byte) (driver.Item, error) {
	switch {
	case t.wrong != nil:
		return driver.Item{}, t.wrong
	case t.config == nil:
		return driver.Item{}, errNotMade
	}
	if !t.layout.lambdaStream && t.config.codec != CodecSDK {
		var item driver.Item
		if end, ok := reader.item(&item, image, 0); ok && jsonscan.Space(image, end) == len(image) {
			t.counts.ownImages.Add(1)
			return item, nil
		}
	}
	t.counts.sdkImages.Add(1)
	// It is none, or no usual one.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(image, &members); err != nil {
		return driver.Item{}, fmt.Errorf("dynamostore: %w: an image is not an object of attributes", driver.ErrInvalidItem)
	}
	names := t.layout.names
	from := make(attributes, len(members))
	for _, name := range t.layout.attributeNames() {
		member, ok := members[name]
		if !ok {
			continue
		}
		value, err := parseAttribute(member, 0)
		if err != nil {
			return driver.Item{}, fmt.Errorf("dynamostore: %w: an attribute of an image %w", driver.ErrInvalidItem, err)
		}
		from[name] = value
	}
	for _, key := range [...]string{names.HashKey, names.RangeKey} {
		if _, ok := from[key].(*types.AttributeValueMemberS); !ok {
			return driver.Item{}, fmt.Errorf("dynamostore: %w: an image has a key that is missing or not a string", driver.ErrInvalidItem)
		}
	}
	return t.layout.decode(from)
}

// parseAttribute reads one attribute value of DynamoDB JSON. Its errors hold
// nothing of it.
func parseAttribute(value []byte, depth int) (types.AttributeValue, error) {
	if depth > maxReadNesting {
		return nil, errors.New("nests too deeply")
	}
	var v struct {
		S    *string
		N    *string
		B    *[]byte
		BOOL *bool
		NULL *bool
		M    map[string]json.RawMessage
		L    *[]json.RawMessage
		SS   *[]string
		NS   *[]string
		BS   *[][]byte
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, errors.New("has a value of the wrong type")
	}
	switch {
	case v.S != nil:
		return &types.AttributeValueMemberS{Value: *v.S}, nil
	case v.N != nil:
		return &types.AttributeValueMemberN{Value: *v.N}, nil
	case v.B != nil:
		return &types.AttributeValueMemberB{Value: *v.B}, nil
	case v.BOOL != nil:
		return &types.AttributeValueMemberBOOL{Value: *v.BOOL}, nil
	case v.NULL != nil:
		return &types.AttributeValueMemberNULL{Value: *v.NULL}, nil
	case v.SS != nil:
		return &types.AttributeValueMemberSS{Value: *v.SS}, nil
	case v.NS != nil:
		return &types.AttributeValueMemberNS{Value: *v.NS}, nil
	case v.BS != nil:
		return &types.AttributeValueMemberBS{Value: *v.BS}, nil
	case v.L != nil:
		list := make([]types.AttributeValue, len(*v.L))
		for i, element := range *v.L {
			var err error
			if list[i], err = parseAttribute(element, depth+1); err != nil {
				return nil, err
			}
		}
		return &types.AttributeValueMemberL{Value: list}, nil
	case v.M != nil:
		members := make(attributes, len(v.M))
		for name, member := range v.M {
			var err error
			if members[name], err = parseAttribute(member, depth+1); err != nil {
				return nil, err
			}
		}
		return &types.AttributeValueMemberM{Value: members}, nil
	}
	return nil, errors.New("has no value of a known type")
}
