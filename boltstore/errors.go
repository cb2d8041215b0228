package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
)

// Errors of Open.
var (
	// ErrInUse is returned by [Open] when another process, or another [Table] of
	// this one, has the file open. It comes within about 100 milliseconds.
	ErrInUse = errors.New("the file is in use: one process at a time can have it open, and once; close the other one first")

	// ErrFormat is returned by [Open] when the file is not one that this package
	// wrote, or when a newer version of it did. The file is left as it is. Other
	// methods return it for a record that a newer version wrote.
	ErrFormat = errors.New("the file is not in a format that this version reads: name another file, or use the version that wrote it")
)

// Errors of the table's methods, and of Open.
var (
	// ErrDamaged is returned when the file holds what this package cannot have
	// written: a bad checksum, a broken page, a part that is missing. Nothing
	// read from such a record is ever returned. Trying again does not help:
	// restore the file from a copy, or move it away and replay the stream into a
	// new one.
	ErrDamaged = errors.New("the file is damaged: restore a copy of it, or move it away and replay the stream into a new one")

	// ErrNotDurable is returned by every method once the operating system has
	// failed to sync the file. What is on the disk is then unknown, and
	// continuing would hide it: close the table and open it again. The disk is
	// probably failing.
	ErrNotDurable = errors.New("the file could not be synced to the disk: check the disk, then close the table and open it again")
)

// Errors of the change feed.
var (
	// ErrInvalidConsumer is returned by every method of a [Changes] whose
	// consumer has no name, one of more than 255 bytes, or one that is not UTF-8.
	ErrInvalidConsumer = errors.New("the consumer's name must be 1 to 255 bytes of UTF-8")

	// ErrInvalidPosition is returned for a position that is not one of this
	// feed: not a decimal number, or one that lies ahead of all changes. The
	// latter comes from another file; begin again at the zero position.
	ErrInvalidPosition = errors.New("the position is not one of this change feed")

	// ErrUnknownShard is returned for any shard but the one that Shards names.
	ErrUnknownShard = errors.New("the change feed has one shard, \"0\"")
)

// errNotOpen is what every method of a Table says that Open did not make.
var errNotOpen = errors.New("the table is nil or empty: Open makes one, or says why not")

// errPanic marks an error that a recovered panic was made into.
var errPanic = errors.New("a page could not be read")

// damaged says what is wrong with the file without quoting its content.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w (%s)", ErrDamaged, fmt.Sprintf(format, args...))
}

// inFile names the file in an error. An error that the caller caused (a closed
// table, a context that ended, an invalid argument) needs no name.
func (t *Table) inFile(err error) error {
	for _, own := range []error{ErrDamaged, ErrFormat, ErrNotDurable} {
		if errors.Is(err, own) {
			return fmt.Errorf("boltstore: %s: %w", t.path, err)
		}
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("boltstore: %w", err)
	}
	return err
}
