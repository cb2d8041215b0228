package eventsourcemapping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// A Record is a record of a shard, as it stands in the payload of an invocation.
type Record struct {
	SequenceNumber string
	JSON           []byte
}

// A Shard is what a mapping reads.
type Shard interface {
	// Read returns up to limit records that come after the one with a sequence
	// number; "" is the oldest place. None mean that there are none left.
	Read(ctx context.Context, after string, limit int) ([]Record, error)
}

// maxPayload is the size of the largest payload, in bytes.
const maxPayload = 6 << 20

// A Mapping connects shards with a function. Run may be called for several shards at
// once.
type Mapping struct {
	// Invoke is the function.
	Invoke func(ctx context.Context, payload []byte) ([]byte, error)

	BatchSize               int
	ReportBatchItemFailures bool
	BisectOnError           bool

	// MaxAttempts is how often a batch is delivered at most; 0 for ever.
	MaxAttempts int

	// OnFailure is given what has used up its attempts; nil forgets it.
	OnFailure func(records []Record, reason error)

	// Again tells whether a batch, counted from 0 for each shard, is delivered once
	// more after it succeeded, as may happen to any: nil is never.
	Again func(batch int) bool
}

// Run reads a shard from its beginning until there is nothing left in it.
func (m *Mapping) Run(ctx context.Context, shard Shard) error {
	after := ""
	for batch := 0; ; batch++ {
		records, err := shard.Read(ctx, after, m.BatchSize)
		if err != nil {
			return fmt.Errorf("read the shard: %w", err)
		}
		if len(records) == 0 {
			return nil
		}
		records = records[:fitting(records)]
		if err := m.deliver(ctx, records, 1); err != nil {
			return err
		}
		if m.Again != nil && m.Again(batch) {
			if err := m.deliver(ctx, records, 1); err != nil {
				return err
			}
		}
		after = records[len(records)-1].SequenceNumber
	}
}

// fitting returns how many records a payload can have.
func fitting(records []Record) int {
	size := len(payload(nil))
	for i := range records {
		if size += len(records[i].JSON) + 1; size > maxPayload && i > 0 {
			return i
		}
	}
	return len(records)
}

func payload(records []Record) []byte {
	text := []byte(`{"Records":[`)
	for i := range records {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, records[i].JSON...)
	}
	return append(text, `]}`...)
}

// deliver invokes the function until a batch is done or given up.
func (m *Mapping) deliver(ctx context.Context, records []Record, attempt int) error {
	for len(records) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		answer, err := m.Invoke(ctx, payload(records))
		done := len(records)
		if err == nil && m.ReportBatchItemFailures {
			done, err = checkpoint(records, answer)
		}
		if err == nil && done == len(records) {
			return nil
		}
		if done > 0 && err == nil { // what is left is a new batch
			records, attempt = records[done:], 1
			continue
		}
		if err == nil {
			err = errNothingDone
		}
		if m.MaxAttempts > 0 && attempt >= m.MaxAttempts {
			if m.OnFailure != nil {
				m.OnFailure(records, err)
			}
			return nil
		}
		attempt++
		if m.BisectOnError && len(records) > 1 {
			half := len(records) / 2
			if err := m.deliver(ctx, records[:half], attempt); err != nil {
				return err
			}
			records = records[half:]
		}
	}
	return nil
}

var errNothingDone = errors.New("the first record of the batch was reported as failed")

// checkpoint returns how many records of a batch an answer says are done.
func checkpoint(records []Record, answer []byte) (int, error) {
	var response struct {
		BatchItemFailures []struct{ ItemIdentifier *string }
	}
	if len(answer) == 0 {
		return len(records), nil
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return 0, fmt.Errorf("the answer is none: %w", err)
	}
	var lowest *big.Int
	for _, failure := range response.BatchItemFailures {
		if failure.ItemIdentifier == nil || *failure.ItemIdentifier == "" {
			return 0, errors.New("an identifier is empty")
		}
		number, known := find(records, *failure.ItemIdentifier)
		if !known {
			return 0, errors.New("the batch does not have what an identifier names")
		}
		if lowest == nil || number.Cmp(lowest) < 0 {
			lowest = number
		}
	}
	if lowest == nil {
		return len(records), nil
	}
	for i := range records {
		if number, ok := new(big.Int).SetString(records[i].SequenceNumber, 10); ok && number.Cmp(lowest) >= 0 {
			return i, nil
		}
	}
	return 0, nil
}

func find(records []Record, identifier string) (*big.Int, bool) {
	for i := range records {
		if records[i].SequenceNumber == identifier {
			number, ok := new(big.Int).SetString(identifier, 10)
			return number, ok
		}
	}
	return nil, false
}
