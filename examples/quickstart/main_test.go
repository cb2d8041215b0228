package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quickstart runs the program and returns what it prints.
func quickstart(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = run(context.Background(), args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), err
}

func calls(t *testing.T, stdout string) (calls []call) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var c call
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		calls = append(calls, c)
	}
	return calls
}

// counted returns the number in a line of the summary.
func counted(t *testing.T, summary, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` +(\d+) `).FindStringSubmatch(summary)
	require.NotNil(t, found, "%s is not in:\n%s", name, summary)
	return found[1]
}

// A broken pipe is a standard output that nobody reads any more.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestItEndsWhenNobodyReads(t *testing.T) {
	err := run(t.Context(), nil, nil, brokenPipe{}, io.Discard)
	require.ErrorIs(t, err, errNobodyReads)
	require.ErrorIs(t, err, syscall.EPIPE)
}

func TestTheSample(t *testing.T) {
	stdout, stderr, err := quickstart(t, "")
	require.NoError(t, err)
	require.Empty(t, stderr)
	require.Equal(t, 58, strings.Count(stdout, "(new)"))
	require.Contains(t, stdout, `"Codertocat/Hello-World" has 23 events`)
	for name, want := range map[string]string{
		"read": "60", "filtered out": "0", "duplicates": "2", "faults": "0", "saved": "58", "triggered": "58",
	} {
		require.Equal(t, want, counted(t, stdout, name), name)
	}
}

func TestJSONHoldsEveryHistoryInTheOrderOfTime(t *testing.T) {
	stdout, stderr, err := quickstart(t, "", "-json")
	require.NoError(t, err)
	require.Equal(t, "58", counted(t, stderr, "triggered"))
	calls := calls(t, stdout)
	require.Len(t, calls, 58)
	fired := make(map[string]bool)
	for _, c := range calls {
		require.NotEmpty(t, c.HashKey)
		require.True(t, slices.IsSortedFunc(c.Events, func(a, b callEvent) int { return int(a.Timestamp - b.Timestamp) }))
		require.True(t, slices.ContainsFunc(c.Events, func(e callEvent) bool { return e.ID == c.Current }))
		fired[c.Current] = true
	}
	require.Len(t, fired, 58)
}

func TestASecondRunTriggersNothing(t *testing.T) {
	db := filepath.Join(t.TempDir(), "events.db")
	for _, want := range []string{"58", "0"} {
		stdout, _, err := quickstart(t, "", "-db", db)
		require.NoError(t, err)
		require.Equal(t, "58", counted(t, stdout, "saved"))
		require.Equal(t, want, counted(t, stdout, "triggered"))
	}
	require.FileExists(t, db)
}

// Late and repeated, also in another batch: 600 events, the newest first, and all
// of them once more.
func TestAStreamOfManyBatches(t *testing.T) {
	var lines []string
	for i := range 600 {
		at := 1_600_000_000_000 + i/2 // two in a millisecond
		lines = append(lines, fmt.Sprintf(`{"id":"%03d","type":"t<%d>","timestamp":%d,"partitionKey":"key-%d"}`, i, i%2, at, i%3))
	}
	slices.Reverse(lines)
	stdout, stderr, err := quickstart(t, strings.Join(append(lines, lines...), "\n"), "-events", "-", "-json")
	require.NoError(t, err)
	for name, want := range map[string]string{"read": "1200", "faults": "0", "triggered": "600"} {
		require.Equal(t, want, counted(t, stderr, name), name)
	}
	fired, longest := make(map[string]bool), make(map[string]int)
	for _, c := range calls(t, stdout) {
		fired[c.HashKey+c.Current] = true
		longest[c.HashKey] = max(longest[c.HashKey], len(c.Events))
		require.True(t, slices.IsSortedFunc(c.Events, func(a, b callEvent) int { return strings.Compare(a.ID, b.ID) }))
	}
	require.Len(t, fired, 600)
	require.Equal(t, map[string]int{"key-0": 200, "key-1": 200, "key-2": 200}, longest)
}

