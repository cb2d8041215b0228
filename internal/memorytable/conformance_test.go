package memorytable

import (
	"testing"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/drivertest"
)

// Package drivertest runs the suite against the other options too.
func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Open: func(testing.TB) driver.Table { return NewWith(Options{KeepComplete: true}) },
		Reopen: func(_ testing.TB, table driver.Table) driver.Table {
			return table.(*Table).Reopen()
		},
		Slow: testing.Short(),
	})
}
