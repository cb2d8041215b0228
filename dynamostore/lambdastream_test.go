package dynamostore

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

const streamTime = 1_700_000_000_000

func streamEvent(t testing.TB, id, key string, ms int, more string) mes.Event {
	e, err := mes.Parse([]byte(fmt.Sprintf(`{"id":%q,"type":"thing-created","partitionKey":%q,"timestamp":%d%s}`, id, key, streamTime+ms, more)))
	require.NoError(t, err)
	return e
}

func ids(events []mes.Event) []string {
	list := []string{}
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

// correlate puts an event under one more key, as the flavor correlate does.
func correlate(t testing.TB, s server, table, key, id string, ms int) {
	event, err := mapOf([]byte(fmt.Sprintf(`{"id":%q,"type":"thing-correlated","timestamp":%d}`, id, streamTime+ms)))
	require.NoError(t, err)
	_, err = s.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: attributes{
		"pk": text(key), "sk": text(id), "discriminator": text("CORREL"), "timestamp": number(int64(streamTime + ms)),
		"sequenceNumber": text("1"), "ruleId": text("rule"), "event": event,
	}})
	require.NoError(t, err)
}

func TestIntegrationLambdaStreamLayoutIsThatOfThePackage(t *testing.T) {
	s := newServer(t)
	table, name := s.table(t, LambdaStreamLayout(), WithExpire(""))
	e := streamEvent(t, "e1", "order-1", 0, `,"n":1.5`)
	e.Meta.SequenceNumber = "49590338271490256608559692538361571095921575989136588898"
	store, err := mes.New(table, mes.WithTTL(mes.ExpireAfter(1000*24*time.Hour)))
	require.NoError(t, err)
	require.NoError(t, store.Save(t.Context(), e))
	output, err := s.Query(t.Context(), &dynamodb.QueryInput{
		TableName: &name, KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: attributes{":pk": text("e1")},
	})
	require.NoError(t, err)
	require.Equal(t, []map[string]types.AttributeValue{{
		"pk": text("e1"), "sk": text("EVENT"), "discriminator": text("EVENT"), "data": text("order-1"),
		"timestamp": number(streamTime), "sequenceNumber": text(e.Meta.SequenceNumber),
		"ttl": number(streamTime/1000 + 1000*24*3600), "expire": &types.AttributeValueMemberBOOL{Value: true},
		"event": &types.AttributeValueMemberM{Value: attributes{
			"id": text("e1"), "type": text("thing-created"), "partitionKey": text("order-1"),
			"timestamp": number(streamTime), "n": &types.AttributeValueMemberN{Value: "1.5"},
		}},
	}}, output.Items)

	named := New(s.Client, name, LambdaStreamLayout(), WithExpire("thing-over"))
	require.NoError(t, newStore(t, named).Save(t.Context(), e))
	output, err = s.Query(t.Context(), &dynamodb.QueryInput{
		TableName: &name, KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: attributes{":pk": text("e1")},
	})
	require.NoError(t, err)
	require.Equal(t, text("thing-over"), output.Items[0]["expire"])
}

