package steady

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/lambdahandler"
	"github.com/microeventstore/microeventstore/runner"
)

const (
	tableName  = "events"
	leaseTable = "leases"
	perRound   = 200
	hashKeys   = 20
	keptFor    = time.Minute
	everyRound = 5 * time.Second
)

// A pipeline is a store, what fills it and what its trigger has seen of a round.
type pipeline struct {
	name   string
	store  *mes.Store
	fill   func(ctx context.Context, payloads [][]byte) error
	run    func(ctx context.Context) error // until ctx ends
	mu     sync.Mutex
	seen   map[string]bool
	faults int
}

func (p *pipeline) handle(_ context.Context, m *mes.MicroEventStore) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range m.New {
		p.seen[e.ID] = true
	}
	return nil
}

func (p *pipeline) setAside(context.Context, mes.Fault) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults++
	return nil
}

// await waits until the trigger has seen so many events, and forgets them.
func (p *pipeline) await(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		seen := len(p.seen)
		if seen >= n {
			p.seen = make(map[string]bool)
		}
		p.mu.Unlock()
		if seen >= n {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events have reached the trigger: %w", seen, n, ctx.Err())
		}
	}
}

func newPipeline(t *testing.T, name string, table driver.Table) *pipeline {
	t.Helper()
	store, err := mes.New(table, mes.WithTTL(mes.ExpireAfter(keptFor)))
	require.NoError(t, err)
	return &pipeline{name: name, store: store, seen: make(map[string]bool)}
}

func onFile(t *testing.T, log *slog.Logger) *pipeline {
	table, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"), boltstore.WithSweepInterval(time.Second), boltstore.WithRetention(0))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, table.Close()) })
	p := newPipeline(t, "one file", table)
	listener := mes.NewListener(p.store, mes.Types("thing"), mes.WithFaultHandler(p.setAside))
	trigger := mes.NewTrigger(p.store, p.handle)
	p.fill = func(ctx context.Context, payloads [][]byte) error {
		records := make([]mes.Record, len(payloads))
		for i := range payloads {
			records[i] = mes.Record{Data: payloads[i], Meta: mes.Meta{Shard: "1", SequenceNumber: fmt.Sprint(i + 1), Arrived: time.Now()}}
		}
		return listener.Handle(ctx, records)
	}
	p.run = func(ctx context.Context) error {
		return runner.Trigger(ctx, table.Changes("steady"), trigger, runner.WithLogger(log))
	}
	return p
}

func onDynamoDB(t *testing.T, address string, w *wire, log *slog.Logger) *pipeline {
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(address), Credentials: fakedynamodb.Credentials(),
		HTTPClient: &http.Client{Transport: w},
	}
	client, streams := dynamodb.NewFromConfig(config), dynamodbstreams.NewFromConfig(config)
	require.NoError(t, dynamostore.Provision(t.Context(), client, tableName))
	require.NoError(t, runner.ProvisionLeases(t.Context(), client, leaseTable))
	p := newPipeline(t, "DynamoDB", dynamostore.New(client, tableName, dynamostore.WithCompression(512)))
	listener := lambdahandler.Kinesis(mes.NewListener(p.store, mes.Types("thing"), mes.WithFaultHandler(p.setAside)))
	trigger := mes.NewTrigger(p.store, p.handle, mes.Coalesce(), mes.WithHistoryCache(1<<20, time.Minute))
	p.fill = func(ctx context.Context, payloads [][]byte) error {
		var b bytes.Buffer
		b.WriteString(`{"Records":[`)
		for i, payload := range payloads {
			if i > 0 {
				b.WriteByte(',')
			}
			if i%10 == 0 {
				payload = gzipped(payload)
			}
			fmt.Fprintf(&b, `{"kinesis":{"partitionKey":"p","sequenceNumber":"%d","data":%q},"eventID":"shardId-000000000000:%d","eventSource":"aws:kinesis"}`,
				i+1, base64.StdEncoding.EncodeToString(payload), i+1)
		}
		b.WriteString(`]}`)
		for { // Lambda would deliver it again
			answer, err := listener.Invoke(ctx, b.Bytes())
			if err != nil || string(answer) == `{"batchItemFailures":[]}` {
				return err
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", answer, ctx.Err())
			}
		}
	}
	p.run = func(ctx context.Context) error {
		return runner.Trigger(ctx, runner.DynamoDBStream(streams, tableName), trigger, runner.WithLeases(client, leaseTable),
			runner.WithPollInterval(500*time.Millisecond), runner.WithDiscoveryInterval(2*time.Second), runner.WithLogger(log))
	}
	return p
}

// tail keeps the last lines of a log, for a run that fails.
type tail struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (l *tail) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines[max(0, len(l.lines)-50):], string(line))
	return len(line), nil
}

func (l *tail) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}

// payloads are a round's records: events, one that nobody wants, and one that is
// none.
func payloads(round, attempt int) [][]byte {
	var all [][]byte
	for i := range perRound {
		text := fmt.Sprintf(`{"id":"%d-%d-%d","type":"thing","timestamp":%d,"partitionKey":"k%d","text":"`, round, attempt, i, time.Now().UnixMilli(), i%hashKeys)
		payload := []byte(text + strings.Repeat("x", 1000-len(text)) + `"}`)
		all = append(all, payload)
	}
	return append(all, []byte(`{"id":"other","type":"other","timestamp":1700000000000,"partitionKey":"p"}`), []byte(`{"broken`))
}

