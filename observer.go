package microeventstore

import (
	"context"
	"time"
)

// An Observer is told about every batch, for metrics. It is called once, at the
// end of a call, which waits for it; by several calls at once, so it must be safe for
// use by many goroutines. A panic in it is dropped.
type Observer interface {
	// ObserveBatch is given the counts of a batch that is over.
	ObserveBatch(ctx context.Context, stats BatchStats)
}

// An Operation is what a batch was for.
type Operation string

// The operations that an Observer sees.
const (
	OperationSave    Operation = "save"    // Store.Save
	OperationListen  Operation = "listen"  // Listener.Handle
	OperationTrigger Operation = "trigger" // Trigger.Handle and Trigger.Refire
)

// BatchStats counts what became of the records of one batch. Each record that
// was read is counted once more, as one of the others:
//
//	Read = Filtered + Saved + Duplicates + Expired + Faults + Failed            for events
//	Read = Skipped + Expired + Handled + Faults + Failed                        for changes
type BatchStats struct {
	Operation Operation

	Read     int // records, events or changes in the batch; those of markers too
	Filtered int // not accepted by the filter
	Saved    int // events that are stored under all their keys
	// Duplicates counts events of which a later one in the same batch has the
	// keys: only the last of them is written, and counted as saved.
	Duplicates int
	// Expired counts events too old to be kept; and changes whose event is no
	// longer there, because it has expired or was deleted.
	Expired int
	// Skipped counts changes that the trigger's options leave out, and those of
	// markers, which rules with Once put into the table.
	Skipped int
	Handled int // changes that the handler has dealt with
	Faults  int // accepted by the fault handler
	Failed  int // to be delivered again

	Items int // written to the table: one for each event and hash key
	Calls int // calls of the trigger's handler

	Duration        time.Duration // of the whole call
	TableDuration   time.Duration // waiting for the table; keys in parallel add up
	HandlerDuration time.Duration // in the trigger's handler; keys in parallel add up
}

// add adds the counts and durations of a part of the work.
func (b *BatchStats) add(part *BatchStats) {
	b.Read += part.Read
	b.Expired += part.Expired
	b.Skipped += part.Skipped
	b.Handled += part.Handled
	b.Faults += part.Faults
	b.Failed += part.Failed
	b.Calls += part.Calls
	b.TableDuration += part.TableDuration
	b.HandlerDuration += part.HandlerDuration
}

func (s *Store) observe(ctx context.Context, stats *BatchStats, began time.Time) {
	if s.observer == nil {
		return
	}
	stats.Duration = time.Since(began)
	_ = call(func() error {
		s.observer.ObserveBatch(ctx, *stats)
		return nil
	})
}
