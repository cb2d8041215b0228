package lambdahandler

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/internal/eventsourcemapping"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
	"github.com/microeventstore/microeventstore/internal/lambdaruntime"
)

// The servers of the integration tests, and what the test makes on them.
type pipeline struct {
	kinesis  *kinesis.Client
	dynamo   *dynamodb.Client
	streams  *dynamodbstreams.Client
	endpoint string

	stream, table, faults string
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	endpoints := make([]string, 2)
	for i, name := range []string{"MES_KINESIS_ENDPOINT", "MES_DYNAMODB_ENDPOINT"} {
		if endpoints[i] = os.Getenv(name); endpoints[i] == "" {
			t.Skip(name + " is not set to the address of a server: make integration does that")
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 10} // with fewer the table would keep its own
	t.Cleanup(transport.CloseIdleConnections)
	config := aws.Config{
		HTTPClient: &http.Client{Transport: transport}, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	on := func(endpoint string) aws.Config {
		config := config
		config.BaseEndpoint = aws.String(endpoint)
		return config
	}
	name := fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
	p := &pipeline{
		kinesis: kinesis.NewFromConfig(on(endpoints[0])), dynamo: dynamodb.NewFromConfig(on(endpoints[1])),
		streams: dynamodbstreams.NewFromConfig(on(endpoints[1])), endpoint: endpoints[1],
		stream: name, table: name, faults: name + "-faults",
	}
	_, err := p.kinesis.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, _ = p.kinesis.DeleteStream(context.Background(), &kinesis.DeleteStreamInput{StreamName: &name})
		for _, table := range []string{p.table, p.faults} {
			_, _ = p.dynamo.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &table})
		}
	})
	tables := p.watched(&called.table)
	require.NoError(t, dynamostore.Provision(t.Context(), tables, p.table))
	require.NoError(t, dynamostore.Provision(t.Context(), tables, p.faults, dynamostore.WithoutStream()))
	for {
		d, err := p.kinesis.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		require.NoError(t, err)
		if d.StreamDescriptionSummary.StreamStatus == kinesistypes.StreamStatusActive {
			return p
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// watched returns a client whose calls are noted.
func (p *pipeline) watched(watch *iampolicy.Watch) *dynamodb.Client {
	return dynamodb.New(p.dynamo.Options(), func(o *dynamodb.Options) { o.HTTPClient = watch.Client(o.HTTPClient) })
}

// function builds an example and starts it. Its output ends up in the file that is
// returned.
func (p *pipeline) function(t *testing.T, example string, watches []*iampolicy.Watch, env ...string) (*lambdaruntime.Function, string) {
	t.Helper()
	directory := t.TempDir()
	binary := build(t, directory, example)
	output, err := os.Create(filepath.Join(directory, "output"))
	require.NoError(t, err)
	endpoint, stop, err := iampolicy.Proxy(p.endpoint, watches...)
	require.NoError(t, err)
	t.Cleanup(stop)
	function, err := lambdaruntime.Start(binary, time.Minute, output, append([]string{
		"AWS_ENDPOINT_URL_DYNAMODB=" + endpoint, "TABLE_NAME=" + p.table, "FAULTS_TABLE_NAME=" + p.faults,
	}, env...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, function.Close())
		require.NoError(t, output.Close())
	})
	return function, output.Name()
}

// build builds an example as it is deployed, but for what would build everything that
// it is made of once more (CGO_ENABLED=0, -trimpath).
func build(t testing.TB, directory, example string) string {
	t.Helper()
	binary := filepath.Join(directory, "bootstrap")
	command := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", binary, "../examples/"+example)
	said, err := command.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return binary
}

// webhooks returns the lines of the sample.
func webhooks(t testing.TB) (lines []string) {
	t.Helper()
	file, err := os.Open("../testdata/github-webhooks.ndjson.gz")
	require.NoError(t, err)
	defer file.Close()
	reader, err := gzip.NewReader(file)
	require.NoError(t, err)
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	require.NoError(t, scanner.Err())
	require.Len(t, lines, 329)
	return lines
}

// poisons are records that can never become events of the table.
func poisons() []string {
	return []string{
		"no JSON",
		`{"id":"1","type":"issues-opened","timestamp":1557933622847}`,
		"\xf3\x89\x9a\xc2 an aggregate that is none",
		"\x1f\x8b\x08 gzip that is none",
		`{"id":"2","type":"issues-opened","timestamp":1557933622847,"partitionKey":"k","text":"` + strings.Repeat("x", 410_000) + `"}`,
	}
}

// put puts all records into the stream, the poison among the events, and into both
// shards.
func (p *pipeline) put(t *testing.T, lines, poison []string) {
	t.Helper()
	var entries []kinesistypes.PutRecordsRequestEntry
	for i, line := range lines {
		e, err := mes.Parse([]byte(line))
		require.NoError(t, err)
		entries = append(entries, kinesistypes.PutRecordsRequestEntry{Data: []byte(line), PartitionKey: &e.PartitionKey})
		if at := i / 60; i%60 == 30 && at < len(poison) {
			entry := kinesistypes.PutRecordsRequestEntry{Data: []byte(poison[at]), PartitionKey: aws.String(fmt.Sprint("poison-", at)), ExplicitHashKey: aws.String("0")}
			if at%2 == 1 {
				entry.ExplicitHashKey = aws.String("340282366920938463463374607431768211455") // the last of all
			}
			entries = append(entries, entry)
		}
	}
	require.Len(t, entries, len(lines)+len(poison))
	for len(entries) > 0 {
		n := min(len(entries), 100)
		out, err := p.kinesis.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: &p.stream, Records: entries[:n]})
		require.NoError(t, err)
		require.Zero(t, aws.ToInt32(out.FailedRecordCount))
		entries = entries[n:]
	}
}

