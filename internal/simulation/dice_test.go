package simulation

import (
	"hash/fnv"
	"time"
)

// Dice that give the same number whenever they are asked about the same thing.
type dice uint64

func (d dice) roll(about ...uint64) uint64 {
	h := mix(uint64(d))
	for _, a := range about {
		h = mix(h ^ a)
	}
	return h
}

// mix is the finalizer of splitmix64 (Steele, Lea, Flood, "Fast splittable
// pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hit is true with a probability.
func (d dice) hit(p float64, about ...uint64) bool {
	return float64(d.roll(about...)>>11)/(1<<53) < p
}

// below is a number from 0 to n-1.
func (d dice) below(n int, about ...uint64) int { return int(d.roll(about...) % uint64(n)) }

// between is a duration to the nanosecond, so that hardly any two are equal.
func (d dice) between(least, most time.Duration, about ...uint64) time.Duration {
	return least + time.Duration(d.roll(about...)%uint64(most-least))
}

// text makes a number of a text.
func text(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// content makes a number of a request's body that does not depend on the order of
// its parts: the SDK writes maps in any order.
func content(body []byte) uint64 {
	var sum, part uint64
	for _, b := range body {
		switch b {
		case '{', '}', ',', ':', '[', ']':
			sum += part ^ part>>29
			part = 0
		default:
			part = (part ^ uint64(b)) * 0x100000001b3
		}
	}
	return mix(sum ^ uint64(len(body)))
}

// What dice are asked about, so that two questions about one thing differ.
const (
	aboutWorld uint64 = iota + 1
	aboutEvent
	aboutProducer
	aboutLatency
	aboutFault
	aboutWait
	aboutPoller
	aboutCrash
	aboutHandler
	aboutFaultHandler
	aboutGardener
)
