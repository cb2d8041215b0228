package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBad = errors.New("bad")

func record(data string) *mes.Record {
	return &mes.Record{Data: []byte(data), Meta: mes.Meta{
		Stream: "events", Shard: "shardId-000000000001", SequenceNumber: "4711", SubSequence: 2, Region: "eu-west-1", Arrived: time.UnixMilli(1_700_000_000_000).UTC(),
	}}
}

// publish returns the event of a fault.
func publish(t testing.TB, fault mes.Fault, opts ...faults.Option) (mes.Event, error) {
	t.Helper()
	var got mes.Event
	err := faults.Publish(mes.PublisherFunc(func(_ context.Context, events ...mes.Event) error {
		require.Len(t, events, 1)
		got = events[0]
		return nil
	}), "orders", opts...)(t.Context(), fault)
	return got, err
}

func TestAFaultSaysWhereItCameFrom(t *testing.T) {
	e, err := publish(t, mes.Fault{Err: errBad, Record: record(`{"secret":1}`)})
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"`+e.ID+`","type":"fault","timestamp":1700000000000,"partitionKey":"orders","tags":{"source":"orders"},
		"fault":{"error":"bad","operation":"listen","stream":"events","shard":"shardId-000000000001","sequenceNumber":"4711","subSequence":2,
		"region":"eu-west-1","arrived":1700000000000,"omitted":"WithPayload is not set"}}`, string(e.Raw))

	again, err := publish(t, mes.Fault{Err: errors.New("worse"), Record: record(`{"secret":1}`)})
	require.NoError(t, err)
	require.Equal(t, e.ID, again.ID, "the same record is the same fault")
	other := record(`{"secret":1}`)
	other.Meta.SubSequence = 3
	another, err := publish(t, mes.Fault{Err: errBad, Record: other})
	require.NoError(t, err)
	require.NotEqual(t, e.ID, another.ID)

	old := mes.Event{Raw: []byte(`{"id":"1"}`), Timestamp: time.UnixMilli(5), Expires: time.Unix(7, 0)}
	change := mes.Change{Kind: mes.Removed, HashKey: "h", RangeKey: "r", Old: &old, Expired: true}
	e, err = publish(t, mes.Fault{Err: errBad, Change: &change}, faults.WithPayload())
	require.NoError(t, err)
	require.JSONEq(t, `{"error":"bad","operation":"trigger","kind":"REMOVE","hashKey":"h","rangeKey":"r","expired":true,"old":{"text":"{\"id\":\"1\"}","expires":7}}`, field(e, "fault"))
	require.Equal(t, time.UnixMilli(5).UTC(), e.Timestamp)

	_, err = publish(t, mes.Fault{Err: errBad})
	require.Error(t, err)
}

// Two messages of a queue are two faults, though one holds what the other does.
func TestEachMessageIsAFaultOfItsOwn(t *testing.T) {
	ids := make(map[string]bool)
	for _, id := range []string{"m1", "m2", "m1", ""} {
		r := mes.Record{Data: []byte("poison"), Meta: mes.Meta{Stream: "queue", MessageID: id, Arrived: time.UnixMilli(1_700_000_000_000)}}
		e, err := publish(t, mes.Fault{Err: errBad, Record: &r}, faults.WithPayload())
		require.NoError(t, err)
		ids[e.ID] = true
		if id == "" {
			continue
		}
		require.JSONEq(t, `"`+id+`"`, field(e, "fault.messageId"))
		var again string
		store, err := mes.New(memorytable.New(), mes.WithTTL(mes.NeverExpire()))
		require.NoError(t, err)
		require.Error(t, faults.Resubmit(t.Context(), mes.NewListener(store, nil, mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
			again = fault.Record.Meta.MessageID
			return errBad
		})), nil, e))
		require.Equal(t, id, again)
	}
	require.Len(t, ids, 3)
}

func field(e mes.Event, path string) string {
	raw, _ := e.Field(path)
	return string(raw)
}

func TestAFaultIsBounded(t *testing.T) {
	long := errors.New(strings.Repeat("é", faults.MaxErrorSize))
	for _, size := range []int{10, faults.DefaultMaxSize, 20 << 20} {
		e, err := publish(t, mes.Fault{Err: long, Record: record(strings.Repeat("x", size))}, faults.WithPayload())
		require.NoError(t, err)
		require.LessOrEqual(t, len(e.Raw), faults.DefaultMaxSize)
		require.LessOrEqual(t, len(field(e, "fault.error")), faults.MaxErrorSize+2)
		require.Equal(t, size > 10, strings.Contains(field(e, "fault.omitted"), "can be at most"))
	}

	// The largest that there is fits into the least that can be set.
	change := mes.Change{
		Kind: mes.Removed, HashKey: strings.Repeat("<", driver.MaxHashKeySize), RangeKey: strings.Repeat("\x02", driver.MaxRangeKeySize),
		Meta: record("").Meta, Old: &mes.Event{Raw: make([]byte, driver.MaxItemSize)},
	}
	change.Meta.Stream = strings.Repeat("<", 2048)
	e, err := publish(t, mes.Fault{Err: errors.New(strings.Repeat("\x02", faults.MaxErrorSize)), Change: &change}, faults.WithPayload(), faults.WithMaxSize(64<<10))
	require.NoError(t, err)
	require.LessOrEqual(t, len(e.Raw), 64<<10)
	require.Contains(t, field(e, "fault.omitted"), "can be at most 65536")
}

func TestThePayloadIsThereOnlyAsFarAsAllowed(t *testing.T) {
	const data = `{"card":{"number":"secret","kind":"visa"},"list":[{"pin":"secret"},{"pin":"secret"},3],"n":9007199254740993}`
	e, err := publish(t, mes.Fault{Err: errBad, Record: record(data)}, faults.WithPayload("card.number", "list.pin", "none.there"))
	require.NoError(t, err)
	require.NotContains(t, string(e.Raw), "secret")
	var text string
	require.NoError(t, json.Unmarshal([]byte(field(e, "fault.record.text")), &text))
	require.JSONEq(t, `{"card":{"number":"[redacted]","kind":"visa"},"list":[{"pin":"[redacted]"},{"pin":"[redacted]"},3],"n":9007199254740993}`, text)
	const where = "read the record again from its stream (shard shardId-000000000001, sequence number 4711)"
	require.ErrorContains(t, faults.Resubmit(t.Context(), nil, nil, e), "redacted: "+where)

	e, err = publish(t, mes.Fault{Err: errBad, Record: record(data)})
	require.NoError(t, err)
	err = faults.Resubmit(t.Context(), nil, nil, e)
	require.ErrorContains(t, err, "record 0 is to be delivered again: faults: the payload was left out (WithPayload is not set): "+where)
	require.ErrorContains(t, err, "set WithPayload")

	e, err = publish(t, mes.Fault{Err: errBad, Record: record(`"secret`)}, faults.WithPayload("card.number"))
	require.NoError(t, err)
	require.NotContains(t, string(e.Raw), "secret", "nobody knows where it stands")

	e, err = publish(t, mes.Fault{Err: errBad, Record: record(data)}, faults.WithPayload("none.there"))
	require.NoError(t, err)
	require.Contains(t, field(e, "fault.record.text"), "9007199254740993", "as it was: nothing was redacted")
}

