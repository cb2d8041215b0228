// Package inflight lets one write of a key be under way at a time. Two that overlap
// may land in either order, and the older payload would stay.
package inflight

import (
	"context"
	"sync"
)

// Keys are those of which a write is under way. The zero value has none. It is safe
// for use by many goroutines at once.
type Keys[K comparable] struct {
	mu   sync.Mutex
	keys map[K]<-chan struct{} // closed when the write is over
}

// Acquire waits until no write of any of n keys is under way, and then claims them
// all, until release is called. It never holds some keys while it waits for others,
// so two callers cannot wait for each other. Keys may be equal.
func (f *Keys[K]) Acquire(ctx context.Context, n int, key func(i int) K) (release func(), err error) {
	over := make(chan struct{})
	for {
		wait := f.claim(n, key, over)
		if wait == nil {
			return func() { f.release(n, key, over) }, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// claim claims all keys and returns nil, or claims none and returns what to wait
// for.
func (f *Keys[K]) claim(n int, key func(i int) K, over <-chan struct{}) (wait <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range n {
		if wait, busy := f.keys[key(i)]; busy {
			return wait
		}
	}
	if f.keys == nil {
		f.keys = make(map[K]<-chan struct{}, n)
	}
	for i := range n {
		f.keys[key(i)] = over
	}
	return nil
}

func (f *Keys[K]) release(n int, key func(i int) K, over chan struct{}) {
	f.mu.Lock()
	for i := range n {
		delete(f.keys, key(i))
	}
	f.mu.Unlock()
	close(over)
}

// Len is how many keys are claimed.
func (f *Keys[K]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.keys)
}
