package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

// An instance is a function instance: a store of its own, a listener and a
// trigger on it, and the network that it has.
type instance struct {
	world    *world
	coalesce bool
	network  *network
	listener *mes.Listener
	trigger  *mes.Trigger
	kinesis  *lambdahandler.KinesisHandler
	dynamodb *lambdahandler.DynamoDBHandler
}

func (w *world) newInstance(coalesce bool) *instance {
	store, network, err := w.newStore()
	if err != nil {
		w.oracle.violated(&w.oracle.Stuck, "no store: %v", err)
	}
	triggerOptions := []mes.TriggerOption{mes.WithFaultHandler(w.setAside)}
	if coalesce {
		triggerOptions = append(triggerOptions, mes.Coalesce())
	}
	if w.config.cache > 0 {
		triggerOptions = append(triggerOptions, mes.WithHistoryCache(w.config.cache, w.config.lateness))
	}
	if w.config.versions {
		triggerOptions = append(triggerOptions, mes.OnKinds(mes.Inserted, mes.Modified))
	}
	i := &instance{
		world:    w,
		coalesce: coalesce,
		network:  network,
		listener: mes.NewListener(store, mes.TypeMatches(wanted), mes.WithFaultHandler(w.setAside)),
		trigger:  mes.NewTrigger(store, w.handle, triggerOptions...),
	}
	i.kinesis = lambdahandler.Kinesis(i.listener, lambdahandler.WithLogger(w.logger()))
	i.dynamodb = lambdahandler.DynamoDB(i.trigger, lambdahandler.WithLogger(w.logger()))
	return i
}

// An answer is what a function makes of a batch.
type answer struct {
	failures []int // records that it names
	lowest   bool  // of what is behind the first of them it says nothing
	wrong    string
}

// serve hands a batch to the library and returns what it names.
func (i *instance) serve(ctx context.Context, kind string, batch []record) answer {
	switch {
	case i.world.config.lambda && kind == "kinesis":
		return i.response(batch)(i.kinesis.Invoke(ctx, kinesisPayload(batch)))
	case i.world.config.lambda:
		return i.response(batch)(i.dynamodb.Invoke(ctx, dynamodbPayload(batch)))
	case kind == "kinesis":
		return i.batchError(i.listener.Handle(ctx, recordsOf(batch)))
	}
	return i.batchError(i.trigger.Handle(ctx, changesOf(batch)))
}

func (i *instance) batchError(err error) answer {
	if err == nil {
		return answer{}
	}
	i.world.leaks("answer", err)
	var partial *mes.BatchError
	if !errors.As(err, &partial) {
		return answer{wrong: fmt.Sprintf("a %T, not a BatchError", err)}
	}
	failures := make([]int, len(partial.Failures))
	for n, failure := range partial.Failures {
		failures[n] = failure.Index
	}
	return answer{failures: failures}
}

// response reads a partial batch response as Lambda does ("Configuring partial
// batch response"): it goes on from the lowest number that it is told.
func (i *instance) response(batch []record) func([]byte, error) answer {
	return func(body []byte, err error) answer {
		if err != nil {
			i.world.leaks("invocation's error", err)
			return answer{wrong: "the invocation failed: " + err.Error()}
		}
		var said struct {
			BatchItemFailures *[]struct{ ItemIdentifier *string } `json:"batchItemFailures"`
		}
		if err := json.Unmarshal(body, &said); err != nil || said.BatchItemFailures == nil {
			return answer{wrong: "the response is " + string(body)}
		}
		a := answer{lowest: true}
		for _, failure := range *said.BatchItemFailures {
			at := -1
			for n := range batch {
				if failure.ItemIdentifier != nil && batch[n].sequence == *failure.ItemIdentifier {
					at = n
				}
			}
			if at < 0 {
				return answer{wrong: "a record that is not in the batch: " + string(body)}
			}
			if len(a.failures) == 0 || at < a.failures[0] {
				a.failures = []int{at}
			}
		}
		return a
	}
}

func recordsOf(batch []record) []mes.Record {
	records := make([]mes.Record, len(batch))
	for n, r := range batch {
		records[n] = mes.Record{
			Data: []byte(r.events[0].raw),
			Meta: mes.Meta{Stream: "events", SequenceNumber: r.sequence, PartitionKey: r.events[0].partition, Arrived: r.arrived},
		}
		if r.events[0].undecoded {
			records[n].Data, records[n].Err = nil, errUndecoded
		}
	}
	return records
}

var errUndecoded = errors.New("its base64 is broken")

func changesOf(batch []record) []mes.Change {
	kinds := map[string]mes.ChangeKind{"INSERT": mes.Inserted, "MODIFY": mes.Modified, "REMOVE": mes.Removed}
	changes := make([]mes.Change, len(batch))
	for n, r := range batch {
		changes[n] = mes.Change{
			HashKey: r.change.hashKey, RangeKey: r.change.rangeKey, Expired: r.change.Expired,
			Kind: kinds[r.change.EventName],
			Meta: mes.Meta{SequenceNumber: r.sequence, Arrived: r.arrived},
		}
	}
	return changes
}

// kinesisPayload is what a Kinesis event source mapping sends ("Using AWS Lambda
// with Kinesis", example event).
func kinesisPayload(batch []record) []byte {
	b := make([]byte, 0, 1100*len(batch))
	b = append(b, `{"Records":[`...)
	for n, r := range batch {
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":`...)
		b = strconv.AppendQuote(b, r.events[0].partition)
		b = append(b, `,"sequenceNumber":"`+r.sequence+`","data":"`...)
		if len(r.events) == 1 && r.events[0].undecoded {
			b = append(b, '*')
		}
		b = base64.StdEncoding.AppendEncode(b, r.data())
		b = append(b, `","approximateArrivalTimestamp":`...)
		b = strconv.AppendFloat(b, float64(r.arrived.UnixMilli())/1000, 'f', 3, 64)
		b = append(b, `},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"`+r.shard+":"+r.sequence+`","eventName":"aws:kinesis:record",`+
			`"invokeIdentityArn":"arn:aws:iam::0:role/r","awsRegion":"eu-west-1","eventSourceARN":"arn:aws:kinesis:eu-west-1:0:stream/events"}`...)
	}
	return append(b, `]}`...)
}

// dynamodbPayload is what a DynamoDB event source mapping sends.
func dynamodbPayload(batch []record) []byte {
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for n, r := range batch {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"eventSourceARN":"arn:aws:dynamodb:eu-west-1:0:table/events/stream/2000-01-01T00:00:00.000",`)
		b.Write(r.change.JSON()[1:])
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
