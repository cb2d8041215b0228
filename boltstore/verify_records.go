package boltstore

import (
	"encoding/binary"
	"os"
)

// checkBuckets checks the records of all buckets.
func (v *verifier) checkBuckets(buckets map[string]bucketHeader) error {
	// The format comes first: of a newer one nothing else may be said.
	format := ""
	meta, ok := buckets[string(metaBucket)]
	if !ok {
		return ErrFormat
	}
	if err := v.checkBucket(meta, func(key, value []byte, _ bool) error {
		if string(key) == string(formatKey) {
			format = string(value)
		}
		return nil
	}); err != nil {
		return err
	}
	if format != formatName {
		return ErrFormat
	}
	var counts struct{ items, ttl, changes, expiring uint64 }
	var next uint64
	checks := []struct {
		name     []byte
		check    func(key, value []byte) error
		optional bool
	}{
		{name: itemsBucket, check: func(key, value []byte) error {
			item, err := decodeItem(key, value)
			counts.items++
			if item.ttl != 0 {
				counts.expiring++
			}
			return err
		}},
		{name: ttlBucket, check: func(key, value []byte) error {
			_, _, err := splitTTLKey(key, value)
			counts.ttl++
			return err
		}},
		{name: changesBucket, check: func(key, value []byte) error {
			change, err := decodeChange(key, value)
			if err == nil && counts.changes > 0 && change.sequence != next {
				err = damaged("a change is missing")
			}
			next = change.sequence + 1
			counts.changes++
			return err
		}},
		{name: consumersBucket, check: func(key, value []byte) error {
			_, err := decodeConsumer(key, value)
			return err
		}},
		{name: checkpointsBucket, optional: true, check: func(key, value []byte) error {
			_, err := openRecord(key, value)
			return err
		}},
	}
	for _, records := range checks {
		bucket, ok := buckets[string(records.name)]
		if !ok && records.optional {
			continue
		}
		if !ok {
			return damaged("a bucket is missing")
		}
		if err := v.checkBucket(bucket, func(key, value []byte, isBucket bool) error {
			if isBucket {
				return damaged("a bucket where a record should be")
			}
			return records.check(key, value)
		}); err != nil {
			return err
		}
	}
	switch {
	case counts.items != buckets[string(itemsBucket)].sequence:
		return damaged("items are missing")
	case counts.ttl != buckets[string(ttlBucket)].sequence || counts.ttl != counts.expiring:
		return damaged("the index of the TTL is not whole")
	case counts.changes > 0 && next != buckets[string(changesBucket)].sequence+1:
		return damaged("the last changes are missing")
	}
	return nil
}

func (v *verifier) checkBucket(bucket bucketHeader, fn visit) error {
	last := new([]byte)
	if bucket.root != 0 {
		return v.walk(bucket.root, 0, nil, nil, last, fn)
	}
	// A small bucket lies within its parent's page.
	page := bucket.inline
	if len(page) < pageHeaderSize || binary.NativeEndian.Uint16(page[8:]) != leafFlag {
		return damaged("a bucket within a page")
	}
	return v.walkPage(page, 0, nil, nil, last, fn)
}

// isUnborn tells whether a file holds nothing but the beginning of bbolt's first
// write to it, which a power cut may have torn. Nothing was ever acknowledged
// from such a file, so it may be begun anew.
func isUnborn(file *os.File) (bool, error) {
	info, err := file.Stat()
	pageSize := os.Getpagesize()
	if err != nil || info.Size() == 0 || info.Size() > 4*int64(pageSize) {
		return false, err
	}
	content := make([]byte, 4*pageSize)
	if _, err := file.ReadAt(content[:info.Size()], 0); err != nil {
		return false, err
	}
	order := binary.NativeEndian
	for id := range 4 {
		page := content[id*pageSize : (id+1)*pageSize]
		used := pageHeaderSize
		if id < 2 && order.Uint32(page[pageHeaderSize:]) == boltMagic {
			// Transactions 0 and 1 are the ones that create the file.
			if order.Uint64(page[pageHeaderSize+40:]) != 4 || order.Uint64(page[pageHeaderSize+48:]) != uint64(id) {
				return false, nil
			}
			used += metaSize
		}
		if n := order.Uint64(page); n != 0 && n != uint64(id) || order.Uint16(page[10:]) != 0 {
			return false, nil
		}
		for _, b := range page[used:] {
			if b != 0 {
				return false, nil
			}
		}
	}
	// A file that is whole has no need to be begun again.
	return verify(file) != nil, nil
}
