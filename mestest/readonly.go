package mestest

import (
	"bytes"
	"context"
	"testing"

	mes "github.com/microeventstore/microeventstore"
)

// ReadOnly returns a handler that calls another one and fails the test if that
// has changed the history it was given, which all calls of a batch share: if it
// has sorted the events, written to one, or changed the bytes of one.
func ReadOnly(t testing.TB, handler mes.Handler) mes.Handler {
	return func(ctx context.Context, m *mes.MicroEventStore) error {
		shared := m.Events
		before := make([]mes.Event, len(shared))
		for i := range shared {
			before[i] = shared[i].Clone()
		}
		defer func() {
			for i := range shared {
				if what := difference(&before[i], &shared[i]); what != "" {
					t.Errorf("mestest.ReadOnly: the handler changed the shared history: %s of event %d; copy before you change", what, i)
					return
				}
			}
		}()
		return handler(ctx, m)
	}
}

// difference names the first field in which two events differ.
func difference(a, b *mes.Event) string {
	switch {
	case a.RangeKey != b.RangeKey:
		return "the range key"
	case a.ID != b.ID:
		return "the ID"
	case a.Type != b.Type:
		return "the type"
	case a.PartitionKey != b.PartitionKey:
		return "the partition key"
	case !a.Timestamp.Equal(b.Timestamp):
		return "the timestamp"
	case !bytes.Equal(a.Raw, b.Raw):
		return "the raw bytes"
	case !a.Expires.Equal(b.Expires):
		return "the time of expiry"
	case a.Meta != b.Meta:
		return "the meta"
	}
	return ""
}
