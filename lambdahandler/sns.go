package lambdahandler

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
)

// An SNSHandler is a Lambda function of a listener that subscribes to a topic. It
// comes from [SNS], and is safe for use by many goroutines at once.
type SNSHandler struct{ messageHandler }

// SNS returns a handler for lambda.Start that hands the messages of a topic to a
// listener. Lambda calls such a function asynchronously: if it fails, Lambda tries it
// twice more as a rule, and then hands the message to the function's on-failure
// destination, if it has one. There is no partial response. COMPRESSED values are
// opened as [Kinesis] does.
func SNS(listener *mes.Listener, opts ...ListenerOption) *SNSHandler {
	h := new(SNSHandler)
	h.init("SNS", listener, opts)
	return h
}

// Invoke handles the payload of one invocation. It returns an error if a message in
// it is not done, if the payload is not what SNS sends, and if the handler's options
// were wrong.
func (h *SNSHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	messages, err := messagesOf(payload, "a topic")
	if err != nil {
		return nil, err
	}
	records := make([]mes.Record, len(messages))
	for i, raw := range messages {
		var wrapped struct{ SNS json.RawMessage }
		_ = json.Unmarshal(raw, &wrapped) // of what is no object nothing is known
		var message struct{ MessageID, TopicArn, Message, Timestamp json.RawMessage }
		_ = json.Unmarshal(wrapped.SNS, &message)
		var arrived time.Time
		if json.Unmarshal(message.Timestamp, &arrived) != nil {
			arrived = time.Time{}
		}
		records[i] = textRecord(message.Message)
		records[i].Meta = mes.Meta{Stream: textOf(message.TopicArn), MessageID: textOf(message.MessageID), Arrived: known(arrived)}
	}
	if err := h.handle(ctx, records); err != nil {
		return nil, err
	}
	return []byte("null"), nil
}

// Handle is Invoke for an event that is decoded already.
func (h *SNSHandler) Handle(ctx context.Context, event events.SNSEvent) error {
	if err := h.ready(ctx); err != nil {
		return err
	}
	if event.Records == nil {
		return errNoRecords
	}
	records := make([]mes.Record, len(event.Records))
	for i := range event.Records {
		message := &event.Records[i].SNS
		records[i] = mes.Record{Data: []byte(message.Message), Meta: mes.Meta{Stream: message.TopicArn, MessageID: message.MessageID, Arrived: known(message.Timestamp)}}
	}
	return h.handle(ctx, records)
}

func (h *SNSHandler) handle(ctx context.Context, records []mes.Record) error {
	n := len(records)
	records = withID(records)
	failed := h.listen(ctx, records)
	if len(records) < n {
		return errNoID
	}
	return whole(failed, n)
}