func TestIntegrationLambdaStreamLayoutReadsByTimeAndID(t *testing.T) {
	s := newServer(t)
	table, name := s.table(t, LambdaStreamLayout())
	store := newStore(t, table)
	var all []string
	var events []mes.Event
	for i := range 60 {
		id := fmt.Sprintf("e%02d", i)
		all = append(all, id)
		events = append(events, streamEvent(t, id, "order-1", i/2, "")) // two of each millisecond
	}
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	require.NoError(t, store.Save(t.Context(), events...))
	require.NoError(t, store.Save(t.Context(), streamEvent(t, "other", "order-2", 0, "")))

	read := func(opts ...mes.ReadOption) []string {
		t.Helper()
		m, err := store.GetMicroEventStore(t.Context(), "order-1", opts...)
		require.NoError(t, err)
		return ids(m.Events)
	}
	require.Equal(t, all, read())
	require.Equal(t, all[20:], read(mes.Since(time.UnixMilli(streamTime+10))))
	require.Equal(t, all[:22], read(mes.Until(time.UnixMilli(streamTime+10))))
	require.Equal(t, all[53:], read(mes.Last(7)))
	require.Equal(t, []string{}, idsOf(t, store, "order-3"))

	// Page by page, both ways.
	for _, query := range []driver.Query{
		{HashKey: "order-1", Limit: 7, Consistent: true},
		{HashKey: "order-1", Limit: 7, Descending: true},
	} {
		var got []string
		for {
			page, err := table.Query(t.Context(), query)
			require.NoError(t, err)
			require.False(t, page.Consistent, "an index vouches for nothing")
			require.LessOrEqual(t, len(page.Items), 7)
			for _, item := range page.Items {
				got = append(got, streamID(item.RangeKey))
			}
			if query.Cursor = page.Next; query.Cursor == "" {
				break
			}
		}
		want := slices.Clone(all)
		if query.Descending {
			slices.Reverse(want)
		}
		require.Equal(t, want, got)
	}

	// Events that were correlated, and ones that are there as both.
	correlate(t, s, name, "order-1", "c1", -5)
	correlate(t, s, name, "order-1", "e00", 0)
	correlate(t, s, name, "order-1.suffix", "c2", 0)
	_, err := s.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: attributes{
		"pk": text("order-1"), "sk": text("thing"), "discriminator": text("thing"), "data": text("order-1"), "timestamp": number(5),
	}})
	require.NoError(t, err, "a row of the service's own, in the same table and index")
	require.Equal(t, append([]string{"c1"}, all...), read())
	require.Equal(t, []string{"c2"}, idsOf(t, store, "order-1.suffix"))

	n, err := table.Delete(t.Context(), "order-1")
	require.NoError(t, err)
	require.Equal(t, 62, n)
	require.Empty(t, read())
	require.Equal(t, []string{"other"}, idsOf(t, store, "order-2"))
	output, err := s.Query(t.Context(), &dynamodb.QueryInput{
		TableName: &name, KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: attributes{":pk": text("order-1")},
	})
	require.NoError(t, err)
	require.Len(t, output.Items, 1, "what is no event is left alone")

	// An event whose id is its hash key is found by both.
	require.NoError(t, store.Save(t.Context(), streamEvent(t, "order-9", "order-9", 0, ""), streamEvent(t, "e61", "order-9", 1, "")))
	require.Equal(t, []string{"order-9", "e61"}, idsOf(t, store, "order-9"))
	n, err = table.Delete(t.Context(), "order-9")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, idsOf(t, store, "order-9"))
}

func idsOf(t testing.TB, store *mes.Store, hashKey string) []string {
	t.Helper()
	m, err := store.GetMicroEventStore(t.Context(), hashKey)
	require.NoError(t, err)
	return ids(m.Events)
}

// One range key is read from the table itself, which can vouch for it.
func TestIntegrationLambdaStreamLayoutVouchesForOneRangeKey(t *testing.T) {
	s := newServer(t)
	table, name := s.table(t, LambdaStreamLayout())
	e := streamEvent(t, "e#1", "order-1", 0, "")
	require.NoError(t, newStore(t, table).Save(t.Context(), e))
	correlate(t, s, name, "order-1", "c1", 3)
	at := func(id string, ms int) string { return streamKey(id, time.UnixMilli(streamTime+int64(ms))) }
	for _, c := range []struct {
		hashKey, rangeKey string
		found             bool
	}{
		{"order-1", at("e#1", 0), true},
		{"order-1", at("c1", 3), true},
		{"order-1", at("e#1", 1), false}, // at another time
		{"order-2", at("e#1", 0), false}, // under another key
		{"order-1", at("none", 0), false},
		{"order-1", "no such key", false},
	} {
		page, err := table.Query(t.Context(), driver.Query{HashKey: c.hashKey, From: c.rangeKey, To: c.rangeKey, Consistent: true})
		require.NoError(t, err)
		require.True(t, page.Consistent)
		require.Empty(t, page.Next)
		if !c.found {
			require.Empty(t, page.Items, c.rangeKey)
			continue
		}
		require.Len(t, page.Items, 1)
		require.Equal(t, c.rangeKey, page.Items[0].RangeKey)
	}
	page, err := table.Query(t.Context(), driver.Query{HashKey: "order-1", From: "b", To: "a"})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	_, err = table.Query(t.Context(), driver.Query{HashKey: "order-1", Cursor: "none"})
	require.ErrorIs(t, err, driver.ErrInvalidQuery)
}

