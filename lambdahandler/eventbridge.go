package lambdahandler

import (
	"bytes"
	"context"

	mes "github.com/microeventstore/microeventstore"
)

// An EventBridgeHandler is a Lambda function of a listener that is the target of a
// rule. It comes from [EventBridge], and is safe for use by many goroutines at once.
type EventBridgeHandler struct{ messageHandler }

// EventBridge returns a handler for lambda.Start that hands the events of a bus to a
// listener, one in an invocation: the payload is the event, as it is but for white space
// around it and for COMPRESSED values, which are opened as [Kinesis] does. Without an
// input transformer that is the EventBridge envelope, which [mes.Parse] understands.
// Lambda calls such a function asynchronously: see [SNS].
func EventBridge(listener *mes.Listener, opts ...ListenerOption) *EventBridgeHandler {
	h := new(EventBridgeHandler)
	h.init("EventBridge", listener, opts)
	return h
}

// Invoke handles the payload of one invocation. It returns an error if the event in
// it is not done, and if the handler's options were wrong.
func (h *EventBridgeHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	records := []mes.Record{{Data: bytes.TrimSpace(payload)}}
	if err := whole(h.listen(ctx, records), len(records)); err != nil {
		return nil, err
	}
	return []byte("null"), nil
}
