package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// verify reads a bbolt file from its first byte to its last and returns an error
// that wraps [ErrDamaged] or [ErrFormat] unless it is whole and ours.
//
// bbolt checks only its two root pages. Behind a damaged page of any other kind
// it may read for ever, take pages for free that are not, or miss a part of the
// items without a word. So before bbolt gets to see a file every page is
// checked to be what its parent says, in bounds, in order, reached once and not
// free, every record to have its checksum, and every bucket its count of records.
func verify(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	v := verifier{file: file, size: info.Size()}
	root, err := v.readRoots()
	if err != nil {
		return err
	}
	if int64(root.highWater) > v.size/int64(root.pageSize) {
		return damaged("it has been cut off: %d bytes are missing", int64(root.highWater)*int64(root.pageSize)-v.size)
	}
	v.pageSize, v.highWater = int(root.pageSize), root.highWater
	v.reached = make([]uint64, root.highWater/64+1)
	buckets := make(map[string]bucketHeader)
	err = v.walk(root.tree, 0, nil, nil, new([]byte), func(key, value []byte, isBucket bool) error {
		if !isBucket || len(value) < bucketHeaderSize {
			return damaged("what should be a bucket")
		}
		buckets[string(key)] = bucketHeader{
			root:     binary.NativeEndian.Uint64(value),
			sequence: binary.NativeEndian.Uint64(value[8:]),
			inline:   bytes.Clone(value[bucketHeaderSize:]),
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(buckets) > 0 { // else it was created and never set up
		if err := v.checkBuckets(buckets); err != nil {
			return err
		}
	}
	return v.checkFreeList(root.freeList)
}

// The layout of bbolt's pages, version 2 of its format. Its numbers are in the
// byte order of the machine.
const (
	pageHeaderSize   = 16
	elementSize      = 16
	bucketHeaderSize = 16
	metaSize         = 64

	branchFlag   = 0x01
	leafFlag     = 0x02
	freeListFlag = 0x10
	bucketFlag   = 0x01

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreeList  = ^uint64(0)

	// A tree of pages with two elements each has no more levels than this.
	maxDepth = 64
)

type rootPage struct {
	pageSize                  uint32
	tree, freeList, highWater uint64
	txid                      uint64
}

type bucketHeader struct {
	root, sequence uint64
	inline         []byte
}

type verifier struct {
	file      io.ReaderAt
	size      int64
	pageSize  int
	highWater uint64
	reached   []uint64 // a bit for each page
}

// readRoots returns the root page that bbolt will choose: the newer one of
// those that are valid.
func (v *verifier) readRoots() (rootPage, error) {
	first, state := v.readRoot(0)
	sizes := []int64{int64(first.pageSize)}
	if state != nil { // the second one is found by trying, as bbolt does
		sizes = sizes[:0]
		for size := int64(1024); size <= 1024<<14; size *= 2 {
			sizes = append(sizes, size)
		}
	}
	for _, size := range sizes {
		second, err := v.readRoot(size)
		switch {
		case err == nil && int64(second.pageSize) == size:
			if state != nil || second.txid > first.txid {
				return second, nil
			}
			return first, nil
		case errors.Is(err, ErrDamaged):
			if state != nil {
				state = err
			}
		}
	}
	return first, state
}

func (v *verifier) readRoot(offset int64) (rootPage, error) {
	var page [pageHeaderSize + metaSize]byte
	if _, err := v.file.ReadAt(page[:], offset); err != nil && !errors.Is(err, io.EOF) {
		return rootPage{}, err
	}
	meta := page[pageHeaderSize:]
	order := binary.NativeEndian
	if order.Uint32(meta) != boltMagic {
		return rootPage{}, ErrFormat
	}
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:56])
	if sum.Sum64() != order.Uint64(meta[56:]) {
		return rootPage{}, damaged("the root page")
	}
	if order.Uint32(meta[4:]) != boltVersion {
		return rootPage{}, ErrFormat
	}
	root := rootPage{
		pageSize:  order.Uint32(meta[8:]),
		tree:      order.Uint64(meta[16:]),
		freeList:  order.Uint64(meta[32:]),
		highWater: order.Uint64(meta[40:]),
		txid:      order.Uint64(meta[48:]),
	}
	if root.pageSize < 1024 || root.pageSize > 1024<<14 || root.highWater > 1<<47/uint64(root.pageSize) {
		return rootPage{}, damaged("the numbers in the root page")
	}
	return root, nil
}

// visit is called for each record of a tree.
type visit func(key, value []byte, isBucket bool) error

// walk checks the tree below a page. Its keys lie between low and high (nil
// where there is no bound), and behind last, the key that was visited before.
func (v *verifier) walk(id uint64, depth int, low, high []byte, last *[]byte, fn visit) error {
	if depth > maxDepth {
		return damaged("a tree is too deep")
	}
	page, err := v.readPage(id)
	if err != nil {
		return err
	}
	return v.walkPage(page, depth, low, high, last, fn)
}

func (v *verifier) walkPage(page []byte, depth int, low, high []byte, last *[]byte, fn visit) error {
	order := binary.NativeEndian
	flags, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	if pageHeaderSize+count*elementSize > len(page) {
		return damaged("the count of a page")
	}
	element := func(i int) []byte { return page[pageHeaderSize+i*elementSize:] }
	slice := func(i int, position uint32, size uint64) ([]byte, bool) {
		start := uint64(pageHeaderSize+i*elementSize) + uint64(position)
		end := start + size
		if start < uint64(pageHeaderSize+count*elementSize) || end > uint64(len(page)) {
			return nil, false
		}
		return page[start:end:end], true
	}
	switch flags {
	case leafFlag:
		for i := range count {
			e := element(i)
			isBucket := order.Uint32(e) == bucketFlag
			keySize, valueSize := order.Uint32(e[8:]), order.Uint32(e[12:])
			record, ok := slice(i, order.Uint32(e[4:]), uint64(keySize)+uint64(valueSize))
			if !ok || keySize == 0 || order.Uint32(e) > bucketFlag {
				return damaged("a record of a page")
			}
			key := record[:keySize]
			if bytes.Compare(key, *last) <= 0 || bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
				return damaged("the order of a page")
			}
			*last = key
			if err := fn(key, record[keySize:], isBucket); err != nil {
				return err
			}
		}
	case branchFlag:
		if count == 0 {
			return damaged("an empty branch")
		}
		keys := make([][]byte, count)
		for i := range count {
			e := element(i)
			key, ok := slice(i, order.Uint32(e), uint64(order.Uint32(e[4:])))
			if !ok || len(key) == 0 || i > 0 && bytes.Compare(key, keys[i-1]) <= 0 {
				return damaged("a branch of the tree")
			}
			keys[i] = key
		}
		for i := range count {
			from, to := low, high
			if i > 0 { // what is less than all keys belongs to the first child
				from = keys[i]
			}
			if i+1 < count {
				to = keys[i+1]
			}
			if err := v.walk(order.Uint64(element(i)[8:]), depth+1, from, to, last, fn); err != nil {
				return err
			}
		}
	default:
		return damaged("the kind of a page")
	}
	return nil
}

