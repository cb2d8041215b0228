package runner

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
)

// replicaVariable makes the test's program a replica: see replicaMain.
const replicaVariable = "MES_TEST_REPLICA"

// A replicaConfig is what a replica is told, as JSON in replicaVariable.
type replicaConfig struct {
	Kinesis, DynamoDB     string // endpoints
	Stream, Table, Leases string
	Lease                 time.Duration
}

func (c *replicaConfig) clients() (*kinesis.Client, *dynamodb.Client, *dynamodbstreams.Client) {
	at := func(endpoint string) aws.Config {
		return aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(endpoint), Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	}
	return kinesis.NewFromConfig(at(c.Kinesis)), dynamodb.NewFromConfig(at(c.DynamoDB)), dynamodbstreams.NewFromConfig(at(c.DynamoDB))
}

func (c *replicaConfig) store(log *slog.Logger) (*mes.Store, error) {
	_, client, _ := c.clients()
	return mes.New(dynamostore.New(watchTables(client, &called.table), c.Table), mes.WithTTL(mes.NeverExpire()), mes.WithObserver(observer(func(stats mes.BatchStats) {
		if stats.Operation == mes.OperationListen {
			log.Info("listened", slog.Int("events", stats.Read-stats.Failed))
		}
	})))
}

// replicaMain runs a listener and a trigger until SIGTERM, as a container does,
// and writes what happens to standard output.
func replicaMain() int {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if err := runReplica(log); err != nil {
		log.Error("the replica failed", slog.Any("error", err))
		return 1
	}
	log.Info("the replica has drained")
	return 0
}

func runReplica(log *slog.Logger) error {
	var c replicaConfig
	if err := json.Unmarshal([]byte(os.Getenv(replicaVariable)), &c); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	streams, tables, changes := c.clients()
	store, err := c.store(log)
	if err != nil {
		return err
	}
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		log.Info("handled", slog.String("key", m.HashKey), slog.String("current", m.Current.ID), slog.Int("events", len(m.Events)))
		return nil
	})
	opts := []Option{
		WithLogger(log), WithLeases(watchTables(tables, &called.leases), c.Leases, LeaseDuration(c.Lease)),
		WithPollInterval(200 * time.Millisecond), WithBatchSize(50), WithDiscoveryInterval(2 * time.Second),
		WithCheckpointInterval(3 * time.Second), // so that a replica that is killed has something to repeat
	}
	var both sync.WaitGroup
	var listened, triggered error
	both.Go(func() {
		defer stop()
		listened = Listen(ctx, Kinesis(watchKinesis(streams, &called.kinesis), c.Stream), mes.NewListener(store, nil), opts...)
	})
	both.Go(func() {
		defer stop()
		triggered = Trigger(ctx, DynamoDBStream(watchStreams(changes, &called.streams), c.Table), trigger, opts...)
	})
	both.Wait()
	return errors.Join(listened, triggered, called.check(false))
}