func TestWrongOptions(t *testing.T) {
	for text, handler := range map[string]mes.FaultHandler{
		"the source has no name":        faults.Publish(mes.PublisherFunc(nil), ""),
		"the publisher or store is nil": faults.Save(nil, "x"),
		"option 0 is nil":               faults.Publish(mes.PublisherFunc(nil), "x", nil),
		"WithMaxSize":                   faults.Publish(mes.PublisherFunc(nil), "x", faults.WithMaxSize(64<<10-1)),
		"a path is empty":               faults.Publish(mes.PublisherFunc(nil), "x", faults.WithPayload("")),
		"or a name in it is":            faults.Publish(mes.PublisherFunc(nil), "x", faults.WithPayload("card..number")),
	} {
		require.ErrorContains(t, handler(t.Context(), mes.Fault{Err: errBad, Record: record("x")}), text)
	}
	_, err := faults.NewStore(nil)
	require.Error(t, err)
}

// TestResubmit sets records and changes aside and puts them through again.
func TestResubmit(t *testing.T) {
	table := memorytable.New()
	set, err := faults.NewStore(table)
	require.NoError(t, err)
	onFault := mes.WithFaultHandler(faults.Save(set, "orders", faults.WithPayload()))
	mended := false
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()), mes.WithHashKey(func(e mes.Event) (string, error) {
		if !mended && e.Type == "new" {
			return "", errBad
		}
		return e.PartitionKey, nil
	}))
	require.NoError(t, err)
	listener := mes.NewListener(store, nil, onFault)
	records := make([]mes.Record, 0, 4)
	for i, eventType := range []string{"old", "new", "new"} {
		r := record(fmt.Sprintf(`{"id":"%d","type":%q,"partitionKey":"p","timestamp":%d}`, i, eventType, 1_700_000_000_000+i))
		r.Meta.SequenceNumber = fmt.Sprint(i)
		r.Meta.Arrived = time.Now()
		records = append(records, *r)
	}
	poison := record("\xff\x00 no JSON")
	poison.Meta.Arrived = time.Now()
	records = append(records, *poison)
	for range 2 {
		require.NoError(t, listener.Handle(t.Context(), records))
	}
	list := stored(t, set)
	require.Len(t, list, 3, "each once, though it was delivered twice")
	require.Contains(t, field(list[0], "fault.error"), "bad")

	mended = true
	strict := mes.NewListener(store, nil)
	err = faults.Resubmit(t.Context(), strict, nil, list...)
	var batch *mes.BatchError
	require.ErrorAs(t, err, &batch)
	require.Len(t, batch.Failures, 1)
	require.NotContains(t, field(list[batch.Failures[0].Index], "fault.record"), "new", "the poison is still poison")
	m, err := store.GetMicroEventStore(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, m.Events, 3)
	require.Equal(t, string(records[1].Data), string(m.Events[1].Raw), "byte for byte")

	require.NoError(t, faults.Resubmit(t.Context(), listener, nil, list...), "with a fault handler it counts as done")
	require.Len(t, stored(t, set), 3)
}

