package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// A batch is about what Lambda would pass to a listener in one call: up to 6 MB.
const (
	maxBatchRecords = 500
	maxBatchBytes   = 6 << 20
	maxLine         = 10 << 20 // the size of a Kinesis record
)

// sample is a part of the example payloads of GitHub's webhooks; see LICENSE-webhooks-examples.
//
//go:embed events.ndjson
var sample []byte

// pause is how long a stream that is still open may send nothing until the events
// that have come are dealt with, though they are not a whole batch.
const pause = 100 * time.Millisecond

// open returns the events that a -events flag names, and whether they may be yet
// to happen: a file is there as a whole.
func open(name string, stdin io.Reader) (events io.ReadCloser, live bool, err error) {
	switch name {
	case "":
		return io.NopCloser(bytes.NewReader(sample)), false, nil
	case "-":
		return io.NopCloser(stdin), true, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	info, err := file.Stat()
	return file, err == nil && !info.Mode().IsRegular(), nil
}

var (
	errLongLine = errors.New("the line is longer than 10 MiB, the most that a Kinesis record can hold")
	errPause    = errors.New("there is nothing to read yet")
)

// batches makes records of the lines of a file, as a stream would deliver them.
// The number of the line is the record's sequence number. A pause in a live stream
// ends a batch.
func batches(ctx context.Context, r io.Reader, live bool) iter.Seq2[[]mes.Record, error] {
	return func(yield func([]mes.Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		input := newFeed(ctx, r)
		lines := bufio.NewReaderSize(input, chunk)
		var l line
		var records []mes.Record
		size := 0
		for number := 1; ; number++ {
			input.impatient = live && len(records) > 0
			err := l.read(lines)
			paused := errors.Is(err, errPause)
			switch {
			case paused:
				number-- // the line is still to come
			case err != nil && !errors.Is(err, io.EOF):
				yield(nil, fmt.Errorf("read the events, line %d: %w", number, err))
				return
			default:
				if data := bytes.TrimSpace(l.text); len(data) > 0 || l.tooLong {
					record := mes.Record{Data: data, Meta: mes.Meta{SequenceNumber: strconv.Itoa(number)}}
					if l.tooLong {
						record.Data, record.Err = nil, errLongLine
					}
					records = append(records, record)
					size += len(data)
				}
				l = line{}
			}
			ended := err != nil && !paused
			if len(records) > 0 && (ended || paused || len(records) == maxBatchRecords || size >= maxBatchBytes) {
				if !yield(records, nil) {
					return
				}
				records, size = nil, 0
			}
			if ended {
				return
			}
		}
	}
}

// A line is what has been read of one: the beginning alone of one that is too long.
type line struct {
	text    []byte
	tooLong bool
}

// read reads on to the end of the line. After an error it can be called again.
func (l *line) read(r *bufio.Reader) error {
	for {
		part, err := r.ReadSlice('\n')
		if len(l.text)+len(part) <= maxLine {
			l.text = append(l.text, part...)
		} else {
			l.tooLong = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// chunk is how many bytes are read at once.
const chunk = 1 << 16

// A feed reads from what may have nothing to give for long, and yet ends with its
// context.
type feed struct {
	ctx       context.Context
	chunks    chan []byte
	err       error // why there are no more chunks
	rest      []byte
	impatient bool // Read gives up after a pause, with errPause
}

// newFeed begins to read. The goroutine that does may be stuck in r when ctx ends:
// then the end of the program is its end.
func newFeed(ctx context.Context, r io.Reader) *feed {
	f := &feed{ctx: ctx, chunks: make(chan []byte)}
	go func() {
		defer close(f.chunks)
		for {
			buffer := make([]byte, chunk)
			n, err := r.Read(buffer)
			if n > 0 {
				select {
				case f.chunks <- buffer[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				f.err = err
				return
			}
		}
	}()
	return f
}

// Read is that of an [io.Reader].
func (f *feed) Read(p []byte) (int, error) {
	var late <-chan time.Time
	if f.impatient {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		late = timer.C
	}
	for len(f.rest) == 0 {
		if f.ctx.Err() != nil {
			return 0, context.Cause(f.ctx)
		}
		select {
		case next, more := <-f.chunks:
			if !more {
				return 0, cmp.Or(f.err, context.Cause(f.ctx))
			}
			f.rest = next
		case <-f.ctx.Done():
		case <-late:
			return 0, errPause
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
