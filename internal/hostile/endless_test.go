package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/dynamostore"
)

// A hash key with a gigabyte of events, in a process that may use little: whoever
// reads it gets a typed error, and the process stays within 128 MiB of what it had.
func TestPromise16AGigabyteUnderOneKey(t *testing.T) {
	measures(t)
	parts := []string{"pages", "dynamodb"}
	if os.Getenv("MES_HOSTILE_FILE") != "" { // a real file of that size takes a while
		parts = append(parts, "file")
	}
	for _, name := range parts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "events.db")
			if name == "file" {
				fill(t, path)
			}
			play(t, name, path, "GOMEMLIMIT=112MiB")
		})
	}
}

const (
	gigabyte  = 1 << 30
	eventSize = 8 << 10
)

// measures skips a test where the memory of a process cannot be told.
func measures(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector's own memory would count: the run without it measures")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("only Linux says how much memory a process has")
	}
}

// play runs a part in a process of its own.
func play(t *testing.T, name, argument string, environment ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], argument)
	cmd.Env = append(append(os.Environ(), part+"="+name), environment...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	t.Log(strings.TrimSpace(string(out)))
}

// readTooMuch is what the child does.
func readTooMuch(name string) int {
	table, err := endless(name)
	if err != nil {
		return failed(err)
	}
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		return failed(err)
	}
	runtime.GC()
	before, err := resident()
	if err != nil {
		return failed(err)
	}
	own := watch()
	defer own.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var limit *mes.LimitError
	if _, err := store.GetMicroEventStore(ctx, "h", mes.MaxEvents(1<<30)); !errors.As(err, &limit) || limit.Option != "MaxBytes" {
		return failed(fmt.Errorf("no LimitError but %w", err))
	}
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return nil },
		mes.WithWindow(mes.MaxEvents(1<<30)))
	err = trigger.Handle(ctx, []mes.Change{{Kind: mes.Inserted, HashKey: "h", RangeKey: rangeKey(0)}})
	if !errors.As(err, &limit) || !mes.IsPermanent(err) {
		return failed(fmt.Errorf("no LimitError of the trigger but %w", err))
	}
	if name == "file" {
		// The pages of the file that it has looked at count as its own as well, but
		// the system takes them back when it needs them.
		return own.within(128 << 20)
	}
	return within(before, 128<<20)
}

// A watcher looks all the time at the memory that the process has to itself: of
// that the system does not keep the peak.
type watcher struct {
	first, most int64
	end, ended  chan struct{}
}

func watch() *watcher {
	w := &watcher{end: make(chan struct{}), ended: make(chan struct{})}
	w.first, _ = memory("RssAnon:")
	go func() {
		defer close(w.ended)
		for {
			now, _ := memory("RssAnon:")
			w.most = max(w.most, now)
			select {
			case <-w.end:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return w
}

func (w *watcher) stop() {
	select {
	case <-w.end:
	default:
		close(w.end)
	}
	<-w.ended
}

func (w *watcher) within(most int64) int {
	w.stop()
	fmt.Printf("%d MiB at most without the file's pages, %d MiB before\n", w.most>>20, w.first>>20)
	if w.first == 0 || w.most-w.first > most {
		return 1
	}
	return 0
}

// within says how much memory the process has taken at most since, and is not 0 if
// that is too much.
func within(before, most int64) int {
	after, err := resident()
	if err != nil {
		return failed(err)
	}
	fmt.Printf("%d MiB at most, %d MiB before\n", after>>20, before>>20)
	if after-before > most {
		return 1
	}
	return 0
}

func failed(err error) int {
	fmt.Println(err)
	return 1
}

// resident is the most memory that the process has ever had.
func resident() (bytes int64, err error) { return memory("VmHWM:") }

func memory(what string) (bytes int64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), what)
	_, err = fmt.Sscanf(rest, "%d kB", &bytes)
	return bytes << 10, err
}

func rangeKey(i int) string { return fmt.Sprintf("%016d#%d", 1_700_000_000_000+i, i) }

func payload(i int) []byte {
	text := fmt.Sprintf(`{"id":"%d","type":"t","timestamp":%d,"partitionKey":"h","text":"`, i, 1_700_000_000_000+i)
	return []byte(text + strings.Repeat("x", eventSize-len(text)-2) + `"}`)
}

func endless(name string) (driver.Table, error) {
	switch name {
	case "dynamodb":
		return dynamostore.New(clientOf(endlessPages), "events"), nil
	case "file":
		return boltstore.Open(os.Args[len(os.Args)-1])
	}
	return madeUpTable{}, nil
}

// A madeUpTable makes its pages when they are asked for.
type madeUpTable struct{ driver.Table }

func (madeUpTable) Query(_ context.Context, q driver.Query) (driver.Page, error) {
	first := 0
	if q.Cursor != "" {
		_, _ = fmt.Sscan(q.Cursor, &first)
	}
	page := driver.Page{Consistent: true}
	for i := first; i < first+128; i++ {
		page.Items = append(page.Items, driver.Item{HashKey: q.HashKey, RangeKey: rangeKey(i), Event: payload(i)})
	}
	if first+128 < gigabyte/eventSize {
		page.Next = fmt.Sprint(first + 128)
	}
	return page, nil
}

// endlessPages answers queries as DynamoDB does, one megabyte after another.
func endlessPages(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	first := 0
	if _, rest, ok := bytes.Cut(body, []byte(`"ExclusiveStartKey"`)); ok {
		if _, rest, ok := bytes.Cut(rest, []byte("#")); ok {
			_, _ = fmt.Sscanf(string(rest), "%d", &first)
			first++
		}
	}
	var b bytes.Buffer
	b.WriteString(`{"ConsumedCapacity":{"TableName":"events","CapacityUnits":128},"Items":[`)
	for i := first; i < first+128; i++ {
		if i > first {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"partitionKey":{"S":"h"},"eventId":{"S":%q},"event":{"S":%q}}`, rangeKey(i), payload(i))
	}
	fmt.Fprintf(&b, `],"Count":128,"ScannedCount":128,"LastEvaluatedKey":{"partitionKey":{"S":"h"},"eventId":{"S":%q}}}`, rangeKey(first+127))
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		ContentLength: int64(b.Len()), Body: io.NopCloser(&b), Request: r,
	}, nil
}

func fill(t *testing.T, path string) {
	t.Helper()
	table, err := boltstore.Open(path)
	require.NoError(t, err)
	for first := 0; first < gigabyte/eventSize; first += 1024 {
		items := make([]driver.Item, 1024)
		for i := range items {
			items[i] = driver.Item{HashKey: "h", RangeKey: rangeKey(first + i), Event: payload(first + i)}
		}
		require.NoError(t, table.Put(t.Context(), items))
	}
	require.NoError(t, table.Close())
}