// readPage returns a page with its overflow, and marks it as reached.
func (v *verifier) readPage(id uint64) ([]byte, error) {
	if id < 2 || id >= v.highWater {
		return nil, damaged("the number of a page")
	}
	page := make([]byte, v.pageSize)
	if err := v.readAt(page, id); err != nil {
		return nil, err
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if binary.NativeEndian.Uint64(page) != id || overflow >= v.highWater-id {
		return nil, damaged("the head of a page")
	}
	for i := id; i <= id+overflow; i++ {
		if !v.mark(i) {
			return nil, damaged("a page that is used twice")
		}
	}
	if overflow > 0 {
		page = make([]byte, (overflow+1)*uint64(v.pageSize))
		if err := v.readAt(page, id); err != nil {
			return nil, err
		}
	}
	return page, nil
}

func (v *verifier) readAt(page []byte, id uint64) error {
	if _, err := v.file.ReadAt(page, int64(id)*int64(v.pageSize)); err != nil {
		return fmt.Errorf("%w: %w", damaged("a page cannot be read"), err)
	}
	return nil
}

func (v *verifier) mark(id uint64) bool {
	word, bit := &v.reached[id/64], uint64(1)<<(id%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// checkFreeList checks that no page is both free and in use.
func (v *verifier) checkFreeList(id uint64) error {
	if id == noFreeList {
		return nil
	}
	page, err := v.readPage(id)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	if order.Uint16(page[8:]) != freeListFlag {
		return damaged("the list of free pages")
	}
	count, ids := uint64(order.Uint16(page[10:])), page[pageHeaderSize:]
	if count == 0xFFFF {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damaged("the count of free pages")
	}
	for i := range count {
		free := order.Uint64(ids[i*8:])
		if free < 2 || free >= v.highWater || !v.mark(free) {
			return damaged("a page that is both free and in use")
		}
	}
	return nil
}
