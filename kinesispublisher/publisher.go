package kinesispublisher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/backoff"
)

// An API is what a [Publisher] needs of Kinesis. A [*kinesis.Client] is one.
// Another implementation has to apply the options that it is given to the client
// that it calls in the end: they switch off the client's own retries.
type API interface {
	// PutRecords writes up to 500 records.
	PutRecords(ctx context.Context, params *kinesis.PutRecordsInput, optFns ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
}

// A Publisher writes events to a Kinesis data stream. It is safe for use by many
// goroutines at once; there is no order between their calls.
type Publisher struct {
	client         API
	name, arn      *string
	maxRecordSize  int
	strict         bool
	attemptTimeout time.Duration
	maxAttempts    int
	waits          backoff.Policy
	err            error // of the options
}

var _ mes.Publisher = (*Publisher)(nil)

// New returns a publisher to a stream, given its name or its ARN. If an option is
// wrong, every call of Publish says so.
func New(client API, stream string, opts ...Option) *Publisher {
	p := &Publisher{
		client:         client,
		maxRecordSize:  MaxRecordSize,
		attemptTimeout: DefaultAttemptTimeout,
		maxAttempts:    DefaultMaxAttempts,
		waits:          backoff.Policy{First: 100 * time.Millisecond, Most: 5 * time.Second},
	}
	var errs []error
	if c, ok := client.(*kinesis.Client); client == nil || ok && c == nil {
		errs = append(errs, errors.New("the client is nil"))
	}
	switch {
	case stream == "":
		errs = append(errs, errors.New("the stream has no name"))
	case strings.HasPrefix(stream, "arn:"):
		p.arn = &stream
	default:
		p.name = &stream
	}
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
		} else if err := opt.apply(p); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		p.err = fmt.Errorf("kinesispublisher: new publisher: %w", err)
	}
	return p
}

// Publish writes events to the stream, in order for each partition key as the
// package comment says. nil means that Kinesis has accepted all of them. Otherwise
// a *[mes.PublishError] names each event that may not have been: too large, which
// is [mes.Permanent], or refused as often as it was tried. All others have been
// accepted.
//
// An event may be written twice, when the answer to a request is lost.
func (p *Publisher) Publish(ctx context.Context, events ...mes.Event) error {
	if p.err != nil {
		return p.err
	}
	s := &sending{publisher: p, records: make([]types.PutRecordsRequestEntry, len(events)), errs: make([]error, len(events))}
	for i := range events {
		entry := types.PutRecordsRequestEntry{Data: events[i].Raw, PartitionKey: aws.String(partitionKey(&events[i]))}
		if len(entry.Data) == 0 {
			s.errs[i] = mes.Permanent(errors.New("kinesispublisher: the event has no Raw: make it with NewEvent or Parse"))
			continue
		}
		if size := sizeOf(&entry); size > p.maxRecordSize {
			s.errs[i] = mes.Permanent(fmt.Errorf("kinesispublisher: the event is %d bytes with its partition key and can be at most %d (WithMaxRecordSize)", size, p.maxRecordSize))
			continue
		}
		s.records[i] = entry
		s.queue = append(s.queue, i)
	}
	s.run(ctx)
	var failures []mes.Failure
	for i, err := range s.errs {
		if err != nil {
			failures = append(failures, mes.Failure{Index: i, Err: err})
		}
	}
	if len(failures) > 0 {
		return &mes.PublishError{Failures: failures}
	}
	return nil
}

