package lambdahandler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
)

// An SQSHandler is a Lambda function of a listener behind the event source mapping of
// a queue. It comes from [SQS], and is safe for use by many goroutines at once.
type SQSHandler struct{ messageHandler }

// SQS returns a handler for lambda.Start that hands the messages of a queue to a
// listener. The body of a message is an event, or the envelope that SNS puts around
// one on its way to a queue. The COMPRESSED values in it are opened as [Kinesis] does.
//
// Each message that is not done is named in the partial batch response. Of a FIFO
// queue, so are those of its group that come after it: an older event must not take
// the place of a newer one when it is delivered again.
func SQS(listener *mes.Listener, opts ...ListenerOption) *SQSHandler {
	h := new(SQSHandler)
	h.init("SQS", listener, opts)
	return h
}

// Invoke handles the payload of one invocation and returns the partial batch
// response. It returns an error, on which Lambda delivers the whole batch again, if
// the payload is not what the event source mapping of a queue sends, if a message
// that is not done has no id, with [WholeBatch] if any message is not done, and if
// the handler's options were wrong.
func (h *SQSHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var event struct{ Records []json.RawMessage }
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("lambdahandler: the payload is no event of a queue: %w", quiet(err))
	}
	if event.Records == nil {
		return nil, errNoRecords
	}
	messages := make([]events.SQSMessage, len(event.Records))
	for i, raw := range event.Records {
		// What is wrong in a part of one that is not needed does not matter; one
		// without an id or a body fails, alone.
		var message struct {
			MessageID      string
			Body           string
			Attributes     map[string]string
			EventSourceARN string
			AWSRegion      string
		}
		if json.Unmarshal(raw, &message) == nil {
			messages[i] = events.SQSMessage{
				MessageId: message.MessageID, Body: message.Body, Attributes: message.Attributes,
				EventSourceARN: message.EventSourceARN, AWSRegion: message.AWSRegion,
			}
		}
	}
	response, err := h.Handle(ctx, events.SQSEvent{Records: messages})
	if err != nil {
		return nil, err
	}
	return json.Marshal(response)
}

// Handle is Invoke for an event that is decoded already.
func (h *SQSHandler) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	if err := h.ready(ctx); err != nil {
		return response, err
	}
	if event.Records == nil {
		return response, errNoRecords
	}
	records := make([]mes.Record, 0, len(event.Records))
	for i := range event.Records {
		message := &event.Records[i]
		if message.MessageId == "" {
			continue // no response can name it: see below
		}
		records = append(records, mes.Record{
			Data: unwrap([]byte(message.Body)),
			Meta: mes.Meta{
				Stream:         message.EventSourceARN,
				Region:         message.AWSRegion,
				MessageID:      message.MessageId,
				SequenceNumber: message.Attributes["SequenceNumber"], // only in a FIFO queue
				PartitionKey:   message.Attributes["MessageGroupId"],
				Arrived:        millisOf(message.Attributes["SentTimestamp"]),
			},
		})
	}
	failed := h.listen(ctx, records)
	// Whatever is amiss with one message, the others have been saved by now. From here
	// on there is a record for each message, with the same index.
	if len(records) < len(event.Records) {
		return response, errNoID
	}
	if h.wholeBatch {
		return response, whole(failed, len(records))
	}
	groups := make(map[string]bool) // of which a message has failed; only FIFO queues have any
	for i := range records {
		group := records[i].Meta.PartitionKey
		behind := groups[group] && strings.HasSuffix(records[i].Meta.Stream, ".fifo")
		if failed[i] == nil && !behind {
			continue
		}
		groups[group] = true
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: event.Records[i].MessageId})
	}
	return response, nil
}

var errNoID = errors.New("lambdahandler: a message has no id: the function does not get what it is for")

// quiet leaves out of an error of encoding/json what it quotes of a payload.
func quiet(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("invalid JSON at byte %d", syntax.Offset)
	}
	return errors.New("a value of the wrong type")
}
