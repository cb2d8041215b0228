package lambdahandler

import (
	"errors"
	"fmt"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A dynamoReader makes changes of the payload of a DynamoDB event source mapping, and of
// that of a Kinesis one whose stream a table writes its changes to.
type dynamoReader struct {
	kinesisReader
	inner bool // it reads what was in a Kinesis record

	changer *changer        // completes changes, as far as it scans images; nil for none
	images  [2]decodedImage // the new one and the old one, if they have been scanned
	scanned [2]bool
	depth   int        // of the images of the mould
	proto   mes.Change // what the changes of the mould have in common
}

// readDynamoDB makes changes of a payload. With a changer those are complete of which
// the images can be decoded on the way.
func readDynamoDB(payload []byte, w *window, c *changer) (stream, error) {
	return newDynamoReader(payload, c).read(w)
}

func newDynamoReader(payload []byte, c *changer) *dynamoReader {
	r := &dynamoReader{kinesisReader: kinesisReader{reader: newReader(payload)}}
	if c != nil && c.scan != nil {
		r.changer = c
	}
	return r
}

func (r *dynamoReader) read(w *window) (stream, error) {
	var s stream
	begin := 0
	err := r.records(func() {
		if len(s.changes) == 1 {
			n := r.room(r.cursor.Offset() - begin)
			s.changes = append(make([]mes.Change, 0, n), s.changes...)
			if r.changer != nil {
				r.changer.left = n
			}
		}
		begin = r.cursor.Offset()
		s.changes = longer(s.changes)
		last := len(s.changes) - 1
		record := streamRecord{change: last}
		if r.next(&s.changes[last], &record); record.complete && record.err == nil {
			return
		}
		if s.records == nil && last > 0 {
			s.records = make([]streamRecord, 0, cap(s.changes)-last)
		}
		s.records = append(s.records, record)
	})
	*w = r.window
	if err != nil {
		return stream{}, err
	}
	return s, nil
}

// next reads the next record.
func (r *dynamoReader) next(change *mes.Change, record *streamRecord) {
	fits := false
	if r.mould.Usable() {
		var size int
		size, fits = r.cast(change, record, r.cursor.Rest())
		if r.mould.Fitted(fits); fits {
			r.cursor.Take(size)
		} else {
			*change, *record = mes.Change{}, streamRecord{change: record.change}
		}
	}
	if !fits {
		r.cursor.Rest() // without the white space before the record
		r.mould.Open(r.cursor.Offset())
		r.record(change, record)
		r.mould.Close(r.payload, r.cursor.Offset())
		r.proto = mes.Change{Expired: change.Expired, Meta: mes.Meta{Stream: change.Meta.Stream, Region: change.Meta.Region}}
	}
	r.complete(change, record)
}

// complete completes a change if all its images were decoded.
func (r *dynamoReader) complete(change *mes.Change, record *streamRecord) {
	var images [2]*decodedImage
	for i, image := range [...][]byte{record.new, record.old} {
		if r.scanned[i] {
			images[i] = &r.images[i]
		} else if image != nil {
			record.complete = false
			r.scanned = [2]bool{}
			return
		}
	}
	if r.scanned != [2]bool{} {
		record.complete = true
		record.err = r.changer.complete(change, record, images)
		r.scanned = [2]bool{}
	}
}

// cast reads the record that a text begins with if it fits the mould, and returns its
// length. It is false for any other.
func (r *dynamoReader) cast(change *mes.Change, record *streamRecord, text []byte) (size int, ok bool) {
	m := &r.mould
	i, keys := 0, 0
	r.scanned = [2]bool{}
	for piece, hole := range m.Holes() {
		if i, ok = m.Piece(piece, text, i); !ok {
			return 0, false
		}
		begin := i
		switch hole {
		case holeKeys:
			keys = i
			continue
		case holeKeysEnd:
			record.keys = notNull(text[keys:i:i])
			continue
		case holeNew, holeOld:
			if i, ok = r.scan(int(hole-holeNew), text, i); !ok {
				if i, ok = jsonscan.SkipIn(text, begin, r.depth); !ok {
					return 0, false
				}
			}
			if image := notNull(text[begin:i:i]); hole == holeNew {
				record.new = image
			} else {
				record.old = image
			}
			continue
		case holeArrived:
			if change.Meta.Arrived, i, ok = shortSeconds(text, i); !ok {
				return 0, false
			}
			continue
		case holeNumber:
			if _, i, ok = shortSeconds(text, i); !ok {
				return 0, false
			}
			continue
		}
		if i, ok = jsonscan.PlainText(text, i); !ok {
			return 0, false
		}
		switch value := text[begin:i]; hole {
		case holeSequence:
			change.Meta.SequenceNumber = r.copy(value)
		case holeKind:
			change.Kind = kindOf(value)
		}
	}
	change.Expired, change.Meta.Stream, change.Meta.Region = r.proto.Expired, r.proto.Meta.Stream, r.proto.Meta.Region
	return m.Piece(len(m.Holes()), text, i)
}

// record reads the next record, whatever it looks like.
func (r *dynamoReader) record(change *mes.Change, record *streamRecord) {
	c := &r.cursor
	var packed, id []byte // of a Kinesis record
	r.scanned = [2]bool{}
	r.members(func() bool {
		switch string(c.Key) {
		case "dynamodb":
			r.change(change, record)
		case "eventName":
			change.Kind = kindOf(unquoted(r.hole(holeKind)))
		case "userIdentity":
			r.identity(change)
		case "awsRegion":
			change.Meta.Region = r.share(internRegion, c.Value())
		case "eventSourceARN":
			change.Meta.Stream = r.share(internStream, c.Value())
		case "eventID":
			id = r.hole(holeText)
		case "kinesis":
			r.mould.Unfit()
			packed = c.Value()
		case "eventSource", "eventVersion", "invokeIdentityArn", "recordFormat", "tableName":
			c.Value()
		default:
			return false
		}
		return true
	}, "dynamodb", "eventName", "userIdentity", "awsRegion", "eventSourceARN", "eventID", "kinesis")
	if packed != nil && !r.inner {
		change.Meta.Shard = r.shard(unquoted(id)) // that of DynamoDB names none
		r.unpack(change, record, packed)
	}
}

func (r *dynamoReader) change(change *mes.Change, record *streamRecord) {
	c := &r.cursor
	precision := time.Second
	if r.inner {
		precision = time.Millisecond
	}
	var created []byte
	r.members(func() bool {
		switch string(c.Key) {
		case "Keys":
			record.keys = r.keys()
		case "NewImage":
			record.new = r.image(0)
		case "OldImage":
			record.old = r.image(1)
		case "SequenceNumber":
			change.Meta.SequenceNumber = r.keep(r.hole(holeSequence))
		case "ApproximateCreationDateTime":
			created = r.hole(holeArrived)
		case "ApproximateCreationDateTimePrecision":
			r.mould.Unfit() // it is not of a second
			if string(unquoted(c.Value())) == "MICROSECOND" {
				precision = time.Microsecond
			}
		case "SizeBytes":
			r.hole(holeNumber)
		case "StreamViewType":
			c.Value()
		default:
			return false
		}
		return true
	}, "Keys", "NewImage", "OldImage", "SequenceNumber", "ApproximateCreationDateTime", "ApproximateCreationDateTimePrecision")
	change.Meta.Arrived = seconds(created)
	if since := change.Meta.Arrived.Unix(); precision != time.Second && !change.Meta.Arrived.IsZero() {
		unit := int64(time.Second / precision)
		change.Meta.Arrived = time.Unix(since/unit, since%unit*int64(precision)).UTC()
	}
}

// keys takes the keys, and makes a hole of each text in them.
func (r *dynamoReader) keys() []byte {
	r.cursor.Rest()
	begin := r.cursor.Offset()
	keys := r.cursor.Value()
	r.mould.Hole(r.payload, holeKeys, begin, begin)
	c := jsonscan.NewCursor(keys)
	for c.Enter('{'); c.Member(); {
		if !c.Enter('{') {
			c.Value()
			continue
		}
		for c.Member() {
			if value, end := c.Value(), c.Offset(); len(value) > 1 && value[0] == '"' {
				r.mould.Hole(r.payload, holeText, begin+end-len(value)+1, begin+end-1)
			}
		}
	}
	r.mould.Hole(r.payload, holeKeysEnd, begin+len(keys), begin+len(keys))
	return notNull(keys)
}

// image takes an image; nil for null. Which one it is tells its place in items.
func (r *dynamoReader) image(which int) []byte {
	text := r.cursor.Rest()
	begin := r.cursor.Offset()
	r.depth = r.cursor.Depth()
	var image []byte
	if size, ok := r.scan(which, text, 0); ok {
		image = r.cursor.Take(size)
	} else {
		image = notNull(r.cursor.Value())
	}
	r.mould.Hole(r.payload, holeNew+uint8(which), begin, r.cursor.Offset())
	return image
}

// scan decodes the image at i, and returns the index after it.
func (r *dynamoReader) scan(which int, text []byte, i int) (int, bool) {
	if r.changer == nil {
		return i, false
	}
	item, size, ok := r.changer.scan(text[i:])
	if !ok {
		r.scanned[which] = false // of two of one name the last counts
		return i, false
	}
	r.images[which], r.scanned[which] = r.changer.open(&item), true
	return i + size, true
}

func notNull(value []byte) []byte {
	if jsonscan.KindOf(value) == jsonscan.Null {
		return nil
	}
	return value
}

func (r *dynamoReader) identity(change *mes.Change) {
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
	change.Expired = isTTL(identityType, principal)
}

var errNotChange = errors.New("the record is no change of a table")

// unpack reads the members of a Kinesis record that holds a change.
func (r *dynamoReader) unpack(change *mes.Change, record *streamRecord, kinesis []byte) {
	if r.table == nil {
		r.table = newBase64Table()
	}
	outer := kinesisReader{reader: newReader(kinesis), table: r.table}
	packed := mes.Record{Meta: change.Meta}
	outer.kinesis(&packed)
	unpackChange(change, record, &packed)
}

// unpackChange reads what Kinesis Data Streams for DynamoDB has put in a Kinesis
// record: a stream record of its own form, whose time is in milliseconds or
// microseconds and which has no sequence number. That of the Kinesis record is what
// counts.
func unpackChange(change *mes.Change, record *streamRecord, packed *mes.Record) {
	*change, *record = mes.Change{Meta: packed.Meta, Err: packed.Err}, streamRecord{change: record.change}
	if packed.Err != nil {
		return
	}
	inside := dynamoReader{kinesisReader: kinesisReader{reader: newReader(packed.Data)}, inner: true}
	inside.record(change, record)
	if err := inside.cursor.End(); err != nil {
		*change, *record = mes.Change{Meta: packed.Meta, Err: fmt.Errorf("%w: %w", errNotChange, err)}, streamRecord{change: record.change}
		return
	}
	arrived, region := change.Meta.Arrived, change.Meta.Region
	change.Meta = packed.Meta
	if !arrived.IsZero() {
		change.Meta.Arrived = arrived // when the table changed
	}
	if region != "" {
		change.Meta.Region = region
	}
	if record.keys == nil && record.new == nil && record.old == nil {
		change.Err = errNotChange
	}
}
