package simulation

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/backoff"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/runner"
)

const tableName = "events"

// A world is one run.
type world struct {
	dice        dice
	config      *config
	began       time.Time
	weather     *weather
	handlerDown []span
	server      *fakedynamodb.Server
	stream      *kinesis
	changes     *tableStream
	oracle      *oracle
	totals      *totals
	events      []*event
	logs        *watchedLog
	opts        []mes.Option

	givenMu sync.Mutex
	given   map[string]string // how far replicas were given a shard
}

func (w *world) timeout() time.Duration { return w.config.timeout }

// published is when an event is published.
func (w *world) published(n int) time.Time {
	return w.began.Add(time.Duration(n+1) * w.config.span / time.Duration(len(w.events)+cap(w.events)))
}

// newWorld must be called within a bubble.
func newWorld(t *testing.T, seed uint64, n int, totals *totals) *world {
	d := dice(seed)
	w := &world{dice: d, config: newConfig(d), began: time.Now(), totals: totals, logs: new(watchedLog), given: make(map[string]string)}
	w.events = make([]*event, 0, n)
	w.server = fakedynamodb.New(fakedynamodb.WithShards(w.config.tableShards))
	w.server.SetLag(50)
	client := w.server.Client()
	if err := dynamostore.Provision(context.Background(), client, tableName); err != nil {
		t.Fatal(err)
	}
	w.events = w.makeEvents(n)
	w.oracle = newOracle(w.server, w.config, w.events)
	w.stream = newKinesis(w.config.shards, d)
	w.changes = &tableStream{server: w.server, read: make(map[string][]record)}
	if w.config.replicas > 0 {
		w.oracle.feeds = map[string]feed{streamLeases: w.stream, tableLeases: w.changes}
		for table := range w.oracle.feeds {
			if err := runner.ProvisionLeases(context.Background(), client, table); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.weather = &weather{
		dice: d, rate: w.config.faults, latency: 20 * time.Millisecond, later: !w.config.versions,
	}
	for i := range w.config.brownouts {
		from := w.began.Add(d.between(0, w.config.span, aboutWorld, 30, uint64(i)))
		w.weather.brownouts = append(w.weather.brownouts, span{from, from.Add(d.between(20*time.Second, 2*time.Minute, aboutWorld, 31, uint64(i)))})
	}
	if d.hit(0.3, aboutWorld, 32) {
		from := w.began.Add(d.between(0, w.config.span, aboutWorld, 33))
		w.weather.denied = append(w.weather.denied, span{from, from.Add(d.between(30*time.Second, 2*time.Minute, aboutWorld, 34))})
	}
	if d.hit(0.5, aboutWorld, 35) {
		from := w.began.Add(d.between(0, w.config.span, aboutWorld, 36))
		w.handlerDown = append(w.handlerDown, span{from, from.Add(d.between(30*time.Second, 4*time.Minute, aboutWorld, 37))})
	}
	w.opts = []mes.Option{
		mes.WithTTL(mes.ByType(map[string]mes.TTLPolicy{"thing-short": mes.ExpireAfter(keepShort)}, mes.ExpireAfter(keep))),
		mes.WithLogger(w.logger()),
	}
	if w.config.keys > 1 {
		keys := []mes.HashKeyFunc{mes.Prefix("p#", mes.PartitionKey()), mes.Prefix("u#", mes.Tag("user")), mes.Prefix("g#", mes.Tag("group"))}
		w.opts = append(w.opts, mes.WithHashKey(keys[:w.config.keys]...))
	}
	if w.config.byID {
		w.opts = append(w.opts, mes.WithRangeKey(mes.EventID()))
	}
	if w.config.insertOnce {
		w.opts = append(w.opts, mes.InsertOnce())
	}
	return w
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newStore is a store on a table behind a network of its own.
func (w *world) newStore() (*mes.Store, *network, error) {
	network := &network{server: w.server, weather: w.weather, totals: w.totals, dead: make(chan struct{})}
	store, err := mes.New(dynamostore.New(dynamodb.New(sdk(network)), tableName), w.opts...)
	return store, network, err
}

// run lets the world run until everything is done, or has been stuck for hours
// although everything works again.
func (w *world) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listeners, triggers := w.pollers()
	var actors sync.WaitGroup
	listened := make(chan struct{})
	var listening sync.WaitGroup
	for _, p := range listeners {
		listening.Go(func() { p.run(ctx) })
	}
	for _, p := range triggers {
		actors.Go(func() { p.run(ctx) })
	}
	running, stopReplicas := context.WithCancel(ctx)
	defer stopReplicas()
	for n := range w.config.replicas {
		actors.Go(func() { w.replicas(running, uint64(n)) })
	}
	actors.Go(func() {
		listening.Wait()
		if w.config.replicas > 0 {
			await(ctx, func() bool { return w.stream.over() && w.oracle.caughtUp(w.stream) })
		}
		close(listened)
		if w.config.replicas > 0 {
			pause(ctx, time.Second) // the stream of the table ends with that
			await(ctx, func() bool { return w.changes.over() && w.oracle.caughtUp(w.changes) })
		}
		stopReplicas()
	})
	gardening, stop := context.WithCancel(ctx)
	garden := make(chan struct{})
	go func() { w.garden(gardening); close(garden) }()

	w.produce()
	w.stream.end()
	time.Sleep(w.dice.between(time.Minute, 2*time.Minute, aboutWorld, 40))
	stop()
	<-garden
	w.weather.healed.Store(true)
	w.server.Land()

	patience := time.NewTimer(12 * time.Hour)
	defer patience.Stop()
	finished := make(chan struct{})
	go func() {
		<-listened
		// What is written by now is in the table's stream.
		w.server.Land()
		w.changes.ended.Store(true)
		actors.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-patience.C:
		for _, p := range slices.Concat(listeners, triggers) {
			w.oracle.violated(&w.oracle.Stuck, "not done after 12 hours in which everything worked: %d lanes of %s", p.left.Load(), p.name)
		}
		cancel()
		<-finished
		return
	}
	w.oracle.end(w.events, time.Now())
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// await looks now and then whether something is so.
func await(ctx context.Context, so func() bool) {
	for ctx.Err() == nil && !so() {
		pause(ctx, 10*time.Second)
	}
}

// produce publishes all events; some twice, since the producer did not hear that
// the first time had been enough.
func (w *world) produce() {
	type publication struct {
		at    time.Time
		event *event
	}
	d := dice(w.dice.roll(aboutProducer))
	var publications []publication
	for i, e := range w.events {
		at := w.published(i)
		publications = append(publications, publication{at, e})
		if !d.hit(0.05, uint64(i)) {
			continue
		}
		if !w.config.versions { // it would be the newest version again
			at = at.Add(d.between(0, time.Minute, uint64(i), 1))
		}
		publications = append(publications, publication{at, e})
	}
	slices.SortStableFunc(publications, func(a, b publication) int { return a.at.Compare(b.at) })
	for len(publications) > 0 {
		time.Sleep(time.Until(publications[0].at))
		n := 1
		if w.config.lambda && !w.config.versions && d.hit(0.05, uint64(len(publications)), 2) {
			n = min(1+d.below(8, uint64(len(publications)), 3), len(publications))
		}
		var events []*event
		for _, p := range publications[:n] {
			if p.event.undecoded {
				break
			}
			events = append(events, p.event)
		}
		if len(events) == 0 {
			events = append(events, publications[0].event)
		}
		w.stream.put(d, events...)
		w.totals.published.Add(int64(len(events)))
		publications = publications[len(events):]
	}
	w.totals.events.Add(int64(len(w.events)))
}

// garden does what happens to a stream and a table meanwhile: shards come and go,
// items expire and are erased, attempts that were given up land.
func (w *world) garden(ctx context.Context) {
	d := dice(w.dice.roll(aboutGardener))
	store, _, err := w.newStore()
	if err != nil {
		w.oracle.violated(&w.oracle.Stuck, "no store: %v", err)
		return
	}
	ctx = backoff.Drawn(ctx, func(most time.Duration) time.Duration {
		return d.between(0, most+1, aboutWait, uint64(time.Now().UnixNano()))
	})
	var erasable []string
	for _, e := range w.events {
		if e.erasable && e.class == good && !slices.Contains(erasable, e.keys[0]) {
			erasable = append(erasable, e.keys...)
		}
	}
	for n := uint64(0); ; n++ {
		if pause(ctx, d.between(20*time.Second, 2*time.Minute, n, 1)); ctx.Err() != nil {
			return
		}
		switch d.below(6, n, 2) {
		case 0:
			w.stream.reshard(d, n)
		case 1:
			w.server.RollShards(tableName)
		case 2: // the service is late with that
			w.server.ExpireNow(tableName, time.Now().Add(-d.between(0, 3*time.Minute, n, 3)))
		case 3:
			w.server.Land()
		case 4:
			if len(erasable) > 0 {
				_ = store.Delete(ctx, erasable[d.below(len(erasable), n, 4)]) // what is left stays
			}
		}
	}
}

// leaks sees whether a text holds what nobody may read.
func (w *world) leaks(where string, err error) {
	if err != nil && strings.Contains(err.Error(), "CANARY") {
		w.oracle.violated(&w.oracle.Leaked, "in the %s: %v", where, err)
	}
}

// watchedLog looks for what nobody may read.
type watchedLog struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (l *watchedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(string(line), "CANARY") || strings.Count(string(line), "\n") != 1 {
		l.lines = append(l.lines, string(line))
	}
	return len(line), nil
}

var wanted = regexp.MustCompile(`^thing-.+`)
