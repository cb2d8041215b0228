package simulation

import (
	"crypto/md5"
	"encoding/binary"
)

// data is what a Kinesis record holds: an event, or an aggregate as the Kinesis
// Producer Library makes it ("KPL aggregated record format", aws/kinesis-aggregation).
func (r record) data() []byte {
	if len(r.events) == 1 {
		return []byte(r.events[0].raw)
	}
	field := func(b []byte, number byte, data []byte) []byte {
		b = append(b, number<<3|2)
		b = binary.AppendUvarint(b, uint64(len(data)))
		return append(b, data...)
	}
	var message []byte
	for _, e := range r.events {
		message = field(message, 1, []byte(e.partition))
	}
	for n, e := range r.events {
		one := binary.AppendUvarint([]byte{1 << 3}, uint64(n))
		message = field(message, 3, field(one, 3, []byte(e.raw)))
	}
	sum := md5.Sum(message)
	return append(append([]byte("\xf3\x89\x9a\xc2"), message...), sum[:]...)
}
