package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	mes "github.com/microeventstore/microeventstore"
)

// eventsUnder are events of 1 KB under a hash key.
func eventsUnder(key string, n int) ([]mes.Event, error) {
	list := make([]mes.Event, n)
	for i := range list {
		raw := bytes.Replace(made(i, 4), []byte(`"partitionKey":"key"`), []byte(`"partitionKey":"`+key+`"`), 1)
		raw = bytes.Replace(raw, []byte(idOf(i)), []byte(idOf(i)+"-"+key), 1)
		e, err := mes.Parse(raw)
		if err != nil {
			return nil, err
		}
		list[i] = e
	}
	return list, nil
}

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

// image is an item in the layout of either side.
func image(e *mes.Event, peer bool) (keys, whole string) {
	if peer {
		keys = fmt.Sprintf(`"pk":{"S":%q},"sk":{"S":"EVENT"}`, e.ID)
		return keys, fmt.Sprintf(`%s,"discriminator":{"S":"EVENT"},"data":{"S":%q},"timestamp":{"N":"%d"},"sequenceNumber":{"S":"1"},"ttl":{"N":"2000000000"},"awsregion":{"S":"eu-west-1"},"event":%s`,
			keys, e.PartitionKey, e.Timestamp.UnixMilli(), mapOf(e.Raw))
	}
	keys = fmt.Sprintf(`"partitionKey":{"S":%q},"eventId":{"S":%q}`, e.PartitionKey, rangeKeyOf(e))
	return keys, fmt.Sprintf(`%s,"event":{"S":%s},"type":{"S":%q},"timestamp":{"N":"%d"},"ttl":{"N":"2000000000"}`,
		keys, quote(string(e.Raw)), e.Type, e.Timestamp.UnixMilli())
}

func changesPayload(list []mes.Event, peer bool) []byte {
	var payload strings.Builder
	payload.WriteString(`{"Records":[`)
	for i := range list {
		if i > 0 {
			payload.WriteByte(',')
		}
		keys, whole := image(&list[i], peer)
		fmt.Fprintf(&payload, `{"eventID":"c4ca4238a0b923820dcc509a6f75%04d","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{"ApproximateCreationDateTime":1607497475,"Keys":{%s},"NewImage":{%s},"SequenceNumber":%q,"SizeBytes":1200,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:123456789012:table/events/stream/2026-01-01T00:00:00.000"}`,
			i, keys, whole, sequenceNumber(i))
	}
	payload.WriteString(`]}`)
	return []byte(payload.String())
}

// load puts items into the stub as they are.
func (b *bencher) load(table string, list []mes.Event, peer bool) error {
	for begin := 0; begin < len(list); begin += 25 {
		var body strings.Builder
		fmt.Fprintf(&body, `{"RequestItems":{%q:[`, table)
		for i := begin; i < min(begin+25, len(list)); i++ {
			if i > begin {
				body.WriteByte(',')
			}
			_, whole := image(&list[i], peer)
			body.WriteString(`{"PutRequest":{"Item":{` + whole + `}}}`)
		}
		body.WriteString(`]}}`)
		request, err := http.NewRequestWithContext(b.ctx, http.MethodPost, b.plain, strings.NewReader(body.String()))
		if err != nil {
			return err
		}
		request.Header.Set("X-Amz-Target", "DynamoDB_20120810.BatchWriteItem")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New("the stub refuses an item")
		}
	}
	return nil
}
