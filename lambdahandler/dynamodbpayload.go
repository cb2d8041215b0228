package lambdahandler

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A dynamoReader makes stream records of the payload of a DynamoDB event source
// mapping, and of that of a Kinesis one whose stream a table writes its changes to.
type dynamoReader struct {
	*kinesisReader
	inner bool // it reads what was in a Kinesis record

	scan  func(text []byte) (item driver.Item, size int, ok bool) // nil for none
	items []driver.Item                                           // room for what it makes
}

// readDynamoDB makes stream records of a payload. With a scanner the images that it
// takes are decoded on the way.
func readDynamoDB(payload []byte, w *window, scanner driver.ImageScanner) ([]streamRecord, error) {
	r := dynamoReader{kinesisReader: &kinesisReader{reader: newReader(payload)}}
	if scanner != nil {
		r.scan = scanner.NewImageScanner()
	}
	var records []streamRecord
	begin := 0
	err := r.records(func() {
		if len(records) == 1 {
			size := r.cursor.Offset() - begin
			records = append(make([]streamRecord, 0, len(payload)/max(size, 1)+2), records...)
		}
		begin = r.cursor.Offset()
		records = append(records, streamRecord{})
		r.record(&records[len(records)-1])
	})
	*w = r.window
	if err != nil {
		return nil, err
	}
	return records, nil
}

func (r *dynamoReader) record(record *streamRecord) {
	c := &r.cursor
	var packed []byte // of a Kinesis record
	r.members(func() bool {
		switch string(c.Key) {
		case "dynamodb":
			r.change(record)
		case "eventName":
			record.kind = kindOf(unquoted(c.Value()))
		case "userIdentity":
			r.identity(record)
		case "awsRegion":
			record.meta.Region = r.share(internRegion, c.Value())
		case "eventSourceARN":
			record.meta.Stream = r.share(internStream, c.Value())
		case "eventID":
			if value := c.Value(); !r.inner { // that of DynamoDB names no shard
				record.meta.Shard = r.shard(unquoted(value))
			}
		case "kinesis":
			packed = c.Value()
		case "eventSource", "eventVersion", "invokeIdentityArn", "recordFormat", "tableName":
			c.Value()
		default:
			return false
		}
		return true
	}, "dynamodb", "eventName", "userIdentity", "awsRegion", "eventSourceARN", "eventID", "kinesis")
	if packed != nil && !r.inner {
		r.unpack(record, packed)
	}
}

func (r *dynamoReader) change(record *streamRecord) {
	c := &r.cursor
	precision := time.Second
	if r.inner {
		precision = time.Millisecond
	}
	var created []byte
	r.members(func() bool {
		switch string(c.Key) {
		case "Keys":
			record.keys = notNull(c.Value())
		case "NewImage":
			record.new, record.newItem = r.image()
		case "OldImage":
			record.old, record.oldItem = r.image()
		case "SequenceNumber":
			record.meta.SequenceNumber = r.keep(c.Value())
		case "ApproximateCreationDateTime":
			created = c.Value()
		case "ApproximateCreationDateTimePrecision":
			if string(unquoted(c.Value())) == "MICROSECOND" {
				precision = time.Microsecond
			}
		case "SizeBytes", "StreamViewType":
			c.Value()
		default:
			return false
		}
		return true
	}, "Keys", "NewImage", "OldImage", "SequenceNumber", "ApproximateCreationDateTime", "ApproximateCreationDateTimePrecision")
	record.meta.Arrived = seconds(created)
	if since := record.meta.Arrived.Unix(); precision != time.Second && !record.meta.Arrived.IsZero() {
		unit := int64(time.Second / precision)
		record.meta.Arrived = time.Unix(since/unit, since%unit*int64(precision)).UTC()
	}
}

// image takes an image and, if it has been decoded, its item; nil for null.
func (r *dynamoReader) image() ([]byte, *driver.Item) {
	if r.scan == nil {
		return notNull(r.cursor.Value()), nil
	}
	item, size, ok := r.scan(r.cursor.Rest())
	if !ok {
		return notNull(r.cursor.Value()), nil
	}
	if len(r.items) == cap(r.items) {
		r.items = make([]driver.Item, 0, 128)
	}
	r.items = append(r.items, item)
	return r.cursor.Take(size), &r.items[len(r.items)-1]
}

func notNull(value []byte) []byte {
	if jsonscan.KindOf(value) == jsonscan.Null {
		return nil
	}
	return value
}

func (r *dynamoReader) identity(record *streamRecord) {
	c := &r.cursor
	var identityType, principal []byte
	r.members(func() bool {
		switch string(c.Key) {
		case "type":
			identityType = unquoted(c.Value())
		case "principalId":
			principal = unquoted(c.Value())
		default:
			return false
		}
		return true
	}, "type", "principalId")
	record.expired = isTTL(identityType, principal)
}

var errNotChange = errors.New("the record is no change of a table")

// unpack reads the members of a Kinesis record that holds a change.
func (r *dynamoReader) unpack(record *streamRecord, kinesis []byte) {
	if r.table == nil {
		r.table = newBase64Table()
	}
	outer := kinesisReader{reader: newReader(kinesis), table: r.table}
	packed := mes.Record{Meta: record.meta}
	outer.kinesis(&packed)
	unpackChange(record, &packed)
}

// unpackChange reads what Kinesis Data Streams for DynamoDB has put in a Kinesis
// record: a stream record of its own form, whose time is in milliseconds or
// microseconds and which has no sequence number. That of the Kinesis record is what
// counts.
func unpackChange(record *streamRecord, packed *mes.Record) {
	*record = streamRecord{meta: packed.Meta, err: packed.Err}
	if packed.Err != nil {
		return
	}
	inside := dynamoReader{kinesisReader: &kinesisReader{reader: newReader(packed.Data)}, inner: true}
	inside.record(record)
	if err := inside.cursor.End(); err != nil {
		*record = streamRecord{meta: packed.Meta, err: fmt.Errorf("%w: %w", errNotChange, err)}
		return
	}
	arrived, region := record.meta.Arrived, record.meta.Region
	record.meta = packed.Meta
	if !arrived.IsZero() {
		record.meta.Arrived = arrived // when the table changed
	}
	if region != "" {
		record.meta.Region = region
	}
	if record.keys == nil && record.new == nil && record.old == nil {
		record.err = errNotChange
	}
}

// fromDynamoDBEvent makes the same stream records of an event that is decoded
// already.
func fromDynamoDBEvent(event *events.DynamoDBEvent) ([]streamRecord, error) {
	if event.Records == nil {
		return nil, errNoRecords
	}
	records := make([]streamRecord, len(event.Records))
	for i := range event.Records {
		from := &event.Records[i]
		record := &records[i]
		record.kind = kindOf([]byte(from.EventName))
		record.meta.Stream, record.meta.Region = from.EventSourceArn, from.AWSRegion
		record.meta.SequenceNumber = from.Change.SequenceNumber
		record.meta.Arrived = utc(from.Change.ApproximateCreationDateTime.Time)
		if from.UserIdentity != nil {
			record.expired = isTTL([]byte(from.UserIdentity.Type), []byte(from.UserIdentity.PrincipalID))
		}
		record.keys = imageOf(from.Change.Keys)
		record.new = imageOf(from.Change.NewImage)
		record.old = imageOf(from.Change.OldImage)
	}
	return records, nil
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
