package boltstore

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Defaults of the options.
const (
	DefaultSweepInterval = time.Minute
	DefaultRetention     = 24 * time.Hour
)

// An Option changes how [Open] sets up a table. Only this package makes options.
type Option interface{ apply(*config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

type config struct {
	sweepInterval time.Duration
	retention     time.Duration
	logger        *slog.Logger

	// Hooks for tests.
	now    func() time.Time
	noSync bool
}

// WithSweepInterval sets how long the background sweep rests between two runs:
// [DefaultSweepInterval] unless set. 0 means no background sweep, and then
// somebody must call [Table.Sweep] now and again, or neither expired items nor
// old changes ever go. A negative interval is an error.
func WithSweepInterval(interval time.Duration) Option {
	return option(func(c *config) { c.sweepInterval = interval })
}

// WithRetention sets for how long a change is kept at least:
// [DefaultRetention] unless set. It is kept for longer while a live consumer has
// not acknowledged it. With 0 a change goes at the next sweep after all live
// consumers have it. A negative retention is an error.
func WithRetention(retention time.Duration) Option {
	return option(func(c *config) { c.retention = retention })
}

// WithLogger sets where the background sweep reports what it removed (debug)
// and what kept it from its work (warning). nil, the default, is silent. Neither
// keys nor payloads are ever logged.
func WithLogger(logger *slog.Logger) Option {
	return option(func(c *config) { c.logger = logger })
}

func newConfig(opts []Option) (config, error) {
	c := config{
		sweepInterval: DefaultSweepInterval,
		retention:     DefaultRetention,
		now:           time.Now,
	}
	var errs []error
	for _, o := range opts {
		if o == nil {
			errs = append(errs, errors.New("an option is nil"))
			continue
		}
		o.apply(&c)
	}
	if c.sweepInterval < 0 {
		errs = append(errs, fmt.Errorf("WithSweepInterval(%v): it must not be negative; 0 turns the background sweep off", c.sweepInterval))
	}
	if c.retention < 0 {
		errs = append(errs, fmt.Errorf("WithRetention(%v): it must not be negative", c.retention))
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}
