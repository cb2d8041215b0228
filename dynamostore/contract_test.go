package dynamostore

import (
	"maps"
	"testing"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/drivertest"
)

// An item that fits once it is compressed is not too large.
const fitsCompressed = "the item is not too large once it is compressed"

// A defect of dynalite 4.0.0: the check of BETWEEN.
const byUnit = "dynalite compares the bounds of a query by UTF-16 unit"

// Cases that are about how much there is take long: on the fake, one of the tables
// is enough.
func skipLong(skip map[string]string) {
	for _, name := range []string{"LargeCollation", "PagesAreBounded", "DeleteLarge", "PutLarge", "LargeItemsPage", "Limit"} {
		skip[name] = "it takes long; make integration runs it"
	}
}

func TestPromise18TheContract(t *testing.T) {
	for name, c := range map[string]struct {
		opts []Option
		skip map[string]string
	}{
		"text": {opts: []Option{WithCodec(CodecOwn)}},
		"SDK":  {opts: []Option{WithCodec(CodecSDK)}},
		"compressed": {
			[]Option{WithCompression(1), WithCodec(CodecOwn)},
			map[string]string{"ItemOneByteTooLarge": fitsCompressed},
		},
		"dictionary": {
			[]Option{WithCompression(1), WithDictionaries(trained(t, 1))},
			map[string]string{"ItemOneByteTooLarge": fitsCompressed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			if name == "SDK" && !s.fake {
				return // what a server stores and answers is the same for both
			}
			s.opts = []Option{WithoutTTL(), WithoutStream()} // both are slow on some servers
			skip := make(map[string]string)
			maps.Copy(skip, c.skip)
			if s.dynalite {
				skip["RandomOperations"], skip["RandomOperationsAndReopen"] = byUnit, byUnit
			}
			if s.fake && name != "text" {
				skipLong(skip)
			}
			drivertest.Run(t, drivertest.Harness{
				Slow: true, // each call crosses the SDK, and maybe a network
				Skip: skip,
				Open: func(t testing.TB) driver.Table {
					table, _ := s.table(t, c.opts...)
					return table
				},
				Reopen: func(_ testing.TB, table driver.Table) driver.Table {
					_ = table.Close()
					return New(s.Client, table.(*Table).name, c.opts...)
				},
			})
		})
	}
}