// What other programs read is compared letter by letter.
func TestTheFormOfJSON(t *testing.T) {
	stdout, _, err := quickstart(t, `{"id":"2","type":"paid","timestamp":"2023-11-14T22:13:20.002Z","partitionKey":"order-42","x":9007199254740993}
{"id":"1","type":"submitted","timestamp":1700000000001,"partitionKey":"order-42"}
`, "-events", "-", "-json")
	require.NoError(t, err)
	history := `"events":[{"id":"1","type":"submitted","timestamp":1700000000001},{"id":"2","type":"paid","timestamp":1700000000002}]}` + "\n"
	require.Equal(t, `{"hashKey":"order-42","current":"1",`+history+`{"hashKey":"order-42","current":"2",`+history, stdout)
}

func TestATemporaryTableIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, _, err := quickstart(t, "")
	require.NoError(t, err)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestBadLinesAreSetAsideByNumber(t *testing.T) {
	lines := strings.Join([]string{
		`{"id":"1","type":"t","timestamp":1,"partitionKey":"p"}`,
		`{"id":`,
		``,
		`null`,
		`{"id":"2","type":"t","timestamp":2}`,
		`{"id":"3","type":"t","timestamp":3,"partitionKey":"p","x":"` + strings.Repeat("x", 500_000) + `"}`,
		`{"id":"4","type":"t","timestamp":4,"partitionKey":"p","x":"` + strings.Repeat("x", 11<<20) + `"}`,
		`{"id":"5","type":"t","timestamp":5,"partitionKey":"p"}`,
		strings.Repeat(" ", 11<<20) + "{}",
	}, "\n")
	stdout, stderr, err := quickstart(t, lines, "-events", "-")
	require.NoError(t, err)
	for _, line := range []string{"line 2 ", "line 4 ", "line 5 ", "line 6 ", "line 7 ", "line 9 "} {
		require.Contains(t, stderr, line)
	}
	require.Equal(t, 6, strings.Count(stderr, "is set aside"))
	require.NotContains(t, stderr, "xxx")
	require.Equal(t, "6", counted(t, stdout, "faults"))
	require.Equal(t, "2", counted(t, stdout, "triggered"))
}

func TestWhatARunHasLeftFiresInTheNext(t *testing.T) {
	db := filepath.Join(t.TempDir(), "events.db")
	require.Error(t, run(t.Context(), []string{"-db", db}, nil, brokenPipe{}, io.Discard))
	stdout, _, err := quickstart(t, "", "-db", db, "-events", "-")
	require.NoError(t, err)
	require.Equal(t, "58", counted(t, stdout, "triggered"))
}

func TestAHistoryThatIsTooLongIsSetAside(t *testing.T) {
	var lines strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&lines, `{"id":"%05d","type":"t","timestamp":%d,"partitionKey":"p"}`+"\n", i, i)
	}
	stdout, stderr, err := quickstart(t, lines.String(), "-events", "-")
	require.NoError(t, err)
	require.Contains(t, stderr, `a change of "p" is set aside`)
	require.Equal(t, "1", counted(t, stdout, "faults"))
}

func TestFlags(t *testing.T) {
	t.Run("types", func(t *testing.T) {
		stdout, _, err := quickstart(t, "", "-types", "^issues-")
		require.NoError(t, err)
		require.NotEqual(t, "0", counted(t, stdout, "filtered out"))
		require.NotContains(t, stdout, "push")
	})
	t.Run("hash", func(t *testing.T) {
		stdout, stderr, err := quickstart(t, "", "-hash", "tags.source", "-json")
		require.NoError(t, err)
		require.Equal(t, "58", counted(t, stderr, "triggered"))
		require.Equal(t, "github", calls(t, stdout)[0].HashKey)
	})
	t.Run("hash that few have", func(t *testing.T) {
		stdout, stderr, err := quickstart(t, "", "-hash", "nothing.there")
		require.NoError(t, err)
		require.Equal(t, "60", counted(t, stdout, "faults"))
		require.Contains(t, stderr, "line 1 is set aside")
	})
	t.Run("ttl", func(t *testing.T) {
		stdout, _, err := quickstart(t, "", "-ttl", "24h")
		require.NoError(t, err)
		require.Equal(t, "0", counted(t, stdout, "triggered"))
	})
	t.Run("file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "events.ndjson")
		require.NoError(t, os.WriteFile(file, sample[:bytes.IndexByte(sample, '\n')], 0o600))
		stdout, _, err := quickstart(t, "", "-events", file)
		require.NoError(t, err)
		require.Equal(t, "1", counted(t, stdout, "read"))
	})
}

