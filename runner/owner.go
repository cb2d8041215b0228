package runner

import (
	"context"
	"errors"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// errLost says that a claim is another replica's now: nothing may be recorded
// under it any more.
var errLost = errors.New("the lease was lost")

// An owner decides which shards this run reads, and keeps how far it has come in
// them. Its methods are called by one goroutine, those of its claims by another
// one for each.
type owner interface {
	// refresh looks up what is known of shards. With an error it returns what it
	// could find; shards that it leaves out cannot be begun, nor can their
	// children.
	refresh(ctx context.Context, shards []mes.Shard) (map[string]shardState, error)
	// take is given all shards that can be read now, by whoever. It returns new
	// claims for those that this run ought to read. busy are those that a worker
	// of this run still has in hand, though its claim may be lost.
	take(ctx context.Context, shards []mes.Shard, busy map[string]bool) ([]claim, error)
	// name is what shardState.owner says of what this run has.
	name() string
	// forget is told of shards that the source no longer lists.
	forget(ctx context.Context, gone []string)
	// every is how often to refresh and take; 0 for only when there is news.
	every() time.Duration
	// keep renews what is claimed until ctx ends.
	keep(ctx context.Context)
}

// A shardState is what an owner knows of a shard.
type shardState struct {
	ended bool   // it has been read to its end
	owner string // who reads it; "" for nobody, or when there can be no other
}

// A claim is the right to read a shard.
type claim interface {
	shard() string
	// from is where to begin.
	from() mes.Position
	// lost is closed when the claim is no longer this run's.
	lost() <-chan struct{}
	// valid tells whether the claim still stands, as far as can be told without
	// asking anybody.
	valid() bool
	// checkpoint records what is done. It returns an error that wraps errLost if
	// the claim has been lost.
	checkpoint(ctx context.Context, done mes.Position) error
	// end records that the shard has been read to its end, which is behind done.
	end(ctx context.Context, done mes.Position) error
	// release gives the claim back, so that others need not wait for it.
	release(ctx context.Context) error
}
