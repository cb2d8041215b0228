// Package arena gives many small strings and byte slices room in a few large
// allocations. Reading a thousand events takes a handful of allocations with it,
// and several thousand without.
//
// What an arena has given out is never written again. All of it that lies in one
// chunk is kept alive by any part of it that is still in use.
package arena

import "strings"

// Sizes of the chunks, in bytes: each is several times as large as the one before, so
// that few strings take little and many strings take few chunks.
const (
	firstText  = 512
	mostText   = 64 << 10
	growText   = 4
	firstBytes = 4 << 10
	mostBytes  = 512 << 10
	growBytes  = 4
)

// Text is an arena of strings. The zero value is ready for use. It must not be
// copied once it has been used, nor be used by several goroutines at once.
type Text struct {
	chunk strings.Builder
	next  int
}

// String returns a string with the bytes of b.
func (t *Text) String(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	t.Grow(len(b))
	at := t.chunk.Len()
	t.chunk.Write(b)
	return t.chunk.String()[at:]
}

// Grow sees that the next n bytes lie in one chunk.
func (t *Text) Grow(n int) {
	if t.chunk.Cap()-t.chunk.Len() >= n {
		return
	}
	t.next = min(max(growText*t.next, firstText), mostText)
	// The strings that are there keep the old chunk; the Builder forgets it.
	t.chunk.Reset()
	t.chunk.Grow(max(t.next, n))
}

// Builder returns what strings may be written to after [Text.Grow]. Whoever
// writes to it takes what he wrote from its String, and writes no more than he
// has grown it by.
func (t *Text) Builder() *strings.Builder { return &t.chunk }

// Bytes is an arena of byte slices. The zero value is ready for use. It must not
// be used by several goroutines at once.
type Bytes struct {
	chunk []byte
	next  int
}

// Reserve returns an empty slice with room for at least n bytes. Nothing else gets
// them until [Bytes.Keep] says how many are needed.
func (b *Bytes) Reserve(n int) []byte {
	if cap(b.chunk)-len(b.chunk) < n {
		b.next = min(max(growBytes*b.next, firstBytes), mostBytes)
		b.chunk = make([]byte, 0, max(b.next, n))
	}
	return b.chunk[len(b.chunk):]
}

// Grow sees that the next n bytes lie in one chunk.
func (b *Bytes) Grow(n int) {
	if cap(b.chunk)-len(b.chunk) < n {
		b.chunk = make([]byte, 0, n)
	}
}

// ReserveOf is Reserve for somebody who knows that he needs about so many bytes from
// here on, and no more, this time and all others together.
func (b *Bytes) ReserveOf(n, rest int) []byte {
	if cap(b.chunk)-len(b.chunk) < n {
		b.next = min(max(growBytes*b.next, firstBytes, rest/8), mostBytes)
		b.chunk = make([]byte, 0, max(min(b.next, rest), n))
	}
	return b.chunk[len(b.chunk):]
}

// Keep takes what was written to the slice that Reserve returned last, and
// returns it without the room behind it. A slice that had to grow beyond its room
// is returned as it is.
func (b *Bytes) Keep(written []byte) []byte {
	n := len(b.chunk)
	if len(written) <= cap(b.chunk)-n && (len(written) == 0 || &b.chunk[:n+1][n] == &written[0]) {
		b.chunk = b.chunk[:n+len(written)]
	}
	return written[:len(written):len(written)]
}
