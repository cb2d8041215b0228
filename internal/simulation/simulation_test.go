package simulation

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventsPerWorld is how many events a world has at most: enough for histories of
// some length, and few enough that a world that fails can be read.
const eventsPerWorld = 2000

// A run of so many events has to be harsh, and so many more worlds may make it so.
const (
	leastHarsh = 10_000
	mostMore   = 50
)

// TestSimulation runs as many worlds as it takes for MES_SIMULATION_EVENTS source
// events, from MES_SIMULATION_SEED on; a new seed where it is not set. It runs a few
// more if these were too calm, each from a seed of its own.
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
	counts := new(counts)
	var mu sync.Mutex
	size := number(t, "MES_SIMULATION_WORLD", eventsPerWorld)
	worlds := max(4, (events+size-1)/size)
	if set && events <= size {
		worlds = 1 // it is run again
	}
	each := (events + worlds - 1) / worlds
	run := func(name string, from, to int) bool {
		return t.Run(name, func(t *testing.T) {
			for i := from; i < to; i++ {
				t.Run(strconv.FormatUint(first+uint64(i), 10), func(t *testing.T) {
					t.Parallel()
					mu.Lock()
					enough := counts.total() > 0
					mu.Unlock()
					if enough {
						t.Skip("another world has failed")
					}
					simulate(t, first+uint64(i), each, totals, nil, func(o *oracle) {
						mu.Lock()
						defer mu.Unlock()
						counts.add(&o.counts)
					})
				})
			}
		})
	}
	good := run("worlds", 0, worlds)
	// Five worlds are all calm one time in twelve; of fifty, none in 100,000 draws from 47.
	for end := worlds + mostMore; good && events >= leastHarsh && totals.calm() != "" && worlds < end; worlds += 5 {
		good = run("more worlds", worlds, worlds+5)
	}
	totals.print(t)
	counts.print(t)
	if calm := totals.calm(); good && events >= leastHarsh && calm != "" {
		t.Errorf("a run in which little goes wrong proves little: %s", calm)
	}
}

// simulate runs one world and fails the test if anything is that must not be. It
// writes what happens to trace, if that is not nil.
func simulate(t *testing.T, seed uint64, events int, totals *totals, trace *[]string, over func(*oracle)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, events, totals)
		w.oracle.trace = trace
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
//
// Goroutines that wake at one instant run in any order, and not everything that
// could fall on one nanosecond can be kept from it: a lease may run out just when it
// is renewed. One world of many may therefore differ once in a thousand runs, and
// that alone is printed and does not fail. A roll of dice that are not the world's
// would make every world differ each time.
func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	var worlds, differ int
	try := func(seed uint64) {
		worlds++
		if difference := replay(t, seed); difference != "" {
			differ++
			t.Logf("seed %d gives different runs: %+v\n%s", seed, *newConfig(dice(seed)), difference)
		}
	}
	for seed := range uint64(number(t, "MES_SIMULATION_REPLAYS", 3)) {
		try(1000 + seed)
	}
	for seed, left := uint64(2000), number(t, "MES_SIMULATION_REPLAYS", 2); left > 0; seed++ {
		if newConfig(dice(seed)).replicas > 0 {
			try(seed)
			left--
		}
	}
	if differ > 1+worlds/20 {
		t.Errorf("%d of %d worlds differ when they are run again", differ, worlds)
	}
}

// replay runs a world three times, and says where another run leaves the way of the
// first.
func replay(t *testing.T, seed uint64) string {
	t.Helper()
	var first []string
	for n := range 3 {
		var trace []string
		simulate(t, seed, 200, new(totals), &trace, func(*oracle) {})
		slices.Sort(trace) // what happened at one instant happened in any order
		if n == 0 {
			first = trace
			continue
		}
		if difference := differing(first, trace); difference != "" {
			return difference
		}
	}
	return ""
}

func differing(a, b []string) string {
	for i := range max(len(a), len(b)) {
		if i < len(a) && i < len(b) && a[i] == b[i] {
			continue
		}
		around := func(lines []string) string {
			return strings.Join(lines[min(max(i-3, 0), len(lines)):min(i+4, len(lines))], "\n")
		}
		return fmt.Sprintf("from line %d on:\n%s\nand\n%s", i, around(a), around(b))
	}
	return ""
}
