package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/microeventstore/microeventstore/dynamostore"
)

// printFallbacks tells how much was left to the SDK.
func (b *bencher) printFallbacks() (tooMany bool) {
	fmt.Printf("\nleft to the SDK:\n")
	for _, family := range families {
		var sum dynamostore.CodecCounts
		for path, table := range b.fallbacks {
			if !strings.Contains(path, family) {
				continue
			}
			counts := table.CodecCounts()
			sum.OwnAnswers += counts.OwnAnswers
			sum.SDKAnswers += counts.SDKAnswers
			sum.OwnRequests += counts.OwnRequests
			sum.SDKRequests += counts.SDKRequests
			sum.OwnImages += counts.OwnImages
			sum.SDKImages += counts.SDKImages
		}
		answers, requests, images := share(sum.SDKAnswers, sum.OwnAnswers), share(sum.SDKRequests, sum.OwnRequests), share(sum.SDKImages, sum.OwnImages)
		fmt.Printf("  %-7s %.2f %% of %d answers, %.2f %% of %d requests, %.2f %% of %d images in payloads\n", family,
			answers, sum.SDKAnswers+sum.OwnAnswers, requests, sum.SDKRequests+sum.OwnRequests, images, sum.SDKImages+sum.OwnImages)
		tooMany = tooMany || family == "github" && max(answers, requests, images) > 1
	}
	return tooMany
}

func share(part, rest int64) float64 {
	if part == 0 {
		return 0
	}
	return 100 * float64(part) / float64(part+rest)
}

// write writes the results, with the versions of all that took part.
func write(s *settings, prefix string, others map[string]string, results any) error {
	versions := map[string]string{"revision": s.version, "go": runtime.Version(), "os": runtime.GOOS + "/" + runtime.GOARCH}
	maps.Copy(versions, others)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			versions[dependency.Path] = dependency.Version
		}
	}
	now := time.Now().UTC()
	out, err := json.MarshalIndent(map[string]any{
		"time": now.Format(time.RFC3339), "cpus": runtime.NumCPU(), "cpu": cpuModel(), "versions": versions, "results": results,
	}, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.results, 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.results, prefix+now.Format("2006-01-02T150405")+".json"), append(out, '\n'), 0o600)
}

// cpuModel is what Linux calls the processor; elsewhere it is empty.
func cpuModel() string {
	about, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(about)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
