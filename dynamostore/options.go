package dynamostore

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// An Option configures a table. [New], [Provision] and [Check] take the same
// options, so that one list of them says all about a table; each uses those that
// concern it and checks them all. Options come from this package alone.
type Option interface {
	apply(*config) error
}

type option func(*config) error

func (o option) apply(c *config) error { return o(c) }

// Defaults of the options.
const (
	DefaultParallelism    = 4
	DefaultAttemptTimeout = 5 * time.Second
	DefaultMaxAttempts    = 10
)

// AttributeNames are the names of an item's attributes. An empty one keeps its
// default, which is the name that the JavaScript Cloud Native Development
// Cookbook gives it.
type AttributeNames struct {
	HashKey   string // S, the table's HASH key; default partitionKey
	RangeKey  string // S, the table's RANGE key; default eventId
	Event     string // S, B or M, the event; default event
	Type      string // S, the event's type; default type
	Timestamp string // N, when it happened, in epoch milliseconds; default timestamp
	TTL       string // N, when it expires, in epoch seconds; default ttl
}

func (n *AttributeNames) fields() [6]*string {
	return [...]*string{&n.HashKey, &n.RangeKey, &n.Event, &n.Type, &n.Timestamp, &n.TTL}
}

// maxNameSize is the longest name of a key, in bytes; other attributes may have
// longer ones, which nobody should want. Source: "Quotas in Amazon DynamoDB".
const maxNameSize = 255

// WithAttributeNames sets the names of the attributes. They must differ from one
// another, be valid UTF-8 and have at most 255 bytes.
func WithAttributeNames(names AttributeNames) Option {
	return option(func(c *config) error {
		to := c.names.fields()
		for i, name := range names.fields() {
			if *name == "" {
				continue
			}
			if len(*name) > maxNameSize || !utf8.ValidString(*name) {
				return fmt.Errorf("WithAttributeNames: a name must be valid UTF-8 of at most %d bytes", maxNameSize)
			}
			*to[i] = *name
		}
		return nil
	})
}

// WithParallelism sets how many requests one Put, PutIfAbsent or Delete may have
// under way at once; the default is [DefaultParallelism], the least is 1. See
// [KeepTransport] for the connections that they take.
func WithParallelism(n int) Option {
	return option(func(c *config) error {
		if n < 1 {
			return errors.New("WithParallelism: it must be at least 1")
		}
		c.parallelism = n
		return nil
	})
}

// KeepTransport makes a table use the HTTP client of the SDK's client as it is.
//
// A call finds no idle connection if more calls have been under way at once than the
// client keeps idle for one host, and has to make a new one, with a TLS handshake.
// The SDK's own client keeps 10, Go's 2. So without this option a table has an HTTP
// client of its own, which is the same but keeps 100 idle connections for one host
// if the client is the SDK's own, and as many as [WithParallelism] says if it is an
// [*http.Client] of yours with an [*http.Transport] that keeps fewer. These are the
// table's alone, each for 90 s unless the client says otherwise, and Close closes
// them: make one table and keep it. Nor does that client follow redirections, which
// would take events to wherever they lead.
//
// A client of any other kind is used as it is: let it keep as many idle
// connections for one host as you make calls at once, and follow no redirections.
func KeepTransport() Option {
	return option(func(c *config) error {
		c.keepTransport = true
		return nil
	})
}

// WithAttemptTimeout sets how long one attempt of a request may take, its answer
// included; the default is [DefaultAttemptTimeout]. An attempt that takes longer
// is given up and made again. One that was given up may still be carried out later,
// after what was put since then. It must be more than zero.
//
// What has to come through in that time is an item of up to 400 KiB, or a page of 1
// MB, for each of the calls under way at once: of a large batch that takes longer,
// half is sent at a time.
func WithAttemptTimeout(d time.Duration) Option {
	return option(func(c *config) error {
		if d <= 0 {
			return errors.New("WithAttemptTimeout: it must be more than zero")
		}
		c.attemptTimeout = d
		return nil
	})
}

// WithMaxAttempts sets how often a request is made, the first time included, when
// the context has no deadline; the default is [DefaultMaxAttempts], which with
// the waits between takes about 6 s on average. With a deadline a request is made
// again until the deadline is near, however often. Attempts that stored a part of
// a batch do not count.
func WithMaxAttempts(n int) Option {
	return option(func(c *config) error {
		if n < 1 {
			return errors.New("WithMaxAttempts: it must be at least 1")
		}
		c.maxAttempts = n
		return nil
	})
}

// WithCompression compresses events of at least threshold bytes with zstd, where
// that makes them smaller; without it none is. They become binary attributes,
// which a person in the console cannot read. Every table reads compressed events,
// with this option or without, so switch it on only once all readers are of a
// version that can. Changing the threshold, or an upgrade of the compressor,
// makes other items of the same events: on redelivery the change stream shows a
// modification. threshold must be at least 1. It does not go with [AsMap].
//
// An event is at most 16 MiB before compression, and the item at most 400 KiB
// after it. [WithDictionaries] makes short events smaller still.
func WithCompression(threshold int) Option {
	return option(func(c *config) error {
		if threshold < 1 {
			return errors.New("WithCompression: the threshold must be at least 1")
		}
		c.threshold = threshold
		return nil
	})
}

