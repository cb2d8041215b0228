package boltstore

import (
	"encoding/binary"
	"fmt"
)

// The kinds of change, as they are stored.
const (
	kindInsert byte = 1 + iota
	kindModify
	kindRemove
	kindExpire
)

// A storedChange is a record of the feed as it lies in the file. Its slices are
// the file's own memory and hold only within the transaction.
type storedChange struct {
	sequence uint64
	kind     byte
	millis   int64  // when it was committed
	key      []byte // of the item
	old      []byte // the item's value before the change; empty for an insert
}

func appendSequence(dst []byte, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(dst, sequence)
}

// changeSize is at least the number of bytes that encodeChange needs.
func changeSize(key, old []byte) int {
	return bodyOffset + 1 + 8 + binary.MaxVarintLen16 + len(key) + len(old)
}

func encodeChange(dst, sequence []byte, kind byte, millis int64, key, old []byte) []byte {
	start := len(dst)
	dst = append(dst, recordVersion, 0, 0, 0, 0, kind)
	dst = binary.BigEndian.AppendUint64(dst, uint64(millis))
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	dst = append(dst, old...)
	sealRecord(sequence, dst[start:])
	return dst
}

// decodeChange verifies and takes apart a record of the feed.
func decodeChange(sequence, value []byte) (storedChange, error) {
	var c storedChange
	if len(sequence) != sequenceSize || len(value) > maxValueSize+maxItemKeySize {
		return c, damaged("the size of a change")
	}
	body, err := openRecord(sequence, value)
	if err != nil {
		return c, err
	}
	if len(body) < 9 {
		return c, damaged("a change is too short")
	}
	c.sequence = binary.BigEndian.Uint64(sequence)
	c.kind = body[0]
	c.millis = int64(binary.BigEndian.Uint64(body[1:]))
	r := reader{rest: body[9:]}
	c.key = r.bytes(r.uvarint())
	c.old = r.rest
	_, _, ok := splitItemKey(c.key)
	if r.failed || !ok || c.sequence == 0 || (c.kind == kindInsert) != (len(c.old) == 0) {
		return c, damaged("a change")
	}
	if c.kind < kindInsert || c.kind > kindExpire {
		return c, fmt.Errorf("%w (a change has kind %d)", ErrFormat, c.kind)
	}
	return c, nil
}

// A storedConsumer is how far a consumer has come.
type storedConsumer struct {
	acknowledged uint64 // all changes up to this one are done
	seen         int64  // milliseconds
}

const consumerSize = bodyOffset + 16

func encodeConsumer(dst, name []byte, c storedConsumer) []byte {
	start := len(dst)
	dst = append(dst, recordVersion, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, c.acknowledged)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.seen))
	sealRecord(name, dst[start:])
	return dst
}

func decodeConsumer(name, value []byte) (storedConsumer, error) {
	var c storedConsumer
	if len(value) != consumerSize {
		return c, damaged("the size of a consumer's checkpoint")
	}
	body, err := openRecord(name, value)
	if err != nil {
		return c, err
	}
	c.acknowledged = binary.BigEndian.Uint64(body)
	c.seen = int64(binary.BigEndian.Uint64(body[8:]))
	return c, nil
}
