package lambdahandler

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"
)

// A handler that nobody has made says so, whichever way it is called.
func TestPromise10HandlersThatAreNone(t *testing.T) {
	ctx := t.Context()
	payload := []byte(`{"Records":[]}`)
	for _, h := range []interface {
		Invoke(context.Context, []byte) ([]byte, error)
	}{
		(*KinesisHandler)(nil), (*DynamoDBHandler)(nil), (*SQSHandler)(nil), (*SNSHandler)(nil), (*EventBridgeHandler)(nil),
		new(KinesisHandler), new(DynamoDBHandler), new(SQSHandler), new(SNSHandler), new(EventBridgeHandler),
	} {
		_, err := h.Invoke(ctx, payload)
		require.ErrorContains(t, err, "the handler is empty", "%T", h)
	}
	for _, k := range []*KinesisHandler{nil, new(KinesisHandler)} {
		_, err := k.Handle(ctx, events.KinesisEvent{})
		require.ErrorContains(t, err, "the handler is empty")
	}
	for _, d := range []*DynamoDBHandler{nil, new(DynamoDBHandler)} {
		_, err := d.Handle(ctx, events.DynamoDBEvent{})
		require.ErrorContains(t, err, "the handler is empty")
		_, err = d.HandleKinesis(ctx, events.KinesisEvent{})
		require.ErrorContains(t, err, "the handler is empty")
	}
	for _, s := range []*SQSHandler{nil, new(SQSHandler)} {
		_, err := s.Handle(ctx, events.SQSEvent{})
		require.ErrorContains(t, err, "the handler is empty")
	}
	for _, s := range []*SNSHandler{nil, new(SNSHandler)} {
		require.ErrorContains(t, s.Handle(ctx, events.SNSEvent{}), "the handler is empty")
	}
}
