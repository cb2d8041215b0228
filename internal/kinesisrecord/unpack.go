package kinesisrecord

import (
	"bytes"
	"fmt"
	"sync"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/unzstd"
)

// MaxOpened is how many bytes all that is compressed in one Kinesis record may
// have when it is opened. It is as much as dynamostore stores of one event. What
// goes beyond is a fault of its event, not of its neighbours.
const MaxOpened = unzstd.Limit

// An Unpacker makes records of Kinesis records. The zero Unpacker is ready; it is
// safe for use by many goroutines at once, and is not to be copied. It holds no
// goroutine and needs no closing.
type Unpacker struct {
	zstd  unzstd.Opener
	gzips sync.Pool // of *gzip.Reader
}

// Append appends to dst the records that a Kinesis record with the given data and
// meta holds: one, or those of an aggregate in their order, with SubSequence from 0
// and their own PartitionKey and ExplicitHashKey. It always appends at least one,
// except for an aggregate of nothing.
//
// All records of an aggregate have one sequence number: a host acknowledges all or
// none of them. An aggregate that is broken is one record with Err, and so is an
// event whose compressed form is broken or has more than [MaxOpened] bytes when
// opened; Data is then what stood there.
//
// The records share the memory of data.
func (u *Unpacker) Append(dst []mes.Record, data []byte, meta mes.Meta) []mes.Record {
	first := len(dst)
	if bytes.HasPrefix(data, aggregateMagic()) {
		var err error
		if dst, err = appendAggregate(dst, data, &meta); err != nil {
			return append(dst[:first], mes.Record{Data: data, Meta: meta, Err: fmt.Errorf("aggregated record: %w", err)})
		}
	} else {
		dst = append(dst, mes.Record{Data: data, Meta: meta})
	}
	left := MaxOpened
	for i := first; i < len(dst); i++ {
		u.open(&dst[i], &left)
	}
	return dst
}

// open opens what is compressed in a record. left is how many bytes that may have.
func (u *Unpacker) open(record *mes.Record, left *int) {
	opened, err := u.openWhole(record.Data, left)
	if err == nil {
		opened, err = u.openValues(opened, left)
	}
	if err != nil {
		record.Err = fmt.Errorf("compressed record: %w", err)
		return
	}
	record.Data = opened
}

// Packed tells whether Append would look further into data: whether it is an
// aggregate or may hold something compressed. Append makes one record of all else,
// with data as it is.
func Packed(data []byte) bool {
	if len(data) < len(gzipMagic) {
		return false
	}
	switch data[0] {
	case 0xf3, 0x1f, 0x28:
		return true
	}
	return bytes.Contains(data, []byte(valuePrefix))
}
