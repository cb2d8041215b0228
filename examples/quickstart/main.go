// Quickstart shows the whole of a micro event store on one machine, without any
// server: a listener takes events off a stream (here, the lines of a file), saves
// them in a table (one file), and a trigger reads back the history of each key
// that has changed. With -dynamodb the table is one in Amazon DynamoDB, or in
// whatever speaks its API.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -dynamodb events -endpoint http://localhost:8000
//	go run ./examples/quickstart -h
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/runner"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // so that "| head" is an error, and the table is closed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second one ends it at once
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case errors.Is(err, errNobodyReads):
		os.Exit(128 + int(syscall.SIGPIPE)) // in silence, as programs do that the signal ends
	default:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

var (
	// errUsage says that the flags are wrong, and that this has been printed.
	errUsage = errors.New("usage")

	// errNobodyReads says that whoever read standard output has gone.
	errNobodyReads = errors.New("nobody reads the output any more")
)

// settings are what the flags say.
type settings struct {
	events   string
	db       string
	dynamodb string
	endpoint string
	types    *regexp.Regexp
	hash     string
	ttl      time.Duration
	json     bool
}

const seeHelp = "see quickstart -h"

func parseFlags(args []string, stderr io.Writer) (*settings, error) {
	var s settings
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.events, "events", "", "read events from `FILE`, one JSON object a line; - is standard input (default: a sample of GitHub webhooks)")
	flags.StringVar(&s.db, "db", "", "keep the table in `FILE` (default: a temporary one, removed in the end)")
	flags.StringVar(&s.dynamodb, "dynamodb", "", "keep the table in DynamoDB, as `TABLE`, which is made if it is not there (and TABLE-leases beside it)")
	flags.StringVar(&s.endpoint, "endpoint", "", "use the DynamoDB at `URL` (default: AWS, as its environment variables and files say)")
	types := flags.String("types", "", "collect only events whose type matches `REGEXP` (default: all)")
	flags.StringVar(&s.hash, "hash", "", "collate by the `FIELD` at a path, such as tags.user (default: the partition key)")
	flags.DurationVar(&s.ttl, "ttl", 0, "let events expire that `DURATION` after they happened, such as 720h (default: never)")
	flags.BoolVar(&s.json, "json", false, "print a line of JSON for each call of the trigger")
	flags.Usage = func() {}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "Usage of quickstart:")
			flags.PrintDefaults()
			return nil, err
		}
		fmt.Fprintln(stderr, seeHelp)
		return nil, errUsage
	}
	wrong := func(format string, values ...any) (*settings, error) {
		fmt.Fprintf(stderr, format+"\n"+seeHelp+"\n", values...)
		return nil, errUsage
	}
	if flags.NArg() > 0 {
		return wrong("there are %d arguments too many; events come from -events FILE", flags.NArg())
	}
	var empty string
	flags.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" {
			empty = f.Name
		}
	})
	if empty != "" {
		return wrong("-%s: it is empty; leave the flag out for its default", empty)
	}
	if s.dynamodb != "" && s.db != "" {
		return wrong("-db and -dynamodb: the table can be in one place alone")
	}
	if s.endpoint != "" && s.dynamodb == "" {
		return wrong("-endpoint is for -dynamodb alone")
	}
	if s.endpoint != "" && !isWebAddress(s.endpoint) {
		return wrong("-endpoint: %q is not the address of a server, such as http://localhost:8000", s.endpoint)
	}
	if s.hash != "" && slices.Contains(strings.Split(s.hash, "."), "") {
		return wrong("-hash: %q has a name in it that is empty; write names with one dot between them, such as tags.user", s.hash)
	}
	if s.ttl < 0 {
		return wrong("-ttl: %v is negative", s.ttl)
	}
	if *types != "" {
		var err error
		if s.types, err = regexp.Compile(*types); err != nil {
			return wrong("-types: %v", err)
		}
	}
	return &s, nil
}

// run is the program. What belongs to the story goes to stdout, what went wrong
// to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	settings, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	stdout = output{stdout}
	events, live, err := open(settings.events, stdin)
	if err != nil {
		return err
	}
	defer events.Close()
	place, err := settings.open(ctx)
	if err != nil {
		return err
	}
	summary := new(summary)
	err = collect(ctx, settings, place, batches(ctx, events, live), summary, stdout, stderr)
	if err := errors.Join(err, place.close()); err != nil {
		return err
	}
	if settings.json {
		stdout = stderr // which holds nothing but lines of JSON
	}
	return summary.print(stdout)
}

// collect is what a service does with this library.
func collect(ctx context.Context, settings *settings, place *place, batches iter.Seq2[[]mes.Record, error], summary *summary, stdout, stderr io.Writer) error {
	hashKey := mes.PartitionKey()
	if settings.hash != "" {
		hashKey = mes.Field(settings.hash)
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := mes.New(place.table,
		mes.WithLogger(logger),
		mes.WithHashKey(hashKey),
		mes.WithTTL(policy(settings.ttl)),
		mes.WithObserver(summary))
	if err != nil {
		return err
	}

	var filter mes.Filter // nil: all
	if settings.types != nil {
		filter = mes.TypeMatches(settings.types)
	}
	listener := mes.NewListener(store, filter,
		mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
			_, err := fmt.Fprintf(stderr, "line %s is set aside: %v\n", fault.Record.Meta.SequenceNumber, fault.Err)
			return err
		}))

	show := showHistory
	if settings.json {
		show = showJSON
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		err := show(stdout, m)
		if err != nil {
			cancel(err) // nobody is looking any more: do not try again
		}
		return err
	}, mes.WithConcurrency(1), // one history after the other on the screen
		mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
			_, err := fmt.Fprintf(stderr, "a change of %q is set aside: %v\n", fault.Change.HashKey, fault.Err)
			return err
		}))
	fire := func() error {
		options := append([]runner.Option{runner.UntilCaughtUp(), runner.WithLogger(logger)}, place.options...)
		return runner.Trigger(ctx, place.changes(), trigger, options...)
	}
	if err := fire(); err != nil { // what an earlier run has left
		return err
	}

	for records, err := range batches {
		if err != nil {
			return err
		}
		if err := listener.Handle(ctx, records); err != nil {
			return err
		}
		if err := fire(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func policy(ttl time.Duration) mes.TTLPolicy {
	if ttl == 0 {
		return mes.NeverExpire()
	}
	return mes.ExpireAfter(ttl)
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// An output is one of which the reader may go, as that of "| head" does.
type output struct{ io.Writer }

func (o output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("%w: %w", errNobodyReads, err)
	}
	return n, err
}
