//go:build unix

package lambdahandler

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"

	mes "github.com/microeventstore/microeventstore"
)

// How many records the payloads of the benchmarks have; their times are for one.
const benchmarkRecords = 1000

// benchmarkEvent is an event of about 1 KB, as a producer may write one.
func benchmarkEvent(i int) string {
	return fmt.Sprintf(`{"id":"0193a1c2-7b1d-7000-8000-%012d","type":"order-submitted","timestamp":1700000%06d,"partitionKey":"order-%d","tags":{"region":"eu-west-1","source":"shop","user":"u-%d"},"order":{"number":%d,"total":1234.56,"currency":"EUR","note":"%s","lines":[{"sku":"A-1","count":2,"price":17.5},{"sku":"B-22","count":1,"price":99},{"sku":"C-333","count":12,"price":0.99}],"address":{"street":"Main Street 1","city":"Springfield","zip":"12345","country":"DE"}}}`,
		i, i, i%100, i%7, i, strings.Repeat("lorem ipsum dolor sit amet, ", 18))
}

func benchmarkKinesis() []byte {
	var event events.KinesisEvent
	for i := range benchmarkRecords {
		event.Records = append(event.Records, kinesisRecord(sequence(int64(i)), []byte(benchmarkEvent(i))))
	}
	return mustEncode(event)
}

// perRecord reports the time and the allocations of one record.
func perRecord(b *testing.B, run func()) {
	b.Helper()
	run()
	allocs := testing.AllocsPerRun(3, run)
	began := cpuTime(b)
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N)/benchmarkRecords, "cpu-ns/event")
	b.ReportMetric(allocs/benchmarkRecords, "allocs/event")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is the processor time of this process, the collector's included. Unlike
// the clock it does not depend on what else the machine does.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// From the bytes of a payload to the events in it. The plain way decodes both with
// encoding/json; both end with what a filter needs.
func BenchmarkKinesisPayload(b *testing.B) {
	payload := benchmarkKinesis()
	b.Run("plain", func(b *testing.B) {
		perRecord(b, func() {
			var event events.KinesisEvent
			if err := json.Unmarshal(payload, &event); err != nil {
				b.Fatal(err)
			}
			for i := range event.Records {
				var e struct {
					ID, Type, PartitionKey string
					Timestamp              json.Number
					Tags                   map[string]string
				}
				if err := json.Unmarshal(event.Records[i].Kinesis.Data, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("plain, records only", func(b *testing.B) {
		perRecord(b, func() {
			var event events.KinesisEvent
			if err := json.Unmarshal(payload, &event); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("records", func(b *testing.B) {
		perRecord(b, func() {
			records, err := readKinesis(payload, new(window))
			if err != nil || len(records) != benchmarkRecords {
				b.Fatal(err)
			}
		})
	})
	b.Run("events", func(b *testing.B) {
		perRecord(b, func() {
			records, err := readKinesis(payload, new(window))
			if err != nil {
				b.Fatal(err)
			}
			for i := range records {
				if _, err := mes.Parse(records[i].Data); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// benchmarkDynamoDB makes a payload whose images hold the event as a string, or as a
// map.
func benchmarkDynamoDB(b *testing.B, asMap bool) []byte {
	rows := make([]row, benchmarkRecords)
	for i := range rows {
		id := fmt.Sprintf("%013d#%d", 1700000000000+i, i)
		keys := fmt.Sprintf(`{"partitionKey":{"S":"order-%d"},"eventId":{"S":%q}}`, i%100, id)
		event := map[string]any{"S": benchmarkEvent(i)}
		if asMap {
			var value any
			require.NoError(b, json.Unmarshal([]byte(benchmarkEvent(i)), &value))
			event = dynamoJSON(value)
		}
		rows[i] = row{name: "INSERT", keys: keys, new: strings.TrimSuffix(keys, "}") +
			`,"event":` + string(mustEncode(event)) + `,"type":{"S":"order-submitted"},"timestamp":{"N":"1700000000000"},"ttl":{"N":"1702851200"}}`}
	}
	return []byte(dynamoPayload(rows...))
}

// dynamoJSON makes DynamoDB JSON of a value.
func dynamoJSON(value any) map[string]any {
	switch v := value.(type) {
	case string:
		return map[string]any{"S": v}
	case float64:
		return map[string]any{"N": fmt.Sprint(v)}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = dynamoJSON(v[i])
		}
		return map[string]any{"L": list}
	case map[string]any:
		members := make(map[string]any)
		for name, member := range v {
			members[name] = dynamoJSON(member)
		}
		return map[string]any{"M": members}
	}
	return map[string]any{"NULL": true}
}

// valueOf makes what encoding/json can marshal of an attribute.
func valueOf(attribute events.DynamoDBAttributeValue) any {
	switch attribute.DataType() {
	case events.DataTypeString:
		return attribute.String()
	case events.DataTypeNumber:
		return json.Number(attribute.Number())
	case events.DataTypeList:
		var list []any
		for _, element := range attribute.List() {
			list = append(list, valueOf(element))
		}
		return list
	case events.DataTypeMap:
		members := make(map[string]any)
		for name, member := range attribute.Map() {
			members[name] = valueOf(member)
		}
		return members
	}
	return nil
}

// From the bytes of a payload to changes with their events. The plain way takes the
// event out of the image, makes JSON of it where it is a map, and decodes it with
// encoding/json.
func BenchmarkDynamoDBPayload(b *testing.B) {
	images := watchedTable(fakedynamodb.New(), &called.table)
	store := newStore(b, images)
	for _, layout := range []string{"S", "M"} {
		payload := benchmarkDynamoDB(b, layout == "M")
		b.Run(layout+"/plain", func(b *testing.B) {
			perRecord(b, func() {
				var event events.DynamoDBEvent
				if err := json.Unmarshal(payload, &event); err != nil {
					b.Fatal(err)
				}
				for i := range event.Records {
					attribute := event.Records[i].Change.NewImage["event"]
					var text []byte
					if layout == "M" {
						text = mustEncode(valueOf(attribute))
					} else {
						text = []byte(attribute.String())
					}
					var e struct {
						ID, Type, PartitionKey string
						Timestamp              json.Number
						Tags                   map[string]string
					}
					if err := json.Unmarshal(text, &e); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(layout+"/records", func(b *testing.B) {
			perRecord(b, func() {
				s, err := readDynamoDB(payload, new(window), nil)
				if err != nil || len(s.changes) != benchmarkRecords {
					b.Fatal(err)
				}
			})
		})
		b.Run(layout+"/changes", func(b *testing.B) {
			perRecord(b, func() { benchmarkChanges(b, store, images, payload) })
		})
	}
}

func benchmarkChanges(b *testing.B, store *mes.Store, images driver.ImageScanner, payload []byte) {
	c := newChanger(store, images, 0)
	c.scan = images.NewImageScanner()
	s, err := readDynamoDB(payload, new(window), c)
	if err != nil {
		b.Fatal(err)
	}
	for i := range s.changes {
		if len(s.records) > 0 || s.changes[i].Err != nil || s.changes[i].New == nil {
			b.Fatal(len(s.records), s.changes[i].Err)
		}
	}
}
