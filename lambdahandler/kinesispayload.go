package lambdahandler

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A kinesisReader makes records of the payload of a Kinesis event source mapping.
// What they hold is decoded into a few allocations.
type kinesisReader struct {
	reader
	data  []byte // room for what is decoded
	table *base64Table
	mould jsonscan.Mould
	proto mes.Meta // what the records of the mould have in common
}

// The holes of moulds. Strings have their quotes in the pieces around them.
const (
	holeSequence uint8 = iota
	holePartitionKey
	holeArrived
	holeEventID
	holeData

	// Of changes:
	holeKind
	holeText    // a string that nobody needs
	holeNumber  // a number that nobody needs
	holeKeys    // nothing; the keys begin
	holeKeysEnd // nothing; the keys end
	holeNew     // an image
	holeOld
)

var errNotString = errors.New("its data is neither a string nor a list of bytes")

func newKinesisReader(payload []byte) *kinesisReader {
	return &kinesisReader{reader: newReader(payload), table: newBase64Table()}
}

// readKinesis makes records of a payload. What is in them is not opened.
func readKinesis(payload []byte, w *window) ([]mes.Record, error) {
	return newKinesisReader(payload).read(w)
}

func (r *kinesisReader) read(w *window) ([]mes.Record, error) {
	var records []mes.Record
	begin := 0
	err := r.records(func() {
		if len(records) == 1 {
			records = append(make([]mes.Record, 0, r.room(r.cursor.Offset()-begin)), records...)
		}
		begin = r.cursor.Offset()
		records = longer(records)
		r.next(&records[len(records)-1])
	})
	*w = r.window
	if err != nil {
		return nil, err
	}
	return records, nil
}

// next reads the next record.
func (r *kinesisReader) next(record *mes.Record) {
	m := &r.mould
	if m.Usable() {
		size, ok := r.cast(record, r.cursor.Rest())
		if m.Fitted(ok); ok {
			r.cursor.Take(size)
			return
		}
		*record = mes.Record{}
	}
	r.cursor.Rest() // without the white space before the record
	m.Open(r.cursor.Offset())
	r.record(record)
	m.Close(r.payload, r.cursor.Offset())
	r.proto = mes.Meta{Stream: record.Meta.Stream, Region: record.Meta.Region}
}

// cast reads the record that a text begins with if it fits the mould, and returns its
// length. It is false for any other.
func (r *kinesisReader) cast(record *mes.Record, text []byte) (size int, ok bool) {
	m := &r.mould
	i := 0
	for piece, hole := range m.Holes() {
		if i, ok = m.Piece(piece, text, i); !ok {
			return 0, false
		}
		begin := i
		switch hole {
		case holeArrived:
			if record.Meta.Arrived, i, ok = shortSeconds(text, i); !ok {
				return 0, false
			}
			continue
		case holeData:
			if record.Data, i, ok = r.decodeText(text, i); !ok {
				return 0, false
			}
			continue
		}
		if i, ok = jsonscan.PlainText(text, i); !ok {
			return 0, false
		}
		switch value := text[begin:i]; hole {
		case holeSequence:
			record.Meta.SequenceNumber = r.copy(value)
		case holePartitionKey:
			record.Meta.PartitionKey = r.copy(value)
		case holeEventID:
			record.Meta.Shard = r.shard(value)
		}
	}
	record.Meta.Stream, record.Meta.Region = r.proto.Stream, r.proto.Region
	return m.Piece(len(m.Holes()), text, i)
}

// record reads the next record, whatever it looks like. What is wrong with it stays
// with it.
func (r *kinesisReader) record(record *mes.Record) {
	c := &r.cursor
	r.members(func() bool {
		switch string(c.Key) {
		case "kinesis":
			r.kinesis(record)
		case "eventID":
			record.Meta.Shard = r.shard(unquoted(r.hole(holeEventID)))
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

// hole takes the next value, and makes a hole of it.
func (r *kinesisReader) hole(kind uint8) []byte {
	value := r.cursor.Value()
	end := r.cursor.Offset()
	begin := end - len(value)
	if kind != holeArrived && kind != holeNumber {
		if len(value) < 2 || value[0] != '"' {
			r.mould.Unfit()
			return value
		}
		begin, end = begin+1, end-1
	}
	r.mould.Hole(r.payload, kind, begin, end)
	return value
}

// shard returns the shard in an event id, such as shardId-000000000006:4959….
func (r *kinesisReader) shard(text []byte) string {
	last := &r.last[internShard]
	if n := len(last.value); n > 0 && len(text) > n && text[n] == ':' && string(text[:n]) == string(last.value) {
		return last.text // which has no colon in it
	}
	end := bytes.IndexByte(text, ':')
	if end < 0 {
		return ""
	}
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
			record.Data, record.Err = r.decode(r.hole(holeData))
		case "sequenceNumber":
			record.Meta.SequenceNumber = r.keep(r.hole(holeSequence))
		case "partitionKey":
			record.Meta.PartitionKey = r.keep(r.hole(holePartitionKey))
		case "approximateArrivalTimestamp":
			record.Meta.Arrived = seconds(r.hole(holeArrived))
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
		var data []byte // encoding/json takes a list of numbers as well
		if len(value) > 0 && value[0] == '[' && json.Unmarshal(value, &data) == nil {
			return data, nil
		}
		return value, errNotString
	}
	text := unquoted(value)
	r.reserve(len(text))
	n, err := r.table.decode(r.data, text)
	if err != nil {
		return text, fmt.Errorf("base64: %w", err)
	}
	return r.cut(n), nil
}

// decodeText is decode for the string of which the opening quote is before i, and
// returns the index of the closing one. It is false for what may be anything else than
// base64.
func (r *kinesisReader) decodeText(text []byte, i int) (data []byte, end int, ok bool) {
	n, size, ok := r.table.decodeText(r.data, text[i:])
	if !ok { // most likely there is no room for it
		if size = bytes.IndexByte(text[i:], '"'); size < 0 {
			return nil, i, false
		}
		r.reserve(size)
		if n, ok = r.table.decodeUsual(r.data, text[i:i+size]); !ok {
			return nil, i, false
		}
	}
	return r.cut(n), i + size, true
}

// mostRoom is how many bytes are made room for at once, at most, but for a record
// that needs more: those of most batches. Each large allocation costs far more than its
// bytes do; and of small records much room would be left over.
const mostRoom = 1 << 20

// reserve sees that there is room for what so many characters stand for.
func (r *kinesisReader) reserve(characters int) {
	if need := base64.StdEncoding.DecodedLen(characters); need > len(r.data) {
		rest := base64.StdEncoding.DecodedLen(len(r.payload) - r.cursor.Offset())
		r.data = make([]byte, max(need, min(rest, mostRoom)))
	}
}

// cut returns the first bytes of the room, which nothing else gets.
func (r *kinesisReader) cut(n int) []byte {
	data := r.data[:n:n]
	r.data = r.data[n:]
	return data
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
		Arrived:        known(from.Kinesis.ApproximateArrivalTimestamp.Time),
	}}
	if shard, _, found := strings.Cut(from.EventID, ":"); found {
		record.Meta.Shard = shard
	}
	return record
}
