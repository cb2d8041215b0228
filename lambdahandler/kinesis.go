package lambdahandler

import (
	"context"

	"github.com/aws/aws-lambda-go/events"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/kinesisrecord"
)

// A KinesisHandler is a Lambda function of a listener behind the event source
// mapping of a Kinesis stream. It comes from [Kinesis], and is safe for use by many
// goroutines at once.
type KinesisHandler struct {
	*options
	listener *mes.Listener
	unpacker kinesisrecord.Unpacker
}

// Kinesis returns a handler for lambda.Start that hands the records of a Kinesis
// stream to a listener.
//
// It unpacks aggregates of the Kinesis Producer Library, of which all records are
// done or none, and opens what is compressed with gzip or zstd, and the COMPRESSED
// values of aws-lambda-stream, before the store's decoder sees it. A record of which
// the base64, the aggregate or the compressed form is broken, or that has more than
// 16 MiB when opened, is a fault (see [mes.WithFaultHandler]); a fault's Data is what
// stood in the stream. A string that begins with COMPRESSED and goes on with anything
// but the base64 of gzip is just a string.
func Kinesis(listener *mes.Listener, opts ...ListenerOption) *KinesisHandler {
	o := newOptions("Kinesis", wrongListener(listener), opts, ListenerOption.applyListener)
	return &KinesisHandler{options: o, listener: listener}
}

// Invoke handles the payload of one invocation and returns the partial batch
// response. It returns an error, on which Lambda delivers the whole batch again, if
// the payload is not what a Kinesis event source mapping sends, if it cannot say
// where to go on, with [WholeBatch] if any record is not done, and if the options of
// the handler or of its listener were wrong.
func (h *KinesisHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if err := h.ready(ctx); err != nil {
		return nil, err
	}
	var w window
	records, err := lenient(payload, &w, readKinesis)
	if err != nil {
		return nil, err
	}
	identifier, err := h.handle(ctx, records)
	if err != nil {
		return nil, err
	}
	return responseTo(identifier, &w), nil
}

// Handle is Invoke for an event that is decoded already.
func (h *KinesisHandler) Handle(ctx context.Context, event events.KinesisEvent) (events.KinesisEventResponse, error) {
	response := events.KinesisEventResponse{BatchItemFailures: []events.KinesisBatchItemFailure{}}
	if err := h.ready(ctx); err != nil {
		return response, err
	}
	records, err := fromKinesisEvent(&event)
	if err != nil {
		return response, err
	}
	identifier, err := h.handle(ctx, records)
	if identifier != "" {
		response.BatchItemFailures = append(response.BatchItemFailures, events.KinesisBatchItemFailure{ItemIdentifier: identifier})
	}
	return response, err
}

func (h *KinesisHandler) handle(ctx context.Context, records []mes.Record) (identifier string, err error) {
	limited, cancel := h.limit(ctx)
	defer cancel()
	failures := h.listen(limited, records)
	h.log(ctx, len(records), failures)
	return h.checkpoint(len(records), func(i int) *mes.Meta { return &records[i].Meta }, failures)
}

// listen hands the records of a payload to the listener and returns which are to be
// delivered again.
func (h *KinesisHandler) listen(ctx context.Context, records []mes.Record) []failure {
	for i := range records {
		if records[i].Meta.SequenceNumber == "" || records[i].Err == nil && kinesisrecord.Packed(records[i].Data) {
			return h.listenInParts(ctx, records)
		}
	}
	if len(records) == 0 {
		return nil
	}
	var failures []failure
	for _, f := range failuresOf(h.listener.Handle(ctx, records), len(records)) {
		failures = append(failures, failure{index: f.Index, err: f.Err})
	}
	return failures
}

// How much is unpacked at once, in bytes of records and of what was compressed: a
// batch may hold far more than the function's memory.
const (
	maxPart    = 4 << 20
	recordSize = 256 // what a record costs besides its data, roughly
)

// A part is records that are handed to the listener together, and which record of
// the payload each was in.
type part struct {
	records []mes.Record
	owners  []int
	size    int
}

func (h *KinesisHandler) listenInParts(ctx context.Context, records []mes.Record) []failure {
	failed := make(map[int]error)
	var p part
	flush := func() {
		if len(p.records) == 0 {
			return
		}
		for _, f := range failuresOf(h.listener.Handle(ctx, p.records), len(p.records)) {
			if owner := p.owners[f.Index]; failed[owner] == nil {
				failed[owner] = f.Err
			}
		}
		clear(p.records) // it need not be kept until the next part is full
		p = part{records: p.records[:0], owners: p.owners[:0]}
	}
	for i := range records {
		record := &records[i]
		if record.Meta.SequenceNumber == "" {
			failed[i] = errNoSequence
			continue
		}
		first := len(p.records)
		if record.Err != nil {
			p.records = append(p.records, *record)
		} else {
			p.records = h.unpacker.Append(p.records, record.Data, record.Meta)
		}
		for _, unpacked := range p.records[first:] {
			p.owners = append(p.owners, i)
			p.size += recordSize + len(unpacked.Data)
		}
		if p.size -= len(record.Data); p.size > maxPart {
			flush()
		}
	}
	flush()
	var failures []failure
	for i := range records {
		if err := failed[i]; err != nil {
			failures = append(failures, failure{index: i, err: err})
		}
	}
	return failures
}
