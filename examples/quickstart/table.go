package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/smithy-go"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/runner"
)

// A place is a table and its change stream.
type place struct {
	table   driver.Table
	changes func() mes.ChangeSource
	options []runner.Option // for who reads the changes
	close   func() error
}

// open opens the table that the flags name.
func (s *settings) open(ctx context.Context) (*place, error) {
	if s.dynamodb != "" {
		return openDynamoDB(ctx, s.dynamodb, s.endpoint)
	}
	return openFile(s.db)
}

// openFile opens the table in a file; "" is a temporary one.
func openFile(path string) (*place, error) {
	remove := func() error { return nil }
	if path == "" {
		folder, err := os.MkdirTemp("", "quickstart-*")
		if err != nil {
			return nil, err
		}
		path, remove = filepath.Join(folder, "events.db"), func() error { return os.RemoveAll(folder) }
	}
	table, err := boltstore.Open(path)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return &place{
		table:   table,
		changes: func() mes.ChangeSource { return table.Changes("quickstart") },
		close:   func() error { return errors.Join(table.Close(), remove()) },
	}, nil
}

// openDynamoDB makes a table in DynamoDB if it is not there, and one beside it for
// how far the trigger has come in its stream.
func openDynamoDB(ctx context.Context, name, endpoint string) (*place, error) {
	cfg, hangUp, err := configure(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	client, leases := dynamodb.NewFromConfig(cfg), name+"-leases"
	if err := provision(ctx, client, name, leases); err != nil {
		hangUp()
		return nil, fmt.Errorf("make the tables: %w", err)
	}
	table := dynamostore.New(client, name)
	return &place{
		table:   table,
		changes: func() mes.ChangeSource { return runner.DynamoDBStream(dynamodbstreams.NewFromConfig(cfg), name) },
		options: []runner.Option{runner.WithLeases(client, leases), runner.WithConsumer("quickstart")},
		close: func() error {
			defer hangUp()
			return table.Close()
		},
	}, nil
}

// How long is waited for a server that does not answer, and for it to make the
// tables.
const (
	answerTime    = 30 * time.Second
	provisionTime = 2 * time.Minute
)

// provision makes the tables. A wrong address is the commonest mistake, so it asks
// first whether anybody is there.
func provision(ctx context.Context, client *dynamodb.Client, name, leases string) error {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err := client.DescribeTable(asking, &dynamodb.DescribeTableInput{TableName: &name})
	var answer smithy.APIError
	if err != nil && !errors.As(err, &answer) {
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, provisionTime)
	defer cancel()
	if err := dynamostore.Provision(ctx, client, name); err != nil {
		return needed(err)
	}
	return runner.ProvisionLeases(ctx, client, leases)
}

// needed adds what is to be done where the server lacks the stream or TTL: this
// program can do without neither, whatever options there are.
func needed(err error) error {
	var refused *dynamostore.Error
	if errors.As(err, &refused) && strings.HasPrefix(refused.Operation, "Update") && (refused.Code == "ValidationException" || refused.Code == "UnknownOperationException") {
		return fmt.Errorf("%w (this program reads the table's stream and lets events expire: give -endpoint a server that has streams and TTL)", err)
	}
	return err
}

// configure is config.LoadDefaultConfig, with connections that can be closed in the
// end.
func configure(ctx context.Context, endpoint string) (cfg aws.Config, hangUp func(), err error) {
	var options []func(*config.LoadOptions) error
	if endpoint != "" {
		options = append(options, config.WithBaseEndpoint(endpoint))
		if os.Getenv("AWS_ACCESS_KEY_ID") == "" { // an emulator takes any
			options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("none", "none", "")))
		}
		if os.Getenv("AWS_REGION") == "" {
			options = append(options, config.WithRegion("us-east-1"))
		}
	}
	if cfg, err = config.LoadDefaultConfig(ctx, options...); err != nil {
		return cfg, nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		transport = client.GetTransport() // with the certificates that the environment names
	}
	transport.MaxIdleConnsPerHost = 32 // as many as there are requests at once
	cfg.HTTPClient = &http.Client{Transport: transport}
	return cfg, transport.CloseIdleConnections, nil
}
