package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/backoff"
)

// maxBatchGet is how many rows BatchGetItem returns at most ("BatchGetItem",
// Amazon DynamoDB API reference).
const maxBatchGet = 100

// A leases owner shares shards with other replicas by rows in a DynamoDB table.
type leases struct {
	*options
	*leaseOptions
	me     string
	stream string
	seen   map[string]sighting // by shard; the loop's alone

	mu   sync.Mutex
	held map[string]*lease // by shard
}

// A sighting is a row, and since when its counter has stood where it stands, on
// this replica's own clock.
type sighting struct {
	leaseRow
	since time.Time
}

func newLeases(ctx context.Context, o *options, stream string) *leases {
	return &leases{
		options: o, leaseOptions: o.leases, stream: stream, me: o.leases.newOwner(ctx),
		seen: make(map[string]sighting), held: make(map[string]*lease),
	}
}

func (l *leases) key(shard string) string {
	return l.leaseOptions.key(l.consumer, l.stream, shard)
}

func (l *leases) name() string { return l.me }

func (l *leases) every() time.Duration { return l.duration / 3 }

// refresh reads the rows of the shards.
func (l *leases) refresh(ctx context.Context, shards []mes.Shard) (map[string]shardState, error) {
	states := make(map[string]shardState, len(shards))
	var errs []error
	for len(shards) > 0 {
		n := min(len(shards), maxBatchGet)
		rows, err := l.rows(ctx, shards[:n])
		if err != nil {
			errs = append(errs, l.explain("read the leases", err))
		}
		for id, row := range rows {
			before, known := l.seen[id]
			if !known || before.leaseRow != row {
				l.seen[id] = sighting{row, time.Now()}
			}
			states[id] = shardState{ended: row.ended, owner: row.owner}
		}
		shards = shards[n:]
	}
	return states, errors.Join(errs...)
}

// rows reads up to maxBatchGet rows. A shard that has none gets the zero row; one
// whose row could not be read is not in the answer.
func (l *leases) rows(ctx context.Context, shards []mes.Shard) (map[string]leaseRow, error) {
	rows := make(map[string]leaseRow, len(shards))
	ids := make(map[string]string, len(shards)) // by key
	var keys []attributes
	for _, s := range shards {
		ids[l.key(s.ID)] = s.ID
		keys = append(keys, attributes{attributeKey: text(l.key(s.ID))})
	}
	answered := make(map[string]bool, len(shards))
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var wrong error
	for failures := 1; len(keys) > 0; failures++ {
		consistent := true
		got, err := l.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{l.table: {Keys: keys, ConsistentRead: &consistent}},
		}, leaseOnce)
		if err != nil {
			return nil, err
		}
		for _, item := range got.Responses[l.table] {
			key, _ := item[attributeKey].(*types.AttributeValueMemberS)
			if key == nil || ids[key.Value] == "" {
				return nil, errNoLease
			}
			id := ids[key.Value]
			answered[id] = true
			row, err := decodeLease(item)
			if err != nil {
				wrong = fmt.Errorf("shard %s: %w", id, err)
				continue
			}
			rows[id] = row
		}
		keys = got.UnprocessedKeys[l.table].Keys
		if len(keys) > 0 && l.retry.Wait(ctx, failures) != nil {
			return rows, errors.Join(wrong, errors.New("DynamoDB left some unprocessed"))
		}
	}
	for _, id := range ids {
		if !answered[id] { // there is none
			rows[id] = leaseRow{}
		}
	}
	return rows, wrong
}

// explain says in which table something failed, and what may be wrong with that.
func (l *leases) explain(doing string, err error) error {
	hint := ""
	var coded smithy.APIError
	switch {
	case isA[*types.ResourceNotFoundException](err):
		hint = ", which ProvisionLeases makes, in this region and account"
	case errors.As(err, &coded) && coded.ErrorCode() == "ValidationException":
		hint = ", whose only key has to be " + attributeKey
	}
	return fmt.Errorf("%s in table %s%s: %w", doing, l.table, hint, err)
}

