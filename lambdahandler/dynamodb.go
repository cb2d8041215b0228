package lambdahandler

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// A DynamoDBHandler is a Lambda function of a trigger behind the event source mapping
// of a table's stream. It comes from [DynamoDB], and is safe for use by many
// goroutines at once.
type DynamoDBHandler struct {
	*options
	trigger *mes.Trigger
	store   *mes.Store
	images  driver.ImageDecoder
	scanner driver.ImageScanner // nil for none
}

// DynamoDB returns a handler for lambda.Start that hands the changes of a table to a
// trigger. The table is that of the trigger's store, which has to be able to read the
// images in its stream (see [driver.ImageDecoder]), as package dynamostore's is.
//
// It takes what a DynamoDB stream delivers, with any view type, and what a Kinesis
// stream does that the table writes its changes to (Kinesis Data Streams for
// DynamoDB). New and Old of a change are nil where the stream's view leaves them out.
// Expired says that the TTL has removed the item: a removal of the service's own, not
// by hand, and not replicated from another region.
//
// A change whose image holds no event is a fault (see [mes.WithFaultHandler]). One
// that only a newer version of the table's driver can read is tried again, and so is
// one whose keys are not those of the table: the function is set up wrongly then.
func DynamoDB(trigger *mes.Trigger, opts ...TriggerOption) *DynamoDBHandler {
	h := &DynamoDBHandler{trigger: trigger}
	wrong := errors.New("the trigger is nil")
	if trigger != nil {
		wrong = trigger.Handle(context.Background(), nil)
	}
	if wrong == nil {
		h.store = trigger.Store()
		var ok bool
		if h.images, ok = h.store.Table().(driver.ImageDecoder); !ok {
			wrong = fmt.Errorf("the trigger's table, a %T, cannot read the images of a DynamoDB stream (it is no driver.ImageDecoder): use package dynamostore", h.store.Table())
		}
	}
	h.options = newOptions("DynamoDB", wrong, opts, TriggerOption.applyTrigger)
	if !h.onlyRegion { // else some images are not needed
		h.scanner, _ = h.images.(driver.ImageScanner)
	}
	return h
}

// Invoke handles the payload of one invocation and returns the partial batch
// response. It returns an error, on which Lambda delivers the whole batch again, if
// the payload is not what an event source mapping of a stream sends, if it cannot say
// where to go on, with [WholeBatch] if any change is not done, and if the options of
// the handler or of its trigger were wrong.
func (h *DynamoDBHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	var w window
	changer := newChanger(h.store, h.images, 0)
	s, err := lenient(payload, &w, func(payload []byte, w *window) (stream, error) {
		if h.scanner != nil {
			changer.scan = h.scanner.NewImageScanner()
		}
		return readDynamoDB(payload, w, changer)
	})
	if err != nil {
		return nil, err
	}
	identifier, err := h.handle(ctx, &s, changer)
	if err != nil {
		return nil, err
	}
	return responseTo(identifier, &w), nil
}

// Handle is Invoke for an event of a DynamoDB stream that is decoded already.
func (h *DynamoDBHandler) Handle(ctx context.Context, event events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	if err := h.ready(ctx); err != nil {
		return response, err
	}
	s, err := fromDynamoDBEvent(&event)
	if err != nil {
		return response, err
	}
	identifier, err := h.handle(ctx, &s, nil)
	if identifier != "" {
		response.BatchItemFailures = append(response.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: identifier})
	}
	return response, err
}

// HandleKinesis is Invoke for an event that is decoded already, of a Kinesis stream
// that the table writes its changes to.
func (h *DynamoDBHandler) HandleKinesis(ctx context.Context, event events.KinesisEvent) (events.KinesisEventResponse, error) {
	response := events.KinesisEventResponse{BatchItemFailures: []events.KinesisBatchItemFailure{}}
	if err := h.ready(ctx); err != nil {
		return response, err
	}
	packed, err := fromKinesisEvent(&event)
	if err != nil {
		return response, err
	}
	s := newStream(len(packed))
	for i := range packed {
		unpackChange(&s.changes[i], &s.records[i], &packed[i])
	}
	identifier, err := h.handle(ctx, &s, nil)
	if identifier != "" {
		response.BatchItemFailures = append(response.BatchItemFailures, events.KinesisBatchItemFailure{ItemIdentifier: identifier})
	}
	return response, err
}

func (h *DynamoDBHandler) handle(ctx context.Context, s *stream, c *changer) (identifier string, err error) {
	limited, cancel := h.limit(ctx)
	defer cancel()
	f := firing{h: h, stream: s, changer: c}
	failures := f.fire(limited)
	h.log(ctx, len(s.changes), failures)
	return h.checkpoint(len(s.changes), func(i int) *mes.Meta { return &s.changes[i].Meta }, failures)
}

var (
	errEarlierFailed = errors.New("not handled, since an earlier change of its hash key failed")
	errNoKind        = errors.New("its eventName is none of INSERT, MODIFY and REMOVE")
)