// partitionKey returns a key that Kinesis takes: 1 to 256 characters.
func partitionKey(e *mes.Event) string {
	const most = 256
	key := e.PartitionKey
	if key == "" {
		key = e.ID
	}
	if key != "" && utf8.ValidString(key) && utf8.RuneCountInString(key) <= most {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sizeOf(entry *types.PutRecordsRequestEntry) int {
	return len(entry.Data) + len(*entry.PartitionKey)
}

// A sending is the work of one call of Publish.
type sending struct {
	publisher *Publisher
	records   []types.PutRecordsRequestEntry
	errs      []error         // of the events that have not been sent
	queue     []int           // what is still to be sent, in order
	failed    map[string]bool // partition keys of which a record was refused
}

// run sends until all is sent or there is no point in going on.
func (s *sending) run(ctx context.Context) {
	fruitless, attempts := 0, 0
	for len(s.queue) > 0 {
		if err := ctx.Err(); err != nil {
			s.giveUp(newContextError(err, nil))
			return
		}
		batch := s.next()
		sent, err := s.send(ctx, batch)
		if err == nil {
			fruitless = 0
			continue
		}
		if s.setAside(batch, err) {
			continue
		}
		attempts++
		fruitless++
		if sent > 0 {
			fruitless, attempts = 0, 1
		}
		if err := s.wait(ctx, err, attempts, fruitless); err != nil {
			s.giveUp(err)
			return
		}
	}
}

// giveUp says of all that has not been sent why.
func (s *sending) giveUp(err error) {
	for _, i := range s.queue {
		s.errs[i] = err
	}
}

// setAside takes a record out of the queue that Kinesis has refused for its size,
// as it seems, so that the others are still sent.
func (s *sending) setAside(batch []int, err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Code != "InvalidArgumentException" && e.Code != "ValidationException" || !s.isLarge(batch[0]) {
		return false
	}
	e.text = fmt.Sprintf("%s to a record of %d bytes with its partition key. A stream takes %d, unless it was set to take more with UpdateMaxRecordSize; tell WithMaxRecordSize what it takes",
		e.text, sizeOf(&s.records[batch[0]]), usualRecordSize)
	s.errs[batch[0]] = e
	s.queue = slices.DeleteFunc(s.queue, func(i int) bool { return i == batch[0] })
	return true
}

// isLarge tells whether a record is larger than a stream takes that was not set to
// take more. It goes out in a request of its own: refused, it takes no others with it.
func (s *sending) isLarge(i int) bool { return sizeOf(&s.records[i]) > usualRecordSize }

// next returns what goes out in the next request.
func (s *sending) next() []int {
	var batch []int
	var rest []int
	inBatch := make(map[string]bool)
	held := make(map[string]bool)
	size := 0
	for n, i := range s.queue {
		key := *s.records[i].PartitionKey
		if held[key] || inBatch[key] && (s.publisher.strict || s.failed[key]) {
			held[key] = true
			rest = append(rest, i)
			continue
		}
		size += sizeOf(&s.records[i])
		if len(batch) == MaxRecords || len(batch) > 0 && (size > maxRequestSize || s.isLarge(i) || s.isLarge(batch[0])) {
			rest = append(rest, s.queue[n:]...)
			break
		}
		inBatch[key] = true
		batch = append(batch, i)
	}
	s.queue = rest
	return batch
}

// send makes one request. What has not been accepted is put back into the queue,
// in its place.
func (s *sending) send(ctx context.Context, batch []int) (sent int, err error) {
	refused, err := s.request(ctx, batch)
	if err == nil {
		return len(batch), nil
	}
	if s.failed == nil {
		s.failed = make(map[string]bool)
	}
	for _, i := range refused {
		s.failed[*s.records[i].PartitionKey] = true
	}
	s.queue = append(s.queue, refused...)
	slices.Sort(s.queue)
	return len(batch) - len(refused), err
}

// request makes one request, and returns what has not been accepted for sure.
func (s *sending) request(ctx context.Context, batch []int) (refused []int, err error) {
	p := s.publisher
	input := &kinesis.PutRecordsInput{StreamName: p.name, StreamARN: p.arn, Records: make([]types.PutRecordsRequestEntry, len(batch))}
	for n, i := range batch {
		input.Records[n] = s.records[i]
	}
	attempt, cancel := context.WithTimeout(ctx, p.attemptTimeout)
	defer cancel()
	var output *kinesis.PutRecordsOutput
	err = protect(func() (err error) {
		output, err = p.client.PutRecords(attempt, input, withoutRetries)
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return batch, newContextError(ctx.Err(), err)
	case err != nil && attempt.Err() != nil:
		return batch, &Error{text: fmt.Sprintf("there was no answer within %v", p.attemptTimeout), err: err, retryable: true}
	case err != nil:
		return batch, explain(err)
	case output == nil || len(output.Records) != len(batch):
		return batch, &Error{text: "the answer is not one for as many records as were sent", retryable: true}
	}
	var why string
	for n, i := range batch {
		entry := &output.Records[n]
		if entry.ErrorCode == nil && entry.SequenceNumber != nil && *entry.SequenceNumber != "" {
			continue
		}
		refused = append(refused, i)
		if code := aws.ToString(entry.ErrorCode); why == "" || code != "" {
			why = code
		}
	}
	if len(refused) == 0 {
		return nil, nil
	}
	return refused, refusal(why)
}

// withoutRetries leaves the retries to the publisher.
func withoutRetries(o *kinesis.Options) {
	o.Retryer = aws.NopRetryer{}
}

// wait waits before the next attempt, or returns why there shall be none.
func (s *sending) wait(ctx context.Context, cause error, attempts, fruitless int) error {
	var e *Error
	if !errors.As(cause, &e) {
		return cause
	}
	e.Attempts = fruitless
	if !e.retryable {
		return cause
	}
	delay := s.publisher.waits.Delay(attempts)
	if deadline, ok := ctx.Deadline(); ok {
		if time.Until(deadline) <= delay+margin {
			e.end = context.DeadlineExceeded
			return e
		}
	} else if fruitless >= s.publisher.maxAttempts {
		return e
	}
	if err := backoff.WaitFor(ctx, delay); err != nil {
		e.end = err
		return e
	}
	return nil
}

// margin is what is left of the time for the caller, to act on what Publish says.
const margin = 100 * time.Millisecond