func TestResubmitAFaultThatCameInAnEnvelope(t *testing.T) {
	fault, err := publish(t, mes.Fault{Err: errBad, Record: record(`{"id":"1","type":"t","partitionKey":"p","timestamp":1700000000000}`)}, faults.WithPayload())
	require.NoError(t, err)
	for _, envelope := range []string{
		`{"version":"0","id":"x","detail-type":"fault","source":"orders","time":"2024-01-01T00:00:00Z","detail":%s}`,
		`{"specversion":"1.0","id":"x","type":"fault","source":"/orders","data":%s}`,
	} {
		store, err := mes.New(memorytable.New(), mes.WithTTL(mes.NeverExpire()))
		require.NoError(t, err)
		e, err := mes.Parse(fmt.Appendf(nil, envelope, fault.Raw))
		require.NoError(t, err)
		require.NoError(t, faults.Resubmit(t.Context(), mes.NewListener(store, nil), nil, e))
		m, err := store.GetMicroEventStore(t.Context(), "p")
		require.NoError(t, err)
		require.Len(t, m.Events, 1)
	}
}

func stored(t *testing.T, set *mes.Store) (list []mes.Event) {
	t.Helper()
	for e, err := range set.Events(t.Context(), faults.HashKey("orders")) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

func TestResubmitChanges(t *testing.T) {
	table := memorytable.New()
	set, err := faults.NewStore(table)
	require.NoError(t, err)
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	require.NoError(t, err)
	e, err := mes.NewEvent(map[string]any{"id": "1", "type": "t", "partitionKey": "p", "timestamp": 1_700_000_000_000})
	require.NoError(t, err)
	require.NoError(t, store.Save(t.Context(), e))
	mended := false
	var seen []mes.Event
	newTrigger := func(payload ...faults.Option) *mes.Trigger {
		return mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
			if !mended {
				return mes.Permanent(errBad)
			}
			seen = append(seen, m.Current)
			return nil
		}, mes.OnKinds(mes.Inserted, mes.Removed), mes.OnlyHashKeys(faults.NotFaults), mes.WithFaultHandler(faults.Save(set, "orders", payload...)))
	}
	old := e
	old.Expires = time.Unix(1_800_000_000, 0).UTC()
	changes := []mes.Change{
		{Kind: mes.Inserted, HashKey: "p", RangeKey: "0001700000000000#1", Meta: mes.Meta{SequenceNumber: "1", Arrived: time.Now()}},
		{Kind: mes.Removed, HashKey: "p", RangeKey: "gone", Old: &old, Expired: true, Meta: mes.Meta{SequenceNumber: "2", Arrived: time.Now()}},
	}
	require.NoError(t, newTrigger().Handle(t.Context(), changes))
	list := stored(t, set)
	require.Len(t, list, 2)
	require.NoError(t, newTrigger().Handle(t.Context(), []mes.Change{{Kind: mes.Inserted, HashKey: faults.HashKey("orders"), RangeKey: list[0].RangeKey}}))
	require.Len(t, stored(t, set), 2, "a trigger that leaves out faults is not woken by them")

	mended = true
	trigger := newTrigger(faults.WithPayload())
	err = faults.Resubmit(t.Context(), nil, trigger, list...)
	require.ErrorContains(t, err, "left out (WithPayload is not set): read the record again from its stream", "a removal needs what was removed")
	require.Len(t, seen, 1)
	require.Equal(t, "1", seen[0].ID)

	mended, seen = false, nil
	require.NoError(t, trigger.Handle(t.Context(), changes))
	mended = true
	require.NoError(t, faults.Resubmit(t.Context(), nil, trigger, stored(t, set)...))
	require.Len(t, seen, 2)
	require.Equal(t, old.Expires, seen[1].Expires)

	require.ErrorContains(t, faults.Resubmit(t.Context(), nil, nil, list[0]), "no listener or trigger")
	require.ErrorContains(t, faults.Resubmit(t.Context(), nil, trigger, e), "not a fault event")
}

func TestAFaultOfAnOldRecordCanBeRead(t *testing.T) {
	for _, age := range []time.Duration{40 * 24 * time.Hour, 8 * 365 * 24 * time.Hour} {
		set, err := faults.NewStore(memorytable.New())
		require.NoError(t, err)
		old := record("x")
		old.Meta.Arrived = time.Now().Add(-age)
		for range 2 {
			require.NoError(t, faults.Save(set, "orders")(t.Context(), mes.Fault{Err: errBad, Record: old}))
		}
		list := stored(t, set)
		require.Len(t, list, 1)
		require.True(t, list[0].Expires.After(time.Now()))
	}
}
