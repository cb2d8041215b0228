package linearizability

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// An operation saves a version of an event, or sees the version that a read has
// returned (0: none).
type operation struct {
	key  string // of the item: hash key and id
	save bool
	n    int
}

// register is what one item is: the version that was saved last.
func register() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := make(map[string][]porcupine.Operation)
			for _, op := range history {
				key := op.Input.(operation).key
				byKey[key] = append(byKey[key], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byKey {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			op := input.(operation)
			if op.save {
				return true, op.n
			}
			return output.(int) == state.(int), state
		},
		DescribeOperation: func(input, output any) string {
			op := input.(operation)
			if op.save {
				return fmt.Sprintf("save %d", op.n)
			}
			return fmt.Sprintf("see %v", output)
		},
	}
}

// A recorder takes down what clients do to a store, and when.
type recorder struct {
	store *mes.Store
	began time.Time

	mu      sync.Mutex
	history []porcupine.Operation
	next    int
}

const (
	hashKeys = 2
	ids      = 2
)

func (r *recorder) clock() int64 { return int64(time.Since(r.began)) }

func (r *recorder) add(client int, op operation, output any, call, back int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: op, Output: output, Call: call, Return: back})
}

// save saves new versions of some events in one call.
func (r *recorder) save(t *testing.T, client int, random *rand.Rand) {
	var events []mes.Event
	var ops []operation
	for id := range ids {
		if random.IntN(2) == 0 && id > 0 {
			continue
		}
		r.mu.Lock()
		r.next++
		n := r.next
		r.mu.Unlock()
		hashKey := fmt.Sprint("key", random.IntN(hashKeys))
		e, err := mes.NewEvent(map[string]any{"id": fmt.Sprint("id", id), "type": "t", "timestamp": time.Now().UnixMilli(), "partitionKey": hashKey, "n": n})
		require.NoError(t, err)
		events = append(events, e)
		ops = append(ops, operation{key: hashKey + "/" + e.ID, save: true, n: n})
	}
	call := r.clock()
	err := r.store.Save(t.Context(), events...)
	back := r.clock()
	if err != nil {
		back = math.MaxInt64 // it may happen at any time, or never
	}
	for _, op := range ops {
		r.add(client, op, nil, call, back)
	}
}

// read reads a whole collation. Each item is looked at for itself: a page of
// DynamoDB is not a snapshot.
func (r *recorder) read(t *testing.T, client int, random *rand.Rand) {
	hashKey := fmt.Sprint("key", random.IntN(hashKeys))
	call := r.clock()
	m, err := r.store.GetMicroEventStore(t.Context(), hashKey)
	back := r.clock()
	if err != nil {
		return // nothing was seen
	}
	seen := make(map[string]int)
	for _, e := range m.Events {
		body, err := mes.DecodeAs[struct {
			N int `json:"n"`
		}](e)
		require.NoError(t, err)
		seen[e.ID] = body.N
	}
	for id := range ids {
		name := fmt.Sprint("id", id)
		r.add(client, operation{key: hashKey + "/" + name}, seen[name], call, back)
	}
}

// run lets clients save and read at once, pausing as they like.
func (r *recorder) run(t *testing.T, clients, each int, pause time.Duration) {
	r.began = time.Now()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for range each {
				if pause > 0 {
					wait(t.Context(), time.Duration(random.Int64N(int64(pause))))
				}
				if random.IntN(2) == 0 {
					r.save(t, client, random)
				} else {
					r.read(t, client, random)
				}
			}
		})
	}
	group.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// judge says whether the history could be that of a store that does one thing at
// a time. It has to be called outside of a bubble, where time passes.
func (r *recorder) judge() porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register(), r.history, time.Minute)
}
