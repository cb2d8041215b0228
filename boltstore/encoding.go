package boltstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

// What the buckets hold. Numbers in keys are big-endian, so that their byte
// order is their order.
//
//	items        item key  = len(hash key) in 2 bytes, hash key, range key
//	             value     = version, checksum, flags, ttl, timestamp, lengths,
//	                         id, type, partition key, event, sequence number
//	ttl          ttl in 8 bytes, item key -> checksum
//	changes      sequence number in 8 bytes -> version, checksum, kind, time,
//	                         item key, the value that the change replaced
//	consumers    name -> version, checksum, acknowledged sequence, last seen
//	checkpoints  name -> version, checksum, value
//	meta         "format" -> formatName
//
// bbolt keeps a number with every bucket. Here it is the number of entries
// (items, ttl) or the last sequence number (changes), so that an entry that has
// gone missing is noticed when the file is opened.
//
// The length before the hash key keeps two pairs of keys from becoming one:
// "a"+"bc" and "ab"+"c" differ in their first bytes.

const (
	recordVersion = 1

	// A record begins with its version and the CRC-32C of its key and of all
	// that follows the checksum.
	checksumOffset = 1
	bodyOffset     = 5

	sequenceSize = 8

	flagComplete     = 1 << 0
	flagTimestamp    = 1 << 1
	flagKeyIsHashKey = 1 << 2 // the partition key is the hash key, and left out
	knownFlags       = flagComplete | flagTimestamp | flagKeyIsHashKey

	// No record of ours is longer. It keeps a damaged length from being
	// followed far beyond the record.
	maxItemKeySize = 2 + driver.MaxHashKeySize + driver.MaxRangeKeySize

	// An item's id and partition key come on top of what its limit counts.
	maxValueSize = 2*driver.MaxItemSize + maxItemKeySize
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a constant, but for its type

// zeroTimeMillis stands for the time that an event does not have: the zero
// time.Time in milliseconds since 1970.
const zeroTimeMillis int64 = -62_135_596_800_000

// appendItemKey appends the key that an item has in the bucket.
func appendItemKey(dst []byte, hashKey, rangeKey string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(hashKey)))
	dst = append(dst, hashKey...)
	return append(dst, rangeKey...)
}

// splitItemKey takes an item key apart.
func splitItemKey(key []byte) (hashKey, rangeKey []byte, ok bool) {
	if len(key) < 2 || len(key) > maxItemKeySize {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(key))
	if n == 0 || n > driver.MaxHashKeySize || len(key) < 2+n+1 {
		return nil, nil, false
	}
	return key[2 : 2+n], key[2+n:], true
}

// An encodedItem is an item in the form in which it is stored, but for the
// sequence number and the checksum, which are filled in within the transaction.
type encodedItem struct {
	index      int // among the items of the Put
	key, value []byte
	event      []byte // the caller's
	checksum   uint32 // of all but the sequence number
	ttl        int64
}

// encodedSize is at least the number of bytes that encodeItem needs.
func encodedSize(item *driver.Item) int {
	return 2 + len(item.HashKey) + len(item.RangeKey) +
		bodyOffset + 1 + 5*binary.MaxVarintLen64 +
		len(item.ID) + len(item.Type) + len(item.PartitionKey) + len(item.Event) + sequenceSize
}

// encodeItem appends an item to dst. Its result shares dst's memory.
func encodeItem(dst []byte, item *driver.Item) (encodedItem, []byte) {
	start := len(dst)
	dst = appendItemKey(dst, item.HashKey, item.RangeKey)
	valueStart := len(dst)

	var flags byte
	millis := item.Timestamp.UnixMilli()
	if item.Complete {
		flags |= flagComplete
	}
	if millis != zeroTimeMillis {
		flags |= flagTimestamp
	}
	id, partitionKey := item.ID, item.PartitionKey
	if !item.Complete {
		id, partitionKey = "", ""
	}
	if partitionKey == item.HashKey {
		flags |= flagKeyIsHashKey
	}
	dst = append(dst, recordVersion, 0, 0, 0, 0, flags)
	dst = binary.AppendUvarint(dst, uint64(item.TTL))
	if flags&flagTimestamp != 0 {
		dst = binary.AppendVarint(dst, millis)
	}
	dst = binary.AppendUvarint(dst, uint64(len(id)))
	dst = binary.AppendUvarint(dst, uint64(len(item.Type)))
	if flags&flagKeyIsHashKey == 0 {
		dst = binary.AppendUvarint(dst, uint64(len(partitionKey)))
	}
	dst = append(dst, id...)
	dst = append(dst, item.Type...)
	if flags&flagKeyIsHashKey == 0 {
		dst = append(dst, partitionKey...)
	}
	dst = append(dst, item.Event...)
	end := len(dst)
	dst = append(dst, make([]byte, sequenceSize)...)

	encoded := encodedItem{
		key:   dst[start:valueStart:valueStart],
		value: dst[valueStart:len(dst):len(dst)],
		event: item.Event,
		ttl:   item.TTL,
	}
	encoded.checksum = crc32.Update(crc32.Update(0, castagnoli, encoded.key), castagnoli, dst[valueStart+bodyOffset:end])
	return encoded, dst
}

