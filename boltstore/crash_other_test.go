//go:build !(linux && amd64)

package boltstore

import "testing"

func TestPromise17AcknowledgedIsDurableThroughPowerLoss(t *testing.T) {
	t.Skip("system calls are recorded on Linux on amd64 only")
}