// More than a page has room for: nothing is missing between the pages, in whatever
// order the index has the items.
func TestPromise16ALambdaStreamPageIsBounded(t *testing.T) {
	want := make([]string, 40)
	events := make(map[string][]byte) // of many sizes
	for i := range want {
		want[i] = fmt.Sprintf("%03d", i)
		events[want[i]] = make([]byte, rand.IntN(4<<20))
	}
	for _, query := range []driver.Query{{}, {Descending: true}, {Limit: 3}, {Limit: 3, Descending: true}} {
		all := slices.Clone(want)
		if query.Descending {
			slices.Reverse(all)
		}
		for range 20 {
			var got []string
			w := streamWindow{query: query}
			for {
				for _, i := range rand.Perm(2 * len(all)) { // each of them twice
					w.add(driver.Item{RangeKey: all[i/2], Event: events[all[i/2]]})
					held := 0
					for _, item := range w.items {
						held += len(item.Event)
					}
					require.LessOrEqual(t, held, 2*maxPage)
				}
				page := w.page()
				size := 0
				for _, item := range page.Items {
					size += len(item.Event)
				}
				require.LessOrEqual(t, size, maxPage)
				if query.Limit > 0 {
					require.LessOrEqual(t, len(page.Items), query.Limit)
				}
				for _, item := range page.Items {
					got = append(got, item.RangeKey)
				}
				if page.Next == "" {
					break
				}
				w = streamWindow{query: query, after: got[len(got)-1]}
			}
			require.Equal(t, all, got)
		}
	}
}

func TestIntegrationLambdaStreamLayoutBeyondOnePage(t *testing.T) {
	s := newServer(t)
	if s.fake {
		t.Skip("it takes long; make integration runs it")
	}
	s.opts = []Option{WithoutTTL(), WithoutStream()} // dynoxide is slow to write the stream
	table, _ := s.table(t, LambdaStreamLayout())
	store := newStore(t, table)
	var want []string
	var events []mes.Event
	const n = 25
	for i := range n {
		id := fmt.Sprintf("e%02d", i*7%n)
		want = append(want, fmt.Sprintf("e%02d", i))
		events = append(events, streamEvent(t, id, "order-1", i*7%n, `,"s":"`+strings.Repeat("x", 390_000)+`"`))
	}
	require.NoError(t, store.Save(t.Context(), events...))
	for _, descending := range []bool{false, true} {
		var got []string
		query := driver.Query{HashKey: "order-1", Descending: descending}
		for {
			page, err := table.Query(t.Context(), query)
			require.NoError(t, err)
			size := 0
			for _, item := range page.Items {
				size += len(item.Event)
				got = append(got, streamID(item.RangeKey))
			}
			require.LessOrEqual(t, size, maxPage)
			if query.Cursor = page.Next; query.Cursor == "" {
				break
			}
		}
		if descending {
			slices.Reverse(got)
		}
		require.Equal(t, want, got)
	}
}