func gzipped(payload []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(payload)
	_ = w.Close()
	return b.Bytes()
}

// once is a round: everything goes in, twice now and then, and comes out; some of it
// is read, some reads are left half way, some calls are given no time.
func (p *pipeline) once(ctx context.Context, round int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var batch [][]byte
	for attempt := 1; ; attempt++ {
		batch = payloads(round, attempt)
		for range 1 + round%3/2 {
			if err := p.fill(ctx, batch); err != nil {
				return err
			}
		}
		// On a machine that stood still the events are too old for a trigger.
		waiting, stop := context.WithTimeout(ctx, keptFor)
		err := p.await(waiting, perRound)
		stop()
		if err == nil {
			break
		}
		if attempt == 3 {
			return err
		}
	}
	for k := range hashKeys {
		key := fmt.Sprintf("k%d", k)
		if _, err := p.store.GetMicroEventStore(ctx, key, mes.Last(5)); err != nil {
			return err
		}
		for _, err := range p.store.Events(ctx, key) {
			if err != nil {
				return err
			}
			break
		}
	}
	short, end := context.WithTimeout(ctx, time.Millisecond)
	defer end()
	_, _ = p.store.GetMicroEventStore(short, "k0") // it need not work
	_ = p.fill(short, batch)
	return nil
}

// A sample is what the process has while nothing is in hand.
type sample struct {
	heap                     uint64
	goroutines, files, conns int
}

func take(w *wire) sample {
	var stats runtime.MemStats
	runtime.GC() // twice: what a sync.Pool holds goes with the second
	runtime.GC()
	runtime.ReadMemStats(&stats)
	s := sample{heap: stats.HeapAlloc, goroutines: runtime.NumGoroutine(), conns: int(w.open.Load())}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.files = len(files)
	}
	return s
}

// TestPromise21NothingGrows works for as long as MES_STEADY says (a duration: 30m in
// "make steady"), or for a few rounds. In the long run memory after a collection
// stays within 5 %: the middle of each quarter of the time is compared with that of
// the first, warm one.
func TestPromise21NothingGrows(t *testing.T) {
	length, err := time.ParseDuration("0" + os.Getenv("MES_STEADY"))
	require.NoError(t, err)
	w := newWire(t)
	address := startServer(t)
	var lines tail
	log := slog.New(slog.NewTextHandler(&lines, nil))
	pipelines := []*pipeline{onFile(t, log), onDynamoDB(t, address, w, log)}
	var samples []sample
	began, reported := time.Now(), time.Now()
	for round := 0; ; {
		// A run of the hosts is ended and begun again now and then.
		ctx, stop := context.WithCancel(t.Context())
		ends := make(chan error, len(pipelines))
		for _, p := range pipelines {
			go func() { ends <- p.run(ctx) }()
		}
		for range 20 {
			var parts sync.WaitGroup
			for _, p := range pipelines {
				parts.Go(func() {
					if err := p.once(ctx, round); err != nil {
						t.Errorf("%s: %v; before that:\n%s", p.name, err, lines.text())
					}
				})
			}
			parts.Wait()
			expire(t, w, address, round)
			round++
			if length > 0 {
				time.Sleep(everyRound)
			}
			samples = append(samples, take(w))
			if time.Since(reported) > time.Minute {
				reported = time.Now()
				t.Logf("%v: %d rounds: %+v", time.Since(began).Round(time.Second), round, samples[len(samples)-1])
			}
			if t.Failed() || length == 0 && round == 4 || length > 0 && time.Since(began) > length {
				break
			}
		}
		stop()
		for range pipelines {
			require.NoError(t, <-ends)
		}
		if t.Failed() || length == 0 || time.Since(began) > length {
			break
		}
	}
	for _, p := range pipelines {
		require.NotZero(t, p.faults)
	}
	judge(t, samples, length > 0)
}

func expire(t *testing.T, w *wire, address string, round int) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/expire?"+[]string{"", "", "roll", "", "", "trim"}[round%6], nil)
	require.NoError(t, err)
	answer, err := w.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
}

func judge(t *testing.T, samples []sample, long bool) {
	t.Helper()
	all := func(of func(sample) int) (least, most int) {
		values := make([]int, len(samples))
		for i, s := range samples {
			values[i] = of(s)
		}
		return slices.Min(values), slices.Max(values)
	}
	for name, of := range map[string]func(sample) int{
		"goroutines":  func(s sample) int { return s.goroutines },
		"files":       func(s sample) int { return s.files },
		"connections": func(s sample) int { return s.conns },
	} {
		least, most := all(of)
		t.Logf("%s: %d to %d", name, least, most)
		require.Less(t, most, 100, name)
	}
	if !long {
		return
	}
	warm := samples[len(samples)/10:]
	var middles []uint64
	for q := range 4 {
		quarter := slices.Clone(warm[q*len(warm)/4 : (q+1)*len(warm)/4])
		slices.SortFunc(quarter, func(a, b sample) int { return int(a.heap) - int(b.heap) })
		middles = append(middles, quarter[len(quarter)/2].heap)
	}
	least, most := all(func(s sample) int { return int(s.heap) })
	t.Logf("heap: %d to %d bytes in %d samples; the middle of each quarter: %d", least, most, len(samples), middles)
	for _, m := range middles[1:] {
		require.InEpsilon(t, middles[0], m, 0.05)
	}
}
