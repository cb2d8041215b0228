package main

import (
	"runtime"
	"slices"
	"syscall"
	"time"
)

// A side is one way to do the work of a case: run does it n times.
type side func(n int) error

// A cost is what one event costs.
type cost struct {
	CPU    float64 `json:"cpu_ns"`  // nanoseconds, user and system
	Wall   float64 `json:"wall_ns"` // nanoseconds
	Allocs float64 `json:"allocs"`
	Bytes  float64 `json:"alloc_bytes"`
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// once measures n runs of a side.
func once(s side, n int) (cost, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, wall := cpuTime(), time.Now()
	err := s(n)
	c := cost{CPU: float64(cpuTime() - cpu), Wall: float64(time.Since(wall))}
	runtime.ReadMemStats(&after)
	c.Allocs = float64(after.Mallocs - before.Mallocs)
	c.Bytes = float64(after.TotalAlloc - before.TotalAlloc)
	return c, err
}

// compare measures the sides in turns and returns the median of each. events is how
// many events one run deals with.
func compare(sides []side, events int, rounds int, target time.Duration) ([]cost, error) {
	counts := make([]int, len(sides))
	for i, s := range sides {
		n := 1
		for {
			c, err := once(s, n) // warms up, too
			if err != nil {
				return nil, err
			}
			if took := time.Duration(max(c.CPU, c.Wall/4)); took >= target/2 || n >= 1<<20 {
				counts[i] = max(1, int(float64(n)*float64(target)/float64(max(took, 1))))
				break
			}
			n *= 2
		}
	}
	all := make([][]cost, len(sides))
	for range rounds {
		for i, s := range sides {
			c, err := once(s, counts[i])
			if err != nil {
				return nil, err
			}
			per := float64(counts[i] * events)
			all[i] = append(all[i], cost{c.CPU / per, c.Wall / per, c.Allocs / per, c.Bytes / per})
		}
	}
	medians := make([]cost, len(sides))
	for i := range all {
		medians[i] = medianOf(all[i])
	}
	return medians, nil
}

func medianOf(costs []cost) cost {
	return cost{
		CPU:    median(costs, func(c cost) float64 { return c.CPU }),
		Wall:   median(costs, func(c cost) float64 { return c.Wall }),
		Allocs: median(costs, func(c cost) float64 { return c.Allocs }),
		Bytes:  median(costs, func(c cost) float64 { return c.Bytes }),
	}
}

func median(costs []cost, of func(cost) float64) float64 {
	values := make([]float64, len(costs))
	for i := range costs {
		values[i] = of(costs[i])
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}
