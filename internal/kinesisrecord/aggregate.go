package kinesisrecord

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the format's checksum, no secret depends on it
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	mes "github.com/microeventstore/microeventstore"
)

// An aggregate is the magic number, a protocol buffers message and the MD5 of the
// message. Source: aggregation-format.md of awslabs/amazon-kinesis-producer.
//
//	message AggregatedRecord {
//	  repeated string partition_key_table     = 1;
//	  repeated string explicit_hash_key_table = 2;
//	  repeated Record records                 = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index     = 1;
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes  data                    = 3;
//	  repeated Tag    tags                    = 4;
//	}
const (
	fieldPartitionKeys = 1
	fieldHashKeys      = 2
	fieldRecords       = 3

	fieldPartitionKey = 1
	fieldHashKey      = 2
	fieldData         = 3
)

func aggregateMagic() []byte { return []byte("\xf3\x89\x9a\xc2") }

// maxRecords bounds the records of one aggregate, and the keys in each of its tables,
// so that a small message of empty ones does not become a large slice. The largest
// Kinesis record, of 10 MiB, would have to hold events of 100 bytes to get there, and
// no producer has more keys than records.
const maxRecords = 100_000

var (
	errShort    = errors.New("it is too short")
	errMD5      = errors.New("its MD5 does not match")
	errWire     = errors.New("it is not the message it should be")
	errIndex    = errors.New("an index points behind a table of keys")
	errRequired = errors.New("a record in it has no data or no partition key")
)

// appendAggregate appends the records of an aggregate. With an error some may have
// been appended.
func appendAggregate(dst []mes.Record, data []byte, meta *mes.Meta) ([]mes.Record, error) {
	message, err := checkedMessage(data)
	if err != nil {
		return dst, err
	}
	// The tables may come after the records, so they are read first.
	var partitionKeys, hashKeys []string
	var counts [fieldRecords + 1]int
	err = walk(message, func(field protowire.Number, value []byte, _ uint64) {
		if counts[field]++; counts[field] > maxRecords {
			return
		}
		switch field {
		case fieldPartitionKeys:
			partitionKeys = append(partitionKeys, string(value))
		case fieldHashKeys:
			hashKeys = append(hashKeys, string(value))
		}
	}, fieldPartitionKeys, fieldHashKeys, fieldRecords)
	if err != nil {
		return dst, err
	}
	for field, name := range [...]string{fieldPartitionKeys: "partition keys", fieldHashKeys: "hash keys", fieldRecords: "records"} {
		if counts[field] > maxRecords {
			return dst, fmt.Errorf("it has %d %s and can have at most %d", counts[field], name, maxRecords)
		}
	}
	count := counts[fieldRecords]
	if free := cap(dst) - len(dst); free < count {
		dst = append(make([]mes.Record, 0, len(dst)+max(count, len(dst))), dst...)
	}
	next := *meta
	var wrong error
	err = walk(message, func(field protowire.Number, value []byte, _ uint64) {
		if field != fieldRecords || wrong != nil {
			return
		}
		var record mes.Record
		if record, wrong = userRecord(value, &next, partitionKeys, hashKeys); wrong == nil {
			dst = append(dst, record)
			next.SubSequence++
		}
	}, fieldPartitionKeys, fieldHashKeys, fieldRecords)
	return dst, errors.Join(err, wrong)
}

// checkedMessage returns the message of an aggregate, whose MD5 it has checked.
func checkedMessage(data []byte) ([]byte, error) {
	magic := len(aggregateMagic())
	if len(data) < magic+md5.Size {
		return nil, errShort
	}
	message, sum := data[magic:len(data)-md5.Size], data[len(data)-md5.Size:]
	digest := md5.New() //nolint:gosec // see above
	if _, err := digest.Write(message); err != nil {
		// This process may not use MD5 (GODEBUG=fips140=only), and Sum would panic.
		// That is no fault of the record's; the message is still checked itself.
		return message, nil
	}
	if !bytes.Equal(digest.Sum(nil), sum) {
		return nil, errMD5
	}
	return message, nil
}

// userRecord reads one record of an aggregate. meta is that of the aggregate, with
// the record's place in it.
func userRecord(message []byte, meta *mes.Meta, partitionKeys, hashKeys []string) (mes.Record, error) {
	record := mes.Record{Meta: *meta}
	var partitionKey, hashKey uint64
	var hasPartitionKey, hasHashKey, hasData bool
	err := walk(message, func(field protowire.Number, value []byte, number uint64) {
		switch field {
		case fieldPartitionKey:
			partitionKey, hasPartitionKey = number, true
		case fieldHashKey:
			hashKey, hasHashKey = number, true
		case fieldData:
			record.Data, hasData = value, true
		}
	}, fieldData)
	switch {
	case err != nil:
		return record, err
	case !hasPartitionKey || !hasData:
		return record, errRequired
	case partitionKey >= uint64(len(partitionKeys)) || hasHashKey && hashKey >= uint64(len(hashKeys)):
		return record, errIndex
	}
	record.Meta.PartitionKey, record.Meta.ExplicitHashKey = partitionKeys[partitionKey], ""
	if hasHashKey {
		record.Meta.ExplicitHashKey = hashKeys[hashKey]
	}
	return record, nil
}

// walk calls visit for the fields 1 to 3 of a message. Those that are listed hold
// bytes, the others of the three a number; unknown fields are skipped.
func walk(message []byte, visit func(field protowire.Number, value []byte, number uint64), ofBytes ...protowire.Number) error {
	for len(message) > 0 {
		field, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		if field > fieldRecords {
			if n = protowire.ConsumeFieldValue(field, typ, message); n < 0 {
				return errWire
			}
			message = message[n:]
			continue
		}
		want := protowire.VarintType
		if slices.Contains(ofBytes, field) {
			want = protowire.BytesType
		}
		if typ != want {
			return errWire
		}
		var value []byte
		var number uint64
		if want == protowire.BytesType {
			value, n = protowire.ConsumeBytes(message)
		} else {
			number, n = protowire.ConsumeVarint(message)
		}
		if n < 0 {
			return errWire
		}
		visit(field, value[:len(value):len(value)], number)
		message = message[n:]
	}
	return nil
}
