package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	mes "github.com/microeventstore/microeventstore"
)

// A lease is one that this replica has taken. Each of its writes asks that owner
// and counter are still what they were after the last one, and moves the counter
// on. So a write that comes too late, because the replica slept or the network
// held it back, changes nothing once somebody else has taken the lease.
type lease struct {
	leases *leases
	id     string // of the shard
	begin  mes.Position

	turn    chan struct{} // holds a token: one write at a time
	counter int64         // of the row; whoever has the turn
	refused sync.Once     // said once that it was

	mu     sync.Mutex
	at     time.Time     // when the last write that succeeded was begun
	expiry *time.Timer   // ends the lease if nothing renews it
	over   chan struct{} // closed when it may no longer be worked under
	isOver bool
	fenced bool // somebody else has it
	isLeft bool // given back
}

// acquire takes a lease as it was last seen, and returns nil if somebody else was
// faster.
func (l *leases) acquire(ctx context.Context, s mes.Shard) (claim, error) {
	row := l.seen[s.ID]
	c := &lease{leases: l, id: s.ID, counter: row.counter, turn: make(chan struct{}, 1), over: make(chan struct{})}
	values := attributes{
		":me": text(l.me), ":next": number(row.counter + 1),
		":oldest": text(checkpointOldest), ":zero": number(0), ":switch": number(0),
	}
	update := "SET #owner = :me, #counter = :next, #checkpoint = if_not_exists(#checkpoint, :oldest)" +
		", #sub = if_not_exists(#sub, :zero), #switches = if_not_exists(#switches, :zero) + :switch"
	names := map[string]string{
		"#owner": attributeOwner, "#counter": attributeCounter, "#checkpoint": attributeCheckpoint,
		"#sub": attributeSubSequence, "#switches": attributeSwitches,
	}
	condition := "#counter = :seen AND attribute_not_exists(#owner)"
	switch {
	case !row.exists:
		condition = "attribute_not_exists(#key)"
		names["#key"] = attributeKey
		if len(s.Parents) > 0 {
			update += ", #parents = :parents"
			names["#parents"] = attributeParents
			values[":parents"] = &types.AttributeValueMemberSS{Value: s.Parents}
		}
	case row.owner != "":
		condition = "#counter = :seen AND #owner = :owner"
		values[":owner"], values[":switch"] = text(row.owner), number(1)
	}
	if row.exists {
		values[":seen"] = number(row.counter)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	taken, refused, err := c.write(ctx, update, condition, names, values)
	switch {
	case err != nil:
		return nil, err
	case refused && taken.owner != l.me: // else it is this very write, whose answer was lost
		return nil, nil //nolint:nilnil // nothing is wrong, and there is no claim
	}
	c.counter, c.begin, c.at = taken.counter, taken.done, began
	c.mu.Lock()
	c.expiry = time.AfterFunc(l.duration-time.Since(began), c.expire)
	c.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[s.ID] = c
	return c, nil
}

// write makes one conditional write, and returns the row as it is then. refused
// says that the condition did not hold. With an error the write may have been
// made or not, which the next one finds out.
func (c *lease) write(ctx context.Context, update, condition string, names map[string]string, values attributes) (row leaseRow, refused bool, err error) {
	l := c.leases
	got, err := l.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           aws.String(l.table),
		Key:                                 attributes{attributeKey: text(l.key(c.id))},
		UpdateExpression:                    aws.String(update),
		ConditionExpression:                 aws.String(condition),
		ExpressionAttributeNames:            names,
		ExpressionAttributeValues:           values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}, leaseOnce)
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		if row, err = decodeLease(failed.Item); err != nil { // not every server returns it
			row, err = c.look(ctx)
		}
		return row, true, err
	}
	if err != nil {
		return row, false, err
	}
	row, err = decodeLease(got.Attributes)
	if next, ok := values[":next"].(*types.AttributeValueMemberN); err != nil || !ok || strconv.FormatInt(row.counter, 10) != next.Value {
		return leaseRow{}, false, fmt.Errorf("%w: what was written is not in it", mes.ErrCorrupt)
	}
	return row, false, nil
}

