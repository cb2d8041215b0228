package eventsourcemapping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inMemory is a shard in memory.
type inMemory []Record

// Read implements [Shard].
func (r inMemory) Read(_ context.Context, after string, limit int) ([]Record, error) {
	begin := 0
	for i := range r {
		if after != "" && r[i].SequenceNumber == after {
			begin = i + 1
		}
	}
	return r[begin:min(begin+limit, len(r))], nil
}

func shard(n int) (records inMemory) {
	for i := range n {
		records = append(records, Record{SequenceNumber: fmt.Sprint(i + 8), JSON: []byte(fmt.Sprint(i + 8))})
	}
	return records
}

// run returns the batches that a function was invoked with, and what was given up.
func run(t *testing.T, m Mapping, records inMemory, answer func(call int, batch []int) (string, error)) (batches, given []string) {
	t.Helper()
	m.Invoke = func(_ context.Context, payload []byte) ([]byte, error) {
		var event struct{ Records []int }
		require.NoError(t, json.Unmarshal(payload, &event))
		batches = append(batches, strings.Trim(fmt.Sprint(event.Records), "[]"))
		text, err := answer(len(batches), event.Records)
		return []byte(text), err
	}
	m.OnFailure = func(records []Record, reason error) {
		require.Error(t, reason)
		for _, record := range records {
			given = append(given, record.SequenceNumber)
		}
	}
	require.NoError(t, m.Run(t.Context(), records))
	return batches, given
}

func TestBatchesAndWhatIsDone(t *testing.T) {
	m := Mapping{BatchSize: 3, ReportBatchItemFailures: true, MaxAttempts: 2}
	for _, success := range []string{``, `null`, `{}`, `{"batchItemFailures":null}`, `{"batchItemFailures":[]}`} {
		batches, given := run(t, m, shard(7), func(int, []int) (string, error) { return success, nil })
		require.Equal(t, []string{"8 9 10", "11 12 13", "14"}, batches, success)
		require.Empty(t, given)
	}
	for _, failure := range []string{`{"batchItemFailures":[{"itemIdentifier":""}]}`, `{"batchItemFailures":[{"itemIdentifier":null}]}`, `{"batchItemFailures":[{}]}`, `{"batchItemFailures":[{"itemIdentifier":"77"}]}`, `{"batchItemFailures":5}`, `x`} {
		batches, given := run(t, m, shard(2), func(int, []int) (string, error) { return failure, nil })
		require.Equal(t, []string{"8 9", "8 9"}, batches, failure)
		require.Equal(t, []string{"8", "9"}, given)
	}
}

func TestTheLowestIdentifierDecides(t *testing.T) {
	m := Mapping{BatchSize: 4, ReportBatchItemFailures: true, MaxAttempts: 2}
	batches, given := run(t, m, shard(5), func(call int, _ []int) (string, error) {
		switch call {
		case 1:
			return `{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"9"}]}`, nil
		case 2, 3:
			return `{"batchItemFailures":[{"itemIdentifier":"9"}]}`, nil
		}
		return "", nil
	})
	require.Equal(t, []string{"8 9 10 11", "9 10 11", "9 10 11", "12"}, batches)
	require.Equal(t, []string{"9", "10", "11"}, given)
}

func TestBisecting(t *testing.T) {
	m := Mapping{BatchSize: 4, BisectOnError: true, MaxAttempts: 4}
	batches, given := run(t, m, shard(4), func(_ int, batch []int) (string, error) {
		for _, record := range batch {
			if record == 10 {
				return "", errors.New("poison")
			}
		}
		return `{"batchItemFailures":[{"itemIdentifier":""}]}`, nil // nobody looks at it
	})
	require.Equal(t, []string{"8 9 10 11", "8 9", "10 11", "10", "10", "11"}, batches)
	require.Equal(t, []string{"10"}, given)
}

func TestAgainAndTheSizeOfAPayload(t *testing.T) {
	m := Mapping{BatchSize: 2, Again: func(batch int) bool { return batch == 1 }}
	batches, _ := run(t, m, shard(5), func(int, []int) (string, error) { return "", nil })
	require.Equal(t, []string{"8 9", "10 11", "10 11", "12"}, batches)

	large := inMemory{{"1", make([]byte, maxPayload-100)}, {"2", make([]byte, 200)}, {"3", make([]byte, 2*maxPayload)}, {"4", nil}}
	require.Equal(t, 1, fitting(large))
	require.Equal(t, 1, fitting(large[1:]))
	require.Equal(t, 1, fitting(large[2:]))
	require.Equal(t, 1, fitting(large[3:]))
}

func TestItEndsWithItsContextAndItsShard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := Mapping{BatchSize: 1, Invoke: func(context.Context, []byte) ([]byte, error) { cancel(); return nil, errors.New("no") }}
	require.ErrorIs(t, m.Run(ctx, shard(1)), context.Canceled)
	require.ErrorIs(t, m.Run(t.Context(), broken{}), errNothingDone)
}

type broken struct{}

func (broken) Read(context.Context, string, int) ([]Record, error) { return nil, errNothingDone }
