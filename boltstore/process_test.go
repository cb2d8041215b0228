package boltstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// play is what a child process does: it is this test binary again, told by the
// environment which part it has.
func play(role, path string) int {
	switch role {
	case "open":
		_, err := Open(path)
		fmt.Println(errors.Is(err, ErrInUse), err)
	case "fill the disk":
		if err := fillDisk(path); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("ok")
	case "save":
		return save(path, 8, 1<<30)
	case "save a little":
		return save(path, 4, 12*effort)
	case "save a little, not synced":
		return save(path, 4, 12*effort, withoutSync())
	}
	return 0
}

// save puts items from many goroutines, and says on standard output which ones
// have been acknowledged, each in one write.
func save(path string, savers, rounds int, opts ...Option) int {
	table, err := Open(path, append(opts, WithSweepInterval(0))...)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var group sync.WaitGroup
	for saver := range savers {
		group.Go(func() {
			for round := range rounds {
				hashKey := fmt.Sprintf("saver-%d", saver)
				items := []driver.Item{crashItem(hashKey, 2*round), crashItem(hashKey, 2*round+1)}
				if err := table.Put(context.Background(), items); err != nil {
					fmt.Println("error", err)
					return
				}
				_, _ = fmt.Fprintf(os.Stdout, "ack %s %d\n", hashKey, 2*round+1)
			}
		})
	}
	group.Wait()
	if err := table.Close(); err != nil {
		return 1
	}
	return 0
}

// crashItem is all that is known of an item, so that a reader can tell whether
// what it finds is right.
func crashItem(hashKey string, n int) driver.Item {
	item := testItem(hashKey, fmt.Sprintf("%06d", n))
	item.TTL = int64(4e9) + int64(n)
	item.Event = []byte(fmt.Sprintf(`{"n":%d,"text":%q}`, n, strings.Repeat(hashKey, n*37%120)))
	return item
}

// acks parses what save has said: the last acknowledged item of each hash key.
type acks map[string]int

func (a acks) add(line string) {
	var hashKey string
	var n int
	if _, err := fmt.Sscanf(line, "ack %s %d", &hashKey, &n); err == nil {
		a[hashKey] = max(a[hashKey], n)
	}
}

// missing opens a file and returns an error unless every acknowledged item is
// there, and right, and has its change.
func (a acks) missing(path string, opts ...Option) error {
	table, err := Open(path, append(opts, WithSweepInterval(0))...)
	if err != nil {
		return err
	}
	defer func() { _ = table.Close() }()
	total := 0
	for hashKey, last := range a {
		items, err := readPages(table, driver.Query{HashKey: hashKey})
		if err != nil {
			return err
		}
		if len(items) <= last {
			return fmt.Errorf("%d items acknowledged, %d there", last+1, len(items))
		}
		for n, item := range items {
			if want := crashItem(hashKey, n); !assert.ObjectsAreEqual(want, item) {
				return fmt.Errorf("item %d is not what was saved", n)
			}
		}
		total += last + 1
	}
	changes, err := allChanges(table.Changes("checker"))
	if err != nil {
		return err
	}
	if len(changes) < total {
		return fmt.Errorf("%d items acknowledged, %d changes there", total, len(changes))
	}
	return nil
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(executable, path)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestOpenInUseByAnotherProcess(t *testing.T) {
	path := tempPath(t)
	openTable(t, path)
	within(t, func() {
		output, err := child(t, "open", path).Output()
		assert.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(output), "true "), string(output))
		assert.Contains(t, string(output), path)
	})
}

func TestPromise17AcknowledgedIsDurableThroughKill(t *testing.T) {
	for round := range setting(t, "MES_CRASH_KILLS", 3) { // that many processes are killed
		path := tempPath(t)
		cmd := child(t, "save", path)
		output, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		acknowledged, scanner := acks{}, bufio.NewScanner(output)
		for n := 0; scanner.Scan(); n++ {
			acknowledged.add(scanner.Text())
			if n == 100+37*round%400 {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // it was killed
		require.NotEmpty(t, acknowledged)
		require.NoError(t, acknowledged.missing(path))
	}
}
