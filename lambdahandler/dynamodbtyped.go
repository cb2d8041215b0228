package lambdahandler

import (
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"
)

// fromDynamoDBEvent makes the same changes of an event that is decoded already.
func fromDynamoDBEvent(event *events.DynamoDBEvent) (stream, error) {
	if event.Records == nil {
		return stream{}, errNoRecords
	}
	s := newStream(len(event.Records))
	for i := range event.Records {
		from := &event.Records[i]
		change, record := &s.changes[i], &s.records[i]
		change.Kind = kindOf([]byte(from.EventName))
		change.Meta.Stream, change.Meta.Region = from.EventSourceArn, from.AWSRegion
		change.Meta.SequenceNumber = from.Change.SequenceNumber
		change.Meta.Arrived = known(from.Change.ApproximateCreationDateTime.Time)
		if from.UserIdentity != nil {
			change.Expired = isTTL([]byte(from.UserIdentity.Type), []byte(from.UserIdentity.PrincipalID))
		}
		record.keys = imageOf(from.Change.Keys)
		record.new = imageOf(from.Change.NewImage)
		record.old = imageOf(from.Change.OldImage)
	}
	return s, nil
}

// imageOf makes DynamoDB JSON of an image; nil of none.
func imageOf(image map[string]events.DynamoDBAttributeValue) []byte {
	if image == nil {
		return nil
	}
	attributes := make(map[string]json.RawMessage, len(image))
	for name, value := range image {
		attributes[name] = attributeOf(value)
	}
	encoded, err := json.Marshal(attributes)
	if err != nil {
		return []byte("{}") // of valid JSON, as these are, it makes JSON
	}
	return encoded
}

// attributeOf makes DynamoDB JSON of an attribute. One that has no value, or holds
// one that has none, is what that was decoded from: an empty object. Package events
// panics when it is to make JSON of it.
func attributeOf(value events.DynamoDBAttributeValue) (attribute json.RawMessage) {
	defer func() {
		if recover() != nil {
			attribute = json.RawMessage("{}")
		}
	}()
	attribute, err := value.MarshalJSON()
	if err != nil {
		return json.RawMessage("{}")
	}
	return attribute
}