func TestLambdaStreamLayoutRefuses(t *testing.T) {
	s := server{Client: newFakeClient()}
	table, _ := s.table(t, LambdaStreamLayout())
	id := func(e mes.Event) (string, error) { return e.ID, nil }
	_, err := mes.New(table, mes.WithHashKey(id, mes.PartitionKey()))
	require.ErrorContains(t, err, "one hash key")
	_, err = mes.New(table, mes.WithRangeKey(mes.EventID()))
	require.ErrorContains(t, err, "TimeAndID")

	at := time.UnixMilli(streamTime)
	good := driver.Item{HashKey: "h", RangeKey: streamKey("e", at), Timestamp: at, Event: []byte(`{"id":"e"}`)}
	require.NoError(t, table.Put(t.Context(), []driver.Item{good}), "the id is found in the event, too")
	marker, other := good, good
	marker.RangeKey = driver.MarkerPrefix + "m"
	other.RangeKey = "e"
	for _, item := range []driver.Item{marker, other} {
		for _, put := range []func(context.Context, []driver.Item) error{table.Put, table.PutIfAbsent} {
			err := put(t.Context(), []driver.Item{item})
			require.ErrorContains(t, err, "LambdaStreamLayout")
			require.NotErrorIs(t, err, driver.ErrInvalidItem, "it is not the event that is at fault")
		}
	}
	broken := good
	broken.Event = []byte(`{"id":"e`)
	require.ErrorIs(t, table.Put(t.Context(), []driver.Item{broken}), driver.ErrInvalidItem)

	// An id that is the hash of the bytes does not survive a map.
	e, err := mes.Parse([]byte(fmt.Sprintf(`{ "type":"t","partitionKey":"p","timestamp":%d}`, streamTime)))
	require.NoError(t, err)
	plain, _ := s.table(t, AsMap())
	for _, store := range []*mes.Store{newStore(t, table), newStore(t, plain)} {
		err = store.Save(t.Context(), e)
		require.ErrorIs(t, err, driver.ErrInvalidItem)
		require.True(t, mes.IsPermanent(err))
	}

	for _, opts := range [][]Option{
		{LambdaStreamLayout(), WithAttributeNames(AttributeNames{TTL: "expires"})},
		{LambdaStreamLayout(), WithCompression(1)},
		{WithExpire("")},
	} {
		_, err := New(s.Client, "events", opts...).Query(t.Context(), driver.Query{HashKey: "h"})
		require.ErrorContains(t, err, "LambdaStreamLayout")
	}
}

func TestIntegrationLambdaStreamLayoutTheSameIDTwice(t *testing.T) {
	s := newServer(t)
	table, _ := s.table(t, LambdaStreamLayout())
	store := newStore(t, table)
	// Two versions, of different times, have different range keys and one place.
	require.NoError(t, store.Save(t.Context(), streamEvent(t, "e", "order-1", 5, ""), streamEvent(t, "f", "order-1", 4, ""), streamEvent(t, "e", "order-1", 3, "")))
	require.Equal(t, []string{"e", "f"}, idsOf(t, store, "order-1"))

	// Of many in one call the last wins, whichever requests they get into.
	var events []mes.Event
	for version := range 4 {
		for i := range 30 {
			events = append(events, streamEvent(t, fmt.Sprintf("m%02d", i), "order-2", 100-version, fmt.Sprintf(`,"version":%d`, version)))
		}
	}
	require.NoError(t, store.Save(t.Context(), events...))
	m, err := store.GetMicroEventStore(t.Context(), "order-2")
	require.NoError(t, err)
	require.Len(t, m.Events, 30)
	for _, e := range m.Events {
		version, _ := e.Field("version")
		require.Equal(t, "3", string(version))
	}

	once := newStore(t, table, mes.InsertOnce())
	for i := range 10 {
		first, second := streamEvent(t, fmt.Sprintf("o%d", i), "order-3", 5, ""), streamEvent(t, fmt.Sprintf("o%d", i), "order-3", 4, "")
		var saved *mes.SaveError
		require.ErrorAs(t, once.Save(t.Context(), first, second), &saved)
		require.Len(t, saved.Failures, 1)
		require.Equal(t, 1, saved.Failures[0].Index, "the first stays")
	}
	require.NoError(t, once.Save(t.Context(), streamEvent(t, "e", "order-1", 3, "")))
	require.ErrorIs(t, once.Save(t.Context(), streamEvent(t, "e", "order-1", 3, `,"n":1`)), driver.ErrConflict)
}

