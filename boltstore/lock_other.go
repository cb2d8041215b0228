//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package boltstore

import (
	"os"
	"time"
)

// Elsewhere bbolt's own lock must do. It is taken after the file was verified,
// so a file that another process is writing to may be called damaged instead of
// in use.
func lockFile(*os.File, time.Duration) error { return nil }
func unlockFile(*os.File) error              { return nil }
