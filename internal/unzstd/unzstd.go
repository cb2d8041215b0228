// Package unzstd opens zstd into no more room than what is opened may have. Left to
// itself the decoder makes its buffer larger bit by bit, each time in another place:
// a bomb that was to stop at 16 MiB took 50 to 80 MiB for that.
package unzstd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Limit is how much is opened at most, in bytes.
const Limit = 16 << 20

const (
	maxBlock  = 128 << 10 // what one block holds at most: RFC 8878, section 3.1.1.2.4
	overshoot = 16        // what the decoder likes to have behind what it writes
)

// ErrTooLarge says that more would be opened than is wanted.
var ErrTooLarge = errors.New("it holds too much")

// The decoder would make room for as much as a header says before it looks further.
var errClaim = errors.New("it says that it holds more than it has room for")

// An Opener opens zstd. The zero Opener is ready, and is not to be copied. It may be
// used by many goroutines at once, holds none itself, and needs no closing.
type Opener struct {
	// Dictionaries are what the decoder may need; empty ones are left out. Not to be
	// changed any more once the Opener is used.
	Dictionaries [][]byte

	once    sync.Once
	decoder *zstd.Decoder
	err     error
	rooms   sync.Pool // of *[]byte, each large enough for all that may be opened
}

// Open returns what packed holds, up to most bytes, which is no more than [Limit];
// in room if there is enough of it, which is to be empty.
func (o *Opener) Open(room, packed []byte, most int) ([]byte, error) {
	o.once.Do(func() {
		opts := []zstd.DOption{zstd.WithDecoderMaxMemory(Limit), zstd.WithDecoderConcurrency(0)}
		for _, dictionary := range o.Dictionaries {
			if len(dictionary) > 0 {
				opts = append(opts, zstd.WithDecoderDicts(dictionary))
			}
		}
		o.decoder, o.err = zstd.NewReader(nil, opts...) // without a stream it starts no goroutines
	})
	if o.err != nil {
		return nil, o.err
	}
	need, exact, err := size(packed, most)
	switch {
	case err != nil:
		return nil, err
	case exact && need > most:
		return nil, ErrTooLarge
	case need <= max(maxBlock, cap(room)): // most are
	case exact:
		room = make([]byte, 0, need+overshoot)
	default:
		large, _ := o.rooms.Get().(*[]byte)
		if large == nil {
			// The decoder sees that it is too much when a block is done.
			made := make([]byte, 0, Limit+maxBlock+overshoot)
			large = &made
		}
		defer o.rooms.Put(large)
		opened, err := o.decode(*large, packed, most)
		return bytes.Clone(opened), err
	}
	return o.decode(room, packed, most)
}

func (o *Opener) decode(room, packed []byte, most int) ([]byte, error) {
	opened, err := o.decoder.DecodeAll(packed, room)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), err == nil && len(opened) > most:
		return nil, ErrTooLarge
	case err != nil:
		return nil, err
	}
	return opened, nil
}

// Cost returns how many bytes Open writes at most before it returns what packed holds,
// or what is wrong with it: 0 where it opens nothing.
func Cost(packed []byte, most int) int {
	need, exact, err := size(packed, most)
	if err != nil || exact && need > most {
		return 0
	}
	return min(need, most)
}

// size returns how much packed holds at most, as its headers say, or something
// above most. exact says that it cannot be less. What is no zstd counts as nothing.
func size(packed []byte, most int) (size int, exact bool, err error) {
	exact = true
	for size <= most {
		var header zstd.Header
		if err := header.Decode(packed); err != nil {
			return size, exact, nil // the decoder says what is wrong
		}
		packed = packed[min(header.HeaderSize, len(packed)):]
		if header.Skippable {
			packed = packed[min(uint64(header.SkippableSize), uint64(len(packed))):]
			continue
		}
		blocks := 0 // how much they hold at most
		last := false
		for !last && len(packed) >= 3 {
			block := uint32(packed[0]) | uint32(binary.LittleEndian.Uint16(packed[1:]))<<8
			last = block&1 == 1
			stored, opened := int(block>>3), int(block>>3)
			switch block >> 1 & 3 {
			case 0:
				opened = min(opened, len(packed)-3)
			case 1: // one byte, so many times
				stored = 1
			case 2:
				opened = maxBlock
			}
			blocks += min(opened, maxBlock)
			packed = packed[min(3+stored, len(packed)):]
		}
		switch {
		case !header.HasFCS:
			exact = false
			size += blocks
		case header.FrameContentSize > uint64(blocks):
			return size, exact, errClaim
		default:
			size += int(header.FrameContentSize)
		}
		if !last {
			return size, exact, nil
		}
		if header.HasCheckSum {
			packed = packed[min(4, len(packed)):]
		}
	}
	return size, exact, nil
}
