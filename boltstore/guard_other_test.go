//go:build !unix

package boltstore

import "errors"

// fillDisk needs a limit that only Unix has.
func fillDisk(string) error { return errors.ErrUnsupported }
