package simulation

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A poller is an event source mapping, as Lambda has it for Kinesis and for
// DynamoDB streams: it reads shards, keeps the order of each lane of a shard,
// calls the function with batches, and does with its answer what the service does
// ("How Lambda processes records from stream and queue-based event sources").
type poller struct {
	world    *world
	kind     string // kinesis or dynamodb
	name     string
	feed     feed
	lanes    int // the parallelization factor
	batch    int
	bisect   bool
	coalesce bool
	timeout  time.Duration

	mu    sync.Mutex
	idle  []*instance
	again sync.WaitGroup // redeliveries under way

	left atomic.Int64 // lanes that have not come to an end
}

// pollers are the event source mappings of a world. Two functions may read the same
// stream, each in its own way, or a function and the replicas of a container; but the
// replicas have the events to themselves, or nobody would see what they forget.
func (w *world) pollers() (listeners, triggers []*poller) {
	c := w.config
	poller := func(kind, name string, feed feed, lanes, batch int, bisect, coalesce bool) []*poller {
		return []*poller{{
			world: w, kind: kind, name: name, feed: feed, lanes: lanes, batch: batch, bisect: bisect, coalesce: coalesce, timeout: c.timeout,
		}}
	}
	if c.replicas == 0 {
		listeners = poller("kinesis", "kinesis", w.stream, c.listenLanes, c.listenBatch, c.bisect, false)
		triggers = poller("dynamodb", "dynamodb", w.changes, c.triggerLanes, c.triggerBatch, c.bisect, c.coalesce)
		if c.second {
			listeners = append(listeners, poller("kinesis", "kinesis too", w.stream, 1, 100, !c.bisect, false)...)
		}
	}
	if c.second {
		triggers = append(triggers, poller("dynamodb", "dynamodb too", w.changes, 1, 100, !c.bisect, !c.coalesce)...)
	}
	return listeners, triggers
}

// take returns a function instance that nobody uses.
func (p *poller) take() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		instance := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return instance
	}
	return p.world.newInstance(p.coalesce)
}

func (p *poller) give(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, i)
}

// run reads every shard to its end, the parents before the children.
func (p *poller) run(ctx context.Context) {
	var lanes sync.WaitGroup
	var mu sync.Mutex
	begun, left := make(map[string]bool), make(map[string]int)
	for ctx.Err() == nil {
		open := 0
		for n, shard := range p.feed.shards() {
			mu.Lock()
			waits := false
			for _, parent := range shard.parents {
				waits = waits || !begun[parent] || left[parent] > 0
			}
			if begun[shard.id] {
				open += left[shard.id]
				mu.Unlock()
				continue
			}
			open++
			if waits {
				mu.Unlock()
				continue
			}
			begun[shard.id], left[shard.id] = true, p.lanes
			mu.Unlock()
			for lane := range p.lanes {
				p.left.Add(1)
				lanes.Go(func() {
					p.lane(ctx, shard.id, uint64(lane), mix(uint64(n)<<16+uint64(lane)+text(p.name)))
					mu.Lock()
					defer mu.Unlock()
					left[shard.id]--
					p.left.Add(-1)
				})
			}
		}
		if open == 0 && p.feed.over() {
			break
		}
		p.sleep(ctx, time.Second, 2*time.Second, text(p.name))
	}
	lanes.Wait()
	p.again.Wait()
}

func (p *poller) sleep(ctx context.Context, least, most time.Duration, about uint64) {
	pause(ctx, p.world.dice.between(least, most, aboutPoller, about, uint64(time.Now().UnixNano())))
}

// lane delivers the records of one lane of a shard, in order.
func (p *poller) lane(ctx context.Context, shard string, lane, about uint64) {
	p.sleep(ctx, time.Millisecond, time.Second, about) // not all lanes at once
	read := 0
	waited := false // for a batch to fill
	var waiting []record
	for ctx.Err() == nil {
		records, closed := p.feed.records(shard, read)
		read += len(records)
		for _, r := range records {
			if r.lane%uint64(p.lanes) == lane {
				waiting = append(waiting, r)
			}
		}
		switch {
		case len(waiting) == 0 && closed:
			return
		case len(waiting) == 0:
			p.sleep(ctx, 2*time.Second, 8*time.Second, about)
			continue
		case len(waiting) < p.batch && !closed && !waited && p.world.config.window > 0:
			waited = true
			p.sleep(ctx, p.world.config.window/2, p.world.config.window, about)
			continue
		}
		waited = false
		n := min(len(waiting), p.batch)
		batch := waiting[:n:n]
		waiting = waiting[n:]
		p.deliver(ctx, batch, about)
		p.deliverAgain(ctx, batch, about)
	}
}

// deliverAgain is what happens to a batch that is done: its checkpoint is lost, and
// it comes again; and invocations from before come late, at the same time as others.
func (p *poller) deliverAgain(ctx context.Context, batch []record, about uint64) {
	d := dice(p.world.dice.roll(aboutPoller, about, uint64(time.Now().UnixNano())))
	for n := uint64(0); n < 5 && d.hit(p.world.config.redelivered, 1, n) && !p.world.weather.healed.Load(); n++ {
		p.world.totals.redelivered.Add(int64(len(batch)))
		p.deliver(ctx, batch, about)
	}
	for n := uint64(0); n < 3 && !p.world.weather.healed.Load(); n++ {
		if !d.hit(p.world.config.strays, 2, n) {
			continue
		}
		p.world.totals.redelivered.Add(int64(len(batch)))
		p.again.Go(func() {
			p.sleep(ctx, time.Millisecond, time.Minute, d.roll(3, n))
			p.invoke(ctx, batch, d.roll(4, n))
		})
	}
}

// deliver does not return before all records of a batch are acknowledged.
func (p *poller) deliver(ctx context.Context, batch []record, about uint64) {
	most := 5 * time.Second // to wait until the next time; more each time that brings nothing
	for first := true; len(batch) > 0 && ctx.Err() == nil; first = false {
		if !first {
			p.world.totals.redelivered.Add(int64(len(batch)))
		}
		r := p.invoke(ctx, batch, about)
		if r.lowest > 0 {
			most = 5 * time.Second
		}
		switch {
		case !r.err:
			half := (len(batch) - r.lowest + 1) / 2
			batch = batch[r.lowest:]
			if p.bisect && len(batch) > 1 {
				p.sleep(ctx, 50*time.Millisecond, time.Second, about)
				p.deliver(ctx, batch[:half:half], about)
				batch = batch[half:]
			}
		case p.bisect && len(batch) > 1:
			half := len(batch) / 2
			p.sleep(ctx, 50*time.Millisecond, time.Second, about)
			p.deliver(ctx, batch[:half:half], about)
			batch = batch[half:]
		}
		if len(batch) > 0 {
			p.sleep(ctx, 50*time.Millisecond, most, about)
			most = min(2*most, 40*time.Second)
		}
	}
}
