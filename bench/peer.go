package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/lambdahandler"

	mes "github.com/microeventstore/microeventstore"
)

// The comparison with aws-lambda-stream: the same events, one stub server, in turns,
// each side in the way its users have it: as a Lambda function that is given payloads.

// A peerStep is a scenario.
type peerStep struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // listener or trigger
	Table    string   `json:"table"`
	Payloads []string `json:"payloads"`
	Repeat   int      `json:"repeat"`
	Warm     int      `json:"warm"`

	events int // that come in, in all
	ours   func() error
	floor  float64
	rate   float64
}

type serverCounts struct {
	Queries   int64 `json:"queries"`
	Bytes     int64 `json:"bytes"`
	Writes    int64 `json:"writes"`
	Units     int64 `json:"units"`
	ItemBytes int64 `json:"itemBytes"`
}

func (c serverCounts) minus(o serverCounts) serverCounts {
	return serverCounts{c.Queries - o.Queries, c.Bytes - o.Bytes, c.Writes - o.Writes, c.Units - o.Units, c.ItemBytes - o.ItemBytes}
}

func (b *bencher) serverCounts() (c serverCounts, err error) {
	response, err := b.post("Counts", nil)
	if err != nil {
		return c, err
	}
	defer func() { _ = response.Body.Close() }()
	return c, json.NewDecoder(response.Body).Decode(&c)
}

// steps prepares the scenarios, the payloads of the peer's in a directory.
func (b *bencher) steps(directory string) ([]peerStep, error) {
	var steps []peerStep
	keep := func(name string, payload []byte) (string, error) {
		return name, os.WriteFile(filepath.Join(directory, name), payload, 0o600)
	}
	for _, size := range []int{100, 1000} {
		list, err := eventsUnder("key", size)
		if err != nil {
			return nil, err
		}
		payload := kinesisPayload(list)
		file, err := keep(fmt.Sprintf("kinesis-%d.json", size), payload)
		if err != nil {
			return nil, err
		}
		store, _, err := b.store(b.client, "listen-sink")
		if err != nil {
			return nil, err
		}
		handler := lambdahandler.Kinesis(mes.NewListener(store, mes.Types("order-submitted", "order-paid", "order-packed", "order-shipped")))
		steps = append(steps, peerStep{
			Name: fmt.Sprintf("listener, 10,000 events in batches of %d", size), Kind: "listener", Table: "peer-listen-sink",
			Payloads: []string{file}, Repeat: 10_000 / size, Warm: 1000 / size, events: 10_000, floor: 30, rate: 15,
			ours: func() error {
				answer, err := handler.Invoke(b.ctx, payload)
				if err == nil && !strings.Contains(string(answer), "[]") {
					err = fmt.Errorf("the listener leaves records: %s", answer)
				}
				return err
			},
		})
	}
	for _, keys := range []int{1, 10, 100} {
		for _, size := range []int{10, 100, 1000} {
			step, err := b.triggerStep(keys, size, keep)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// triggerStep is 100 changes on some keys of some events each.
func (b *bencher) triggerStep(keys, size int, keep func(string, []byte) (string, error)) (peerStep, error) {
	table := fmt.Sprintf("fire-%d-%d", keys, size)
	var fired []mes.Event
	for k := range keys {
		list, err := eventsUnder(fmt.Sprintf("key-%d", k), size)
		if err != nil {
			return peerStep{}, err
		}
		if err := errors.Join(b.load(table, list, ourLayout), b.load("peer-"+table, list, peerLayout)); err != nil {
			return peerStep{}, err
		}
		for i := range 100 / keys {
			fired = append(fired, list[size-1-i%size])
		}
	}
	file, err := keep(table+".json", changesPayload(fired, peerLayout))
	if err != nil {
		return peerStep{}, err
	}
	store, err := mes.New(dynamostore.New(b.client, table))
	if err != nil {
		return peerStep{}, err
	}
	payload, seen := changesPayload(fired, ourLayout), make(chan int, len(fired))
	handler := lambdahandler.DynamoDB(mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		seen <- len(m.Events)
		return nil
	}))
	step := peerStep{
		Name: fmt.Sprintf("trigger, 100 changes on %d keys of %d events", keys, size), Kind: "trigger", Table: "peer-" + table,
		Payloads: []string{file}, Repeat: 1, Warm: 1, events: len(fired),
		ours: func() error {
			answer, err := handler.Invoke(b.ctx, payload)
			if err != nil {
				return err
			}
			for range fired {
				if n := <-seen; n != size {
					return fmt.Errorf("a history of %d events, and %s", n, answer)
				}
			}
			return nil
		},
	}
	switch {
	case keys == 1 && size == 1000:
		step.floor = 10
	case keys == 100 && size == 1000:
		step.floor = 5
	}
	return step, nil
}

// A peerResult is a line of the table. Costs are of one event.
type peerResult struct {
	Name       string       `json:"name"`
	Ours       cost         `json:"ours"`
	Theirs     cost         `json:"theirs"`
	OursRead   serverCounts `json:"ours_read"` // in one round
	TheirsRead serverCounts `json:"theirs_read"`
	CPURatio   float64      `json:"cpu_ratio"`
	RateRatio  float64      `json:"rate_ratio"`
	CPUFloor   float64      `json:"cpu_floor,omitempty"`
	RateFloor  float64      `json:"rate_floor,omitempty"`
}

// runPeer compares with aws-lambda-stream.
func (b *bencher) runPeer(s settings) (err error) {
	directory, err := os.MkdirTemp("", "bench-peer")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	steps, err := b.steps(directory)
	if err != nil {
		return err
	}
	growing, err := b.growing(directory)
	if err != nil {
		return err
	}
	steps = slices.DeleteFunc(append(steps, growing...), func(step peerStep) bool { return !s.only.MatchString(step.Name) })
	plan, err := json.Marshal(steps)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, "plan.json"), plan, 0o600); err != nil {
		return err
	}
	peer, err := startNode(b.ctx, b.plain, directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.stop()) }()
	fmt.Printf("%-48s %12s %12s %7s %7s %10s %10s %7s %7s %14s %14s\n", "against aws-lambda-stream "+peer.versions["aws-lambda-stream"],
		"CPU ours", "theirs", "ratio", "floor", "ours/s", "theirs/s", "ratio", "floor", "read ours", "read theirs")
	var results []peerResult
	missed := 0
	for i := range steps {
		r, err := b.takeTurns(peer, i, &steps[i], s.rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", steps[i].Name, err)
		}
		results = append(results, r)
		floor := func(ratio, floor float64) string {
			if floor == 0 {
				return ""
			}
			if ratio < floor {
				missed++
				return fmt.Sprintf("<%.0fx", floor)
			}
			return fmt.Sprintf("%.0fx", floor)
		}
		fmt.Printf("%-48s %12s %12s %6.1fx %7s %10.0f %10.0f %6.1fx %7s %5d %7.1fMB %5d %7.1fMB\n", r.Name,
			duration(r.Ours.CPU), duration(r.Theirs.CPU), r.CPURatio, floor(r.CPURatio, r.CPUFloor),
			1e9/r.Ours.Wall, 1e9/r.Theirs.Wall, r.RateRatio, floor(r.RateRatio, r.RateFloor),
			r.OursRead.Queries, float64(r.OursRead.Bytes)/1e6, r.TheirsRead.Queries, float64(r.TheirsRead.Bytes)/1e6)
	}
	fmt.Printf("\n%d figures are below their floor (marked <).\n", missed)
	if s.results == "" {
		return nil
	}
	return write(&s, "peer-", peer.versions, results)
}

