package runner

import (
	"context"
	"log/slog"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

func (c *lease) shard() string { return c.id }

func (c *lease) from() mes.Position { return c.begin }

func (c *lease) lost() <-chan struct{} { return c.over }

func (c *lease) valid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.isOver && time.Since(c.at) < c.leases.duration
}

func (c *lease) renewed() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// isDue says that it was renewed a while ago and has not run out, be it just now.
func (c *lease) isDue() bool {
	since := time.Since(c.renewed())
	return since >= c.leases.duration/3 && since < c.leases.duration
}

func (c *lease) isFenced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fenced
}

func (c *lease) left() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isLeft
}

// extend is called after a write that succeeded, with the time when it was begun:
// whoever watches the counter has seen it move after that.
func (c *lease) extend(began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = began
	if c.expiry.Stop() {
		c.expiry.Reset(c.leases.duration - time.Since(began))
	}
}

// expire ends the work under a lease that was not renewed. What is done may still
// be recorded, as long as nobody else has taken it.
func (c *lease) expire() {
	if c.close() {
		c.leases.logger.Warn("a lease ran out, since it could not be renewed in time", slog.String("shard", c.id))
	}
	c.leases.drop(c)
}

// fence ends the work under a lease that somebody else has.
func (c *lease) fence(ctx context.Context, owner string) {
	c.mu.Lock()
	c.fenced = true
	c.mu.Unlock()
	if c.close() {
		c.leases.logger.LogAttrs(ctx, slog.LevelWarn, "a lease was lost", slog.String("shard", c.id), slog.String("owner", owner))
	}
	c.leases.drop(c)
}

// close returns false if it was over already.
func (c *lease) close() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expiry.Stop()
	first := !c.isOver
	if first {
		close(c.over)
	}
	c.isOver = true
	return first
}

// leave is called when the lease was given back.
func (c *lease) leave() {
	c.mu.Lock()
	c.isLeft = true
	c.expiry.Stop()
	c.mu.Unlock()
	c.leases.drop(c)
}
