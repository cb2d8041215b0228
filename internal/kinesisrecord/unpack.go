package kinesisrecord

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/unzstd"
)

// MaxOpened is how many bytes all that is compressed in one event may have when it is
// opened. It is as much as dynamostore stores of one event. What goes beyond is a fault
// of its event, not of its neighbours.
const MaxOpened = unzstd.Limit

// What is opened of the events of one Kinesis record in all, so that no record takes
// longer than a function or a lease has time for: this much, and as much for each of
// its bytes as an aggregate of ordinary JSON may need.
const (
	maxOpenedInAll   = 4 * MaxOpened
	maxOpenedPerByte = 16
)

var errCost = fmt.Errorf("what is compressed in it has more than %d bytes, and %d for each of its own, when opened: from here on its records are not opened", maxOpenedInAll, maxOpenedPerByte)

const (
	recordSize = 256  // what a record costs besides its data, roughly
	mostRoom   = 4096 // records that room is kept for until the next Kinesis record
)

// An Unpacker opens what is compressed in records. The zero Unpacker is ready; it is
// safe for use by many goroutines at once, and is not to be copied. It holds no
// goroutine and needs no closing.
type Unpacker struct {
	zstd  unzstd.Opener
	gzips sync.Pool // of *gzip.Reader
}

// An Unpacking makes records of a Kinesis record: one, or those of an aggregate in
// their order, with SubSequence from 0 and their own PartitionKey and ExplicitHashKey.
// There is at least one, except in an aggregate of nothing.
//
// All records of an aggregate have one sequence number: a host acknowledges all or
// none of them. An aggregate that is broken is one record with Err, and so is an
// event whose compressed form is broken or has more than [MaxOpened] bytes when
// opened; Data is then what stood there. Where an aggregate would cost too much, by
// openings that succeed or by those that fail, the rest of it is one record with Err,
// and Data is the aggregate. Unless a host gives up, the same record is always taken apart
// in the same way.
//
// The records share the memory of the data. The zero Unpacking is done.
type Unpacking struct {
	unpacker *Unpacker
	whole    mes.Record   // the Kinesis record
	records  []mes.Record // in it, some of them opened by now
	next     int          // which of them comes next
	left     int          // how much may still be opened
}

// Begin begins with a Kinesis record of some data and meta. What was begun before is
// forgotten.
func (p *Unpacking) Begin(u *Unpacker, data []byte, meta mes.Meta) {
	if clear(p.records); cap(p.records) > mostRoom { // the data is not to be kept
		p.records = nil
	}
	p.unpacker, p.whole = u, mes.Record{Data: data, Meta: meta}
	p.records, p.next, p.left = p.records[:0], 0, maxOpenedInAll+maxOpenedPerByte*len(data)
	if !bytes.HasPrefix(data, aggregateMagic()) {
		p.records = append(p.records, p.whole)
		return
	}
	var err error
	if p.records, err = appendAggregate(p.records, data, &meta); err != nil {
		p.whole.Err = fmt.Errorf("aggregated record: %w", err)
		p.records = append(p.records[:0], p.whole)
	}
}

// Done tells whether there are no more records.
func (p *Unpacking) Done() bool { return p.next >= len(p.records) }

// Next appends the next records to dst: at least one, and more until they have cost
// more than most. cost is roughly how many bytes were opened, be it in vain, and how
// many the records take besides the data. An error is that of ctx, which is looked at
// before anything is opened.
func (p *Unpacking) Next(ctx context.Context, dst []mes.Record, most int) (records []mes.Record, cost int, err error) {
	for ; !p.Done() && cost <= most; p.next++ {
		record := &p.records[p.next]
		cost += recordSize
		if record.Err == nil && Packed(record.Data) {
			if err := ctx.Err(); err != nil {
				return dst, cost, err
			}
			if p.left <= 0 {
				return p.GiveUp(dst, errCost), cost, nil
			}
			opened := p.unpacker.Open(record)
			p.left -= opened
			if opened > 0 { // its room may be larger than what is in it
				cost += max(opened, cap(record.Data))
			}
		}
		dst = append(dst, *record)
		*record = mes.Record{} // what was opened is not to be kept
	}
	return dst, cost, nil
}

// GiveUp appends one record to dst, for all that are left, with an error that says why.
func (p *Unpacking) GiveUp(dst []mes.Record, err error) []mes.Record {
	rest := p.whole
	rest.Meta.SubSequence, rest.Err = p.records[p.next].Meta.SubSequence, fmt.Errorf("aggregated record: %w", err)
	clear(p.records)
	p.next = len(p.records)
	return append(dst, rest)
}

// Open opens what is compressed in the data of a record that is no aggregate. It sets
// Err, and leaves Data alone, where that is broken or has more than [MaxOpened] bytes
// when opened. It returns how many bytes were opened, be it in vain.
func (u *Unpacker) Open(record *mes.Record) int {
	left := MaxOpened
	opened, err := u.openWhole(record.Data, &left)
	if err == nil {
		opened, err = u.openValues(opened, &left)
	}
	if err != nil {
		record.Err = fmt.Errorf("compressed record: %w", err)
	} else {
		record.Data = opened
	}
	return MaxOpened - left
}

// Packed tells whether there is more to data than one record with data as it is:
// whether it is an aggregate or may hold something compressed.
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