// A kinesisShard is a shard of the stream, for an event source mapping.
type kinesisShard struct {
	*pipeline
	id string
}

func (s *kinesisShard) Read(ctx context.Context, after string, limit int) ([]eventsourcemapping.Record, error) {
	input := &kinesis.GetShardIteratorInput{StreamName: &s.stream, ShardId: &s.id, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon}
	if after != "" {
		input.ShardIteratorType, input.StartingSequenceNumber = kinesistypes.ShardIteratorTypeAfterSequenceNumber, &after
	}
	at, err := s.kinesis.GetShardIterator(ctx, input)
	if err != nil {
		return nil, err
	}
	page, err := s.kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: at.ShardIterator, Limit: aws.Int32(int32(limit))})
	if err != nil {
		return nil, err
	}
	records := make([]eventsourcemapping.Record, len(page.Records))
	for i, from := range page.Records {
		record := kinesisRecord(*from.SequenceNumber, from.Data)
		record.EventID = s.id + ":" + *from.SequenceNumber
		record.Kinesis.PartitionKey = *from.PartitionKey
		record.Kinesis.ApproximateArrivalTimestamp = events.SecondsEpochTime{Time: *from.ApproximateArrivalTimestamp}
		encoded, err := json.Marshal(record)
		if err != nil {
			return nil, err
		}
		records[i] = eventsourcemapping.Record{SequenceNumber: *from.SequenceNumber, JSON: encoded}
	}
	return records, nil
}

// A tableShard is a shard of the table's stream.
type tableShard struct {
	*pipeline
	arn, id string
}

func (s *tableShard) Read(ctx context.Context, after string, limit int) ([]eventsourcemapping.Record, error) {
	input := &dynamodbstreams.GetShardIteratorInput{StreamArn: &s.arn, ShardId: &s.id, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon}
	if after != "" {
		input.ShardIteratorType, input.SequenceNumber = streamtypes.ShardIteratorTypeAfterSequenceNumber, &after
	}
	at, err := s.streams.GetShardIterator(ctx, input)
	if err != nil {
		return nil, err
	}
	page, err := s.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: at.ShardIterator, Limit: aws.Int32(int32(limit))})
	if err != nil {
		return nil, err
	}
	records := make([]eventsourcemapping.Record, len(page.Records))
	for i, from := range page.Records {
		change := map[string]any{
			"ApproximateCreationDateTime": from.Dynamodb.ApproximateCreationDateTime.Unix(),
			"SequenceNumber":              *from.Dynamodb.SequenceNumber,
			"StreamViewType":              from.Dynamodb.StreamViewType,
		}
		for name, image := range map[string]map[string]streamtypes.AttributeValue{
			"Keys": from.Dynamodb.Keys, "NewImage": from.Dynamodb.NewImage, "OldImage": from.Dynamodb.OldImage,
		} {
			if len(image) > 0 {
				change[name] = imageJSON(image)
			}
		}
		encoded, err := json.Marshal(map[string]any{
			"eventID": *from.EventID, "eventName": from.EventName, "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
			"eventSourceARN": s.arn, "dynamodb": change,
		})
		if err != nil {
			return nil, err
		}
		records[i] = eventsourcemapping.Record{SequenceNumber: *from.Dynamodb.SequenceNumber, JSON: encoded}
	}
	return records, nil
}

