package lambdahandler

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

const tableARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/events/stream/2026-01-01T00:00:00.000"

// calls is a handler that notes for which event of which key it is called, with how
// many.
type calls struct {
	mu   sync.Mutex
	all  []string
	fail map[string]error
}

func (c *calls) handle(_ context.Context, m *mes.MicroEventStore) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf("%s %s of %d", m.HashKey, m.Current.ID, len(m.Events)))
	return c.fail[m.Current.ID]
}

// rangeKey is what TimeAndID makes of the event with an id.
func rangeKey(t testing.TB, id string) string {
	t.Helper()
	e, err := mes.Parse([]byte(eventJSON(id, "k")))
	require.NoError(t, err)
	key, err := mes.TimeAndID().AppendRangeKey(nil, &e)
	require.NoError(t, err)
	return string(key)
}

// image makes the DynamoDB JSON of an item, with its event if it is to have one.
func image(t testing.TB, key, id, event string) string {
	t.Helper()
	attributes := map[string]any{"partitionKey": map[string]string{"S": key}, "eventId": map[string]string{"S": rangeKey(t, id)}}
	if event != "" {
		attributes["event"] = map[string]string{"S": event}
		attributes["type"] = map[string]string{"S": "thing"}
		attributes["ttl"] = map[string]string{"N": "4102444800"}
	}
	return string(encode(t, attributes))
}

// A row is a record of a table's stream; its images are JSON, "" for none.
type row struct{ name, keys, new, old, identity string }

func inserted(t testing.TB, key, id string) row {
	return row{name: "INSERT", keys: image(t, key, id, ""), new: image(t, key, id, eventJSON(id, key))}
}

// change makes the members that DynamoDB Streams and Kinesis have in common.
func (r row) change(created string) string {
	parts := []string{`"ApproximateCreationDateTime":` + created, `"SizeBytes":59`}
	for name, image := range map[string]string{"Keys": r.keys, "NewImage": r.new, "OldImage": r.old} {
		if image != "" {
			parts = append(parts, `"`+name+`":`+image)
		}
	}
	return strings.Join(parts, ",")
}

func (r row) userIdentity() string {
	if r.identity == "" {
		return ""
	}
	return `"userIdentity":` + r.identity + ","
}