func TestPromise05LambdaStreamVersionsOfAnEventDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, most atomic.Int32
		s := &stub{answer: func(c call) (*http.Response, error) {
			if n := busy.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			busy.Add(-1)
			return success(c)
		}}
		table := s.table(LambdaStreamLayout())
		store := newStore(t, table)
		var saves sync.WaitGroup
		for ms := range 4 {
			e := streamEvent(t, "e", "order-1", ms, "")
			saves.Go(func() {
				if err := store.Save(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := store.Save(ctx, streamEvent(t, "e", "order-1", 9, ""), streamEvent(t, "f", "order-1", 9, ""))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, store.Save(t.Context(), streamEvent(t, "f", "order-1", 1, "")), "others go on")
		saves.Wait()
		require.EqualValues(t, 2, most.Load(), "one of each")
		require.Equal(t, 5, s.count())
		require.Zero(t, table.writes.Len())
	})
}

func TestLambdaStreamImages(t *testing.T) {
	table := New(newFakeClient(), "events", LambdaStreamLayout())
	decode := func(image attributes) driver.Item {
		t.Helper()
		item, err := table.DecodeImage(imageOf(t, image))
		require.NoError(t, err)
		return item
	}
	event, err := mapOf([]byte(`{"id":"e","type":"t"}`))
	require.NoError(t, err)
	collected := attributes{"pk": text("e"), "sk": text("EVENT"), "discriminator": text("EVENT"), "data": text("order-1"),
		"timestamp": number(streamTime), "ttl": number(7), "event": event}
	at := time.UnixMilli(streamTime).UTC()
	require.Equal(t, driver.Item{HashKey: "order-1", RangeKey: streamKey("e", at), Event: []byte(`{"id":"e","type":"t"}`),
		Type: "t", Timestamp: at, TTL: 7}, decode(collected))
	correlated := attributes{"pk": text("key.suffix"), "sk": text("e"), "discriminator": text("CORREL"), "timestamp": number(streamTime), "event": event}
	require.Equal(t, driver.Item{HashKey: "key.suffix", RangeKey: streamKey("e", at), Event: []byte(`{"id":"e","type":"t"}`),
		Type: "t", Timestamp: at}, decode(correlated))

	// What is no event under a key wakes nobody.
	for _, image := range []attributes{
		{"pk": text("e"), "sk": text("EVENT")},
		{"pk": text("order-1"), "sk": text("thing"), "discriminator": text("thing")},
	} {
		require.True(t, strings.HasPrefix(decode(image).RangeKey, driver.MarkerPrefix))
	}
	// What has no time is the oldest.
	delete(collected, "timestamp")
	require.Equal(t, streamKey("e", time.UnixMilli(0)), decode(collected).RangeKey)
	collected["timestamp"] = &types.AttributeValueMemberN{Value: "1e100"}
	require.Equal(t, streamKey("e", time.UnixMilli(0)), decode(collected).RangeKey)
	_, err = table.DecodeImage([]byte(`{"pk":{"S":"a"}}`))
	require.ErrorIs(t, err, driver.ErrInvalidItem)
}

// imageOf writes attributes as DynamoDB JSON.
func imageOf(t testing.TB, item attributes) []byte {
	var value func(types.AttributeValue) any
	value = func(v types.AttributeValue) any {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			return map[string]any{"S": v.Value}
		case *types.AttributeValueMemberN:
			return map[string]any{"N": v.Value}
		case *types.AttributeValueMemberM:
			members := map[string]any{}
			for name, member := range v.Value {
				members[name] = value(member)
			}
			return map[string]any{"M": members}
		case *types.AttributeValueMemberL:
			list := []any{}
			for _, element := range v.Value {
				list = append(list, value(element))
			}
			return map[string]any{"L": list}
		case *types.AttributeValueMemberBOOL:
			return map[string]any{"BOOL": v.Value}
		case *types.AttributeValueMemberNULL:
			return map[string]any{"NULL": v.Value}
		}
		t.Fatalf("no image of a %T", v)
		return nil
	}
	image, err := json.Marshal(value(&types.AttributeValueMemberM{Value: item}).(map[string]any)["M"])
	require.NoError(t, err)
	return image
}