func TestWrongFlagsAreUsageErrors(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown":  {"-nonsense"},
		"regexp":   {"-types", "("},
		"duration": {"-ttl", "soon"},
		"negative": {"-ttl", "-1h"},
		"argument": {"events.ndjson"},
		"no file":  {"-events", ""},
		"no table": {"-db", ""},
		"no host":  {"-dynamodb", "events", "-endpoint", "http://"},
		"no http":  {"-dynamodb", "events", "-endpoint", "localhost:8000"},
		"no path":  {"-hash", ""},
		"no name":  {"-hash", "tags..user"},
		"a dot":    {"-hash", "."},
		"no first": {"-hash", ".user"},
		"no last":  {"-hash", "tags."},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			nothing := iotest.ErrReader(errors.New("it was read"))
			err := run(t.Context(), append([]string{"-events", "-"}, args...), nothing, &out, &errs)
			stdout, stderr := out.String(), errs.String()
			require.ErrorIs(t, err, errUsage)
			require.Empty(t, stdout)
			require.NotContains(t, stderr, "-ttl DURATION", "all flags hide what is wrong")
			require.True(t, strings.HasSuffix(stderr, "\n"+seeHelp+"\n"), stderr)
			require.Equal(t, 2, strings.Count(stderr, "\n"), stderr)
		})
	}
}

func TestHelpListsTheFlags(t *testing.T) {
	_, stderr, err := quickstart(t, "", "-h")
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, stderr, "-events FILE")
}

func TestSecondsAreWarnedOf(t *testing.T) {
	_, stderr, err := quickstart(t, `{"id":"1","type":"t","timestamp":1700000000,"partitionKey":"p"}`, "-events", "-", "-ttl", "720h")
	require.NoError(t, err)
	require.Contains(t, stderr, "probably sends seconds")
}

// What has come is dealt with when nothing more does, and a line that has come in
// part alone is not lost.
func TestAPauseEndsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, writer := io.Pipe()
		go func() {
			for _, part := range []string{"{1}\n{2}\n{", "3}\n", "{4}"} {
				_, err := writer.Write([]byte(part))
				assert.NoError(t, err)
				time.Sleep(2 * pause)
			}
			assert.NoError(t, writer.Close())
		}()
		var got []string
		for records, err := range batches(t.Context(), reader, true) {
			require.NoError(t, err)
			var batch []string
			for _, r := range records {
				batch = append(batch, r.Meta.SequenceNumber+string(r.Data))
			}
			got = append(got, strings.Join(batch, " "))
		}
		require.Equal(t, []string{"1{1} 2{2}", "3{3}", "4{4}"}, got)
	})
}

func TestASignalEndsItWhileItWaitsForInput(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	stopped := errors.New("stopped")
	reader, writer := io.Pipe()
	defer func() { assert.NoError(t, writer.Close()) }() // or the goroutine that reads would be left
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, err := writer.Write([]byte("{}\n")) // it reads
		assert.NoError(t, err)
		cancel(stopped)
	}()
	require.ErrorIs(t, run(ctx, []string{"-events", "-"}, reader, io.Discard, io.Discard), stopped)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestFilesThatCannotBeOpened(t *testing.T) {
	_, _, err := quickstart(t, "", "-events", filepath.Join(t.TempDir(), "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = quickstart(t, "", "-db", filepath.Join(t.TempDir(), "no", "folder", "events.db"))
	require.ErrorIs(t, err, os.ErrNotExist)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("no table\n", 2000)), 0o600))
	_, _, err = quickstart(t, "", "-db", text)
	require.ErrorContains(t, err, text)
}