// AsMap writes the event as a map, as JavaScript's DocumentClient does, so that
// code which follows the cookbook's recipe reads it; without it the event is the
// text of its JSON. Tables read both, with this option or without.
//
// A map cannot keep every byte. What is read back is JSON of the same value: no
// white space, members sorted by name, of members with one name only the last,
// numbers in DynamoDB's way of writing them (1.50 may become 1.5, 1e3 1000), an
// escape that is half of a character (\ud83d alone) as U+FFFD.
//
// An event that a map cannot hold is refused before the call, with an error
// that wraps [driver.ErrInvalidItem]: one that is not a JSON object in UTF-8, that nests
// deeper than 32 levels (the map itself is the first, and a string or number
// the last of those that it is in), or holds a number of more than 38 digits or
// outside DynamoDB's range, or a member without a name.
func AsMap() Option {
	return option(func(c *config) error {
		c.asMap = true
		return nil
	})
}

// WithStreamView sets what the table's change stream shall hold of each change,
// for [Provision] and [Check]; the default is NEW_AND_OLD_IMAGES, which is
// enough for any. A trigger needs NEW_IMAGE or NEW_AND_OLD_IMAGES; expiries
// carry their event only with the latter or with OLD_IMAGE.
func WithStreamView(view types.StreamViewType) Option {
	return option(func(c *config) error {
		if !slices.Contains(view.Values(), view) {
			return errors.New("WithStreamView: there is no such view type")
		}
		c.stream = view
		return nil
	})
}

// WithoutStream makes [Provision] create a table without a change stream, and
// lets [Check] pass one: for a table that no trigger reads, and for servers that
// have no streams.
func WithoutStream() Option {
	return option(func(c *config) error {
		c.stream = ""
		return nil
	})
}

// WithoutTTL makes [Provision] leave the table's TTL alone, and [Check] too: for
// events that never expire, and for servers that do not know TTL. Readers leave
// expired events out all the same.
func WithoutTTL() Option {
	return option(func(c *config) error {
		c.ttl = false
		return nil
	})
}

// A config is what the options say.
type config struct {
	names          AttributeNames
	parallelism    int
	attemptTimeout time.Duration
	maxAttempts    int
	threshold      int      // 0: no compression
	dictionaries   [][]byte // the first is the one to write with; empty: none
	asMap          bool
	codec          Codec
	keepTransport  bool
	lambdaStream   bool
	expire         *string              // nil: not set
	stream         types.StreamViewType // "": no stream
	ttl            bool
}

// newConfig returns all that is wrong with the options in one error.
func newConfig(client any, table string, opts []Option) (*config, error) {
	c := &config{
		names: AttributeNames{
			HashKey:   driver.AttributeHashKey,
			RangeKey:  driver.AttributeRangeKey,
			Event:     driver.AttributeEvent,
			Type:      driver.AttributeType,
			Timestamp: driver.AttributeTimestamp,
			TTL:       driver.AttributeTTL,
		},
		parallelism:    DefaultParallelism,
		attemptTimeout: DefaultAttemptTimeout,
		maxAttempts:    DefaultMaxAttempts,
		stream:         types.StreamViewTypeNewAndOldImages,
		ttl:            true,
	}
	var errs []error
	if isNil(client) {
		errs = append(errs, errors.New("the client is nil"))
	}
	if table == "" {
		errs = append(errs, errors.New("the table has no name"))
	}
	named := c.names
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		if err := opt.apply(c); err != nil {
			errs = append(errs, err)
		}
	}
	seen := make(map[string]bool)
	for _, name := range c.names.fields() {
		if seen[*name] {
			errs = append(errs, errors.New("WithAttributeNames: two attributes have one name"))
			break
		}
		seen[*name] = true
	}
	if c.lambdaStream {
		if c.names != named {
			errs = append(errs, errors.New("LambdaStreamLayout does not go with WithAttributeNames: its names are given"))
		}
		c.names = AttributeNames{
			HashKey: streamHashKey, RangeKey: streamRangeKey, Event: driver.AttributeEvent,
			Timestamp: driver.AttributeTimestamp, TTL: driver.AttributeTTL,
		}
		c.asMap = true
	} else if c.expire != nil {
		errs = append(errs, errors.New("WithExpire is for LambdaStreamLayout alone"))
	}
	if c.asMap && c.threshold > 0 {
		errs = append(errs, errors.New("AsMap and LambdaStreamLayout do not go with WithCompression: a map cannot be compressed"))
	}
	if c.threshold == 0 && len(c.dictionaries) > 0 && len(c.dictionaries[0]) > 0 {
		errs = append(errs, errors.New("WithDictionaries: writing with a dictionary takes WithCompression as well"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("dynamostore: %w", err)
	}
	return c, nil
}