// takeTurns runs the two sides of a scenario one after the other, rounds times, and
// returns the medians.
func (b *bencher) takeTurns(peer *node, i int, step *peerStep, rounds int) (r peerResult, err error) {
	for range step.Warm {
		if err := step.ours(); err != nil {
			return r, err
		}
	}
	if _, err := peer.run(i, true); err != nil {
		return r, err
	}
	n := float64(step.events)
	counted := func(run func() (cost, error)) (c cost, read serverCounts, err error) {
		before, err := b.serverCounts()
		if err != nil {
			return c, read, err
		}
		if c, err = run(); err != nil {
			return c, read, err
		}
		after, err := b.serverCounts()
		return cost{CPU: c.CPU / n, Wall: c.Wall / n, Allocs: c.Allocs / n, Bytes: c.Bytes / n}, after.minus(before), err
	}
	var ours, theirs []cost
	for range rounds {
		var c cost
		if c, r.OursRead, err = counted(func() (cost, error) {
			return once(func(n int) error {
				for range n {
					if err := step.ours(); err != nil {
						return err
					}
				}
				return nil
			}, step.Repeat)
		}); err != nil {
			return r, err
		}
		ours = append(ours, c)
		if c, r.TheirsRead, err = counted(func() (cost, error) { return peer.run(i, false) }); err != nil {
			return r, err
		}
		theirs = append(theirs, c)
	}
	r.Name, r.Ours, r.Theirs, r.CPUFloor, r.RateFloor = step.Name, medianOf(ours), medianOf(theirs), step.floor, step.rate
	r.CPURatio, r.RateRatio = r.Theirs.CPU/r.Ours.CPU, r.Theirs.Wall/r.Ours.Wall
	return r, nil
}

// growing is one key that grows to 800 events and fires every 10: without and with
// the history cache.
func (b *bencher) growing(directory string) ([]peerStep, error) {
	const most, every = 800, 10
	var payloads []string
	list, err := eventsUnder("grow", most)
	if err != nil {
		return nil, err
	}
	ours := make([][]byte, 0, most/every)
	for n := every; n <= most; n += every {
		// The stub cannot grow while the peer's process runs, so each size has a
		// hash key of its own.
		file := fmt.Sprintf("grow-%d.json", n)
		key := fmt.Sprintf("grow-%d", n)
		sized, err := eventsUnder(key, n)
		if err != nil {
			return nil, err
		}
		if err := b.load("peer-grow", sized, peerLayout); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(directory, file), changesPayload(sized[n-every:], peerLayout), 0o600); err != nil {
			return nil, err
		}
		payloads = append(payloads, file)
		ours = append(ours, changesPayload(list[n-every:n], ourLayout))
	}
	step := func(name string, opts ...mes.TriggerOption) peerStep {
		round := 0
		return peerStep{
			Name: name, Kind: "trigger", Table: "peer-grow", Payloads: payloads, Repeat: 1, Warm: 0, events: most,
			ours: func() error {
				round++
				table := fmt.Sprintf("grow-%s-%d", strings.ReplaceAll(name, " ", "-"), round)
				store, err := mes.New(dynamostore.New(b.client, table))
				if err != nil {
					return err
				}
				handler := lambdahandler.DynamoDB(mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return nil }, opts...))
				for i := range ours {
					if err := b.load(table, list[i*every:(i+1)*every], ourLayout); err != nil {
						return err
					}
					if _, err := handler.Invoke(b.ctx, ours[i]); err != nil {
						return err
					}
				}
				return nil
			},
		}
	}
	return []peerStep{
		step("trigger, a key that grows to 800 events"),
		step("the same, WithHistoryCache", mes.WithHistoryCache(64<<20, time.Millisecond)), // the events are as far apart
	}, nil
}
