package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	mes "github.com/microeventstore/microeventstore"
)

func kinesisPayload(list []mes.Event) []byte {
	var payload strings.Builder
	payload.WriteString(`{"Records":[`)
	for i := range list {
		if i > 0 {
			payload.WriteByte(',')
		}
		fmt.Fprintf(&payload, `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"key","sequenceNumber":%q,"data":%q,"approximateArrivalTimestamp":1607497475.%03d},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000000:%s","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-kinesis-role","awsRegion":"us-east-2","eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}`,
			sequenceNumber(i), base64.StdEncoding.EncodeToString(list[i].Raw), i%1000, sequenceNumber(i))
	}
	payload.WriteString(`]}`)
	return []byte(payload.String())
}

// A layout makes an item of an event, and its keys alone.
type layout func(e *mes.Event) (keys, whole string)

// image is an item in our layout, with the event as it is given.
func image(e *mes.Event, event string) (keys, whole string) {
	keys = fmt.Sprintf(`"partitionKey":{"S":%q},"eventId":{"S":%q}`, e.PartitionKey, rangeKeyOf(e))
	return keys, fmt.Sprintf(`%s,"event":%s,"type":{"S":%q},"timestamp":{"N":"%d"},"ttl":{"N":"2000000000"}`,
		keys, event, e.Type, e.Timestamp.UnixMilli())
}

// ourLayout is the default one.
func ourLayout(e *mes.Event) (keys, whole string) { return image(e, textOf(e.Raw)) }

// peerLayout is that of aws-lambda-stream.
func peerLayout(e *mes.Event) (keys, whole string) {
	keys = fmt.Sprintf(`"pk":{"S":%q},"sk":{"S":"EVENT"}`, e.ID)
	return keys, fmt.Sprintf(`%s,"discriminator":{"S":"EVENT"},"data":{"S":%q},"timestamp":{"N":"%d"},"sequenceNumber":{"S":"1"},"ttl":{"N":"2000000000"},"awsregion":{"S":"eu-west-1"},"event":%s`,
		keys, e.PartitionKey, e.Timestamp.UnixMilli(), mapOf(e.Raw))
}

// layouts are ours by their form, with the event as text and as a map.
var layouts = map[string]layout{
	"S": ourLayout,
	"M": func(e *mes.Event) (keys, whole string) { return image(e, mapOf(e.Raw)) },
}

func changesPayload(list []mes.Event, image layout) []byte {
	var payload strings.Builder
	payload.WriteString(`{"Records":[`)
	for i := range list {
		if i > 0 {
			payload.WriteByte(',')
		}
		keys, whole := image(&list[i])
		fmt.Fprintf(&payload, `{"eventID":"c4ca4238a0b923820dcc509a6f75%04d","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1607497475,"Keys":{%s},"NewImage":{%s},"SequenceNumber":%q,"SizeBytes":1200,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:123456789012:table/events/stream/2026-01-01T00:00:00.000"}`,
			i, keys, whole, sequenceNumber(i))
	}
	payload.WriteString(`]}`)
	return []byte(payload.String())
}

func sequenceNumber(i int) string {
	return "4959033827149025660855969253836" + strconv.Itoa(1_000_000+i)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// textOf is an event as DynamoDB's JSON of a text.
func textOf(raw []byte) string { return `{"S":` + quote(string(raw)) + `}` }

// mapOf is an event as DynamoDB's JSON of a map, its members in some order.
func mapOf(raw []byte) string {
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return ""
	}
	var b strings.Builder
	writeValue(&b, value)
	return b.String()
}

func writeValue(b *strings.Builder, value any) {
	switch v := value.(type) {
	case nil:
		b.WriteString(`{"NULL":true}`)
	case bool:
		fmt.Fprintf(b, `{"BOOL":%v}`, v)
	case string:
		b.WriteString(`{"S":` + quote(v) + `}`)
	case json.Number:
		b.WriteString(`{"N":"` + v.String() + `"}`)
	case []any:
		b.WriteString(`{"L":[`)
		for i, element := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeValue(b, element)
		}
		b.WriteString(`]}`)
	case map[string]any:
		b.WriteString(`{"M":{`)
		first := true
		for name, member := range v {
			if !first {
				b.WriteByte(',')
			}
			first = false
			b.WriteString(quote(name) + ":")
			writeValue(b, member)
		}
		b.WriteString(`}}`)
	}
}
