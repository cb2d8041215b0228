package simulation

import "testing"

func (c *counts) print(t *testing.T) {
	t.Helper()
	t.Logf("lost %d, doubled %d, out of order %d, incomplete %d, wrong response %d, acknowledged but not handled %d, overrun %d, wrong item %d, wrongly set aside %d, stuck %d, leaked %d",
		c.Lost, c.Doubled, c.OutOfOrder, c.Incomplete, c.WrongResponse, c.Unhandled, c.Overrun, c.WrongItem, c.WronglyAside, c.Stuck, c.Leaked)
}

func (s *totals) print(t *testing.T) {
	t.Helper()
	deliveries := s.records.Load() + s.changes.Load()
	percent := func(part, whole int64) float64 { return 100 * float64(part) / float64(max(1, whole)) }
	t.Logf("%d source events, published %d times; %d deliveries (%d records, %d changes), %.1f %% of them again; %d invocations: %d partial, %d crashed, %d at their deadline; %d calls of the table, %.1f %% faulted; %d changes handled, %d handler calls failed, %d set aside; histories of %d events in all",
		s.events.Load(), s.published.Load(), deliveries, s.records.Load(), s.changes.Load(), percent(s.redelivered.Load(), deliveries),
		s.invocations.Load(), s.partial.Load(), s.crashes.Load(), s.deadlines.Load(),
		s.calls.Load(), percent(s.faulted.Load(), s.calls.Load()),
		s.handled.Load(), s.handlerBad.Load(), s.asides.Load(), s.eventsHandedOver.Load())
}
