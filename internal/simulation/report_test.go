package simulation

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func (c *counts) print(t *testing.T) {
	t.Helper()
	t.Logf("lost %d, doubled %d, out of order %d, incomplete %d, wrong response %d, acknowledged but not handled %d, overrun %d, wrong item %d, wrongly set aside %d, stuck %d, leaked %d",
		c.Lost, c.Doubled, c.OutOfOrder, c.Incomplete, c.WrongResponse, c.Unhandled, c.Overrun, c.WrongItem, c.WronglyAside, c.Stuck, c.Leaked)
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(1, whole)) }

// The least shares, in percent, of what went wrong.
const (
	leastRedelivered = 20
	leastFaulted     = 10
)

// calm says what there was too little of; nothing if it was enough.
func (s *totals) calm() string {
	again, faulted := percent(s.redelivered.Load(), s.records.Load()+s.changes.Load()), percent(s.faulted.Load(), s.calls.Load())
	if again >= leastRedelivered && faulted >= leastFaulted {
		return ""
	}
	return fmt.Sprintf("%.1f %% of the deliveries were again, and it takes %d; %.1f %% of the calls were faulted, and it takes %d", again, leastRedelivered, faulted, leastFaulted)
}

func TestARunIsCalmWithoutEnoughOfEither(t *testing.T) {
	for _, test := range []struct {
		redelivered, faulted int64
		calm                 bool
	}{{200, 100, false}, {199, 100, true}, {200, 99, true}, {0, 0, true}, {1000, 1000, false}} {
		s := new(totals)
		s.records.Store(400)
		s.changes.Store(600)
		s.calls.Store(1000)
		s.redelivered.Store(test.redelivered)
		s.faulted.Store(test.faulted)
		require.Equal(t, test.calm, s.calm() != "", s.calm())
	}
	require.NotEmpty(t, new(totals).calm())
}

func (s *totals) print(t *testing.T) {
	t.Helper()
	deliveries := s.records.Load() + s.changes.Load()
	t.Logf("%d source events, published %d times; %d deliveries (%d records, %d changes), %.1f %% of them again; %d invocations: %d partial, %d crashed, %d at their deadline; %d calls of the table, %.1f %% faulted; %d changes handled, %d handler calls failed, %d set aside; histories of %d events in all",
		s.events.Load(), s.published.Load(), deliveries, s.records.Load(), s.changes.Load(), percent(s.redelivered.Load(), deliveries),
		s.invocations.Load(), s.partial.Load(), s.crashes.Load(), s.deadlines.Load(),
		s.calls.Load(), percent(s.faulted.Load(), s.calls.Load()),
		s.handled.Load(), s.handlerBad.Load(), s.asides.Load(), s.eventsHandedOver.Load())
}
