package lambdahandler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

const streamARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/events"

// event makes the JSON of an event.
func event(id, typ, key string) string {
	return fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":1700000000000,"partitionKey":%q}`, id, typ, key)
}

// sequence makes a sequence number as Kinesis has them: of 56 digits.
func sequence(n int64) string {
	base, _ := new(big.Int).SetString("49590338271490256608559692538361571095921575989136588898", 10)
	return base.Add(base, big.NewInt(n)).String()
}

// kinesisRecord makes a record of an event source mapping.
func kinesisRecord(sequence string, data []byte) events.KinesisEventRecord {
	return events.KinesisEventRecord{
		AwsRegion: "eu-west-1", EventID: "shardId-000000000006:" + sequence, EventName: "aws:kinesis:record",
		EventSource: "aws:kinesis", EventSourceArn: streamARN, EventVersion: "1.0",
		InvokeIdentityArn: "arn:aws:iam::123456789012:role/lambda-role",
		Kinesis: events.KinesisRecord{
			ApproximateArrivalTimestamp: events.SecondsEpochTime{Time: time.UnixMilli(1545084650987)},
			Data:                        data, PartitionKey: "1", SequenceNumber: sequence, KinesisSchemaVersion: "1.0",
		},
	}
}

// kinesisEvent makes an event of one record for each text, with sequence numbers
// from 1.
func kinesisEvent(data ...string) events.KinesisEvent {
	event := events.KinesisEvent{Records: []events.KinesisEventRecord{}}
	for i, text := range data {
		event.Records = append(event.Records, kinesisRecord(sequence(int64(i+1)), []byte(text)))
	}
	return event
}

func encode(t testing.TB, event any) []byte {
	t.Helper()
	payload, err := json.Marshal(event)
	require.NoError(t, err)
	return payload
}

// identifiers returns those of a partial batch response, and sees to its form.
func identifiers(t testing.TB, response []byte) []string {
	t.Helper()
	var answer struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	require.NoError(t, json.Unmarshal(response, &answer))
	require.NotNil(t, answer.BatchItemFailures, "null: %s", response)
	found := []string{}
	for _, failure := range answer.BatchItemFailures {
		require.NotEmpty(t, failure.ItemIdentifier)
		found = append(found, failure.ItemIdentifier)
	}
	return found
}

// A faultSink is a fault handler that keeps what it is given.
type faultSink struct {
	mu   sync.Mutex
	all  []mes.Fault
	data []string
}

func (f *faultSink) handle(_ context.Context, fault mes.Fault) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Record != nil { // valid until this returns
		record := *fault.Record
		fault.Record = &record
		f.data = append(f.data, string(record.Data))
	}
	if fault.Change != nil {
		change := *fault.Change
		fault.Change = &change
	}
	f.all = append(f.all, fault)
	return nil
}

func newStore(t testing.TB, table driver.Table, opts ...mes.Option) *mes.Store {
	t.Helper()
	store, err := mes.New(table, append([]mes.Option{mes.WithTTL(mes.NeverExpire())}, opts...)...)
	require.NoError(t, err)
	return store
}

// An imageTable is a table in memory that reads images as dynamostore does.
type imageTable struct {
	*memorytable.Table
	driver.ImageScanner
}

func newImageTable() imageTable {
	return newImageTableWith(memorytable.Options{})
}

func newImageTableWith(opts memorytable.Options) imageTable {
	return imageTable{memorytable.NewWith(opts), watchedTable(fakedynamodb.New(), &called.table)}
}

var errTransient = errors.New("no answer")

// failing makes Put fail for the items of some hash keys.
func failing(keys ...string) memorytable.Options {
	return memorytable.Options{OnPut: func(_ context.Context, items []driver.Item) error {
		var failures []driver.PutFailure
		for i, item := range items {
			for _, key := range keys {
				if item.HashKey == key {
					failures = append(failures, driver.PutFailure{Index: i, Err: errTransient})
				}
			}
		}
		if failures == nil {
			return nil
		}
		return &driver.PutError{Failures: failures}
	}}
}

// saved returns the ids of a hash key's events.
func saved(t testing.TB, store *mes.Store, key string) []string {
	t.Helper()
	history, err := store.GetMicroEventStore(t.Context(), key)
	require.NoError(t, err)
	ids := []string{}
	for _, e := range history.Events {
		ids = append(ids, e.ID)
	}
	return ids
}
