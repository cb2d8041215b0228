package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/dynamostore"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	only    *regexp.Regexp
	rounds  int
	target  time.Duration
	quick   bool
	gobench bool
	results string
	version string
	profile *os.File
}

func run() error {
	stub := flag.Bool("serve", false, "be the stub server")
	only := flag.String("only", "", "run the paths that match")
	rounds := flag.Int("rounds", 7, "measure each side so often")
	target := flag.Duration("target", 200*time.Millisecond, "measure each time for about so long")
	quick := flag.Bool("quick", false, "run each path once, to see that it works")
	gobench := flag.Bool("gobench", false, "print our side's figures as go test does, for benchstat")
	profile := flag.String("profile", "", "write a CPU profile of our side alone")
	results := flag.String("results", "", "also write the results to a file in this directory")
	revision := flag.String("revision", "", "what the results call the code that is measured")
	capacity := flag.Bool("capacity", false, "print what saving and reading consumes instead")
	peer := flag.Bool("peer", false, "compare with aws-lambda-stream instead")
	flag.Parse()
	if *stub {
		return serve()
	}
	if *rounds < 1 || *target <= 0 {
		return errors.New("each side has to be measured at least once, for some time")
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	s := settings{only: pattern, rounds: *rounds, target: *target, quick: *quick, gobench: *gobench, results: *results, version: *revision}
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		s.gobench, s.profile = true, file
	}
	if s.quick {
		s.rounds, s.target = 1, time.Microsecond
	}
	plain, secure, stop, err := startServer()
	if err != nil {
		return err
	}
	defer stop()
	b := &bencher{ctx: context.Background(), plain: plain, secure: secure, fallbacks: map[string]*dynamostore.Table{}}
	b.client = b.newClient(plain)
	if *capacity {
		return b.runCapacity()
	}
	if *peer {
		return b.runPeer(s)
	}
	return b.runAll(s)
}

// A result is a line of the table.
type result struct {
	Path      string    `json:"path"`
	Against   []string  `json:"against"`
	Ours      cost      `json:"ours"`
	Theirs    []cost    `json:"theirs"`
	Ratios    []float64 `json:"ratios"`
	Floors    []float64 `json:"floors"`
	Aims      []float64 `json:"aims"`
	AllocsMax float64   `json:"allocs_floor,omitempty"`
	Limit     string    `json:"limit,omitempty"`
	LimitCost *cost     `json:"limit_cost,omitempty"`
	ByRate    bool      `json:"by_rate,omitempty"`
}

func (b *bencher) runAll(s settings) error {
	makers := b.makers()
	var results []result
	missed := 0
	if !s.gobench {
		fmt.Printf("%-46s %-36s %10s %10s %8s %7s %7s %10s %10s %9s  %s\n", "path", "against", "CPU ours", "theirs", "ratio", "floor", "aim", "wall ours", "theirs", "allocs", "limit, CPU")
	}
	for _, m := range makers {
		if !s.only.MatchString(m.path) {
			continue
		}
		c, err := m.make()
		if err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		sides := c.sides
		if c.limiting != nil {
			sides = append(sides, c.limiting)
		}
		if s.gobench {
			sides = sides[:1]
		}
		if s.profile != nil {
			if err := pprof.StartCPUProfile(s.profile); err != nil {
				return err
			}
		}
		costs, err := compare(sides, c.events, s.rounds, s.target)
		pprof.StopCPUProfile()
		if err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		if c.done != nil {
			c.done()
		}
		if s.gobench {
			name := strings.NewReplacer(" ", "_", ",", "").Replace(m.path)
			fmt.Printf("BenchmarkPath/%s 1 %.1f cpu-ns/event %.3f allocs/event\n", name, costs[0].CPU, costs[0].Allocs)
			continue
		}
		r := result{Path: m.path, Against: c.against, Ours: costs[0], Theirs: costs[1 : 1+len(c.against)], Floors: c.floor, Aims: c.aim, AllocsMax: c.allocs, Limit: c.limit, ByRate: c.byRate}
		if c.limiting != nil {
			r.LimitCost = &costs[len(costs)-1]
		}
		missed += r.print()
		if c.counts != nil {
			b.fallbacks[m.path] = c.counts
		}
		results = append(results, r)
	}
	if s.gobench {
		return nil
	}
	if len(results) == 0 {
		return fmt.Errorf("no path matches %q", s.only)
	}
	tooMany := b.printFallbacks()
	if s.results != "" {
		if err := write(&s, "", nil, results); err != nil {
			return err
		}
	}
	fmt.Printf("\n%d figures are below their floor (marked <).\n", missed)
	if tooMany {
		return fmt.Errorf("more than 1 %% of the answers, images or requests of the GitHub sample were left to the SDK")
	}
	return nil
}

