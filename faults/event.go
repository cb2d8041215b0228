package faults

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	mes "github.com/microeventstore/microeventstore"
)

// Type is the type of every fault event.
const Type = "fault"

// Limits of what a fault event holds, in bytes.
const (
	// DefaultMaxSize bounds the whole event: what EventBridge takes, and DynamoDB
	// as well.
	DefaultMaxSize = 256 << 10
	// MaxErrorSize bounds the text of the error; the rest of it is cut.
	MaxErrorSize = 2 << 10
)

// leastMaxSize has room for an error and two keys of the greatest size, each byte
// of which JSON may make six of, and as much for what else there is.
const leastMaxSize = 64 << 10

// The operations that faults come from.
const (
	operationListen  = "listen"
	operationTrigger = "trigger"
)

// A body is the fault member of a fault event.
type body struct {
	Error     string `json:"error"`
	Operation string `json:"operation"`

	Stream         string `json:"stream,omitempty"`
	Shard          string `json:"shard,omitempty"`
	SequenceNumber string `json:"sequenceNumber,omitempty"`
	SubSequence    int64  `json:"subSequence,omitempty"`
	MessageID      string `json:"messageId,omitempty"`
	Region         string `json:"region,omitempty"`
	Arrived        int64  `json:"arrived,omitempty"` // milliseconds since 1970

	Kind     string `json:"kind,omitempty"`
	HashKey  string `json:"hashKey,omitempty"`
	RangeKey string `json:"rangeKey,omitempty"`
	Expired  bool   `json:"expired,omitempty"`

	Record  *payload `json:"record,omitempty"` // of a listener
	New     *payload `json:"new,omitempty"`    // of a trigger
	Old     *payload `json:"old,omitempty"`
	Omitted string   `json:"omitted,omitempty"` // why the payload is not there
}

// A payload is bytes: as text, exactly, or in base64 if they are not UTF-8.
type payload struct {
	Text     *string `json:"text,omitempty"`
	Bytes    []byte  `json:"bytes,omitempty"`
	Redacted bool    `json:"redacted,omitempty"`
	Expires  int64   `json:"expires,omitempty"` // of a stored event, seconds since 1970
}

type envelope struct {
	ID           string            `json:"id"`
	Type         string            `json:"type"`
	Timestamp    int64             `json:"timestamp"`
	PartitionKey string            `json:"partitionKey"`
	Tags         map[string]string `json:"tags"`
	Fault        body              `json:"fault"`
}

// event makes the event of a fault.
func (o *options) event(fault mes.Fault) (mes.Event, error) {
	b := body{Error: cut(fault.Err)}
	var meta mes.Meta
	switch {
	case fault.Record != nil:
		meta = fault.Record.Meta
		b.Operation = operationListen
	case fault.Change != nil:
		c := fault.Change
		meta = c.Meta
		b.Operation, b.Kind, b.Expired = operationTrigger, c.Kind.String(), c.Expired
		b.HashKey, b.RangeKey = c.HashKey, c.RangeKey
	default:
		return mes.Event{}, errors.New("faults: the fault has neither a record nor a change")
	}
	b.Stream, b.Shard, b.SequenceNumber, b.SubSequence, b.Region = meta.Stream, meta.Shard, meta.SequenceNumber, meta.SubSequence, meta.Region
	b.MessageID = meta.MessageID
	if !meta.Arrived.IsZero() {
		b.Arrived = meta.Arrived.UnixMilli()
	}
	e := envelope{
		ID: idOf(&fault, &meta), Type: Type, Timestamp: timeOf(&fault, &meta).UnixMilli(), PartitionKey: o.source,
		Tags: map[string]string{"source": o.source}, Fault: b,
	}
	o.addPayload(&e.Fault, &fault)
	event, err := newEvent(&e)
	if err == nil && len(event.Raw) > o.maxSize && e.Fault.Omitted == "" {
		e.Fault.Record, e.Fault.New, e.Fault.Old = nil, nil, nil
		e.Fault.Omitted = fmt.Sprintf("the event would be %d bytes with it and can be at most %d", len(event.Raw), o.maxSize)
		event, err = newEvent(&e)
	}
	switch {
	case err != nil:
		return mes.Event{}, fmt.Errorf("faults: %w", err)
	case len(event.Raw) > o.maxSize:
		return mes.Event{}, fmt.Errorf("faults: the event is %d bytes without a payload and can be at most %d; raise WithMaxSize", len(event.Raw), o.maxSize)
	}
	return event, nil
}

func newEvent(e *envelope) (mes.Event, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return mes.Event{}, errors.New("the fault cannot be marshalled")
	}
	return mes.Parse(raw)
}

// addPayload adds what the user allows.
func (o *options) addPayload(b *body, fault *mes.Fault) {
	if !o.payload {
		b.Omitted = "WithPayload is not set"
		return
	}
	add := func(to **payload, data []byte) {
		p, err := o.redacted(data)
		if err != nil {
			b.Omitted = err.Error()
			return
		}
		*to = p
	}
	if fault.Record != nil {
		add(&b.Record, fault.Record.Data)
		return
	}
	if e := fault.Change.New; e != nil {
		add(&b.New, e.Raw)
		b.New.expires(e)
	}
	if e := fault.Change.Old; e != nil {
		add(&b.Old, e.Raw)
		b.Old.expires(e)
	}
}

func (p *payload) expires(e *mes.Event) {
	if p != nil && !e.Expires.IsZero() {
		p.Expires = e.Expires.Unix()
	}
}

func newPayload(data []byte) *payload {
	if !utf8.Valid(data) {
		return &payload{Bytes: data}
	}
	text := string(data)
	return &payload{Text: &text}
}

func (p *payload) data() []byte {
	if p.Text != nil {
		return []byte(*p.Text)
	}
	return p.Bytes
}

// cut returns the text of an error, as much of it as a fault event holds.
func cut(err error) string {
	if err == nil {
		return ""
	}
	text := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(text) <= MaxErrorSize {
		return text
	}
	end := MaxErrorSize
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// The id of a fault event is the prefix and so many bytes of a hash.
const (
	idPrefix = "fault-"
	idSize   = 16
)

// idOf names the record by its place in its stream, or, where that is not known,
// by what it holds.
func idOf(fault *mes.Fault, meta *mes.Meta) string {
	hash := sha256.New()
	write := func(part string) { fmt.Fprintf(hash, "%d:%s", len(part), part) }
	for _, part := range []string{meta.Stream, meta.Shard, meta.SequenceNumber, fmt.Sprint(meta.SubSequence)} {
		write(part)
	}
	if c := fault.Change; c != nil {
		for _, part := range []string{c.Kind.String(), c.HashKey, c.RangeKey} {
			write(part)
		}
	} else if meta.MessageID != "" {
		write(meta.MessageID)
	} else if meta.SequenceNumber == "" {
		write(string(fault.Record.Data))
	}
	return idPrefix + hex.EncodeToString(hash.Sum(nil)[:idSize])
}

// timeOf is when the stream took the record; where that is not known, now.
func timeOf(fault *mes.Fault, meta *mes.Meta) time.Time {
	if !meta.Arrived.IsZero() {
		return meta.Arrived
	}
	if c := fault.Change; c != nil {
		for _, e := range [...]*mes.Event{c.New, c.Old} {
			if e != nil && !e.Timestamp.IsZero() {
				return e.Timestamp
			}
		}
	}
	return time.Now()
}