// run drives a function as an event source mapping does until all shards are read.
func run(t *testing.T, function *lambdaruntime.Function, shards []eventsourcemapping.Shard) {
	t.Helper()
	var mu sync.Mutex
	var given []error
	mapping := eventsourcemapping.Mapping{
		Invoke: function.Invoke, BatchSize: 20, ReportBatchItemFailures: true, BisectOnError: true, MaxAttempts: 5,
		Again: func(batch int) bool { return batch%3 == 2 },
		OnFailure: func(_ []eventsourcemapping.Record, reason error) {
			mu.Lock()
			defer mu.Unlock()
			given = append(given, reason)
		},
	}
	var running sync.WaitGroup
	errs := make([]error, len(shards))
	for i, shard := range shards {
		running.Go(func() { errs[i] = mapping.Run(t.Context(), shard) })
	}
	running.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, errors.Join(given...))
}

// The whole pipeline, with the functions' own binaries and real servers: from a
// Kinesis stream of two shards into the table, and from its stream to a handler.
func TestIntegrationThePipelineOnTheRuntime(t *testing.T) {
	p := newPipeline(t)
	lines := webhooks(t)
	p.put(t, lines, poisons())
	want := make(map[string]map[string]bool) // the ids of each key
	for _, line := range lines {
		e, err := mes.Parse([]byte(line))
		require.NoError(t, err)
		if want[e.PartitionKey] == nil {
			want[e.PartitionKey] = make(map[string]bool)
		}
		want[e.PartitionKey][e.ID] = true
	}

	var listens, triggers iampolicy.Watch
	listener, _ := p.function(t, "lambda-listener", []*iampolicy.Watch{&called.listener, &listens}, "RETENTION=never")
	listed, err := p.kinesis.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &p.stream})
	require.NoError(t, err)
	var shards []eventsourcemapping.Shard
	for _, shard := range listed.Shards {
		shards = append(shards, &kinesisShard{pipeline: p, id: *shard.ShardId})
	}
	require.Len(t, shards, 2)
	run(t, listener, shards)

	tables := p.watched(&called.table)
	store := newStore(t, dynamostore.New(tables, p.table))
	total := 0
	for key, ids := range want {
		history, err := store.GetMicroEventStore(t.Context(), key)
		require.NoError(t, err)
		for _, e := range history.Events {
			require.True(t, ids[e.ID])
		}
		require.Len(t, history.Events, len(ids), "each once")
		total += len(history.Events)
	}
	require.Equal(t, 324, total)
	described, err := p.dynamo.Scan(t.Context(), &dynamodb.ScanInput{TableName: &p.table, Select: "COUNT"})
	require.NoError(t, err)
	count := described.Count
	for described.LastEvaluatedKey != nil {
		described, err = p.dynamo.Scan(t.Context(), &dynamodb.ScanInput{TableName: &p.table, Select: "COUNT", ExclusiveStartKey: described.LastEvaluatedKey})
		require.NoError(t, err)
		count += described.Count
	}
	require.EqualValues(t, 324, count, "and nothing else")

	trigger, output := p.function(t, "lambda-trigger", []*iampolicy.Watch{&called.trigger, &triggers})
	run(t, trigger, p.tableShards(t))
	seen := histories(t, output)
	for key, ids := range want {
		require.Equal(t, len(ids), seen[key], "the handler has seen the complete history of %s", key)
	}
	require.Len(t, seen, len(want))

	set, err := faults.NewStore(dynamostore.New(tables, p.faults))
	require.NoError(t, err)
	for source, want := range map[string]int{"listener": len(poisons()), "trigger": 0} {
		history, err := set.GetMicroEventStore(t.Context(), faults.HashKey(source))
		require.NoError(t, err)
		require.Len(t, history.Events, want, source)
	}

	policies, err := iampolicy.Read("doc.go")
	require.NoError(t, err)
	require.Equal(t, policies[0], listens.Called())
	require.Equal(t, deployed(t, "listener"), listens.Called())
	require.Equal(t, policies[1], triggers.Called())
	require.NoError(t, iampolicy.Compare(deployed(t, "trigger"), triggers.Called(), false), "here it has no faults to save")
}

func (p *pipeline) tableShards(t *testing.T) (shards []eventsourcemapping.Shard) {
	t.Helper()
	table, err := p.dynamo.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &p.table})
	require.NoError(t, err)
	if table.Table.LatestStreamArn == nil {
		t.Skip("the server has no streams")
	}
	stream, err := p.streams.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: table.Table.LatestStreamArn})
	require.NoError(t, err)
	for _, shard := range stream.StreamDescription.Shards {
		shards = append(shards, &tableShard{pipeline: p, arn: *table.Table.LatestStreamArn, id: *shard.ShardId})
	}
	require.NotEmpty(t, shards)
	return shards
}

// histories returns the longest history of each key that the trigger has logged.
func histories(t *testing.T, output string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(output)
	require.NoError(t, err)
	longest := make(map[string]int)
	for line := range bytes.Lines(text) {
		var entry struct {
			Msg, HashKey string
			Events       int
		}
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "history" {
			longest[entry.HashKey] = max(longest[entry.HashKey], entry.Events)
		}
	}
	return longest
}
