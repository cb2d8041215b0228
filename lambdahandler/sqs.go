package lambdahandler

import (
	"context"
	"encoding/json"
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
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	messages, err := messagesOf(payload, "a queue")
	if err != nil {
		return nil, err
	}
	records := make([]mes.Record, len(messages))
	for i, raw := range messages {
		var message struct {
			MessageID, Body, Attributes, EventSourceARN, AWSRegion json.RawMessage
		}
		_ = json.Unmarshal(raw, &message) // of what is no object nothing is known
		var attributes struct{ SequenceNumber, MessageGroupID, SentTimestamp json.RawMessage }
		_ = json.Unmarshal(message.Attributes, &attributes)
		records[i] = textRecord(message.Body)
		records[i].Meta = mes.Meta{
			Stream:         textOf(message.EventSourceARN),
			Region:         textOf(message.AWSRegion),
			MessageID:      textOf(message.MessageID),
			SequenceNumber: textOf(attributes.SequenceNumber),
			PartitionKey:   textOf(attributes.MessageGroupID),
			Arrived:        millisOf(textOf(attributes.SentTimestamp)),
		}
	}
	response, err := h.handle(ctx, records)
	if err != nil {
		return nil, err
	}
	return json.Marshal(response)
}

// Handle is Invoke for an event that is decoded already.
func (h *SQSHandler) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	if err := h.ready(ctx); err != nil {
		return noSQSFailures(), err
	}
	if event.Records == nil {
		return noSQSFailures(), errNoRecords
	}
	records := make([]mes.Record, len(event.Records))
	for i := range event.Records {
		message := &event.Records[i]
		records[i] = mes.Record{Data: []byte(message.Body), Meta: mes.Meta{
			Stream:         message.EventSourceARN,
			Region:         message.AWSRegion,
			MessageID:      message.MessageId,
			SequenceNumber: message.Attributes["SequenceNumber"], // only in a FIFO queue
			PartitionKey:   message.Attributes["MessageGroupId"],
			Arrived:        millisOf(message.Attributes["SentTimestamp"]),
		}}
	}
	return h.handle(ctx, records)
}

func noSQSFailures() events.SQSEventResponse {
	return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
}

func (h *SQSHandler) handle(ctx context.Context, records []mes.Record) (events.SQSEventResponse, error) {
	response := noSQSFailures()
	for i := range records {
		if records[i].Err == nil {
			records[i].Data = unwrap(records[i].Data)
		}
	}
	n := len(records)
	records = withID(records)
	failed := h.listen(ctx, records)
	// Whatever is amiss with one message, the others have been saved by now.
	if len(records) < n {
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
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: records[i].Meta.MessageID})
	}
	return response, nil
}
