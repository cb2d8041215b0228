package dynamostore

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/microeventstore/microeventstore/internal/unzstd"
)

// maxEvent bounds an event that is stored compressed, in bytes: what Put accepts
// and what Query unpacks. Items of 400 KiB could hold far more.
const maxEvent = unzstd.Limit

// zstdMagic begins every zstd frame. Source: RFC 8878, section 3.1.1.
const zstdMagic = "\x28\xb5\x2f\xfd"

// window is how far back zstd looks for what repeats itself, in bytes.
const window = 512 << 10

var errNotZstd = errors.New("it is binary, but not zstd")

// A compressor packs and unpacks events. Both sides are made when they are first
// needed, and start no goroutines.
type compressor struct {
	encoder func() (*zstd.Encoder, error)
	opener  *unzstd.Opener
}

// newCompressor packs with the first of the dictionaries, unless it is empty, and
// unpacks with all of them. They must be sound.
func newCompressor(dictionaries ...[]byte) compressor {
	return compressor{
		encoder: sync.OnceValues(func() (*zstd.Encoder, error) {
			// Level and window are part of the format: another choice makes other
			// bytes of the same event. EncodeAll works on the caller's goroutine,
			// so its result depends on nothing else.
			opts := []zstd.EOption{
				zstd.WithEncoderLevel(zstd.SpeedDefault),
				zstd.WithWindowSize(window),
				zstd.WithEncoderCRC(true), // tells another dictionary of the same id, too
			}
			if len(dictionaries) > 0 && len(dictionaries[0]) > 0 {
				opts = append(opts, zstd.WithEncoderDict(dictionaries[0]))
			}
			return zstd.NewWriter(nil, opts...)
		}),
		opener: &unzstd.Opener{Dictionaries: dictionaries},
	}
}

func (c *compressor) pack(event []byte) ([]byte, error) {
	return c.packTo(make([]byte, 0, len(event)/2+64), event)
}

func (c *compressor) packTo(room, event []byte) ([]byte, error) {
	encoder, err := c.encoder()
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(event, room), nil
}

// unpack returns at most maxEvent bytes, or an error.
func (c *compressor) unpack(packed []byte) ([]byte, error) {
	return c.unpackTo(nil, packed)
}

// unpackTo is unpack with room for what it unpacks, which must be empty.
func (c *compressor) unpackTo(room, packed []byte) ([]byte, error) {
	if !bytes.HasPrefix(packed, []byte(zstdMagic)) {
		return nil, errNotZstd
	}
	event, err := c.opener.Open(room, packed, maxEvent)
	if errors.Is(err, unzstd.ErrTooLarge) {
		return nil, fmt.Errorf("it has more than %d bytes when unpacked: %w", maxEvent, err)
	}
	if errors.Is(err, zstd.ErrUnknownDictionary) {
		return nil, fmt.Errorf("it needs a dictionary that WithDictionaries does not give: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("it cannot be unpacked: %w", err)
	}
	return event, nil
}
