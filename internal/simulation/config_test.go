package simulation

import "time"

// config is how a world is set up; all of it follows from the seed.
type config struct {
	eventsPerKey int
	keysInUse    int  // at a time; 0 is all
	keys         int  // under which an event belongs
	versions     bool // several events have one id, and the last counts
	insertOnce   bool
	lambda       bool // payloads and responses, not batches and errors
	replicas     int  // of a container, instead of functions; 0 is none
	coalesce     bool
	byID         bool // the range key is the id
	bisect       bool

	cache    int64         // the bytes of a trigger's history cache; 0 is none
	lateness time.Duration // that it allows for
	clocks   time.Duration // by how much those of the producers are wrong

	shards, tableShards       int
	listenLanes, triggerLanes int
	listenBatch, triggerBatch int
	window                    time.Duration // in which a batch has to fill
	second                    bool          // other functions read the same streams
	timeout                   time.Duration
	span                      time.Duration // in which the producers publish

	faults       float64
	crashes      float64
	redelivered  float64
	strays       float64
	brownouts    int
	handlerFails float64
	handlerTime  time.Duration
}

func newConfig(d dice) *config {
	d = dice(d.roll(aboutWorld))
	c := &config{
		eventsPerKey: 8 + d.below(20, 1),
		lambda:       d.hit(0.6, 20),
		keysInUse:    []int{0, 2, 4, 6, 10}[d.below(5, 23)],
		keys:         1 + d.below(3, 2),
		coalesce:     d.hit(0.3, 3),
		byID:         d.hit(0.4, 4),
		bisect:       d.hit(0.5, 5),
		shards:       1 + d.below(3, 6),
		tableShards:  1 + d.below(2, 7),
		listenLanes:  1 + d.below(3, 8)*d.below(2, 9),
		triggerLanes: 1 + d.below(3, 10)*d.below(2, 26),
		listenBatch:  []int{10, 50, 100, 100, 250}[d.below(5, 11)],
		triggerBatch: []int{10, 50, 100, 100, 250, 250, 500}[d.below(7, 12)],
		window:       []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second}[d.below(4, 24)],
		second:       d.hit(0.6, 25),
		timeout:      []time.Duration{15 * time.Second, 30 * time.Second, time.Minute}[d.below(3, 13)],
		span:         5 * time.Minute,
		clocks:       time.Hour,
		faults:       []float64{0, 0.03, 0.1, 0.2}[d.below(4, 14)],
		crashes:      []float64{0, 0.05, 0.1}[d.below(3, 15)],
		redelivered:  0.65,
		strays:       0.35,
		brownouts:    d.below(3, 16),
		handlerFails: []float64{0, 0.02}[d.below(2, 17)],
		handlerTime:  []time.Duration{time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond}[d.below(3, 18)],
	}
	if c.byID {
		switch d.below(3, 19) {
		case 0:
			c.versions = true
		case 1:
			c.versions, c.insertOnce = true, true
			c.keys = 1 // each item is a call
		}
	}
	if !c.byID && d.hit(0.5, 27) {
		// With clocks that are an hour off, each event would be late.
		c.cache = []int64{20_000, 1 << 30}[d.below(2, 28)]
		c.lateness = []time.Duration{15 * time.Second, 30 * time.Second, 2 * time.Minute}[d.below(3, 29)]
		c.clocks = c.lateness / 2
	}
	if d.hit(0.25, 21) {
		c.replicas, c.lambda, c.versions, c.insertOnce = 2+d.below(2, 22), false, false, false
	}
	if c.keysInUse == 0 { // hardly any two changes of a batch share a history
		c.keys, c.second = 1, false
	}
	if c.versions {
		// What an older invocation still writes would take the place of what a
		// newer one has written: only within one store is that kept apart.
		c.strays, c.second = 0, false
		if !c.insertOnce {
			c.redelivered = 0.75
		}
	}
	return c
}

// fires tells which changes wake the handler.
func (c *config) fires(change *change) bool {
	return change.EventName == "INSERT" || change.EventName == "MODIFY" && c.versions
}

// inOrder is the oracle's own idea of the order of two events of one history.
func (c *config) inOrder(a, b *event) bool {
	if !c.byID && a.at.UnixMilli() != b.at.UnixMilli() {
		return a.at.Before(b.at)
	}
	return a.id < b.id
}