// dynamoPayload makes the payload of a DynamoDB event source mapping, with sequence
// numbers from 1.
func dynamoPayload(rows ...row) string {
	records := make([]string, len(rows))
	for i, r := range rows {
		records[i] = fmt.Sprintf(`{"eventID":"c4ca4238a0b923820dcc509a6f75849b","eventName":%q,"eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1",%s"dynamodb":{%s,"SequenceNumber":"%d","StreamViewType":"NEW_AND_OLD_IMAGES"},"eventSourceARN":%q}`,
			r.name, r.userIdentity(), r.change("1480642020.5"), i+1, tableARN)
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

// kinesisOfTable makes the same changes as Kinesis Data Streams for DynamoDB does.
func kinesisOfTable(rows ...row) events.KinesisEvent {
	data := make([]string, len(rows))
	for i, r := range rows {
		data[i] = fmt.Sprintf(`{"awsRegion":"eu-west-1","eventID":"b1b9e5ba-1d11-4d8f-8f34-1a5a7b6d1c11","eventName":%q,%s"recordFormat":"application/json","tableName":"events","dynamodb":{%s},"eventSource":"aws:dynamodb"}`,
			r.name, r.userIdentity(), r.change("1480642020500"))
	}
	return kinesisEvent(data...)
}

type invoker func(t *testing.T, h *DynamoDBHandler, rows ...row) ([]string, error)

// ways are the ways by which a change can come.
func ways() map[string]invoker {
	return map[string]invoker{
		"stream": func(t *testing.T, h *DynamoDBHandler, rows ...row) ([]string, error) {
			response, err := h.Invoke(t.Context(), []byte(dynamoPayload(rows...)))
			if err != nil {
				return nil, err
			}
			return identifiers(t, response), nil
		},
		"typed": func(t *testing.T, h *DynamoDBHandler, rows ...row) ([]string, error) {
			var event events.DynamoDBEvent
			require.NoError(t, json.Unmarshal([]byte(dynamoPayload(rows...)), &event))
			response, err := h.Handle(t.Context(), event)
			if err != nil {
				return nil, err
			}
			return identifiers(t, encode(t, response)), nil
		},
		"by Kinesis": func(t *testing.T, h *DynamoDBHandler, rows ...row) ([]string, error) {
			response, err := h.Invoke(t.Context(), encode(t, kinesisOfTable(rows...)))
			if err != nil {
				return nil, err
			}
			return shortened(identifiers(t, response)), nil
		},
		"by Kinesis, typed": func(t *testing.T, h *DynamoDBHandler, rows ...row) ([]string, error) {
			response, err := h.HandleKinesis(t.Context(), kinesisOfTable(rows...))
			if err != nil {
				return nil, err
			}
			return shortened(identifiers(t, encode(t, response))), nil
		},
	}
}

// shortened makes of Kinesis' sequence numbers those of dynamoPayload.
func shortened(ids []string) []string {
	for i, id := range ids {
		for n := range int64(100) {
			if id == sequence(n) {
				ids[i] = fmt.Sprint(n)
			}
		}
	}
	return ids
}

// everyWay runs a test with each.
func everyWay(t *testing.T, test func(t *testing.T, invoke invoker)) {
	for name, invoke := range ways() {
		t.Run(name, func(t *testing.T) { test(t, invoke) })
	}
}

// stored returns a store in which some events of the keys k and j are.
func stored(t testing.TB, ids ...string) *mes.Store {
	t.Helper()
	store := newStore(t, newImageTable())
	for _, id := range ids {
		for _, key := range []string{"k", "j"} {
			e, err := mes.Parse([]byte(eventJSON(id, key)))
			require.NoError(t, err)
			require.NoError(t, store.Save(t.Context(), e))
		}
	}
	return store
}

func TestDynamoDBFires(t *testing.T) {
	everyWay(t, func(t *testing.T, invoke invoker) {
		var c calls
		got, err := invoke(t, DynamoDB(mes.NewTrigger(stored(t, "1", "2", "3"), c.handle)), inserted(t, "k", "1"), inserted(t, "j", "2"))
		require.NoError(t, err)
		require.Empty(t, got)
		require.ElementsMatch(t, []string{"k 1 of 3", "j 2 of 3"}, c.all)
	})
}

// What a fault handler is given is all that the record says.
func TestChangesAreWhatTheRecordsSay(t *testing.T) {
	ttl := `{"type":"Service","principalId":"dynamodb.amazonaws.com"}`
	by := func(identity string) row {
		return row{name: "REMOVE", keys: image(t, "k", "1", ""), old: image(t, "k", "1", eventJSON("1", "k")), identity: identity}
	}
	for name, test := range map[string]struct {
		row  row
		want mes.Change
	}{
		"new image":          {inserted(t, "k", "1"), mes.Change{Kind: mes.Inserted, New: new(mes.Event)}},
		"keys only":          {row{name: "INSERT", keys: image(t, "k", "1", "")}, mes.Change{Kind: mes.Inserted}},
		"no keys":            {row{name: "INSERT", new: image(t, "k", "1", eventJSON("1", "k"))}, mes.Change{Kind: mes.Inserted, New: new(mes.Event)}},
		"old image alone":    {row{name: "MODIFY", keys: image(t, "k", "1", ""), old: image(t, "k", "1", eventJSON("1", "k"))}, mes.Change{Kind: mes.Modified, Old: new(mes.Event)}},
		"both images":        {row{name: "MODIFY", keys: image(t, "k", "1", ""), new: image(t, "k", "1", eventJSON("1", "k")), old: image(t, "k", "1", eventJSON("1", "k"))}, mes.Change{Kind: mes.Modified, New: new(mes.Event), Old: new(mes.Event)}},
		"no event in it":     {row{name: "INSERT", keys: image(t, "k", "1", ""), new: image(t, "k", "1", "")}, mes.Change{Kind: mes.Inserted}},
		"removed by hand":    {by(""), mes.Change{Kind: mes.Removed, Old: new(mes.Event)}},
		"removed by null":    {by("null"), mes.Change{Kind: mes.Removed, Old: new(mes.Event)}},
		"removed by TTL":     {by(ttl), mes.Change{Kind: mes.Removed, Old: new(mes.Event), Expired: true}},
		"removed by a user":  {by(`{"type":"User","principalId":"dynamodb.amazonaws.com"}`), mes.Change{Kind: mes.Removed, Old: new(mes.Event)}},
		"by another service": {by(`{"type":"Service","principalId":"other.amazonaws.com"}`), mes.Change{Kind: mes.Removed, Old: new(mes.Event)}},
	} {
		t.Run(name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, invoke invoker) {
				var set faultSink
				permanent := func(context.Context, *mes.MicroEventStore) error { return mes.Permanent(errTransient) }
				got, err := invoke(t, DynamoDB(mes.NewTrigger(stored(t, "1"), permanent, mes.OnKinds(mes.Inserted, mes.Modified, mes.Removed), mes.WithFaultHandler(set.handle))), test.row)
				require.NoError(t, err)
				require.Empty(t, got)
				require.Len(t, set.all, 1)
				change := set.all[0].Change
				require.Equal(t, "k", change.HashKey)
				require.Equal(t, rangeKey(t, "1"), change.RangeKey)
				require.Equal(t, test.want.Kind, change.Kind)
				require.Equal(t, test.want.Expired, change.Expired)
				for what, events := range map[string][2]*mes.Event{"new": {test.want.New, change.New}, "old": {test.want.Old, change.Old}} {
					require.Equal(t, events[0] == nil, events[1] == nil, what)
					if events[1] != nil {
						require.Equal(t, eventJSON("1", "k"), string(events[1].Raw), what)
						require.Equal(t, "1", events[1].ID)
						require.Equal(t, change.RangeKey, events[1].RangeKey)
					}
				}
				require.Equal(t, "eu-west-1", change.Meta.Region)
				require.NotEmpty(t, change.Meta.SequenceNumber)
				require.NotEmpty(t, change.Meta.Stream)
				require.EqualValues(t, 1480642020500, change.Meta.Arrived.UnixMilli())
			})
		})
	}
}

