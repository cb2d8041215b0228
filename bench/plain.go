package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"
)

// The plain way: what a Go engineer writes in an afternoon.

// A plainEvent is what handlers look at. Raw is the rest.
type plainEvent struct {
	ID           string `json:"id" dynamodbav:"id"`
	Type         string `json:"type" dynamodbav:"type"`
	Timestamp    int64  `json:"timestamp" dynamodbav:"timestamp"`
	PartitionKey string `json:"partitionKey" dynamodbav:"partitionKey"`

	Raw json.RawMessage `json:"-" dynamodbav:"-"`
	Map map[string]any  `json:"-" dynamodbav:"-"` // in place of Raw
}

func (e *plainEvent) parse(raw []byte) error {
	e.Raw = raw
	return json.Unmarshal(raw, e)
}

// toJSON makes JSON of a map, as the event was published and as all others are.
func (e *plainEvent) toJSON() error {
	raw, err := json.Marshal(e.Map)
	if err != nil {
		return err
	}
	return e.parse(raw)
}

// asGoMap is the form of a map for somebody who is content with a Go map of each event.
const asGoMap = "M, no JSON"

// plainFormsOf are the ways to read a form.
func plainFormsOf(form string) (forms, names []string) {
	if form == "M" {
		return []string{form, asGoMap}, []string{"the same, of a Go map, no JSON"}
	}
	return []string{form}, nil
}

// The items, with the event as text, as a map and compressed.
type (
	plainText struct {
		PartitionKey string `dynamodbav:"partitionKey"`
		EventID      string `dynamodbav:"eventId"`
		Event        string `dynamodbav:"event"`
		Type         string `dynamodbav:"type"`
		Timestamp    int64  `dynamodbav:"timestamp"`
		TTL          int64  `dynamodbav:"ttl,omitempty"`
	}
	plainMap struct {
		PartitionKey string         `dynamodbav:"partitionKey"`
		EventID      string         `dynamodbav:"eventId"`
		Event        map[string]any `dynamodbav:"event"`
		Type         string         `dynamodbav:"type"`
		Timestamp    int64          `dynamodbav:"timestamp"`
		TTL          int64          `dynamodbav:"ttl,omitempty"`
	}
	plainBinary struct {
		PartitionKey string `dynamodbav:"partitionKey"`
		EventID      string `dynamodbav:"eventId"`
		Event        []byte `dynamodbav:"event"`
		Type         string `dynamodbav:"type"`
		Timestamp    int64  `dynamodbav:"timestamp"`
		TTL          int64  `dynamodbav:"ttl,omitempty"`
	}
)

// plainRead reads a whole collation. Under large answers net/http now and then drops the
// connection, up to ten times in a hundred: mostly the SDK tries again, and where it has
// given up this does.
func plainRead(ctx context.Context, client *dynamodb.Client, unpacker *zstd.Decoder, table, form, key string) (list []plainEvent, err error) {
	for range 10 {
		if list, err = plainReadOnce(ctx, client, unpacker, table, form, key); err == nil {
			return list, nil
		}
	}
	return nil, err
}

func plainReadOnce(ctx context.Context, client *dynamodb.Client, unpacker *zstd.Decoder, table, form, key string) ([]plainEvent, error) {
	pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
		TableName:                 &table,
		KeyConditionExpression:    aws.String("partitionKey = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": text(key)},
		ConsistentRead:            aws.Bool(true),
	})
	var list []plainEvent
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		at := len(list)
		list = append(list, make([]plainEvent, len(page.Items))...)
		for i, item := range page.Items {
			e := &list[at+i]
			switch form {
			case "S":
				var stored plainText
				if err := attributevalue.UnmarshalMap(item, &stored); err != nil {
					return nil, err
				}
				if err := e.parse([]byte(stored.Event)); err != nil {
					return nil, err
				}
			case "B":
				var stored plainBinary
				if err := attributevalue.UnmarshalMap(item, &stored); err != nil {
					return nil, err
				}
				raw, err := unpacker.DecodeAll(stored.Event, nil)
				if err != nil {
					return nil, err
				}
				if err := e.parse(raw); err != nil {
					return nil, err
				}
			case "M", asGoMap:
				var stored plainMap
				if err := attributevalue.UnmarshalMap(item, &stored); err != nil {
					return nil, err
				}
				e.Map = stored.Event
				if form == "M" {
					if err := e.toJSON(); err != nil {
						return nil, err
					}
					continue
				}
				e.ID, _ = stored.Event["id"].(string)
				e.Type, _ = stored.Event["type"].(string)
				e.PartitionKey, _ = stored.Event["partitionKey"].(string)
				e.Timestamp = stored.Timestamp
			}
		}
	}
	return list, nil
}

// plainItem makes an item to be saved, which never expires, as ours.
func plainItem(e *plainEvent, rangeKey, form string) (map[string]types.AttributeValue, error) {
	if form == "M" {
		var event map[string]any
		if err := json.Unmarshal(e.Raw, &event); err != nil {
			return nil, err
		}
		return attributevalue.MarshalMap(plainMap{e.PartitionKey, rangeKey, event, e.Type, e.Timestamp, 0})
	}
	return attributevalue.MarshalMap(plainText{e.PartitionKey, rangeKey, string(e.Raw), e.Type, e.Timestamp, 0})
}

func plainPut(ctx context.Context, client *dynamodb.Client, table string, item map[string]types.AttributeValue) error {
	_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item})
	return err
}

func plainBatch(ctx context.Context, client *dynamodb.Client, table string, requests []types.WriteRequest) error {
	for len(requests) > 0 {
		output, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: requests}})
		if err != nil {
			return err
		}
		requests = output.UnprocessedItems[table]
	}
	return nil
}

// plainKinesis makes events of a Lambda payload.
func plainKinesis(payload []byte) ([]plainEvent, error) {
	var batch events.KinesisEvent
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, err
	}
	list := make([]plainEvent, len(batch.Records))
	for i := range batch.Records {
		if err := list[i].parse(batch.Records[i].Kinesis.Data); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// plainDynamoDB makes events of a Lambda payload.
func plainDynamoDB(payload []byte, form string) ([]plainEvent, error) {
	var batch events.DynamoDBEvent
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, err
	}
	list := make([]plainEvent, len(batch.Records))
	for i := range batch.Records {
		event := batch.Records[i].Change.NewImage["event"]
		if form == "S" {
			if err := list[i].parse([]byte(event.String())); err != nil {
				return nil, err
			}
			continue
		}
		e := &list[i]
		e.Map = make(map[string]any, 8)
		for name, value := range event.Map() {
			e.Map[name] = plainValue(value)
		}
		if form == "M" {
			if err := e.toJSON(); err != nil {
				return nil, err
			}
			continue
		}
		e.ID, _ = e.Map["id"].(string)
		e.Type, _ = e.Map["type"].(string)
		e.PartitionKey, _ = e.Map["partitionKey"].(string)
	}
	return list, nil
}

// plainValue is what aws-lambda-go leaves to its users.
func plainValue(v events.DynamoDBAttributeValue) any {
	switch v.DataType() {
	case events.DataTypeString:
		return v.String()
	case events.DataTypeNumber:
		n, _ := v.Float()
		return n
	case events.DataTypeBoolean:
		return v.Boolean()
	case events.DataTypeList:
		list := make([]any, len(v.List()))
		for i, element := range v.List() {
			list[i] = plainValue(element)
		}
		return list
	case events.DataTypeMap:
		members := make(map[string]any, len(v.Map()))
		for name, member := range v.Map() {
			members[name] = plainValue(member)
		}
		return members
	}
	return nil
}
