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
	need, exact := size(packed, most)
	switch {
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

// size returns how much packed holds at most, as its headers say, or something
// above most. exact says that it cannot be less. What is no zstd counts as nothing.
func size(packed []byte, most int) (size int, exact bool) {
	exact = true
	for size <= most {
		var header zstd.Header
		if err := header.Decode(packed); err != nil {
			return size, exact
		}
		packed = packed[min(header.HeaderSize, len(packed)):]
		if header.Skippable {
			packed = packed[min(uint64(header.SkippableSize), uint64(len(packed))):]
			continue
		}
		if header.HasFCS {
			size += int(min(header.FrameContentSize, uint64(most)+1))
		} else {
			exact = false
		}
		for last := false; !last; {
			if len(packed) < 3 {
				return size, exact
			}
			block := uint32(packed[0]) | uint32(binary.LittleEndian.Uint16(packed[1:]))<<8
			last = block&1 == 1
			stored, opened := int(block>>3), int(block>>3)
			switch block >> 1 & 3 {
			case 1: // one byte, so many times
				stored = 1
			case 2:
				opened = maxBlock
			}
			if !header.HasFCS {
				size += min(opened, maxBlock)
			}
			packed = packed[min(3+stored, len(packed)):]
		}
		if header.HasCheckSum {
			packed = packed[min(4, len(packed)):]
		}
	}
	return size, exact
}
