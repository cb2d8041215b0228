package microeventstore

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	benchUUID = regexp.MustCompile(`^(?i)([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f])([0-9a-f]{3})-([89ab][0-9a-f]{3})-([0-9a-f]{12})$`)
	benchULID = regexp.MustCompile(`^(?i)[0-7][0-9a-hjkmnp-tv-z]{25}$`)
)

// plainUUID is TimeUUID as one would write it first.
func plainUUID(e *Event) string {
	m := benchUUID.FindStringSubmatch(e.ID)
	switch {
	case m == nil:
		if benchULID.MatchString(e.ID) {
			return strings.ToUpper(e.ID)
		}
		return ""
	case m[3] == "1":
		t := m[4] + m[2] + m[1]
		return strings.ToLower(fmt.Sprintf("%s-%s-6%s-%s-%s", t[:8], t[8:12], t[12:], m[5], m[6]))
	case m[3] == "6" || m[3] == "7":
		return strings.ToLower(e.ID)
	}
	return ""
}

// Each key beside the plain way to make it: compare within one run.
func BenchmarkRangeKey(b *testing.B) {
	at := time.UnixMilli(1_735_689_600_123).UTC()
	event := func(id string) Event { return Event{ID: id, Timestamp: at} }
	sequence := Event{Meta: Meta{SequenceNumber: "49590338271490256608559692538361571095921575989136588898", SubSequence: 7}}
	plainSequence := func(e *Event) string {
		return fmt.Sprintf("%056s.%019d", e.Meta.SequenceNumber, e.Meta.SubSequence)
	}

	for _, bench := range []struct {
		name  string
		key   RangeKey
		event Event
		plain func(*Event) string
	}{
		{"TimeAndID", TimeAndID(), event("2b1f8a5e-6f1c-4d0e-9d55-3f7a0c8f2b11"), func(e *Event) string {
			return fmt.Sprintf("%016d#%s", e.Timestamp.UnixMilli(), e.ID)
		}},
		{"EventID", EventID(), event("2b1f8a5e-6f1c-4d0e-9d55-3f7a0c8f2b11"), func(e *Event) string {
			return fmt.Sprintf("%s", e.ID) //nolint:staticcheck // the plain way
		}},
		{"TimeUUID-v1", TimeUUID(), event("c232ab00-9414-11ec-b3c8-9f6bdeced846"), plainUUID},
		{"TimeUUID-v7", TimeUUID(), event("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), plainUUID},
		{"TimeUUID-ULID", TimeUUID(), event("01ARZ3NDEKTSV4RRFFQ69G5FAV"), plainUUID},
		{"SequenceNumber", SequenceNumber(), sequence, plainSequence},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.Run("append", func(b *testing.B) {
				b.ReportAllocs()
				dst := make([]byte, 0, 256)
				for range b.N {
					var err error
					if dst, err = bench.key.AppendRangeKey(dst[:0], &bench.event); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("plain", func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					if bench.plain(&bench.event) == "" {
						b.Fatal("no key")
					}
				}
			})
		})
	}
}
