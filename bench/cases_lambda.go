package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/lambdahandler"

	mes "github.com/microeventstore/microeventstore"
)

// kinesis is the payload of an invocation with n records, up to the events. The
// filter accepts none of them, so nothing is saved.
func (b *bencher) kinesis(family string, n int, floor, aim float64) (benchCase, error) {
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
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
	bytes := []byte(payload.String())
	store, _, err := b.store(b.client, "kinesis-sink")
	if err != nil {
		return benchCase{}, err
	}
	seen := 0
	handler := lambdahandler.Kinesis(mes.NewListener(store, func(e mes.Event) bool {
		seen += len(e.ID)
		return false
	}))
	c := benchCase{
		path: fmt.Sprintf("Lambda, Kinesis payload of %d, %s", n, family), events: n,
		against: []string{"events.KinesisEvent, encoding/json"}, floor: []float64{floor}, aim: []float64{aim},
		limit: "base64 alone", limiting: base64Only(list),
		sides: []side{
			func(runs int) error {
				for range runs {
					seen = 0
					if _, err := handler.Invoke(b.ctx, bytes); err != nil || seen != n*len(list[0].ID) {
						return errors.Join(err, errors.New("other events"))
					}
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					got, err := plainKinesis(bytes)
					if err != nil || len(got) != n || got[n-1].ID != list[n-1].ID {
						return errors.Join(err, errors.New("other events"))
					}
				}
				return nil
			},
		},
	}
	if family == "1KB" {
		c.allocs = 0.05
	}
	return c, nil
}

// changes is the payload of an invocation with n records of a table's stream, up to
// the changes with their events. No key is wanted, so nothing is read.
func (b *bencher) changes(family, form string, n int, floor, aim float64) (benchCase, error) {
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
	var payload strings.Builder
	payload.WriteString(`{"Records":[`)
	for i := range list {
		if i > 0 {
			payload.WriteByte(',')
		}
		event := `{"S":` + quote(string(list[i].Raw)) + `}`
		if form == "M" {
			event = mapOf(list[i].Raw)
		}
		keys := fmt.Sprintf(`"partitionKey":{"S":"key"},"eventId":{"S":%q}`, rangeKeyOf(&list[i]))
		fmt.Fprintf(&payload, `{"eventID":"c4ca4238a0b923820dcc509a6f75849b","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1607497475,"Keys":{%s},"NewImage":{%s,"event":%s,"type":{"S":%q},"timestamp":{"N":"%d"},"ttl":{"N":"2000000000"}},"SequenceNumber":%q,"SizeBytes":1200,"StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/events/stream/2026-01-01T00:00:00.000"}`,
			keys, keys, event, list[i].Type, list[i].Timestamp.UnixMilli(), sequenceNumber(i))
	}
	payload.WriteString(`]}`)
	bytes := []byte(payload.String())
	table := dynamostore.New(b.client, "changes", optionsOf(form)...)
	store, err := mes.New(table)
	if err != nil {
		return benchCase{}, err
	}
	seen := 0
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return errors.New("called") },
		mes.OnlyHashKeys(func(key string) bool {
			seen++
			return false
		}))
	handler := lambdahandler.DynamoDB(trigger)
	c := benchCase{
		path: fmt.Sprintf("Lambda, DynamoDB payload of %d, %s, %s", n, form, family), events: n,
		against: []string{"events.DynamoDBEvent, encoding/json"}, floor: []float64{floor}, aim: []float64{aim}, counts: table,
		limit: "one scan of the events", limiting: oneScan(list),
		sides: []side{
			func(runs int) error {
				for range runs {
					seen = 0
					if _, err := handler.Invoke(b.ctx, bytes); err != nil || seen != n {
						return errors.Join(err, errors.New("other changes"))
					}
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					got, err := plainDynamoDB(bytes, form)
					if err != nil || len(got) != n || got[n-1].ID != list[n-1].ID {
						return errors.Join(err, errors.New("other changes"))
					}
				}
				return nil
			},
		},
	}
	if family == "1KB" {
		c.allocs = 0.05
	}
	return c, nil
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

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
