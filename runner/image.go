package runner

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// appendImage appends an image as DynamoDB JSON, which [driver.ImageDecoder]
// takes: {"name":{"S":"value"},...}. The SDK has no way to give its answer as it
// came. A value of a kind that the SDK does not know becomes {}, which no decoder
// takes for anything.
func appendImage(dst []byte, image map[string]types.AttributeValue) []byte {
	dst = append(dst, '{')
	first := true
	for name, value := range image {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, name), ':')
		dst = appendValue(dst, value)
	}
	return append(dst, '}')
}

func appendValue(dst []byte, value types.AttributeValue) []byte {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return append(appendString(append(dst, `{"S":`...), v.Value), '}')
	case *types.AttributeValueMemberN:
		return append(appendString(append(dst, `{"N":`...), v.Value), '}')
	case *types.AttributeValueMemberB:
		return append(appendBytes(append(dst, `{"B":`...), v.Value), '}')
	case *types.AttributeValueMemberBOOL:
		return append(strconv.AppendBool(append(dst, `{"BOOL":`...), v.Value), '}')
	case *types.AttributeValueMemberNULL:
		return append(strconv.AppendBool(append(dst, `{"NULL":`...), v.Value), '}')
	case *types.AttributeValueMemberSS:
		return append(appendList(append(dst, `{"SS":`...), v.Value, appendString), '}')
	case *types.AttributeValueMemberNS:
		return append(appendList(append(dst, `{"NS":`...), v.Value, appendString), '}')
	case *types.AttributeValueMemberBS:
		return append(appendList(append(dst, `{"BS":`...), v.Value, appendBytes), '}')
	case *types.AttributeValueMemberL:
		return append(appendList(append(dst, `{"L":`...), v.Value, appendValue), '}')
	case *types.AttributeValueMemberM:
		return append(appendImage(append(dst, `{"M":`...), v.Value), '}')
	}
	return append(dst, "{}"...)
}

func appendList[T any](dst []byte, list []T, appendOne func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOne(dst, v)
	}
	return append(dst, ']')
}

func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string has no way to fail
		return append(dst, `""`...)
	}
	return append(dst, quoted...)
}

func appendBytes(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}