func TestPromise07AfterAFailureNoLaterChangeOfTheKey(t *testing.T) {
	everyWay(t, func(t *testing.T, invoke invoker) {
		c := calls{fail: map[string]error{"2": errTransient}}
		trigger := mes.NewTrigger(stored(t, "1", "2", "3"), c.handle)
		got, err := invoke(t, DynamoDB(trigger), inserted(t, "k", "1"), inserted(t, "j", "1"), inserted(t, "k", "2"), inserted(t, "k", "3"), inserted(t, "j", "3"))
		require.NoError(t, err)
		require.Equal(t, []string{"3"}, got)
		require.ElementsMatch(t, []string{"k 1 of 3", "j 1 of 3", "k 2 of 3", "j 3 of 3"}, c.all)

		_, err = invoke(t, DynamoDB(trigger, WholeBatch()), inserted(t, "k", "2"))
		require.ErrorContains(t, err, "1 of 1")
	})
}

// A record whose own content is wrong is a fault; what a newer version can read and
// what the function's settings cause is not.
func TestPromise09WrongImages(t *testing.T) {
	keys := image(t, "k", "2", "")
	withEvent := func(attribute string) row {
		return row{name: "INSERT", keys: keys, new: strings.TrimSuffix(keys, "}") + `,"event":` + attribute + `}`}
	}
	for name, test := range map[string]struct {
		row   row
		fault bool
	}{
		"the event is no JSON":    {withEvent(`{"S":"{"}`), true},
		"the image lacks a key":   {row{name: "INSERT", keys: keys, new: `{"partitionKey":{"S":"k"}}`}, true},
		"the image's key is N":    {row{name: "INSERT", keys: keys, new: `{"partitionKey":{"S":"k"},"eventId":{"N":"1"}}`}, true},
		"no kind that exists":     {row{name: "DROP", keys: keys}, true},
		"another program's item":  {row{name: "INSERT", keys: keys, new: strings.TrimSuffix(keys, "}") + `,"foo":{"S":"bar"}}`}, true},
		"no keys, odd image":      {row{name: "INSERT", new: `{"partitionKey":{"S":"k"}}`}, true},
		"an unknown encoding":     {withEvent(`{"B":"AAEC"}`), false},
		"an event that is a list": {withEvent(`{"L":[]}`), false},
		"an event that is N":      {withEvent(`{"N":"1"}`), false},
		"keys of another table":   {row{name: "INSERT", keys: `{"pk":{"S":"k"},"sk":{"S":"1"}}`, new: `{"pk":{"S":"k"},"sk":{"S":"1"},"event":{"S":"{}"}}`}, false},
		"a key that is N":         {row{name: "INSERT", keys: `{"partitionKey":{"S":"k"},"eventId":{"N":"1"}}`}, false},
		"a key that is B":         {row{name: "INSERT", keys: `{"partitionKey":{"B":"aw=="},"eventId":{"S":"1"}}`}, false},
		"no keys":                 {row{name: "INSERT", keys: `{}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for name, invoke := range ways() {
				t.Run(name, func(t *testing.T) {
					var set faultSink
					var c calls
					trigger := mes.NewTrigger(stored(t, "1", "2"), c.handle, mes.WithFaultHandler(set.handle))
					got, err := invoke(t, DynamoDB(trigger), inserted(t, "j", "1"), test.row, inserted(t, "j", "2"))
					require.NoError(t, err)
					require.ElementsMatch(t, []string{"j 1 of 2", "j 2 of 2"}, c.all, "its neighbours are dealt with")
					if test.fault {
						require.Empty(t, got)
						require.Len(t, set.all, 1)
						return
					}
					require.Equal(t, []string{"2"}, got)
					require.Empty(t, set.all)
				})
			}
		})
	}
}

// What stood there before matters to nobody whose trigger gets the new event.
func TestAnOldImageThatCannotBeReadHoldsUpNothing(t *testing.T) {
	keys := image(t, "j", "1", "")
	modified := inserted(t, "j", "1")
	modified.name, modified.old = "MODIFY", strings.TrimSuffix(keys, "}")+`,"event":{"S":"{"}}`
	for name, invoke := range ways() {
		t.Run(name, func(t *testing.T) {
			var c calls
			got, err := invoke(t, DynamoDB(mes.NewTrigger(stored(t, "1", "2"), c.handle, mes.OnKinds(mes.Modified))), modified)
			require.NoError(t, err)
			require.Empty(t, got)
			require.Equal(t, []string{"j 1 of 2"}, c.all)
		})
	}
}

// What the types of package events cannot even hold.
func TestPromise10ShapesThatOnlyInvokeReads(t *testing.T) {
	good := dynamoPayload(inserted(t, "k", "1"))
	good = strings.TrimSuffix(strings.TrimPrefix(good, `{"Records":[`), `]}`)
	for name, test := range map[string]struct {
		record string
		id     string // that is named, without a fault handler
		fails  bool
	}{
		"the image is a number":      {`{"eventName":"INSERT","dynamodb":{"SequenceNumber":"2","Keys":{"partitionKey":{"S":"k"},"eventId":{"S":"2"}},"NewImage":5}}`, "2", false},
		"the image is an attribute":  {`{"eventName":"INSERT","dynamodb":{"SequenceNumber":"2","Keys":{"partitionKey":{"S":"k"},"eventId":{"S":"2"}},"NewImage":{"partitionKey":"k"}}}`, "2", false},
		"keys are null, no image":    {`{"eventName":"INSERT","dynamodb":{"SequenceNumber":"2","Keys":null}}`, "2", false},
		"the name is a number":       {`{"eventName":1,"dynamodb":{"SequenceNumber":"2","Keys":{"partitionKey":{"S":"k"},"eventId":{"S":"2"}}}}`, "2", false},
		"the identity is a string":   {`{"eventName":"INSERT","userIdentity":"me","dynamodb":{"SequenceNumber":"2","Keys":{"partitionKey":{"S":"k"}}}}`, "2", false},
		"no sequence number":         {`{"eventName":"INSERT","dynamodb":{"Keys":{"partitionKey":{"S":"k"},"eventId":{"S":"2"}}}}`, "", true},
		"dynamodb is a list":         {`{"eventName":"INSERT","dynamodb":[]}`, "", true},
		"null":                       {`null`, "", true},
		"a Kinesis record, no data":  {`{"kinesis":{"sequenceNumber":"2"}}`, "2", false},
		"a Kinesis record, no JSON":  {`{"kinesis":{"sequenceNumber":"2","data":"` + base64.StdEncoding.EncodeToString([]byte(`{"dynamodb":`)) + `"}}`, "2", false},
		"a Kinesis record of other":  {`{"kinesis":{"sequenceNumber":"2","data":"` + base64.StdEncoding.EncodeToString([]byte(`{"id":"1"}`)) + `"}}`, "2", false},
		"a Kinesis record in itself": {`{"kinesis":{"sequenceNumber":"2","data":"` + base64.StdEncoding.EncodeToString([]byte(`{"kinesis":{"sequenceNumber":"9","data":"e30="}}`)) + `"}}`, "2", false},
		"a Kinesis record, base64":   {`{"kinesis":{"sequenceNumber":"2","data":"%"}}`, "2", false},
		"a Kinesis record, null":     {`{"kinesis":null}`, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var c calls
			got, err := DynamoDB(mes.NewTrigger(stored(t, "1"), c.handle)).Invoke(t.Context(), []byte(`{"Records":[`+good+`,`+test.record+`]}`))
			require.Equal(t, []string{"k 1 of 1"}, c.all)
			if test.fails {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			if id := identifiers(t, got); len(id) > 0 || strings.Contains(test.record, "kinesis") {
				require.Equal(t, []string{test.id}, id)
			}
		})
	}
}

func TestOnlyThisRegion(t *testing.T) {
	in := func(name, region string, r row) row {
		r.new = strings.TrimSuffix(r.new, "}") + `,"` + name + `":{"S":"` + region + `"}}`
		return r
	}
	plain := inserted(t, "k", "1")
	modified := func(r row) row {
		r.name, r.old = "MODIFY", plain.new
		return r
	}
	removed := in("awsregion", "us-east-1", plain)
	removed.name, removed.new, removed.old = "REMOVE", "", removed.new
	expired := removed // by this region's TTL, though another region wrote the item
	expired.identity = `{"type":"Service","principalId":"dynamodb.amazonaws.com"}`
	for name, test := range map[string]struct {
		row  row
		here bool
	}{
		"plain":            {plain, true},
		"here":             {in("aws:rep:updateregion", "eu-west-1", plain), true},
		"elsewhere":        {in("aws:rep:updateregion", "us-east-1", plain), false},
		"here, later":      {in("awsregion", "eu-west-1", plain), true},
		"elsewhere, later": {in("awsregion", "us-east-1", plain), false},
		"adorned":          {modified(in("aws:rep:updateregion", "eu-west-1", plain)), false},
		"modified":         {modified(plain), true},
		"removed":          {removed, false},
		"by the TTL":       {expired, true},
		"no string":        {row{name: "INSERT", keys: plain.keys, new: strings.TrimSuffix(plain.new, "}") + `,"awsregion":{"N":"1"}}`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, invoke invoker) {
				var c calls
				trigger := mes.NewTrigger(stored(t, "1"), c.handle, mes.OnKinds(mes.Inserted, mes.Modified, mes.Removed))
				_, err := invoke(t, DynamoDB(trigger), test.row)
				require.NoError(t, err)
				require.Len(t, c.all, 1, "without the option every region fires")
				c.all = nil
				got, err := invoke(t, DynamoDB(trigger, OnlyThisRegion()), test.row)
				require.NoError(t, err)
				require.Empty(t, got)
				require.Equal(t, test.here, len(c.all) == 1)
			})
		})
	}
}

// A change that cannot be read still tells whose it is: it blocks nobody who has not
// asked for it.
func TestOnlyHashKeysOfWhatCannotBeRead(t *testing.T) {
	keys := image(t, "j", "1", "")
	broken := func(r row) row { r.keys = keys; return r }
	for name, r := range map[string]row{
		"the event is no JSON":    broken(row{name: "INSERT", new: strings.TrimSuffix(keys, "}") + `,"event":{"S":"{"}}`}),
		"an encoding of tomorrow": broken(row{name: "INSERT", new: strings.TrimSuffix(keys, "}") + `,"event":{"B":"AAEC"}}`}),
		"no kind that exists":     broken(row{name: "DROP"}),
		"an image without a key":  broken(row{name: "INSERT", new: `{}`}),
	} {
		t.Run(name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, invoke invoker) {
				for only, want := range map[string][]string{"k": {}, "j": {"2"}} {
					trigger := mes.NewTrigger(stored(t, "1"), new(calls).handle, mes.OnlyHashKeys(func(key string) bool { return key == only }))
					got, err := invoke(t, DynamoDB(trigger), inserted(t, "k", "1"), r)
					require.NoError(t, err)
					require.Equal(t, want, got)
				}
			})
		})
	}
	h := DynamoDB(mes.NewTrigger(stored(t, "1"), new(calls).handle, mes.OnlyHashKeys(func(key string) bool { return key == "k" })))
	event := events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
		SequenceNumber: "1", Keys: map[string]events.DynamoDBAttributeValue{"partitionKey": events.NewStringAttribute("j"), "eventId": events.NewStringAttribute("1")},
		NewImage: map[string]events.DynamoDBAttributeValue{"event": {}},
	}}}}
	response, err := h.Handle(t.Context(), event)
	require.NoError(t, err)
	require.Empty(t, response.BatchItemFailures)
}

// Package events panics when it is to make JSON of an attribute that has no value,
// such as a middleware may leave behind.
func TestPromise10AttributesWithoutAValue(t *testing.T) {
	var none events.DynamoDBAttributeValue
	for _, attribute := range []events.DynamoDBAttributeValue{
		none, events.NewListAttribute([]events.DynamoDBAttributeValue{none}), events.NewMapAttribute(map[string]events.DynamoDBAttributeValue{"a": none}),
	} {
		keys := func() map[string]events.DynamoDBAttributeValue {
			return map[string]events.DynamoDBAttributeValue{"partitionKey": events.NewStringAttribute("j"), "eventId": events.NewStringAttribute(rangeKey(t, "1"))}
		}
		broken := keys()
		broken["event"] = attribute
		whole := keys()
		whole["event"] = events.NewStringAttribute(eventJSON("1", "j"))
		for name, test := range map[string]struct {
			change events.DynamoDBStreamRecord
			done   bool
		}{
			"new": {events.DynamoDBStreamRecord{SequenceNumber: "1", Keys: keys(), NewImage: broken}, false},
			"old": {events.DynamoDBStreamRecord{SequenceNumber: "1", Keys: broken, NewImage: whole, OldImage: broken}, true}, // what was there before matters to nobody
		} {
			var c calls
			h := DynamoDB(mes.NewTrigger(stored(t, "1"), c.handle, mes.OnKinds(mes.Modified)))
			response, err := h.Handle(t.Context(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{{EventName: "MODIFY", Change: test.change}}})
			require.NoError(t, err)
			require.Equal(t, test.done, len(response.BatchItemFailures) == 0, name)
			require.Equal(t, test.done, len(c.all) == 1, name)
		}
	}
}

func TestAnUnknownKindIsNamed(t *testing.T) {
	everyWay(t, func(t *testing.T, invoke invoker) {
		_, err := invoke(t, DynamoDB(mes.NewTrigger(stored(t, "1"), new(calls).handle), WholeBatch()), row{name: "DROP", keys: image(t, "k", "1", "")})
		require.ErrorContains(t, err, "its eventName is none of INSERT, MODIFY and REMOVE")
	})
}

func TestMarkersWakeNobody(t *testing.T) {
	keys := `{"partitionKey":{"S":"k"},"eventId":{"S":"\u0001mark"}}`
	everyWay(t, func(t *testing.T, invoke invoker) {
		var c calls
		got, err := invoke(t, DynamoDB(mes.NewTrigger(stored(t, "1"), c.handle)), row{name: "INSERT", keys: keys, new: strings.TrimSuffix(keys, "}") + `,"event":{"S":"no event"}}`})
		require.NoError(t, err)
		require.Empty(t, got)
		require.Empty(t, c.all)
	})
}

func TestMicroseconds(t *testing.T) {
	data := `{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTimePrecision":"MICROSECOND","ApproximateCreationDateTime":1480642020500123,"Keys":` + image(t, "k", "1", "") + `}}`
	s, err := readDynamoDB(encode(t, kinesisEvent(data)), new(window), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1480642020500123, s.changes[0].Meta.Arrived.UnixMicro())
}