// seal fills in the number of the change that writes the item.
func (e *encodedItem) seal(sequence uint64) {
	tail := e.value[len(e.value)-sequenceSize:]
	binary.BigEndian.PutUint64(tail, sequence)
	binary.LittleEndian.PutUint32(e.value[checksumOffset:], crc32.Update(e.checksum, castagnoli, tail))
}

// sameContent tells whether a stored value is the one that the item would
// become, whoever wrote it. The encoding is canonical: equal content gives equal
// bytes.
func (e *encodedItem) sameContent(stored []byte) bool {
	return len(stored) == len(e.value) && stored[0] == e.value[0] &&
		string(stored[bodyOffset:len(stored)-sequenceSize]) == string(e.value[bodyOffset:len(e.value)-sequenceSize])
}

// A storedItem is an item as it lies in the file. Its slices are the file's own
// memory and hold only within the transaction.
type storedItem struct {
	hashKey, rangeKey, id, typ, partitionKey, event []byte

	ttl, millis int64
	flags       byte
	sequence    uint64
}

// decodeItem verifies and takes apart a record of the bucket of items.
func decodeItem(key, value []byte) (storedItem, error) {
	var s storedItem
	err := s.decode(key, value)
	return s, err
}

// decode is decodeItem for those who have room for an item, which is large. After
// an error it may hold anything.
func (s *storedItem) decode(key, value []byte) error {
	if len(value) > maxValueSize {
		return damaged("an item is too long")
	}
	body, err := openRecord(key, value)
	if err != nil {
		return err
	}
	var ok bool
	if s.hashKey, s.rangeKey, ok = splitItemKey(key); !ok {
		return damaged("the key of an item")
	}
	if len(body) < 1+sequenceSize || body[0]&^knownFlags != 0 {
		return damaged("the flags of an item")
	}
	s.flags = body[0]
	tail := len(body) - sequenceSize
	s.sequence = binary.BigEndian.Uint64(body[tail:])
	r := reader{rest: body[1:tail]}

	ttl := r.uvarint()
	if ttl > math.MaxInt64 {
		return damaged("the TTL of an item")
	}
	s.ttl = int64(ttl)
	s.millis = zeroTimeMillis
	if s.flags&flagTimestamp != 0 {
		s.millis = r.varint()
	}
	idSize, typeSize, keySize := r.uvarint(), r.uvarint(), uint64(0)
	if s.flags&flagKeyIsHashKey == 0 {
		keySize = r.uvarint()
	}
	s.id, s.typ, s.partitionKey = r.bytes(idSize), r.bytes(typeSize), r.bytes(keySize)
	if s.flags&flagKeyIsHashKey != 0 {
		s.partitionKey = s.hashKey
	}
	s.event = r.rest
	if r.failed {
		return damaged("the lengths in an item")
	}
	return nil
}

// time returns when the event happened.
func (s *storedItem) time() time.Time {
	if s.flags&flagTimestamp == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.millis).UTC()
}

// openRecord checks the version and the checksum of a record, and returns what
// follows them.
func openRecord(key, value []byte) ([]byte, error) {
	if len(value) < bodyOffset {
		return nil, damaged("a record is too short")
	}
	want := binary.LittleEndian.Uint32(value[checksumOffset:])
	if recordChecksum(key, value) != want {
		return nil, damaged("the checksum of a record")
	}
	if value[0] != recordVersion {
		return nil, fmt.Errorf("%w (a record has version %d)", ErrFormat, value[0])
	}
	return value[bodyOffset:], nil
}

// sealRecord fills in the checksum of a record that is otherwise complete.
func sealRecord(key, value []byte) {
	binary.LittleEndian.PutUint32(value[checksumOffset:], recordChecksum(key, value))
}

func recordChecksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value[bodyOffset:])
}

// appendTTLKey appends the key that an item has in the bucket of the sweep.
func appendTTLKey(dst []byte, ttl int64, itemKey []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(ttl))
	return append(dst, itemKey...)
}

// ttlChecksum is what stands beside such a key. It is never empty, because a
// page of empty values that is taken for one of another kind could lead bbolt
// astray.
func ttlChecksum(key []byte) [4]byte {
	var sum [4]byte
	binary.LittleEndian.PutUint32(sum[:], crc32.Checksum(key, castagnoli))
	return sum
}

// splitTTLKey verifies and takes apart a record of the sweep's bucket.
func splitTTLKey(key, value []byte) (ttl int64, itemKey []byte, err error) {
	if len(key) < 8 || len(key) > 8+maxItemKeySize || len(value) != 4 {
		return 0, nil, damaged("the index of the TTL")
	}
	if ttlChecksum(key) != [4]byte(value) {
		return 0, nil, damaged("the checksum of the index of the TTL")
	}
	seconds := binary.BigEndian.Uint64(key)
	if _, _, ok := splitItemKey(key[8:]); !ok || seconds == 0 || seconds > math.MaxInt64 {
		return 0, nil, damaged("the index of the TTL")
	}
	return int64(seconds), key[8:], nil
}

// A reader takes values off the front of a record. After the first that is not
// there it returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes(size uint64) []byte {
	if size > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	taken := r.rest[:size]
	r.rest = r.rest[size:]
	return taken
}
