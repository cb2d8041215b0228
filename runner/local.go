package runner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// A local owner is for one process: all shards are its own. Checkpoints are kept
// by the source if it can, or else by the store's table if that can, or else in
// memory.
type local struct {
	keeper mes.Checkpointer // nil: in memory
	claims map[string]*localClaim
}

func newLocal(source lister, store *mes.Store, consumer, stream string) *local {
	l := &local{claims: make(map[string]*localClaim)}
	if keeper, able := source.(mes.Checkpointer); able {
		l.keeper = keeper
	} else if table, able := store.Table().(driver.Checkpoints); able && stream != "" {
		l.keeper = &tableCheckpoints{table: table, consumer: consumer, stream: stream}
	}
	return l
}

// tableCheckpoints keeps the checkpoints of a stream in a table that can. It does
// not note that a shard has ended: reading on behind its last record finds that
// out.
type tableCheckpoints struct {
	table            driver.Checkpoints
	consumer, stream string
}

func (t *tableCheckpoints) Checkpoint(ctx context.Context, shard string) (mes.Position, error) {
	value, err := t.table.Checkpoint(ctx, checkpointName(t.consumer, t.stream, shard))
	if err != nil || value == "" {
		return mes.Position{}, err
	}
	sequence, sub, _ := strings.Cut(value, "/")
	n, err := strconv.ParseInt(sub, 10, 64)
	if err != nil {
		return mes.Position{}, fmt.Errorf("%w: a checkpoint is none of this package's", mes.ErrCorrupt)
	}
	return mes.Position{SequenceNumber: sequence, SubSequence: n}, nil
}

func (t *tableCheckpoints) SetCheckpoint(ctx context.Context, shard string, done mes.Position) error {
	if done == (mes.Position{}) {
		return nil // nothing was there to be done
	}
	value := done.SequenceNumber + "/" + strconv.FormatInt(done.SubSequence, 10)
	return t.table.SetCheckpoint(ctx, checkpointName(t.consumer, t.stream, shard), value)
}

func (l *local) refresh(ctx context.Context, shards []mes.Shard) (map[string]shardState, error) {
	states := make(map[string]shardState, len(shards))
	var errs []error
	for _, s := range shards {
		c := l.claims[s.ID]
		if c == nil {
			c = &localClaim{keeper: l.keeper, id: s.ID}
			if l.keeper != nil {
				err := guard(func() (err error) {
					c.done, err = l.keeper.Checkpoint(ctx, s.ID)
					return err
				})
				if err != nil {
					errs = append(errs, fmt.Errorf("shard %s: read the checkpoint: %w", s.ID, err))
					continue
				}
			}
			l.claims[s.ID] = c
		}
		states[s.ID] = c.state()
	}
	return states, errors.Join(errs...)
}

func (l *local) take(_ context.Context, shards []mes.Shard, _ map[string]bool) (claims []claim, err error) {
	for _, s := range shards {
		if c := l.claims[s.ID]; c.take() {
			claims = append(claims, c)
		}
	}
	return claims, nil
}

func (l *local) forget(_ context.Context, gone []string) {
	for _, id := range gone {
		delete(l.claims, id)
	}
}

func (l *local) name() string { return "" }

func (l *local) every() time.Duration { return 0 }

func (l *local) keep(context.Context) {}

// A localClaim is how far this run has come in a shard.
type localClaim struct {
	keeper mes.Checkpointer
	id     string

	mu    sync.Mutex
	taken bool
	over  bool
	done  mes.Position
}

func (c *localClaim) state() shardState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return shardState{ended: c.over}
}

func (c *localClaim) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := !c.taken
	c.taken = true
	return free
}

func (c *localClaim) shard() string { return c.id }

func (c *localClaim) from() mes.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

func (c *localClaim) lost() <-chan struct{} { return nil }

func (c *localClaim) valid() bool { return true }

func (c *localClaim) checkpoint(ctx context.Context, done mes.Position) error {
	if c.keeper != nil {
		if err := guard(func() error { return c.keeper.SetCheckpoint(ctx, c.id, done) }); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = done
	return nil
}

func (c *localClaim) end(ctx context.Context, done mes.Position) error {
	if err := c.checkpoint(ctx, done); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	return nil
}

func (c *localClaim) release(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = false
	return nil
}
