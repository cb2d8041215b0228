package simulation

import (
	"fmt"
	"strings"
	"time"
)

// class is what is to become of an event, by the oracle's own reckoning.
type class int

const (
	good     class = iota // stored under its keys, and handed over until it expires
	filtered              // the listener does not want it
	tooOld                // expired for more than five years: not stored
	poison                // can never be stored: to the fault handler
)

const (
	keep      = 33 * 24 * time.Hour // the default TTL
	keepShort = 4 * time.Minute     // of events of type thing-short
	fiveYears = 5 * 365 * 24 * time.Hour
)

// An event as a producer made it, and what is to become of it.
type event struct {
	n         int
	id        string
	typ       string
	partition string
	user      string
	group     string
	at        time.Time // when it says that it happened
	version   int       // of several with one id
	class     class
	undecoded bool // a host could not even decode its record

	raw  string
	keys []string // hash keys under which it belongs

	items []*item // the oracle's

	// What the handler thinks of it.
	hopeless bool // Permanent, whenever it fires
	erasable bool // its keys are erased now and then
}

// expires is when the event expires; zero is never.
func (e *event) expires() time.Time {
	if e.typ == "thing-short" {
		return e.at.Add(keepShort)
	}
	return e.at.Add(keep)
}

// ttl is what the item has to say.
func (e *event) ttl() int64 {
	at := e.expires()
	seconds := at.Unix()
	if at.Nanosecond() > 0 {
		seconds++
	}
	return seconds
}

// expired is coarser than expires: an item's ttl has seconds.
func (e *event) expired(now time.Time) bool { return now.Unix() >= e.ttl() }

// makeEvents makes the n events of a world, in the order in which they are published.
func (w *world) makeEvents(n int) []*event {
	d := dice(w.dice.roll(aboutEvent))
	events := make([]*event, 0, n)
	keys := max(1, n/w.config.eventsPerKey)
	latest := make(map[string]*event) // by partition
	for i := range n {
		about := uint64(i)
		e := &event{n: i, id: fmt.Sprintf("%08x-CANARY-ID-%d", d.roll(about, 1)>>32, i), typ: "thing-created"}
		key := w.pick(d, i, n, keys, 2)
		if d.hit(0.04, about, 3) {
			key = key % 2 // hot
		}
		e.partition = fmt.Sprintf("CANARY-KEY-%d", key)
		e.user = fmt.Sprintf("CANARY-USER-%d", w.pick(d, i, n, keys, 4))
		e.group = fmt.Sprintf("CANARY-GROUP-%d", w.pick(d, i, n, keys, 11))
		e.erasable = key%17 == 5
		if e.erasable {
			e.user = fmt.Sprintf("CANARY-ERASABLE-USER-%d", key)
			e.group = fmt.Sprintf("CANARY-ERASABLE-GROUP-%d", key)
		}
		// Producers' clocks are wrong, by up to an hour, and some events are late.
		e.at = w.published(i).Add(d.between(-w.config.clocks, w.config.clocks, about, 5)).Truncate(time.Millisecond)
		switch roll := d.below(100, about, 6); {
		case roll < 6:
			e.typ = "other"
			e.class = filtered
		case roll < 8:
			e.at = e.at.Add(-fiveYears - keep - 24*time.Hour)
			e.class = tooOld
		case roll < 11:
			e.at = e.at.Add(-keep - 24*time.Hour) // stored, never handed over
		case roll < 18:
			e.typ = "thing-short"
			e.at = w.published(i).Truncate(time.Millisecond)
		case roll < 22:
			e.class = poison
		case roll < 23:
			e.hopeless = true
		case roll < 35 && w.config.versions && i > 0:
			// Another version of an event that was published before.
			before := events[d.below(len(events), about, 7)]
			if before.class == good && before.typ == "thing-created" && !before.hopeless {
				e.id, e.partition, e.user, e.group, e.version, e.erasable = before.id, before.partition, before.user, before.group, before.version+1, before.erasable
				for _, other := range events {
					if other.id == e.id {
						e.version = max(e.version, other.version+1)
					}
				}
			}
		}
		if before := latest[e.partition]; before != nil && e.version == 0 && e.class == good && e.typ == "thing-created" && d.hit(0.03, about, 12) {
			e.at = before.at // two things happen in one millisecond
		}
		if e.class == good && e.typ == "thing-created" {
			latest[e.partition] = e
		}
		w.write(e, d, about)
		events = append(events, e)
	}
	return events
}

// pick chooses one of the keys for event i of n: any, or one of the few that are in
// use at the time, as orders are that come and go. Some events are late.
func (w *world) pick(d dice, i, n, keys int, about uint64) int {
	if w.config.keysInUse == 0 {
		return d.below(keys, uint64(i), about)
	}
	oldest := i * keys / n
	if d.hit(0.05, uint64(i), about, 1) {
		return d.below(oldest+1, uint64(i), about, 2)
	}
	return (oldest + d.below(w.config.keysInUse, uint64(i), about, 3)) % keys
}

// write gives an event its bytes and says where it belongs.
func (w *world) write(e *event, d dice, about uint64) {
	filler := strings.Repeat("é", d.below(40, about, 8))
	e.raw = fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":%d,"partitionKey":%q,"tags":{"user":%q,"group":%q},"n":%d,"text":"%s%s"}`,
		e.id, e.typ, e.at.UnixMilli(), e.partition, e.user, e.group, e.n, canary, filler)
	if e.class != poison {
		e.keys = []string{"p#" + e.partition, "u#" + e.user, "g#" + e.group}[:w.config.keys]
		if w.config.keys == 1 {
			e.keys[0] = e.partition
		}
		return
	}
	switch d.below(6, about, 9) {
	case 0: // not JSON
		e.raw = e.raw[:len(e.raw)/2]
	case 1: // no timestamp
		e.raw = fmt.Sprintf(`{"id":%q,"type":%q,"partitionKey":%q,"tags":{"user":%q},"n":%d,"text":"%s"}`, e.id, e.typ, e.partition, e.user, e.n, canary)
	case 2: // no key
		e.raw = fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":%d,"n":%d,"text":"%s"}`, e.id, e.typ, e.at.UnixMilli(), e.n, canary)
	case 3: // a key that is not UTF-8
		e.raw = fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":%d,"partitionKey":"p`+"\xff"+`","tags":{"user":"u`+"\xff"+`"},"n":%d,"text":"%s"}`, e.id, e.typ, e.at.UnixMilli(), e.n, canary)
	case 4: // more than an item may have
		if d.hit(0.2, about, 10) {
			e.raw = strings.Replace(e.raw, canary, canary+strings.Repeat("x", 410_000), 1)
		} else {
			e.raw = "[" + e.raw + "]"
		}
	case 5:
		e.undecoded = true
	}
}

// canary stands in every payload. Nothing that the library says may hold it.
const canary = "CANARY-PAYLOAD"
