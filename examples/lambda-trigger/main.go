// Lambda-trigger is a Lambda function that is called with the history of a hash key
// whenever something is added to it: the trigger of a micro event store. Folder
// examples/deploy has templates of all that it needs.
//
// What it does with a history stands in decide: it logs when all the events that
// EVENT_TYPES names are there. Put your own logic in its place.
//
// It is set up by environment variables:
//
//	TABLE_NAME         the table of the events, whose stream calls this function
//	FAULTS_TABLE_NAME  a table of the same kind, for changes that can never succeed;
//	                   without it they are tried again for as long as the event
//	                   source mapping says, and then go to its on-failure destination
//	EVENT_TYPES        the types to wait for, with commas between them
//	ON_EXPIRY          true: it is also called for events that have been removed, such
//	                   as by the TTL; the filter of the mapping says which
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

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

// decide returns the business logic. It is called at least once for each event that
// is added, also when what it looks for was there before: what it does is to be
// idempotent. A history is data: this logs the keys and ids of yours.
func decide(types []string, logger *slog.Logger) mes.Handler {
	return func(ctx context.Context, m *mes.MicroEventStore) error {
		logger.InfoContext(ctx, "history", "hashKey", m.HashKey, "current", m.Current.ID, "events", len(m.Events))
		if len(types) > 0 && m.Has(types...) {
			logger.InfoContext(ctx, "complete", "hashKey", m.HashKey)
		}
		return nil
	}
}

func newHandler(ctx context.Context, getenv func(string) string, logger *slog.Logger) (*lambdahandler.DynamoDBHandler, error) {
	if getenv("TABLE_NAME") == "" {
		return nil, errors.New("TABLE_NAME is not set")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the configuration of AWS: %w", err)
	}
	client := dynamodb.NewFromConfig(cfg)
	store, err := mes.New(dynamostore.New(client, getenv("TABLE_NAME")), mes.WithLogger(logger))
	if err != nil {
		return nil, err
	}
	var opts []mes.TriggerOption
	if name := getenv("FAULTS_TABLE_NAME"); name != "" {
		set, err := faults.NewStore(dynamostore.New(client, name))
		if err != nil {
			return nil, err
		}
		opts = append(opts, mes.WithFaultHandler(logged(faults.Save(set, "trigger", faults.WithPayload()), logger)))
	}
	if getenv("ON_EXPIRY") == "true" {
		opts = append(opts, mes.OnKinds(mes.Inserted, mes.Removed))
	}
	trigger := mes.NewTrigger(store, decide(list(getenv("EVENT_TYPES")), logger), opts...)
	return lambdahandler.DynamoDB(trigger, lambdahandler.WithLogger(logger)), nil
}

// logged logs what is set aside: where it was and why, which holds nothing of what is
// in it.
func logged(setAside mes.FaultHandler, logger *slog.Logger) mes.FaultHandler {
	return func(ctx context.Context, fault mes.Fault) error {
		if err := setAside(ctx, fault); err != nil {
			return err
		}
		meta := &fault.Change.Meta
		logger.ErrorContext(ctx, "set aside", "kind", fault.Change.Kind.String(), "shard", meta.Shard, "sequenceNumber", meta.SequenceNumber, "error", fault.Err.Error())
		return nil
	}
}

func list(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
