package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	mes "github.com/microeventstore/microeventstore"
)

// around is how many events are shown before and after the one that fired.
const around = 2

// showHistory prints a history at a glance: the event that fired, and those next
// to it.
func showHistory(w io.Writer, m *mes.MicroEventStore) error {
	out := bufio.NewWriter(w)
	at := len(m.UpTo(m.Current)) - 1
	begin, end := max(0, at-around), min(len(m.Events), at+around+1)
	fmt.Fprintf(out, "%q has %s\n", m.HashKey, count(len(m.Events)))
	if begin > 0 {
		fmt.Fprintf(out, "      … %d earlier\n", begin)
	}
	for i := begin; i < end; i++ {
		e := &m.Events[i]
		mark := "   "
		if i == at {
			mark = "-> "
		}
		fmt.Fprintf(out, "   %s%s  %s", mark, e.Timestamp.Format("2006-01-02 15:04:05.000"), printable(e.Type))
		if i == at {
			fmt.Fprint(out, "  (new)")
		}
		fmt.Fprintln(out)
	}
	if later := len(m.Events) - end; later > 0 {
		fmt.Fprintf(out, "      … %d later\n", later)
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// printable quotes what could do something to a terminal.
func printable(eventType string) string {
	if quoted := strconv.Quote(eventType); eventType == "" || quoted != `"`+eventType+`"` {
		return quoted
	}
	return eventType
}

// call is a line of the -json output.
type call struct {
	HashKey string      `json:"hashKey"`
	Current string      `json:"current"`
	Events  []callEvent `json:"events"`
}

type callEvent struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970
}

func showJSON(w io.Writer, m *mes.MicroEventStore) error {
	line := call{HashKey: m.HashKey, Current: m.Current.ID, Events: make([]callEvent, len(m.Events))}
	for i := range m.Events {
		e := &m.Events[i]
		line.Events[i] = callEvent{ID: e.ID, Type: e.Type, Timestamp: e.Timestamp.UnixMilli()}
	}
	return json.NewEncoder(w).Encode(line)
}

// A summary adds up what the store tells its observer.
type summary struct {
	listened, triggered mes.BatchStats
}

// ObserveBatch is called after each batch. This program has one at a time.
func (s *summary) ObserveBatch(_ context.Context, stats mes.BatchStats) {
	switch stats.Operation {
	case mes.OperationListen:
		s.listened.Read += stats.Read
		s.listened.Filtered += stats.Filtered
		s.listened.Saved += stats.Saved
		s.listened.Duplicates += stats.Duplicates
		s.listened.Expired += stats.Expired
		s.listened.Faults += stats.Faults
	case mes.OperationTrigger:
		s.triggered.Handled += stats.Handled
		s.triggered.Faults += stats.Faults
		s.triggered.Expired += stats.Expired
	}
}

func (s *summary) print(w io.Writer) error {
	out := bufio.NewWriter(w)
	line := func(name string, n int, note string) {
		fmt.Fprintf(out, "%-14s%6d   %s\n", name, n, note)
	}
	line("read", s.listened.Read, "records, one a line")
	line("filtered out", s.listened.Filtered, "of a type that was not asked for")
	line("duplicates", s.listened.Duplicates, "delivered more than once in a batch")
	line("faults", s.listened.Faults+s.triggered.Faults, "set aside")
	if s.listened.Expired > 0 {
		line("expired", s.listened.Expired, "too old to be kept")
	}
	line("saved", s.listened.Saved, "events; saving one again changes nothing")
	line("triggered", s.triggered.Handled, "times, once for each event that was new")
	if s.triggered.Expired > 0 {
		line("not triggered", s.triggered.Expired, "expired before they could be")
	}
	return out.Flush()
}

func count(events int) string {
	if events == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", events)
}
