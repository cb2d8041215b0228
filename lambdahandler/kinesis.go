package lambdahandler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

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
// the base64, the aggregate or the compressed form is broken, or an event that has more
// than 16 MiB when opened, is a fault (see [mes.WithFaultHandler]), of which Data is what
// stood in the stream. So is the rest of an aggregate, with the whole of it as Data, when
// more has been opened of it, or was tried to be, than 64 MiB and 16 times its size, or
// when that has taken a second and half of the time that the function had. Data of an
// event that was opened, and is a fault all the same, is what has been opened. A string
// that begins with COMPRESSED and goes on with anything but the base64 of gzip is just a
// string.
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
			return h.listenInParts(ctx, records, patienceOf(ctx))
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
// batch may hold far more than the function's memory. What cannot be opened counts,
// too: what is done by the deadline is what has been handed over before.
const maxPart = 4 << 20

// A part is records that are handed to the listener together, and which record of
// the payload each was in.
type part struct {
	records []mes.Record
	owners  []int
	size    int
}

// belong notes that the records that are new in the part were in one of the payload.
func (p *part) belong(owner int) {
	for len(p.owners) < len(p.records) {
		p.owners = append(p.owners, owner)
	}
}

// clear empties the part: its records need not be kept until the next one is full.
func (p *part) clear() {
	clear(p.records)
	*p = part{records: p.records[:0], owners: p.owners[:0]}
}

// listenInParts is listen for records that have to be opened. patience is how long an
// aggregate may take to open, without the time that its records take to be handled.
func (h *KinesisHandler) listenInParts(ctx context.Context, records []mes.Record, patience time.Duration) []failure {
	failed := make(map[int]error)
	var p part
	var unpacking kinesisrecord.Unpacking
	for i := range records {
		record := &records[i]
		switch {
		case record.Meta.SequenceNumber == "":
			failed[i] = errNoSequence
			continue
		case record.Err != nil:
			p.records = append(p.records, *record)
			p.belong(i)
			continue
		}
		left := patience
		for unpacking.Begin(&h.unpacker, record.Data, record.Meta); !unpacking.Done(); {
			var cost int
			var err error
			began := time.Now()
			p.records, cost, err = unpacking.Next(ctx, p.records, maxPart-p.size)
			if p.size += cost; err == nil && p.size > maxPart && !unpacking.Done() {
				if left -= time.Since(began); left < 0 {
					p.records = unpacking.GiveUp(p.records, errSlow)
				}
			}
			p.belong(i)
			if err != nil { // no time is left: neither is it for what has not been handed over
				for _, owner := range p.owners {
					failed[owner] = unopened(err)
				}
				for ; i < len(records); i++ {
					failed[i] = unopened(err)
				}
				return inOrder(failed, len(records))
			}
			if p.size > maxPart {
				h.hand(ctx, &p, failed)
			}
		}
	}
	h.hand(ctx, &p, failed)
	return inOrder(failed, len(records))
}

// leastPatience is enough for any aggregate where there is a whole CPU, several times
// over. With little time left, since something else has taken it, none is to be set aside.
const leastPatience = time.Second

// patienceOf returns half of the time that is left. An aggregate that takes longer would
// take as long the next time, and hold up its shard.
func patienceOf(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	return max(time.Until(deadline)/2, leastPatience)
}

var errSlow = errors.New("half of the time that the function has was not enough to open it: from here on its records are not opened")

// hand hands a part to the listener. What of it is not done goes to failed.
func (h *KinesisHandler) hand(ctx context.Context, p *part, failed map[int]error) {
	if len(p.records) == 0 {
		return
	}
	for _, f := range failuresOf(h.listener.Handle(ctx, p.records), len(p.records)) {
		if owner := p.owners[f.Index]; failed[owner] == nil {
			failed[owner] = f.Err
		}
	}
	p.clear()
}

// unopened is the error of what is left over since no time was left to open it.
func unopened(err error) error { return fmt.Errorf("not opened: %w", err) }

// inOrder makes a list of the failures of n records.
func inOrder(failed map[int]error, n int) []failure {
	var failures []failure
	for i := range n {
		if err := failed[i]; err != nil {
			failures = append(failures, failure{index: i, err: err})
		}
	}
	return failures
}
