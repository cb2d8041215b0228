package boltstore

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// FuzzItemEncoding checks that an item comes back as it was, and that no bytes
// make the decoder panic: neither as they are nor with a checksum that fits.
func FuzzItemEncoding(f *testing.F) {
	f.Add("order-1", "2020#1", []byte(`{"id":"1"}`), "created", int64(1_700_000_000_000), "1", "order-1", int64(1_800_000_000), true)
	f.Add("h\x00", "\x01marker", []byte{}, "", zeroTimeMillis, "", "", int64(0), false)
	f.Add("h", "r", []byte{recordVersion, 0, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "t", int64(-1), "i", "p", int64(math.MaxInt64), true)
	f.Add("h", "r", []byte{recordVersion, 0, 0, 0, 0, 0, 1, 200, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "t", int64(math.MinInt64), "i", "p", int64(1), true)
	f.Fuzz(func(t *testing.T, hashKey, rangeKey string, bytesOrEvent []byte, typ string, millis int64, id, partitionKey string, ttl int64, complete bool) {
		item := driver.Item{
			HashKey: hashKey, RangeKey: rangeKey, Event: bytesOrEvent, Type: typ, Timestamp: time.UnixMilli(millis).UTC(),
			ID: id, PartitionKey: partitionKey, TTL: ttl, Complete: complete,
		}
		key := appendItemKey(nil, "h", "r")
		if check(&item) == nil {
			encoded, memory := encodeItem(nil, &item)
			require.LessOrEqual(t, len(memory), encodedSize(&item))
			encoded.seal(42)
			stored, err := decodeItem(encoded.key, encoded.value)
			require.NoError(t, err)
			require.Equal(t, uint64(42), stored.sequence)
			again := driver.Item{
				HashKey: string(stored.hashKey), RangeKey: string(stored.rangeKey), Event: bytes.Clone(stored.event), Type: string(stored.typ),
				Timestamp: stored.time(), ID: string(stored.id), PartitionKey: string(stored.partitionKey), TTL: stored.ttl,
				Complete: stored.flags&flagComplete != 0,
			}
			if again.Event == nil {
				again.Event = []byte{}
			}
			item.Event = append([]byte{}, item.Event...)
			if !complete { // then they are not the table's to keep
				item.ID, item.PartitionKey = "", ""
			}
			require.Equal(t, item, again)
			key = encoded.key
		}
		_, err := decodeItem(key, bytesOrEvent)
		requireDamagedOrFormat(t, err)
		if len(bytesOrEvent) >= bodyOffset {
			sealed := bytes.Clone(bytesOrEvent)
			sealRecord(key, sealed)
			_, err = decodeItem(key, sealed)
			requireDamagedOrFormat(t, err)
			_, err = decodeItem([]byte(hashKey), sealed)
			requireDamagedOrFormat(t, err)
		}
		_, _, err = splitTTLKey(bytesOrEvent, []byte(typ))
		requireDamagedOrFormat(t, err)
	})
}

// FuzzChangeFeed does the same for the records of the feed, and for what is made
// of them.
func FuzzChangeFeed(f *testing.F) {
	item := testItem("h", "r")
	encoded, _ := encodeItem(nil, &item)
	encoded.seal(1)
	f.Add(uint64(1), encodeChange(nil, appendSequence(nil, 1), kindInsert, 5, encoded.key, nil))
	f.Add(uint64(2), encodeChange(nil, appendSequence(nil, 2), kindModify, -5, encoded.key, encoded.value))
	f.Add(uint64(3), encodeChange(nil, appendSequence(nil, 3), kindExpire, math.MaxInt64, encoded.key, encoded.value))
	f.Add(uint64(4), []byte{recordVersion, 0, 0, 0, 0, kindRemove, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x03})
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, number uint64, value []byte) {
		sequence := appendSequence(nil, number)
		_, err := decodeChange(sequence, value)
		requireDamagedOrFormat(t, err)
		_, err = decodeChange(value, value)
		requireDamagedOrFormat(t, err)
		_, err = decodeConsumer(sequence, value)
		requireDamagedOrFormat(t, err)
		if len(value) < bodyOffset {
			return
		}
		sealed := bytes.Clone(value)
		sealRecord(sequence, sealed)
		change, err := decodeChange(sequence, sealed)
		requireDamagedOrFormat(t, err)
		if err != nil {
			return
		}
		again, err := decodeChange(sequence, encodeChange(nil, sequence, change.kind, change.millis, change.key, change.old))
		require.NoError(t, err)
		require.Equal(t, change, again)
		if len(change.old) > 0 {
			old, err := decodeItem(change.key, change.old)
			requireDamagedOrFormat(t, err)
			if err == nil {
				require.IsType(t, &mes.Event{}, old.asEvent("r"))
			}
		}
	})
}

func requireDamagedOrFormat(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		require.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat), err)
	}
}

func TestPromise14EveryByteOfARecordIsCovered(t *testing.T) {
	item := testItem("hash", "range")
	item.TTL = 5
	encoded, _ := encodeItem(nil, &item)
	encoded.seal(7)
	change := encodeChange(nil, appendSequence(nil, 9), kindRemove, 5, encoded.key, encoded.value)
	consumer := encodeConsumer(nil, []byte("name"), storedConsumer{3, 4})
	ttlKey := appendTTLKey(nil, 5, encoded.key)
	sum := ttlChecksum(ttlKey)
	for name, record := range map[string]struct {
		key, value []byte
		decode     func(key, value []byte) error
	}{
		"item":     {encoded.key, encoded.value, func(k, v []byte) error { _, err := decodeItem(k, v); return err }},
		"change":   {appendSequence(nil, 9), change, func(k, v []byte) error { _, err := decodeChange(k, v); return err }},
		"consumer": {[]byte("name"), consumer, func(k, v []byte) error { _, err := decodeConsumer(k, v); return err }},
		"ttl":      {ttlKey, sum[:], func(k, v []byte) error { _, _, err := splitTTLKey(k, v); return err }},
	} {
		require.NoError(t, record.decode(record.key, record.value))
		for _, part := range [][]byte{record.key, record.value} {
			for i := range part {
				for bit := range 8 {
					part[i] ^= 1 << bit
					assert.Error(t, record.decode(record.key, record.value), "%s: byte %d", name, i)
					part[i] ^= 1 << bit
				}
			}
			for n := range len(record.value) {
				assert.Error(t, record.decode(record.key, record.value[:n]), "%s: cut at %d", name, n)
			}
		}
	}
}