// A history that the table does not show is no success.
func TestPromise06NoHistoryNoSuccess(t *testing.T) {
	everyWay(t, func(t *testing.T, invoke invoker) {
		var c calls
		store := newStore(t, newImageTableWith(memorytable.Options{OnQuery: func(context.Context, driver.Query) error { return errTransient }}))
		got, err := invoke(t, DynamoDB(mes.NewTrigger(store, c.handle)), inserted(t, "k", "1"))
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, got)
		require.Empty(t, c.all)
	})
}

func TestAnAdornedItemThatDiffersIsNotElsewhere(t *testing.T) {
	change := mes.Change{Kind: mes.Modified, Meta: mes.Meta{Region: "eu-west-1"}}
	record := streamRecord{
		old: []byte(`{"pk":{"S":"a"},"event":{"S":"1"}}`),
		new: []byte(`{"awsregion":{"S":"eu-west-1"},"event":{"S":"1"},"pk":{"S":"a"}}`),
	}
	require.True(t, record.elsewhere(&change), "only the region was added")
	record.new = []byte(`{"awsregion":{"S":"eu-west-1"},"event":{"S":"2"},"pk":{"S":"a"}}`)
	require.False(t, record.elsewhere(&change))
	record, change = streamRecord{new: record.new}, mes.Change{Kind: mes.Inserted}
	require.False(t, record.elsewhere(&change), "the record does not say where it is from")
}
