package microeventstore

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// benchmarkLines reads events of 1 to 8 KB, or those of a file of the caller's:
//
//	MES_BENCH_EVENTS=events.ndjson go test -run '^$' -bench Parse .
func benchmarkLines(b *testing.B) (lines [][]byte, size int64) {
	b.Helper()
	file := os.Getenv("MES_BENCH_EVENTS")
	if file == "" {
		file = filepath.Join("testdata", "events.ndjson")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		lines = append(lines, line)
		size += int64(len(line))
	}
	return lines, size / int64(len(lines))
}

// BenchmarkParse compares with the plain way in the same run. Each turn takes the
// next event, so that the branch predictor does not learn one by heart.
func BenchmarkParse(b *testing.B) {
	lines, size := benchmarkLines(b)
	ways := []struct {
		name  string
		parse func(line []byte) error
	}{
		{"parse", func(line []byte) error { _, err := parse(line); return err }},
		{"Parse", func(line []byte) error { _, err := Parse(line); return err }},
		{"encoding-json", func(line []byte) error {
			var envelope struct {
				ID, Type     string
				Timestamp    json.Number
				PartitionKey string
				Tags         map[string]string
			}
			return json.Unmarshal(line, &envelope)
		}},
	}
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := way.parse(lines[i%len(lines)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTag(b *testing.B) {
	lines, size := benchmarkLines(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := (Event{Raw: lines[i%len(lines)]}).Tag("source"); !ok {
			b.Fatal("no tag")
		}
	}
}
