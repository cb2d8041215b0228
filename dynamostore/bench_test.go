//go:build unix

package dynamostore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// The benchmarks do the same with the plain SDK on the same server, turn by turn: one
// in this process, or one in its own with
//
//	.ci/servers/with dynoxide -- go test -run '^$' -bench 'Save25|GetMicro' ./dynamostore
//
// Their figures are the plain way's time by ours, of the median of each: "ratio", which
// with a server on the same machine is mostly the server's on both sides, and
// "cpu-ratio", the processor's time that this process takes.

// A way measures one of the ways to do something.
type way struct{ wall, cpu []time.Duration }

func (w *way) run(b *testing.B, do func() error) {
	began, used := time.Now(), cpuTime()
	err := do()
	w.wall, w.cpu = append(w.wall, time.Since(began)), append(w.cpu, cpuTime()-used)
	if err != nil {
		b.Fatal(err)
	}
}

// against reports how a plain way compares with this one.
func (w *way) against(b *testing.B, plain *way, suffix string) {
	b.ReportMetric(median(plain.wall)/median(w.wall), "ratio"+suffix)
	b.ReportMetric(median(plain.cpu)/median(w.cpu), "cpu-ratio"+suffix)
}

func median(of []time.Duration) float64 {
	slices.Sort(of)
	return float64(of[len(of)/2])
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func plainItem(e *mes.Event) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"partitionKey": &types.AttributeValueMemberS{Value: e.PartitionKey},
		"eventId":      &types.AttributeValueMemberS{Value: fmt.Sprintf("%016d#%s", e.Timestamp.UnixMilli(), e.ID)},
		"event":        &types.AttributeValueMemberS{Value: string(e.Raw)},
		"type":         &types.AttributeValueMemberS{Value: e.Type},
		"timestamp":    &types.AttributeValueMemberN{Value: strconv.FormatInt(e.Timestamp.UnixMilli(), 10)},
	}
}

func BenchmarkSave25(b *testing.B) {
	s := newServer(b)
	s.opts = []Option{WithoutTTL(), WithoutStream()}
	table, _ := s.table(b)
	_, plainName := s.table(b)
	store := newStore(b, table)
	ctx := context.Background()
	var ours, single, batched way
	for i := 0; b.Loop(); i++ {
		events := make([]mes.Event, 25)
		for j := range events {
			events[j] = event(b, i*25+j, fmt.Sprint("p", i%7))
		}
		turns := []func(){
			func() {
				ours.run(b, func() error { return store.Save(ctx, events...) })
			},
			func() {
				single.run(b, func() error {
					for j := range events {
						if _, err := s.PutItem(ctx, &dynamodb.PutItemInput{TableName: &plainName, Item: plainItem(&events[j])}); err != nil {
							return err
						}
					}
					return nil
				})
			},
			func() {
				batched.run(b, func() error {
					requests := make([]types.WriteRequest, len(events))
					for j := range events {
						requests[j].PutRequest = &types.PutRequest{Item: plainItem(&events[j])}
					}
					_, err := s.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{plainName: requests}})
					return err
				})
			},
		}
		for turn := range turns { // each is the first as often as the others
			turns[(i+turn)%len(turns)]()
		}
	}
	ours.against(b, &single, "-to-25-PutItem")
	ours.against(b, &batched, "-to-BatchWriteItem")
}

func BenchmarkGetMicroEventStore1000(b *testing.B) {
	s := newServer(b)
	s.opts = []Option{WithoutTTL(), WithoutStream()}
	table, name := s.table(b)
	store := newStore(b, table)
	ctx := context.Background()
	for i := range 1000 {
		require.NoError(b, store.Save(ctx, event(b, i, "p")))
	}
	var ours, plain way
	for b.Loop() {
		ours.run(b, func() error {
			m, err := store.GetMicroEventStore(ctx, "p")
			if err == nil && len(m.Events) != 1000 {
				err = errors.New("some are missing")
			}
			return err
		})
		plain.run(b, func() error {
			events, err := plainRead(ctx, s.Client, name)
			if err == nil && len(events) != 1000 {
				err = errors.New("some are missing")
			}
			return err
		})
	}
	ours.against(b, &plain, "")
}

type plainEvent struct {
	ID, Type, PartitionKey string
	Timestamp              int64
	Raw                    json.RawMessage `json:"-"`
}

func plainRead(ctx context.Context, client *dynamodb.Client, table string) ([]plainEvent, error) {
	pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
		TableName:                 &table,
		KeyConditionExpression:    aws.String("partitionKey = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: "p"}},
		ConsistentRead:            aws.Bool(true),
	})
	var events []plainEvent
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			text, _ := item["event"].(*types.AttributeValueMemberS)
			e := plainEvent{Raw: json.RawMessage(text.Value)}
			if err := json.Unmarshal(e.Raw, &e); err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	return events, nil
}

// BenchmarkCapacity measures what real events cost to write and to read, in the
// capacity units that the server says it has consumed.
func BenchmarkCapacity(b *testing.B) {
	sample, err := os.ReadFile("../testdata/events.ndjson")
	require.NoError(b, err)
	seen := make(map[string]bool)
	var list []driver.Item
	size := 0
	for line := range bytes.Lines(sample) {
		e, err := mes.Parse(bytes.TrimSpace(line))
		require.NoError(b, err)
		if !seen[e.ID] {
			list = append(list, driver.Item{HashKey: "p", RangeKey: "0001700000000001#" + e.ID, Event: e.Raw, Type: e.Type, Timestamp: e.Timestamp})
			size += len(e.Raw)
		}
		seen[e.ID] = true
	}
	for _, form := range []struct {
		name string
		opts []Option
	}{{"text", nil}, {"map", []Option{AsMap()}}, {"zstd", []Option{WithCompression(1)}}} {
		b.Run(form.name, func(b *testing.B) {
			var m meter
			s := newServer(b)
			s.opts = []Option{WithoutTTL(), WithoutStream()}
			for b.Loop() {
				_, name := s.table(b)
				m = meter{API: s.Client}
				table := New(&m, name, form.opts...)
				require.NoError(b, table.Put(b.Context(), list))
				query := driver.Query{HashKey: "p", Consistent: true}
				for {
					page, err := table.Query(b.Context(), query)
					require.NoError(b, err)
					if query.Cursor = page.Next; query.Cursor == "" {
						break
					}
				}
			}
			n := float64(len(list))
			b.ReportMetric(m.written/n, "write-units/event")
			b.ReportMetric(m.read/n, "read-units/event")
			b.ReportMetric(float64(size)/n, "bytes/event")
		})
	}
}

// A meter adds up the capacity that calls consume.
type meter struct {
	API
	mu            sync.Mutex
	written, read float64
}

func (m *meter) BatchWriteItem(ctx context.Context, in *dynamodb.BatchWriteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	output, err := m.API.BatchWriteItem(ctx, in, opts...)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, used := range output.ConsumedCapacity {
			m.written += aws.ToFloat64(used.CapacityUnits)
		}
	}
	return output, err
}

func (m *meter) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	output, err := m.API.Query(ctx, in, opts...)
	if err == nil && output.ConsumedCapacity != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.read += aws.ToFloat64(output.ConsumedCapacity.CapacityUnits)
	}
	return output, err
}
