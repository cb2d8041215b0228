package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// Each of these runs the package and encoding/json over the same events, so that
// one run shows whether a scanner of our own is still worth its lines:
//
//	go test -run '^$' -bench . ./internal/jsonscan

func benchmarkEvents(b *testing.B, ways map[string]func([]byte) bool) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		for name, f := range ways {
			b.Run(strconv.Itoa(len(line))+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(line)))
				b.ReportAllocs()
				for b.Loop() {
					if !f(line) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	benchmarkEvents(b, map[string]func([]byte) bool{
		"jsonscan": func(line []byte) bool { return jsonscan.Check(line) == nil },
		"stdlib":   json.Valid,
	})
}

func BenchmarkMembers(b *testing.B) {
	benchmarkEvents(b, map[string]func([]byte) bool{
		"jsonscan": func(line []byte) bool {
			o := jsonscan.Members(line)
			for o.Next() {
			}
			return o.Err() == nil
		},
		"stdlib": func(line []byte) bool {
			var members map[string]json.RawMessage
			return json.Unmarshal(line, &members) == nil
		},
	})
}

func BenchmarkFind(b *testing.B) {
	benchmarkEvents(b, map[string]func([]byte) bool{
		"jsonscan": func(line []byte) bool {
			_, ok := jsonscan.Find(line, "tags.user")
			return ok
		},
		"stdlib": func(line []byte) bool {
			var event struct {
				Tags struct{ User *string }
			}
			return json.Unmarshal(line, &event) == nil && event.Tags.User != nil
		},
	})
}

// BenchmarkAppendInner compares the walks that find an event's members. Each turn takes
// the next event, so that the branch predictor does not learn one by heart.
func BenchmarkAppendInner(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	var quoted [][]byte
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		inner, _ := jsonscan.AppendQuoted(nil, line)
		quoted = append(quoted, append(inner, `},"type":{"S":"x"}}`...))
	}
	var places []jsonscan.Place
	var text []byte
	room := make([]byte, 0, len(data))
	members := func(text []byte) bool {
		o := jsonscan.Members(text)
		for o.Next() {
		}
		return o.Err() == nil
	}
	for _, way := range []struct {
		name string
		run  func(i int) bool
	}{
		{"AppendText and Members", func(i int) bool {
			text, _, _ = jsonscan.AppendText(text[:0], quoted[i], 1)
			return members(text)
		}},
		{"AppendInner", func(i int) (ok bool) {
			_, places, _, ok = jsonscan.AppendInner(room, places[:0], quoted[i], 1)
			return ok
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(int64(len(data) / len(quoted)))
			for i := 0; b.Loop(); i++ {
				if !way.run(i % len(quoted)) {
					b.Fatal("refused")
				}
			}
		})
	}
}
