package hostile

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

// JSON without bottom is stored or set aside, but never the end of the process: a
// stack that overflows cannot be caught.
func TestPromise10JSONWithoutBottom(t *testing.T) {
	const deep = 150_000
	for name, nest := range map[string][2]string{"arrays": {"[", "]"}, "objects": {`{"a":`, "}"}} {
		n := deep / len(nest[0])
		value := strings.Repeat(nest[0], n) + "1" + strings.Repeat(nest[1], n)
		for place, text := range map[string]string{
			"whole":  value,
			"data":   `{"id":"1","type":"t","timestamp":1700000000000,"partitionKey":"p","data":` + value + `}`,
			"id":     `{"id":` + value + `,"type":"t","timestamp":1700000000000,"partitionKey":"p"}`,
			"tags":   `{"id":"1","type":"t","timestamp":1700000000000,"partitionKey":"p","tags":` + value + `}`,
			"time":   `{"id":"1","type":"t","timestamp":` + value + `,"partitionKey":"p"}`,
			"broken": strings.Repeat(nest[0], 2*n),
		} {
			t.Run(name+" "+place, func(t *testing.T) {
				store := newStore(t)
				faults := 0
				listener := mes.NewListener(store, nil, mes.WithFaultHandler(func(context.Context, mes.Fault) error { faults++; return nil }))
				handler := lambdahandler.Kinesis(listener)
				payload := fmt.Appendf(nil, `{"Records":[{"kinesis":{"partitionKey":"p","sequenceNumber":"1","data":%q},"eventID":"shardId-000000000000:1","eventSource":"aws:kinesis"}]}`,
					base64.StdEncoding.EncodeToString([]byte(text)))
				answer, err := handler.Invoke(t.Context(), payload)
				require.NoError(t, err)
				require.Equal(t, `{"batchItemFailures":[]}`, string(answer))
				m, err := store.GetMicroEventStore(t.Context(), "p")
				require.NoError(t, err)
				require.Equal(t, 1, faults+len(m.Events))
				for _, e := range m.Events {
					_, _ = e.Field("data." + strings.Repeat("a.", 1000) + "a")
					_, _ = e.Tag("a")
					var v any
					_ = e.Decode(&v) // encoding/json has a limit of its own
				}
			})
			t.Run(name+" "+place+" as payload", func(t *testing.T) {
				store := newStore(t)
				listener := mes.NewListener(store, nil)
				trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return nil })
				for _, payload := range []string{text, `{"Records":` + value + `}`, `{"Records":[` + value + `]}`, `{"Records":[{"dynamodb":` + value + `}]}`,
					`{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1","Keys":{"partitionKey":{"S":"p"},"eventId":{"S":"r"}},"NewImage":{"event":{"M":` + value + `}}}}]}`} {
					_, _ = lambdahandler.Kinesis(listener).Invoke(t.Context(), []byte(payload))
					_, _ = lambdahandler.DynamoDB(trigger).Invoke(t.Context(), []byte(payload))
				}
			})
		}
	}
}