// A laggard's index does not show anything for some reads.
type laggard struct {
	API
	hidden atomic.Int64
}

func (l *laggard) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	output, err := l.API.Query(ctx, in, opts...)
	if err == nil && in.IndexName != nil && l.hidden.Add(-1) >= 0 {
		output.Items, output.Count = nil, 0
	}
	return output, err
}

func TestPromise06LambdaStreamTriggerWaitsForTheIndex(t *testing.T) {
	s := server{Client: newFakeClient()}
	_, name := s.table(t, LambdaStreamLayout())
	client := &laggard{API: s.Client}
	store := newStore(t, New(client, name, LambdaStreamLayout()))
	e := streamEvent(t, "e", "order-1", 0, "")
	require.NoError(t, store.Save(t.Context(), e))
	var seen [][]string
	trigger := mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
		seen = append(seen, ids(m.Events))
		return nil
	})
	change := mes.Change{Kind: mes.Inserted, HashKey: "order-1", RangeKey: streamKey("e", e.Timestamp)}
	client.hidden.Store(2)
	require.NoError(t, trigger.Handle(t.Context(), []mes.Change{change}))
	require.Equal(t, [][]string{{"e"}}, seen)

	// One that was deleted is done, since the table itself says so.
	_, err := store.Table().(driver.Deleter).Delete(t.Context(), "order-1")
	require.NoError(t, err)
	require.NoError(t, trigger.Handle(t.Context(), []mes.Change{change}))
	require.Len(t, seen, 1)
}

func TestProvisionALambdaStreamTable(t *testing.T) {
	s := server{Client: newFakeClient()}
	_, name := s.table(t, LambdaStreamLayout())
	require.NoError(t, Provision(t.Context(), s, name, LambdaStreamLayout()), "again")
	require.NoError(t, Check(t.Context(), s, name, LambdaStreamLayout()))
	require.ErrorContains(t, Check(t.Context(), s, name), "its HASH key is pk and not partitionKey")

	names := AttributeNames{HashKey: "pk", RangeKey: "sk"}
	_, plain := s.table(t, WithAttributeNames(names))
	err := Check(t.Context(), s, plain, LambdaStreamLayout())
	require.EqualError(t, err, "dynamostore: table "+plain+" does not fit: it has no index DataIndex, with data as its HASH key and all attributes in it")
	require.EqualError(t, Provision(t.Context(), s, plain, LambdaStreamLayout()), err.Error(), "nothing is rebuilt")

	for want, d := range map[string]*types.TableDescription{
		"the HASH key of its index DataIndex is other and not data":                 indexed("other", types.ProjectionTypeAll),
		"its index DataIndex does not hold all attributes (ALL)":                    indexed("data", types.ProjectionTypeKeysOnly),
		"the HASH key data of its index DataIndex is of type N and not S, a string": indexed("data", types.ProjectionTypeAll),
	} {
		kind := types.ScalarAttributeTypeS
		if strings.Contains(want, "type N") {
			kind = types.ScalarAttributeTypeN
		}
		require.Equal(t, want, indexProblem(d, kind))
	}
}

func indexed(hashKey string, projection types.ProjectionType) *types.TableDescription {
	return &types.TableDescription{GlobalSecondaryIndexes: []types.GlobalSecondaryIndexDescription{
		{IndexName: aws.String("another")},
		{
			IndexName:  aws.String("DataIndex"),
			KeySchema:  []types.KeySchemaElement{{AttributeName: &hashKey, KeyType: types.KeyTypeHash}},
			Projection: &types.Projection{ProjectionType: projection},
		},
	}}
}
