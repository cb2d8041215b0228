package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
)

// A pipeline is servers, three replicas as processes of their own, and what has
// been published to them.
type pipeline struct {
	*testing.T
	config replicaConfig
	stream *kinesis.Client

	published map[string][]string // ids by key
	sent      int
	records   int // with those that were published twice
	slots     []*process
	folder    string
	starts    atomic.Int64
	lives     map[string]*process // by log
}

// A process is one life of a replica.
type process struct {
	*exec.Cmd
	log          string
	killed       time.Time
	paused, woke time.Time
}

// A line is what a replica has written.
type line struct {
	Time                    time.Time
	Msg, Shard, Owner, From string
	Stolen                  bool
	Key, Current            string
	Events                  int
	Error                   string
	log                     string // whose
}

func TestIntegrationReplicasThatAreKilledLoseNothing(t *testing.T) {
	stream, name := kinesisStream(t, 4)
	tables, _, table := dynamoDB(t)
	events := 2000
	if s := os.Getenv("MES_PIPELINE_EVENTS"); s != "" {
		var err error
		events, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	p := &pipeline{T: t, stream: stream, published: make(map[string][]string), lives: make(map[string]*process), slots: make([]*process, 3), folder: t.TempDir()}
	p.config = replicaConfig{
		Kinesis: os.Getenv("MES_KINESIS_ENDPOINT"), DynamoDB: os.Getenv("MES_DYNAMODB_ENDPOINT"),
		Stream: name, Table: table, Leases: table + "-leases",
		Lease: 3 * time.Second, // short, so that much happens in little time
	}
	if events > 5000 {
		// dynoxide takes longer for a write the more its stream holds (12 ms for
		// an item at 15,000), and answers nobody meanwhile: for seconds.
		p.config.Lease = DefaultLeaseDuration
	}
	require.NoError(t, dynamostore.Provision(t.Context(), watchTables(tables, &called.table), table))
	require.NoError(t, ProvisionLeases(t.Context(), watchTables(tables, &called.provision), p.config.Leases))
	began, published := time.Now(), time.Now()
	for i := range p.slots {
		p.launch(i)
	}
	var chaos sync.WaitGroup
	over := make(chan struct{})
	end := sync.OnceFunc(func() {
		close(over)
		chaos.Wait()
	})
	chaos.Go(func() { p.chaos(over) })
	defer p.killAll()
	defer end()
	for p.sent < events || !p.sawEnough() {
		if p.sent < events {
			p.publish(100, max(events/40, 1))
		} else { // until everything has been seen
			p.publish(20, max(events/40, 1))
			time.Sleep(100 * time.Millisecond)
		}
		switch {
		case p.sent == events/200*100: // half way
			p.reshard()
		case p.sent < events:
			published = time.Now()
		case time.Since(published) > 5*time.Minute:
			t.Fatal("it has gone on for five minutes longer than it should, and has not seen what it is for")
		}
	}
	end()
	rate := float64(p.sent) / time.Since(began).Seconds()
	p.await()
	p.drain()
	p.verify(tables, rate)
}

func (p *pipeline) launch(slot int) {
	config, err := json.Marshal(p.config)
	require.NoError(p, err)
	life := &process{Cmd: exec.Command(os.Args[0]), log: p.logOf(p.starts.Load() + 1)}
	out, err := os.Create(life.log)
	require.NoError(p, err)
	defer out.Close()
	life.Env = append(os.Environ(), replicaVariable+"="+string(config))
	life.Stdout, life.Stderr = out, out
	require.NoError(p, life.Start())
	p.slots[slot], p.lives[life.log] = life, life
	p.starts.Add(1)
}

func (p *pipeline) logOf(n int64) string { return filepath.Join(p.folder, fmt.Sprintf("%03d", n)) }

// chaos kills a replica every few seconds and starts it again, and puts one to
// sleep for longer than its leases last.
func (p *pipeline) chaos(over <-chan struct{}) {
	for round := 0; ; round++ {
		select {
		case <-over:
			return
		case <-time.After(2*time.Second + rand.N(2*time.Second)):
		}
		slot := rand.IntN(len(p.slots))
		victim := p.slots[slot]
		if round%2 == 1 {
			victim.paused = time.Now()
			_ = victim.Process.Signal(syscall.SIGSTOP)
			time.Sleep(2 * p.config.Lease)
			_ = victim.Process.Signal(syscall.SIGCONT)
			victim.woke = time.Now()
			time.Sleep(p.config.Lease / 2)
		}
		victim.killed = time.Now()
		_ = victim.Process.Kill()
		_ = victim.Wait()
		p.launch(slot)
	}
}

func (p *pipeline) killAll() {
	for _, life := range p.slots {
		if life != nil && life.ProcessState == nil {
			_ = life.Process.Kill()
			_ = life.Wait()
		}
	}
}

// publish puts events on the stream, for a number of keys in turn, and some of
// them twice, as a producer does that did not hear the answer.
func (p *pipeline) publish(n, keys int) {
	input := &kinesis.PutRecordsInput{StreamName: aws.String(p.config.Stream)}
	for range n {
		key, id := fmt.Sprintf("order-%d", p.sent%keys), fmt.Sprintf("%06d", p.sent)
		p.published[key] = append(p.published[key], id)
		entry := types.PutRecordsRequestEntry{PartitionKey: aws.String(id), Data: fmt.Appendf(nil,
			`{"id":%q,"type":"t","partitionKey":%q,"timestamp":%d,"padding":%q}`, id, key, 1_700_000_000_000+p.sent, strings.Repeat("x", 300))}
		input.Records = append(input.Records, entry)
		if p.sent%50 == 0 {
			input.Records = append(input.Records, entry)
		}
		p.sent++
	}
	p.records += len(input.Records)
	for len(input.Records) > 0 {
		out, err := p.stream.PutRecords(p.Context(), input)
		if err != nil { // such as while the stream is updated
			p.Logf("put records: %v", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		var again []types.PutRecordsRequestEntry
		for i := range out.Records {
			if out.Records[i].ErrorCode != nil {
				again = append(again, input.Records[i])
			}
		}
		input.Records = again
	}
}

// reshard splits one shard and merges two others.
func (p *pipeline) reshard() {
	name := aws.String(p.config.Stream)
	listed, err := p.stream.ListShards(p.Context(), &kinesis.ListShardsInput{StreamName: name})
	require.NoError(p, err)
	require.Len(p, listed.Shards, 4)
	_, err = p.stream.SplitShard(p.Context(), &kinesis.SplitShardInput{
		StreamName: name, ShardToSplit: listed.Shards[0].ShardId, NewStartingHashKey: aws.String("42535295865117307932921825928971026432"),
	})
	require.NoError(p, err)
	active(p.T, p.stream, p.config.Stream)
	_, err = p.stream.MergeShards(p.Context(), &kinesis.MergeShardsInput{
		StreamName: name, ShardToMerge: listed.Shards[2].ShardId, AdjacentShardToMerge: listed.Shards[3].ShardId,
	})
	require.NoError(p, err)
	active(p.T, p.stream, p.config.Stream)
}

// lines reads what all replicas have written so far.
func (p *pipeline) lines() (lines []line) {
	for n := range p.starts.Load() {
		file, err := os.Open(p.logOf(n + 1))
		require.NoError(p, err)
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			var l line
			if json.Unmarshal(scanner.Bytes(), &l) == nil { // the last one may be cut off
				l.log = file.Name()
				lines = append(lines, l)
			}
		}
		require.NoError(p, file.Close())
	}
	return lines
}

// counts are what the test is for.
type counts struct {
	stolen, takenOver, fenced, handled, again, listened int
}

func count(lines []line) (c counts) {
	seen := make(map[string]bool)
	for _, l := range lines {
		switch l.Msg {
		case "a lease was taken":
			if l.Stolen {
				c.stolen++
			} else if l.From != "" {
				c.takenOver++
			}
		case "a checkpoint was refused, since another replica has the lease":
			c.fenced++
		case "listened":
			c.listened += l.Events
		case "handled":
			c.handled++
			if seen[l.Key+l.Current] {
				c.again++
			}
			seen[l.Key+l.Current] = true
		}
	}
	return c
}

// redelivered counts records and changes that were dealt with again.
func (p *pipeline) redelivered(c counts) int { return max(c.listened-p.records, 0) + c.again }

func (p *pipeline) sawEnough() bool {
	c := count(p.lines())
	return c.stolen >= 10 && c.fenced >= 1 && p.redelivered(c) >= 1
}

// await waits until a handler was called for each event, and has seen the whole
// history of each key.
func (p *pipeline) await() {
	most, deadline := 0, time.Now()
	for ; ; time.Sleep(time.Second) {
		whole, called := make(map[string]bool), make(map[string]bool)
		for _, l := range p.lines() {
			if l.Msg != "handled" {
				continue
			}
			called[l.Current] = true
			if l.Events == len(p.published[l.Key]) {
				whole[l.Key] = true
			}
		}
		if len(whole) == len(p.published) && len(called) == p.sent {
			return
		}
		if len(called) > most { // it goes on
			most, deadline = len(called), time.Now().Add(2*time.Minute)
		}
		if time.Now().After(deadline) {
			for _, l := range p.lines() {
				if l.Msg != "handled" {
					p.Logf("%+v", l)
				}
			}
			p.Fatalf("nothing has happened for two minutes: the handler was called for %d of %d events, and has seen %d of %d whole histories", len(called), p.sent, len(whole), len(p.published))
		}
	}
}

// drain stops the replicas as a container is stopped.
func (p *pipeline) drain() {
	for _, life := range p.slots {
		require.NoError(p, life.Process.Signal(syscall.SIGTERM))
	}
	for _, life := range p.slots {
		require.NoError(p, life.Wait(), "SIGTERM drains")
	}
}

func (p *pipeline) verify(tables *dynamodb.Client, rate float64) {
	store, err := mes.New(dynamostore.New(watchTables(tables, &called.table), p.config.Table), mes.WithTTL(mes.NeverExpire()))
	require.NoError(p, err)
	for key, want := range p.published {
		m, err := store.GetMicroEventStore(context.Background(), key)
		require.NoError(p, err)
		var got []string
		for _, e := range m.Events {
			got = append(got, e.ID)
		}
		require.Equal(p, want, got, "the events of %s", key)
	}
	lines := p.lines()
	c := count(lines)
	p.Logf("%d events, %.0f a second; %d lives of replicas; %d leases stolen, %d taken over from the dead, %d checkpoints fenced; %d records of %d listened to, %d calls of the handler, %d of them again",
		p.sent, rate, p.starts.Load(), c.stolen, c.takenOver, c.fenced, c.listened, p.records, c.handled, c.again)
	require.GreaterOrEqual(p, c.stolen, 10)
	require.Positive(p, c.fenced)
	require.Positive(p, p.redelivered(c))
	p.verifyOwners(lines)
}

// A span is when a process read a shard.
type span struct {
	log, shard string
	from, to   time.Time
}

// verifyOwners sees that no two processes read a shard at the same time for longer
// than a lease lasts. While a process sleeps it does not read.
func (p *pipeline) verifyOwners(lines []line) {
	open := make(map[[2]string]time.Time)
	var spans []span
	add := func(log, shard string, from, to time.Time) {
		life := p.lives[log]
		if life.paused.After(from) && life.paused.Before(to) {
			spans = append(spans, span{log, shard, from, life.paused})
			from = life.woke
		}
		if from.Before(to) {
			spans = append(spans, span{log, shard, from, to})
		}
	}
	for _, l := range lines {
		at := [2]string{l.log, l.Shard}
		switch l.Msg {
		case "a shard is begun":
			open[at] = l.Time
		case "a lease was lost", "a lease ran out, since it could not be renewed in time", "a shard is left":
			if from, reading := open[at]; reading {
				add(l.log, l.Shard, from, l.Time)
				delete(open, at)
			}
		}
	}
	for at, from := range open { // until it was killed
		add(at[0], at[1], from, p.lives[at[0]].killed)
	}
	longest := time.Duration(0)
	for i, a := range spans {
		for _, b := range spans[i+1:] {
			if a.shard != b.shard || a.log == b.log {
				continue
			}
			from, to := a.from, a.to
			if b.from.After(from) {
				from = b.from
			}
			if b.to.Before(to) {
				to = b.to
			}
			longest = max(longest, to.Sub(from))
		}
	}
	p.Logf("two replicas read one shard at the same time for %v at most", longest)
	require.LessOrEqual(p, longest, p.config.Lease)
}