// look reads the row.
func (c *lease) look(ctx context.Context) (leaseRow, error) {
	rows, err := c.leases.rows(ctx, []mes.Shard{{ID: c.id}})
	if err != nil {
		return leaseRow{}, err
	}
	return rows[c.id], nil
}

// change makes a write of who has the lease. done tells whether a row shows that
// the write has been made already.
func (c *lease) change(ctx context.Context, update string, names map[string]string, values attributes, done func(leaseRow) bool) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.isFenced() || c.left() { // a renewal may come behind a release
		return errLost
	}
	names["#owner"], names["#counter"] = attributeOwner, attributeCounter
	values[":me"] = text(c.leases.me)
	for {
		began := time.Now()
		values[":mine"], values[":next"] = number(c.counter), number(c.counter+1)
		row, refused, err := c.write(ctx, update, "#owner = :me AND #counter = :mine", names, values)
		switch {
		case err != nil:
			return err
		case !refused || done(row):
			c.counter = row.counter
			c.extend(began)
			if row.owner == "" {
				c.leave()
			}
			return nil
		case row.owner != c.leases.me || row.counter <= c.counter:
			c.fence(ctx, row.owner)
			return errLost
		}
		// Nobody else writes this owner's name: an earlier write has landed whose
		// answer was lost. This one is made on top of it.
		c.counter = row.counter
	}
}

func never(leaseRow) bool { return false }

// renew tries until it works, or there is no point in it any more: the lease ran
// out, or a checkpoint has renewed it meanwhile.
func (c *lease) renew(ctx context.Context) {
	renewing, cancel := context.WithTimeout(ctx, c.leases.duration*3/10) // over before the next two are due
	defer cancel()
	for failures := 1; ; failures++ {
		err := c.change(renewing, "SET #counter = :next", map[string]string{}, attributes{}, never)
		switch {
		case err == nil, errors.Is(err, errLost), ctx.Err() != nil:
			return
		case renewing.Err() != nil || c.leases.retry.Wait(renewing, failures) != nil:
			c.leases.logger.LogAttrs(ctx, slog.LevelWarn, "a lease could not be renewed and will be tried again", slog.String("shard", c.id), slog.Any("error", public(err)))
			return
		case !c.isDue():
			return
		}
	}
}

func (c *lease) checkpoint(ctx context.Context, done mes.Position) error {
	err := c.set(ctx, done.SequenceNumber, done.SubSequence, "", never)
	if errors.Is(err, errLost) {
		c.refused.Do(func() {
			c.leases.logger.LogAttrs(ctx, slog.LevelWarn, "a checkpoint was refused, since another replica has the lease", slog.String("shard", c.id))
		})
	}
	return err
}

func (c *lease) end(ctx context.Context, _ mes.Position) error {
	return c.set(ctx, checkpointEnd, 0, " REMOVE #owner", func(row leaseRow) bool { return row.ended })
}

func (c *lease) set(ctx context.Context, checkpoint string, sub int64, more string, done func(leaseRow) bool) error {
	return c.change(ctx, "SET #checkpoint = :checkpoint, #sub = :sub, #switches = :zero, #counter = :next"+more,
		map[string]string{"#checkpoint": attributeCheckpoint, "#sub": attributeSubSequence, "#switches": attributeSwitches},
		attributes{":checkpoint": text(checkpoint), ":sub": number(sub), ":zero": number(0)}, done)
}

func (c *lease) release(ctx context.Context) error {
	if c.left() {
		return nil
	}
	err := c.change(ctx, "SET #counter = :next REMOVE #owner", map[string]string{}, attributes{},
		func(row leaseRow) bool { return row.owner == "" })
	if errors.Is(err, errLost) {
		c.leave()
	}
	return err
}

// remove removes the lease of a shard that the stream no longer has, unless somebody
// has it: to whoever reads the shard it is not gone.
func (l *leases) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := l.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: aws.String(l.table), Key: attributes{attributeKey: text(l.key(id))},
		ConditionExpression:      aws.String("attribute_not_exists(#owner)"),
		ExpressionAttributeNames: map[string]string{"#owner": attributeOwner},
	})
	if isA[*types.ConditionalCheckFailedException](err) {
		return nil
	}
	return err
}