// take takes what nobody has, up to a fair share, or else one lease of whoever
// has most. Where another replica was faster it goes on to the next free one:
// two that want the same one must not leave a second one unread for a while.
func (l *leases) take(ctx context.Context, shards []mes.Shard, busy map[string]bool) (claims []claim, err error) {
	wanted, need, steal := l.wanted(ctx, shards, busy)
	var errs []error
	for _, s := range wanted {
		if len(claims)+len(errs) == need {
			break
		}
		c, err := l.acquire(ctx, s)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("shard %s: %w", s.ID, l.explain("take the lease", err)))
		case c != nil:
			claims = append(claims, c)
			l.logger.LogAttrs(ctx, slog.LevelInfo, "a lease was taken", slog.String("shard", s.ID), slog.String("owner", l.me), slog.String("from", l.seen[s.ID].owner), slog.Bool("stolen", steal))
		}
	}
	return claims, errors.Join(errs...)
}

// wanted chooses how many leases to take, and out of which. A fair share is the
// number of shards by that of the replicas that have a lease, and this one,
// rounded up.
func (l *leases) wanted(ctx context.Context, shards []mes.Shard, busy map[string]bool) (wanted []mes.Shard, need int, steal bool) {
	loads := map[string][]mes.Shard{l.me: nil}
	var free []mes.Shard
	l.mu.Lock()
	for _, s := range shards {
		row, known := l.seen[s.ID]
		switch {
		case l.held[s.ID] != nil || busy[s.ID]:
			loads[l.me] = append(loads[l.me], s)
		case !known:
		case row.owner == "" || row.owner == l.me || time.Since(row.since) >= l.duration:
			free = append(free, s)
		default:
			loads[row.owner] = append(loads[row.owner], s)
		}
	}
	l.mu.Unlock()
	share := (len(shards) + len(loads) - 1) / len(loads)
	need = share - len(loads[l.me])
	if need <= 0 {
		return nil, 0, false
	}
	if len(free) > 0 {
		// In any other order all replicas would want the same ones first.
		for i := len(free) - 1; i > 0; i-- {
			j := backoff.Chance(ctx, int64(i+1))
			free[i], free[j] = free[j], free[i]
		}
		return free, need, false
	}
	var most []mes.Shard
	for _, owner := range slices.Sorted(maps.Keys(loads)) {
		if owner != l.me && len(loads[owner]) > len(most) {
			most = loads[owner]
		}
	}
	// Who is just at the share gives one up only to who lacks two or more.
	if len(most) > share || len(most) == share && need > 1 {
		return []mes.Shard{most[backoff.Chance(ctx, int64(len(most)))]}, 1, true
	}
	return nil, 0, false
}

// forget removes the leases of shards that the stream no longer has. It is only
// tidying up: what fails is tried by the next replica that starts.
func (l *leases) forget(ctx context.Context, gone []string) {
	for _, id := range gone {
		delete(l.seen, id)
		if err := l.remove(ctx, id); err != nil {
			l.logger.LogAttrs(ctx, slog.LevelInfo, "a lease that is over could not be removed", slog.String("shard", id), slog.Any("error", public(err)))
		}
	}
}

// keep renews the leases until ctx ends.
func (l *leases) keep(ctx context.Context) {
	ticker := time.NewTicker(l.duration / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var renewals sync.WaitGroup
		for _, c := range l.due() {
			renewals.Go(func() { c.renew(ctx) })
		}
		renewals.Wait()
	}
}

// due returns the leases that are to be renewed.
func (l *leases) due() (due []*lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.held {
		if c.isDue() {
			due = append(due, c)
		}
	}
	return due
}

func (l *leases) drop(c *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[c.id] == c {
		delete(l.held, c.id)
	}
}
