package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// formatName stands in the file, so that one of another program or of a newer
// version is told apart.
const formatName = "microeventstore/boltstore 1"

// These are constants, but for their type.
//
//nolint:gochecknoglobals // nobody writes to them
var (
	itemsBucket     = []byte("items")
	ttlBucket       = []byte("ttl")
	changesBucket   = []byte("changes")
	consumersBucket = []byte("consumers")

	checkpointsBucket = []byte("checkpoints") // only where one was set
	metaBucket        = []byte("meta")
	formatKey         = []byte("format")
)

// lockTimeout is how long Open waits for a file that another one has open.
const lockTimeout = 60 * time.Millisecond

// Open opens the table in a file, and creates the file where there is none, for
// its owner alone (mode 0600). Its folder must exist. An existing file keeps the mode
// that it has, an empty one too, and is verified first, from its first byte to its
// last.
//
// Errors: [ErrInUse], [ErrFormat], [ErrDamaged], what the operating system
// says (errors.Is with [fs.ErrNotExist] or [fs.ErrPermission]), and all that is
// wrong with the options at once. They name the path and what to do.
//
// Call [Table.Close] when the table is no longer needed.
func Open(path string, opts ...Option) (*Table, error) {
	config, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("boltstore: options: %w", err)
	}
	path, err = checkPath(path)
	if err != nil {
		return nil, err
	}
	t := &Table{path: path, config: config}
	if err := t.open(); err != nil {
		return nil, explain(path, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	if config.sweepInterval > 0 {
		t.background.Go(func() { t.sweepForever(ctx) })
	}
	return t, nil
}

// checkPath refuses what is not a file before it is opened, since opening a
// pipe can hang and a folder gives an obscure error.
func checkPath(path string) (string, error) {
	if path == "" {
		return "", errors.New("boltstore: the path of the file is empty")
	}
	// The working directory may change while the table is open.
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("boltstore: %w", err)
	}
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absolute, nil
	case err != nil:
		return "", explain(absolute, err)
	case info.IsDir():
		return "", fmt.Errorf("boltstore: %s is a folder: name a file in it, such as %s", absolute, filepath.Join(absolute, "events.db"))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("boltstore: %s is not a regular file: name one", absolute)
	}
	return absolute, nil
}

func explain(path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		err = ErrInUse
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch):
		err = ErrFormat
	case errors.Is(err, bolterrors.ErrChecksum):
		err = ErrDamaged
	case errors.Is(err, fs.ErrNotExist):
		hint = " (create its folder first)"
	case errors.Is(err, fs.ErrPermission):
		hint = " (the file and its folder must be readable and writable for this user)"
	}
	return fmt.Errorf("boltstore: open %s: %w%s", path, err, hint)
}

func (t *Table) open() (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var opened *os.File // held apart, since bbolt lets go of it when it panics
	err = guarded(func() (err error) {
		t.db, err = bbolt.Open(t.path, 0o600, &bbolt.Options{
			Timeout:      lockTimeout,
			FreelistType: bbolt.FreelistMapType, // the default one slows down as the file grows
			NoStatistics: true,
			NoSync:       t.config.noSync,
			OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
				file, err := openVerified(path, flag, mode)
				opened = file
				return file, err
			},
		})
		return err
	})
	t.file = opened
	if err != nil {
		if errors.Is(err, errPanic) && opened != nil {
			_ = unlockFile(opened)
			_ = opened.Close()
		}
		return err
	}
	t.writer.table = t
	t.feed.init()
	if err = t.setUp(); err == nil {
		err = t.view(t.readFeedState)
	}
	if err == nil {
		err = syncFolder(t.path)
	}
	if err != nil {
		_ = t.closeFile()
	}
	return err
}

// openVerified opens, locks and verifies the file before bbolt sees it. bbolt's
// own lock comes too late for that, and is the same lock.
func openVerified(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
	file, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if err := lockFile(file, lockTimeout); err != nil {
		return nil, err
	}
	switch unborn, err := isUnborn(file); {
	case err != nil:
		return nil, err
	case unborn:
		return file, file.Truncate(0)
	}
	return file, verify(file)
}

// setUp creates what a new file lacks.
func (t *Table) setUp() error {
	return t.update(func(tx *bbolt.Tx) (bool, error) {
		if tx.Bucket(metaBucket) != nil {
			return false, nil // verify has seen that it is ours
		}
		for _, name := range [][]byte{itemsBucket, ttlBucket, changesBucket, consumersBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return false, err
			}
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return false, err
		}
		return true, meta.Put(formatKey, []byte(formatName))
	})
}

// bucketOf returns one of the buckets that setUp has created.
func bucketOf(tx *bbolt.Tx, name []byte) (*bbolt.Bucket, error) {
	bucket := tx.Bucket(name)
	if bucket == nil {
		return nil, damaged("a bucket is missing")
	}
	return bucket, nil
}

// syncFolder makes the file's name durable: bbolt syncs what is in the file
// only. It is done at each Open, since the process that created the file may
// have died before it could.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such thing
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