// print prints the line, and tells how many of its figures are below their floor.
func (r *result) print() (missed int) {
	for i, against := range r.Against {
		of := func(c cost) float64 { return c.CPU }
		if r.ByRate {
			of = func(c cost) float64 { return c.Wall }
		}
		ratio := of(r.Theirs[i]) / of(r.Ours)
		r.Ratios = append(r.Ratios, ratio)
		path, allocs, limit := r.Path, fmt.Sprintf("%.3f", r.Ours.Allocs), ""
		if r.AllocsMax > 0 && r.Ours.Allocs > r.AllocsMax {
			allocs += "<"
			missed++
		}
		if r.LimitCost != nil {
			limit = fmt.Sprintf("%s %s", duration(r.LimitCost.CPU), r.Limit)
		}
		if i > 0 {
			path, allocs, limit = "", "", ""
		}
		mark, floor, aim := " ", "", ""
		if i < len(r.Floors) && r.Floors[i] > 0 {
			floor, aim = fmt.Sprintf("%.1fx", r.Floors[i]), fmt.Sprintf("%.1fx", r.Aims[i])
			if ratio < r.Floors[i] {
				mark = "<"
				missed++
			}
		}
		unit := duration
		if r.ByRate {
			unit = func(ns float64) string { return fmt.Sprintf("%.0f/s", 1e9/ns) }
		}
		fmt.Printf("%-46s %-36s %10s %10s %7.1fx%s %7s %7s %10s %10s %9s  %s\n", path, against, unit(of(r.Ours)), unit(of(r.Theirs[i])), ratio, mark, floor, aim,
			duration(r.Ours.Wall), duration(r.Theirs[i].Wall), allocs, limit)
	}
	return missed
}

func duration(ns float64) string {
	if ns < 1000 {
		return fmt.Sprintf("%.1fns", ns)
	}
	if ns < 1e6 {
		return fmt.Sprintf("%.2fµs", ns/1e3)
	}
	return fmt.Sprintf("%.2fms", ns/1e6)
}

// A maker makes a case when its turn has come.
type maker struct {
	path string
	make func() (benchCase, error)
}

func (b *bencher) makers() []maker {
	var list []maker
	add := func(path string, make func() (benchCase, error)) { list = append(list, maker{path, make}) }
	type bounds struct{ floor, aim float64 }
	thousand := map[string]bounds{"S": {6.5, 9}, "M": {14, 18}, "B": {8, 9.5}}
	hundred := map[string]bounds{"S": {5, 6}, "M": {12, 16}, "B": {6, 8}}
	for _, family := range families {
		for _, form := range []string{"S", "M", "B"} {
			for _, n := range []int{1000, 100} {
				at := map[int]map[string]bounds{1000: thousand, 100: hundred}[n][form]
				if family != "1KB" {
					at = bounds{} // the figures are for 1 KB
				}
				add(fmt.Sprintf("Query → %d events, %s, %s", n, form, family), func() (benchCase, error) {
					return b.read(family, form, n, at.floor, at.aim)
				})
			}
		}
	}
	saving := map[string][2][2]float64{"S": {{12, 2.5}, {16, 3.2}}, "M": {{15, 9}, {22, 13}}}
	for _, family := range families {
		for _, form := range []string{"S", "M"} {
			at := saving[form]
			if family != "1KB" {
				at = [2][2]float64{}
			}
			add(fmt.Sprintf("save 25 events, %s, %s", form, family), func() (benchCase, error) { return b.save(family, form, at[0], at[1]) })
		}
	}
	for _, family := range families {
		at := bounds{}
		if family == "1KB" {
			at = bounds{9, 11}
		}
		add("Lambda, Kinesis payload of 1000, "+family, func() (benchCase, error) { return b.kinesis(family, 1000, at.floor, at.aim) })
	}
	for _, family := range families {
		for _, form := range []string{"S", "M"} {
			at := map[string]bounds{"S": {12, 15}, "M": {25, 32}}[form]
			if family != "1KB" {
				at = bounds{}
			}
			add(fmt.Sprintf("Lambda, DynamoDB payload of 1000, %s, %s", form, family), func() (benchCase, error) {
				return b.changes(family, form, 1000, at.floor, at.aim)
			})
		}
	}
	for _, family := range families {
		add("boltstore → 1000 events, "+family, func() (benchCase, error) { return b.bolt(family, 1000) })
	}
	add("a call that finds nothing", b.empty)
	add("range key TimeAndID", rangeKeys)
	add("trigger, 100 changes of a key of 1,000", b.triggers)
	add("64 savers, TLS, 1 ms server", b.savers)
	return list
}
