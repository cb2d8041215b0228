// Lambda-listener is a Lambda function that collects the events of a Kinesis stream in
// a table: the listener of a micro event store. Folder examples/deploy has templates
// of all that it needs.
//
// It is set up by environment variables:
//
//	TABLE_NAME         the table of the events
//	FAULTS_TABLE_NAME  a table of the same kind, for records that can never succeed;
//	                   without it they are tried again for as long as the event
//	                   source mapping says, and then go to its on-failure destination
//	EVENT_TYPES        a regular expression that the events' types match; all if empty
//	RETENTION          how long an event is kept, such as 792h; "never" for ever (the
//	                   default is 33 days)
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	handler, err := newHandler(context.Background(), os.Getenv, logger)
	if err != nil {
		logger.Error("the function cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(handler)
}

func newHandler(ctx context.Context, getenv func(string) string, logger *slog.Logger) (*lambdahandler.KinesisHandler, error) {
	filter, err := typeFilter(getenv("EVENT_TYPES"))
	ttl, ttlErr := retention(getenv("RETENTION"))
	err = errors.Join(err, ttlErr)
	if getenv("TABLE_NAME") == "" {
		err = errors.Join(err, errors.New("TABLE_NAME is not set"))
	}
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the configuration of AWS: %w", err)
	}
	client := dynamodb.NewFromConfig(cfg)
	store, err := mes.New(dynamostore.New(client, getenv("TABLE_NAME")), mes.WithTTL(ttl), mes.WithLogger(logger))
	if err != nil {
		return nil, err
	}
	var opts []mes.ListenerOption
	if name := getenv("FAULTS_TABLE_NAME"); name != "" {
		set, err := faults.NewStore(dynamostore.New(client, name))
		if err != nil {
			return nil, err
		}
		opts = append(opts, mes.WithFaultHandler(logged(faults.Save(set, "listener", faults.WithPayload()), logger)))
	}
	return lambdahandler.Kinesis(mes.NewListener(store, filter, opts...), lambdahandler.WithLogger(logger)), nil
}

// logged logs what is set aside: where it was and why, which holds nothing of what is
// in it.
func logged(setAside mes.FaultHandler, logger *slog.Logger) mes.FaultHandler {
	return func(ctx context.Context, fault mes.Fault) error {
		if err := setAside(ctx, fault); err != nil {
			return err
		}
		meta := &fault.Record.Meta
		logger.ErrorContext(ctx, "set aside", "shard", meta.Shard, "sequenceNumber", meta.SequenceNumber, "error", fault.Err.Error())
		return nil
	}
}

func typeFilter(pattern string) (mes.Filter, error) {
	if pattern == "" {
		return nil, nil
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("EVENT_TYPES: %w", err)
	}
	return mes.TypeMatches(compiled), nil
}

func retention(text string) (mes.TTLPolicy, error) {
	switch text {
	case "":
		return mes.ExpireAfter(mes.DefaultRetention), nil
	case "never":
		return mes.NeverExpire(), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return nil, errors.New("RETENTION is neither never nor a duration such as 792h")
	}
	return mes.ExpireAfter(d), nil
}
