package lambdahandler

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A kinesisReader makes records of the payload of a Kinesis event source mapping.
// All that they hold is decoded into one allocation.
type kinesisReader struct {
	*reader
	data  []byte // room for what is decoded
	table *base64Table
}

var errNotString = errors.New("its data is not a string")

func newKinesisReader(payload []byte) *kinesisReader {
	return &kinesisReader{
		reader: newReader(payload),
		data:   make([]byte, base64.StdEncoding.DecodedLen(len(payload))),
		table:  newBase64Table(),
	}
}

// readKinesis makes records of a payload. What is in them is not opened.
func readKinesis(payload []byte, w *window) ([]mes.Record, error) {
	r := newKinesisReader(payload)
	var records []mes.Record
	begin := 0
	err := r.records(func() {
		if len(records) == 1 { // most are about as long as the first
			size := r.cursor.Offset() - begin
			records = append(make([]mes.Record, 0, len(payload)/max(size, 1)+2), records...)
		}
		begin = r.cursor.Offset()
		records = append(records, mes.Record{})
		r.record(&records[len(records)-1])
	})
	*w = r.window
	if err != nil {
		return nil, err
	}
	return records, nil
}

// record reads the next record. What is wrong with it stays with it.
func (r *kinesisReader) record(record *mes.Record) {
	c := &r.cursor
	r.members(func() bool {
		switch string(c.Key) {
		case "kinesis":
			r.kinesis(record)
		case "eventID":
			record.Meta.Shard = r.shard(c.Value())
		case "awsRegion":
			record.Meta.Region = r.share(internRegion, c.Value())
		case "eventSourceARN":
			record.Meta.Stream = r.share(internStream, c.Value())
		case "eventSource", "eventVersion", "eventName", "invokeIdentityArn":
			c.Value()
		default:
			return false
		}
		return true
	}, "kinesis", "eventID", "awsRegion", "eventSourceARN")
}

// shard returns the shard in an event id, such as shardId-000000000006:4959….
func (r *kinesisReader) shard(value []byte) string {
	text := unquoted(value)
	end := bytes.IndexByte(text, ':')
	if end < 0 {
		return ""
	}
	last := &r.last[internShard]
	if string(last.value) != string(text[:end]) {
		*last = interned{value: text[:end], text: r.copy(text[:end])}
	}
	return last.text
}

func (r *kinesisReader) kinesis(record *mes.Record) {
	c := &r.cursor
	r.members(func() bool {
		switch string(c.Key) {
		case "data":
			record.Data, record.Err = r.decode(c.Value())
		case "sequenceNumber":
			record.Meta.SequenceNumber = r.keep(c.Value())
		case "partitionKey":
			record.Meta.PartitionKey = r.keep(c.Value())
		case "approximateArrivalTimestamp":
			record.Meta.Arrived = seconds(c.Value())
		case "kinesisSchemaVersion", "encryptionType":
			c.Value()
		default:
			return false
		}
		return true
	}, "data", "sequenceNumber", "partitionKey", "approximateArrivalTimestamp")
}

// decode returns the bytes of a record; with an error, what stood in their place.
func (r *kinesisReader) decode(value []byte) ([]byte, error) {
	if jsonscan.KindOf(value) == jsonscan.Null {
		return nil, nil
	}
	if len(value) == 0 || value[0] != '"' {
		return value, errNotString
	}
	text := unquoted(value)
	size := base64.StdEncoding.DecodedLen(len(text))
	if size > len(r.data) { // escapes have made it longer than it was written
		r.data = make([]byte, size)
	}
	n, err := r.table.decode(r.data, text)
	if err != nil {
		return text, fmt.Errorf("base64: %w", err)
	}
	data := r.data[:n:n]
	r.data = r.data[n:]
	return data, nil
}

// fromKinesisEvent makes the same records of an event that is decoded already.
func fromKinesisEvent(event *events.KinesisEvent) ([]mes.Record, error) {
	if event.Records == nil {
		return nil, errNoRecords
	}
	records := make([]mes.Record, len(event.Records))
	for i := range event.Records {
		records[i] = fromKinesisRecord(&event.Records[i])
	}
	return records, nil
}

func fromKinesisRecord(from *events.KinesisEventRecord) mes.Record {
	record := mes.Record{Data: from.Kinesis.Data, Meta: mes.Meta{
		Stream:         from.EventSourceArn,
		Region:         from.AwsRegion,
		SequenceNumber: from.Kinesis.SequenceNumber,
		PartitionKey:   from.Kinesis.PartitionKey,
		Arrived:        utc(from.Kinesis.ApproximateArrivalTimestamp.Time),
	}}
	for i := range len(from.EventID) {
		if from.EventID[i] == ':' {
			record.Meta.Shard = from.EventID[:i]
			break
		}
	}
	return record
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
