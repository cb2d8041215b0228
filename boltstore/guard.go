package boltstore

import (
	"errors"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strings"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// bbolt trusts its file. On a damaged page it panics, or it follows a number out
// of the map of the file, which is a fault that ends the process unless the
// goroutine has asked for a panic instead. So every transaction runs in here.
//
// bbolt also leaves locks behind when it panics while it begins or ends a
// transaction, and whoever wants them next hangs, Close included. So after such
// a panic, and after any in a transaction that writes, the table is given up:
// every later call returns the error at once, and Close lets go of the file
// without bbolt.

// view runs fn in a transaction that reads.
func (t *Table) view(fn func(*bbolt.Tx) error) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := t.begin(false)
	if err != nil {
		return t.inFile(err)
	}
	err = guarded(func() error { return fn(tx) })
	if endErr := t.rollback(tx); err == nil {
		err = endErr
	}
	return t.inFile(err)
}

// update runs fn in a transaction that writes. It commits, and syncs, only when
// fn says that it has written something.
func (t *Table) update(fn func(*bbolt.Tx) (dirty bool, err error)) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := t.begin(true)
	if err != nil {
		return t.inFile(err)
	}
	var dirty bool
	err = guarded(func() (err error) {
		dirty, err = fn(tx)
		return err
	})
	if err != nil || !dirty {
		if errors.Is(err, errPanic) {
			t.fail(err)
		}
		if endErr := t.rollback(tx); err == nil {
			err = endErr
		}
		return t.inFile(err)
	}
	err = guarded(tx.Commit)
	switch {
	case err == nil:
		t.commits.Add(1)
		return nil
	case errors.Is(err, errPanic):
		t.fail(err)
		_ = t.rollback(tx) // nothing, or what releases bbolt's lock
	case !isWriteError(err):
		// The pages are written and nobody knows which of them are on the disk.
		// A later sync could succeed without having written them.
		err = errors.Join(ErrNotDurable, err)
		t.fail(err)
	}
	return t.inFile(err)
}

// begin starts a transaction. Only one goroutine at a time does: where bbolt
// panics it keeps a lock, which the next one must not wait for.
func (t *Table) begin(writable bool) (tx *bbolt.Tx, err error) {
	if !writable { // of those that write there is only one anyway
		t.beginMu.Lock()
		defer t.beginMu.Unlock()
	}
	if err := t.failed(); err != nil {
		return nil, err
	}
	err = guarded(func() (err error) {
		tx, err = t.db.Begin(writable)
		return err
	})
	if errors.Is(err, errPanic) {
		t.fail(err)
		t.locked.Store(true)
	}
	return tx, err
}

func (t *Table) rollback(tx *bbolt.Tx) error {
	if t.locked.Load() {
		return t.failed() // it would wait for a lock that nobody releases
	}
	err := guarded(tx.Rollback)
	if errors.Is(err, errPanic) {
		t.fail(err)
		t.locked.Store(true)
	}
	if err != nil && !errors.Is(err, bolterrors.ErrTxClosed) {
		return err
	}
	return nil
}

// guarded makes an error of a panic. The value of the panic is left out unless
// the runtime made it: bbolt's could quote what is in the file.
func guarded(fn func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = errors.Join(damaged("%v", p), errPanic)
		default:
			err = errors.Join(damaged("bbolt refused a page"), errPanic)
		}
	}()
	return fn()
}

// fail gives the table up. The first reason stays.
func (t *Table) fail(err error) {
	t.failure.CompareAndSwap(nil, &err)
	t.feed.wake()
}

// failed returns why the table was given up, or nil.
func (t *Table) failed() error {
	if err := t.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// isWriteError tells whether a commit failed before anything had to be synced: a
// full disk, a limit on the size of files. The table goes on then, with the
// state before the commit, as bbolt rolls back.
func isWriteError(err error) bool {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Op == "write" || pathError.Op == "truncate"
	}
	return strings.HasPrefix(err.Error(), "file resize error") // bbolt wraps nothing in this one
}
