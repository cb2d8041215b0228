package simulation

import (
	"crypto/rand"
	"encoding/binary"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventsPerWorld is how many events a world has at most: enough for histories of
// some length, and few enough that a world that fails can be read.
const eventsPerWorld = 2000

// TestSimulation runs as many worlds as it takes for MES_SIMULATION_EVENTS source
// events, from MES_SIMULATION_SEED on; a new seed where it is not set.
func TestSimulation(t *testing.T) {
	events := number(t, "MES_SIMULATION_EVENTS", 1200)
	seed, set := os.LookupEnv("MES_SIMULATION_SEED")
	var first uint64
	if set {
		first = uint64(number(t, "MES_SIMULATION_SEED", 0))
	} else {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		first = uint64(binary.LittleEndian.Uint32(b[:]))
		seed = strconv.FormatUint(first, 10)
	}
	t.Logf("MES_SIMULATION_SEED=%s MES_SIMULATION_EVENTS=%d", seed, events)
	totals := new(totals)
	var mu sync.Mutex
	counts := new(counts)
	t.Run("worlds", func(t *testing.T) {
		size := number(t, "MES_SIMULATION_WORLD", eventsPerWorld)
		worlds := max(4, (events+size-1)/size)
		if set && events <= size {
			worlds = 1 // it is run again
		}
		each := (events + worlds - 1) / worlds
		for i := range worlds {
			t.Run(strconv.FormatUint(first+uint64(i), 10), func(t *testing.T) {
				t.Parallel()
				mu.Lock()
				enough := counts.total() > 0
				mu.Unlock()
				if enough {
					t.Skip("another world has failed")
				}
				simulate(t, first+uint64(i), each, totals, func(o *oracle) {
					mu.Lock()
					defer mu.Unlock()
					counts.add(&o.counts)
				})
			})
		}
	})
	totals.print(t)
	counts.print(t)
}

// simulate runs one world and fails the test if anything is that must not be.
func simulate(t *testing.T, seed uint64, events int, totals *totals, over func(*oracle)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, events, totals)
		w.run(t.Context())
		for _, line := range w.logs.lines {
			w.oracle.violated(&w.oracle.Leaked, "in a log: %s", line)
		}
		o := w.oracle
		over(o)
		if o.total() > 0 {
			t.Errorf("%+v", *w.config)
			for _, d := range o.descriptions {
				t.Error(d)
			}
			o.print(t)
			t.Errorf("again: MES_SIMULATION_SEED=%d MES_SIMULATION_EVENTS=%d go test ./internal/simulation -run TestSimulation", seed, events)
		}
	})
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// The same seed gives the same run, call by call, worlds of replicas included.
func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	for seed := range uint64(number(t, "MES_SIMULATION_REPLAYS", 3)) {
		replays(t, 1000+seed)
	}
	for seed, left := uint64(2000), number(t, "MES_SIMULATION_REPLAYS", 2); left > 0; seed++ {
		if newConfig(dice(seed)).replicas > 0 {
			replays(t, seed)
			left--
		}
	}
}

func replays(t *testing.T, seed uint64) {
	t.Helper()
	traces := make(map[uint64]bool)
	for range 3 {
		simulate(t, seed, 200, new(totals), func(o *oracle) { traces[o.trace] = true })
	}
	if len(traces) != 1 {
		t.Errorf("seed %d gives %d different runs of 3: %+v", seed, len(traces), *newConfig(dice(seed)))
	}
}
