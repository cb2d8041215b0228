package lambdahandler

import (
	"context"
	"encoding/json"
	"fmt"

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
	var event events.SNSEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("lambdahandler: the payload is no event of a topic: %w", quiet(err))
	}
	if err := h.Handle(ctx, event); err != nil {
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
		if message.MessageID == "" {
			return errNoID
		}
		records[i] = mes.Record{Data: []byte(message.Message), Meta: mes.Meta{Stream: message.TopicArn, MessageID: message.MessageID, Arrived: known(message.Timestamp)}}
	}
	return whole(h.listen(ctx, records), len(records))
}
