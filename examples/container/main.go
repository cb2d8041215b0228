// Command container is a listener and a trigger in one program, as a container
// runs them: it takes events off a Kinesis stream into a table of DynamoDB, and is
// told by the table's stream when an order is complete. Run as many replicas as you
// like; they share the shards of both streams.
//
// It is configured by the environment:
//
//	STREAM, TABLE, LEASES   names; LEASES is the table of the leases
//	ADDR                    where GET /healthz answers; :8080 by default
//	AWS_REGION, …           as for every program that uses the AWS SDK for Go;
//	                        AWS_ENDPOINT_URL_KINESIS and AWS_ENDPOINT_URL_DYNAMODB
//	                        lead to servers of your own
//
// SIGTERM makes it drain: it finishes what is in hand, records how far it has come,
// gives its shards back and ends with status 0. With -demo it makes stream and
// tables, publishes the events of one order, and ends once the order is complete.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/runner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A container is what one replica is made of.
type container struct {
	stream, table, leases string

	kinesis  *kinesis.Client
	dynamodb *dynamodb.Client
	changes  *dynamodbstreams.Client
	logger   *slog.Logger
	monitor  runner.Monitor
	ready    func(ctx context.Context, order *mes.MicroEventStore) error
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("container", flag.ContinueOnError)
	flags.SetOutput(stderr)
	demo := flags.Bool("demo", false, "make stream and tables, publish one order, and end when it is complete")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	c := &container{
		stream: getenv("STREAM"), table: getenv("TABLE"), leases: getenv("LEASES"),
		logger: slog.New(slog.NewJSONHandler(stderr, nil)),
	}
	if c.stream == "" || c.table == "" || c.leases == "" {
		return errors.New("set STREAM, TABLE and LEASES to the names of a Kinesis stream and two tables")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // as a rule
		transport := client.GetTransport()
		transport.MaxIdleConnsPerHost = 32 // as many as there are requests at once
		defer transport.CloseIdleConnections()
		cfg.HTTPClient = &http.Client{Transport: transport}
	}
	c.kinesis, c.dynamodb = kinesis.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	c.changes = dynamodbstreams.NewFromConfig(cfg, func(o *dynamodbstreams.Options) {
		// A server of your own answers for the table and for its stream.
		if endpoint := getenv("AWS_ENDPOINT_URL_DYNAMODB"); endpoint != "" && getenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS") == "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	c.ready = func(_ context.Context, order *mes.MicroEventStore) error {
		_, err := fmt.Fprintf(stdout, "%s is complete: %d events\n", order.HashKey, len(order.Events))
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if *demo {
		if err := c.demonstrate(ctx, stop); err != nil {
			return err
		}
	}
	addr := getenv("ADDR")
	if addr == "" {
		addr = ":8080"
	}
	return c.serve(ctx, addr)
}

// serve runs the listener, the trigger and the health check until ctx ends or one
// of them fails.
func (c *container) serve(ctx context.Context, addr string) error {
	store, err := mes.New(dynamostore.New(c.dynamodb, c.table), mes.WithLogger(c.logger))
	if err != nil {
		return err
	}
	listener := mes.NewListener(store, mes.Types("order-submitted", "payment-received", "order-packed"))
	trigger := mes.NewTrigger(store, func(ctx context.Context, m *mes.MicroEventStore) error {
		if m.Has("order-submitted", "payment-received", "order-packed") {
			return c.ready(ctx, m) // at least once: it must be idempotent
		}
		return nil
	})
	opts := []runner.Option{
		runner.WithLeases(c.dynamodb, c.leases), runner.WithLogger(c.logger), runner.WithMonitor(&c.monitor),
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	errs := make([]error, 3)
	for i, f := range []func() error{
		func() error { return runner.Listen(ctx, runner.Kinesis(c.kinesis, c.stream), listener, opts...) },
		func() error { return runner.Trigger(ctx, runner.DynamoDBStream(c.changes, c.table), trigger, opts...) },
		func() error { return c.serveHealth(ctx, addr) },
	} {
		running.Go(func() {
			defer stop() // where one ends, all do
			errs[i] = f()
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
