package microeventstore

import (
	"context"
	"errors"
)

// ErrTrimmed is wrapped by what a source returns when the stream no longer keeps
// what stood behind a position, or never knew the position. Reading can go on
// from the zero [Position], the oldest place that is kept; what lay between is
// lost to this reader.
var ErrTrimmed = errors.New("the stream does not keep what stood behind the position")

// A Shard is one ordered part of a stream.
type Shard struct {
	ID string
	// Parents are the shards that must be read to their end before this one is
	// begun; those that the stream no longer lists count as read.
	Parents []string
}

// A Position is a place in a shard: just behind the record that it names. The
// zero Position is the oldest place that the stream still keeps.
type Position struct {
	SequenceNumber string
	SubSequence    int64
}

// Position is the place just behind the record that the Meta belongs to.
func (m Meta) Position() Position {
	return Position{SequenceNumber: m.SequenceNumber, SubSequence: m.SubSequence}
}

// A RecordSource is a stream of records that a runner reads for a listener. It
// is implemented by whoever brings a new kind of stream. All methods are safe
// for use by many goroutines at once and honour their context.
type RecordSource interface {
	// Shards lists the shards that can be read, open and closed ones. With an
	// error it may return those that it found before it failed: they can be
	// read, and the reader lists the shards again for the rest.
	Shards(ctx context.Context) ([]Shard, error)
	// ReadRecords returns up to limit records behind a position, oldest first,
	// and more only where the stream delivers several in one that cannot be
	// taken apart. None and a nil error mean that there is nothing new just now.
	// end says that the shard is closed and that nothing will ever follow what
	// was returned. An error that wraps [ErrTrimmed] says that the position is
	// of no use any more. A source keeps to the read limits of its stream by
	// waiting here.
	ReadRecords(ctx context.Context, shard string, after Position, limit int) (records []Record, end bool, err error)
}

// A ChangeSource is a table's change stream, which a runner reads for a
// trigger. The rules of [RecordSource] hold.
type ChangeSource interface {
	// Shards lists the shards that can be read: see [RecordSource].
	Shards(ctx context.Context) ([]Shard, error)
	// ReadChanges is to changes what ReadRecords is to records.
	ReadChanges(ctx context.Context, shard string, after Position, limit int) (changes []Change, end bool, err error)
}

// A Checkpointer is a source that remembers for its consumer how far it has
// come, so that the consumer goes on from there after a restart.
type Checkpointer interface {
	// Checkpoint returns the position that was set last; the zero Position when
	// none was.
	Checkpoint(ctx context.Context, shard string) (Position, error)
	// SetCheckpoint records that everything up to a position is done. It has
	// been made durable when SetCheckpoint returns nil. A position before the
	// one that was set last changes nothing.
	SetCheckpoint(ctx context.Context, shard string, done Position) error
}

// A Waiter is a source that can tell when there is something new. A runner polls
// those that cannot.
type Waiter interface {
	// Wait returns nil when something may stand behind a position, and the
	// context's error when the context ends first.
	Wait(ctx context.Context, shard string, after Position) error
}

// A StoreBinder is a change source that needs the trigger's store to make changes
// of what its stream delivers: the images of items. A runner calls Bind before
// anything else, and reads what that returns.
type StoreBinder interface {
	// Bind returns a source whose changes hold the events of a store. The error
	// says that the store's table cannot decode what the stream delivers.
	Bind(store *Store) (ChangeSource, error)
}

// A NamedStream is a source that knows which stream it reads. A runner that keeps
// checkpoints for it puts them under that name, so that those of two streams
// whose shards are called the same do not mix.
type NamedStream interface {
	// StreamName is the same in every process, and different for each stream: an
	// ARN, or a name within an account and region. It holds no secrets.
	StreamName() string
}
