package kinesisrecord

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/microeventstore/microeventstore/internal/unzstd"
)

// What begins compressed data. Sources: RFC 1952, section 2.3.1 (with deflate, the
// only method there is); RFC 8878, section 3.1.1.
const (
	gzipMagic = "\x1f\x8b\x08"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

var errTooLarge = fmt.Errorf("what is compressed in the record has more than %d bytes when opened", MaxOpened)

// openWhole returns what data holds, if it is compressed, and else data. Whether that
// succeeds or not, what it has cost is taken from left.
func (u *Unpacker) openWhole(data []byte, left *int) ([]byte, error) {
	switch {
	case len(data) < len(gzipMagic):
		return data, nil
	case string(data[:len(gzipMagic)]) == gzipMagic:
		return u.gunzip(data, left)
	case len(data) >= len(zstdMagic) && string(data[:len(zstdMagic)]) == zstdMagic:
		return u.unzstd(data, left)
	}
	return data, nil
}

func (u *Unpacker) gunzip(data []byte, left *int) ([]byte, error) {
	reader, _ := u.gzips.Get().(*gzip.Reader)
	if reader == nil {
		reader = new(gzip.Reader)
	}
	defer u.gzips.Put(reader)
	if err := reader.Reset(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	opened, err := readAtMost(reader, *left, 4*len(data))
	*left -= min(len(opened), *left)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return opened, nil
}

// readAtMost reads to the end, into a buffer that never has room for more than one
// byte over the most. With an error it returns what it has read before.
func readAtMost(reader io.Reader, most, guess int) ([]byte, error) {
	const first = 4 << 10
	room := make([]byte, 0, min(most+1, max(first, guess)))
	for {
		n, err := reader.Read(room[len(room):cap(room)])
		room = room[:len(room)+n]
		switch {
		case len(room) > most:
			return room, errTooLarge
		case errors.Is(err, io.EOF):
			return room, nil
		case err != nil:
			return room, err
		case len(room) == cap(room):
			room = append(make([]byte, 0, min(most+1, 4*cap(room))), room...)
		}
	}
}

func (u *Unpacker) unzstd(data []byte, left *int) ([]byte, error) {
	opened, err := u.zstd.Open(nil, data, *left)
	if err != nil {
		*left -= unzstd.Cost(data, *left)
	}
	switch {
	case errors.Is(err, unzstd.ErrTooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, fmt.Errorf("zstd: %w", err)
	}
	*left -= len(opened)
	return opened, nil
}
