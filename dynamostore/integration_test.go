package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// A server is one that answers at MES_DYNAMODB_ENDPOINT, or AWS itself where that
// is "aws", or where it is not set one in this process.
type server struct {
	*dynamodb.Client
	opts []Option // what the server can do

	fake     bool // it is in this process
	dynalite bool
}

func newServer(t testing.TB) server {
	t.Helper()
	endpoint := os.Getenv("MES_DYNAMODB_ENDPOINT")
	if endpoint == "" {
		return server{Client: newFakeClient(), fake: true}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 20}
	t.Cleanup(transport.CloseIdleConnections)
	config := aws.Config{Region: "eu-west-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", "")}
	if endpoint == "aws" {
		var err error
		config, err = awsconfig.LoadDefaultConfig(t.Context())
		require.NoError(t, err)
	}
	config.HTTPClient = &http.Client{Transport: allTargets.watch(transport)}
	client := dynamodb.NewFromConfig(config)
	s := server{Client: client}
	_, err := client.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName:               aws.String("mes-no-such-table"),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)},
	})
	var api smithy.APIError
	if errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "UnknownOperation") {
		t.Log("the server does not know TTL (dynalite): tables are made without it, and without a stream")
		s.opts, s.dynalite = []Option{WithoutTTL(), WithoutStream()}, true
	}
	return s
}

// name returns the name of a table that is deleted when the test ends.
func (s server) name(t testing.TB) string {
	name := fmt.Sprintf("mes-test-%d", time.Now().UnixNano())
	t.Cleanup(func() {
		_, _ = s.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &name})
	})
	return name
}

func (s server) table(t testing.TB, opts ...Option) (*Table, string) {
	name := s.name(t)
	opts = append(s.opts[:len(s.opts):len(s.opts)], opts...)
	require.NoError(t, Provision(t.Context(), s, name, opts...))
	return New(s.Client, name, opts...), name
}

func all(t *testing.T, table *Table, query driver.Query) (items []driver.Item, pages int) {
	t.Helper()
	for {
		page, err := table.Query(t.Context(), query)
		require.NoError(t, err)
		require.Equal(t, query.Consistent, page.Consistent)
		for _, item := range page.Items {
			items = append(items, withoutOutline(t, table, item))
		}
		pages++
		if page.Next == "" {
			return items, pages
		}
		query.Cursor = page.Next
	}
}

func TestIntegrationRoundTrip(t *testing.T) {
	s := newServer(t)
	for name, opts := range map[string][]Option{
		"text": nil, "compressed": {WithCompression(1)},
		"names": {WithAttributeNames(AttributeNames{HashKey: "size", RangeKey: "order", Event: "data", Type: "status", Timestamp: "time", TTL: "expires"})},
	} {
		t.Run(name, func(t *testing.T) {
			table, _ := s.table(t, opts...)
			list := make([]driver.Item, 60)
			for i := range list {
				list[i] = driver.Item{
					HashKey: "key \" \\ \x00 é😀", RangeKey: fmt.Sprintf("%03d\u00e9", i), Type: "thing-created",
					Event:     []byte(fmt.Sprintf(`{"id":"%d", "n":9007199254740993, "s":"%s\u2028<&>"}`, i, strings.Repeat("x", 100))),
					Timestamp: time.UnixMilli(1_700_000_000_123 + int64(i)).UTC(),
				}
				if i%2 == 0 {
					list[i].TTL = time.Now().Unix() + 100_000
				}
			}
			list[7].Event, list[8].Event = []byte{}, []byte("\xff\x00")
			list[9].Type, list[9].Timestamp = "", time.Time{}
			require.NoError(t, table.Put(t.Context(), list))
			require.NoError(t, table.Put(t.Context(), list[:30]))
			got, _ := all(t, table, driver.Query{HashKey: list[0].HashKey, Consistent: true})
			require.Equal(t, list, got)

			got, _ = all(t, table, driver.Query{HashKey: list[0].HashKey, Descending: true, Limit: 7, From: list[10].RangeKey, To: list[40].RangeKey})
			require.Len(t, got, 31)
			require.Equal(t, list[40], got[0])
			require.Equal(t, list[10], got[30])
			got, _ = all(t, table, driver.Query{HashKey: list[0].HashKey, From: "010", Limit: 1})
			require.Equal(t, list[10:], got)
			got, _ = all(t, table, driver.Query{HashKey: list[0].HashKey, To: "010"})
			require.Equal(t, list[:10], got)
			got, _ = all(t, table, driver.Query{HashKey: list[0].HashKey, To: list[3].RangeKey, From: list[3].RangeKey})
			require.Equal(t, list[3:4], got)

			n, err := table.Delete(t.Context(), list[0].HashKey)
			require.NoError(t, err)
			require.Equal(t, 60, n)
			got, _ = all(t, table, driver.Query{HashKey: list[0].HashKey, Consistent: true})
			require.Empty(t, got)
		})
	}
}

func TestIntegrationTenPages(t *testing.T) {
	s := newServer(t)
	s.opts = []Option{WithoutTTL(), WithoutStream()} // dynoxide takes a minute to write the stream
	table, _ := s.table(t)
	list := make([]driver.Item, 5000)
	for i := range list {
		list[i] = driver.Item{HashKey: "h", RangeKey: fmt.Sprintf("%05d", i), Event: []byte(fmt.Sprintf(`{"id":"%d","s":"%s"}`, i, strings.Repeat("x", 2000)))}
	}
	require.NoError(t, table.Put(t.Context(), list))
	got, pages := all(t, table, driver.Query{HashKey: "h", Consistent: true})
	require.True(t, reflect.DeepEqual(list, got), "a difference would take minutes to print")
	require.GreaterOrEqual(t, pages, 9)
	n, err := table.Delete(t.Context(), "h")
	require.NoError(t, err)
	require.Equal(t, 5000, n)
}

func TestIntegrationMaps(t *testing.T) {
	s := newServer(t)
	table, name := s.table(t, AsMap())
	list := []driver.Item{
		{HashKey: "h", RangeKey: "1", Event: []byte(`{"b":[1,2.5,{"c":null}],"a":"","n":12345678901234567890123456789012345678,"t":true}`)},
		{HashKey: "h", RangeKey: "2", Event: []byte(`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`)},
		{HashKey: "h", RangeKey: "3", Event: []byte(`{"a":1e125,"b":-1e-130}`)},
		{HashKey: "h", RangeKey: "4", Event: []byte(strings.Repeat(`{"a":`, 31) + `"s"` + strings.Repeat("}", 31))},
	}
	require.NoError(t, table.Put(t.Context(), list))
	// The plain table reads maps, too, and so does one that is filled by others.
	got, _ := all(t, New(s.Client, name), driver.Query{HashKey: "h", Consistent: true})
	require.Len(t, got, len(list))
	require.Equal(t, `{"a":"","b":[1,2.5,{"c":null}],"n":12345678901234567890123456789012345678,"t":true}`, string(got[0].Event))
	require.Equal(t, string(list[1].Event), string(got[1].Event))
	for i := range list {
		same, err := table.layout.sameEvent(got[i].Event, mustMap(t, list[i].Event))
		require.NoError(t, err)
		require.True(t, same, string(got[i].Event))
	}

	require.NoError(t, table.PutIfAbsent(t.Context(), list), "the same events")
	list[0].Event = []byte(`{"b":2}`)
	require.ErrorIs(t, table.PutIfAbsent(t.Context(), list), driver.ErrConflict)
}

func mustMap(t *testing.T, event []byte) types.AttributeValue {
	value, err := mapOf(event)
	require.NoError(t, err)
	return value
}

// The limits of maps that are checked before the call are the server's.
func TestIntegrationNestingLimit(t *testing.T) {
	s := newServer(t)
	_, name := s.table(t)
	for depth := 31; depth <= 33; depth++ {
		for kind, value := range map[string]types.AttributeValue{
			"an empty map": &types.AttributeValueMemberM{Value: attributes{}}, "a string": text("s"),
		} {
			for range depth - 1 {
				value = &types.AttributeValueMemberL{Value: []types.AttributeValue{value}}
			}
			_, err := s.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: attributes{
				"partitionKey": text("h"), "eventId": text(fmt.Sprint(depth)), "event": value,
			}})
			t.Logf("%d levels, the last is %s: %v", depth, kind, err)
			if depth <= maxNesting {
				require.NoError(t, err)
			}
		}
	}
}

// A table that has no RANGE key would keep the last event of each hash key.
func TestIntegrationATableWithoutARangeKeyIsNoticed(t *testing.T) {
	s := newServer(t)
	name := s.name(t)
	_, err := s.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("partitionKey"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("partitionKey"), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	require.NoError(t, dynamodb.NewTableExistsWaiter(s).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute))

	table := New(s.Client, name, s.opts...)
	err = table.Put(t.Context(), items(3))
	noticed := func(err error) {
		t.Helper()
		require.ErrorContains(t, err, "the table has no RANGE key, as it seems")
		require.ErrorContains(t, err, "use a table that Provision makes, or that Check passes")
		require.NotErrorIs(t, err, driver.ErrInvalidItem, "it is not the events that are at fault")
		require.NotErrorIs(t, err, driver.ErrConflict)
		leaksNothing(t, err)
	}
	noticed(err)
	stored, err := s.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &name, Key: attributes{"partitionKey": text(items(1)[0].HashKey)}, ConsistentRead: aws.Bool(true),
	})
	require.NoError(t, err)
	require.Empty(t, stored.Item, "none was put in another's place")

	// One event at a time it takes, whatever is there: whoever reads notices.
	require.NoError(t, table.Put(t.Context(), items(1)))
	for _, query := range []driver.Query{{}, {From: "a"}, {To: "z"}, {From: "a", To: "z"}, {Descending: true, Limit: 1}} {
		query.HashKey = items(1)[0].HashKey
		_, err := table.Query(t.Context(), query)
		noticed(err)
	}
	noticed(table.PutIfAbsent(t.Context(), items(2)[1:]))
	_, err = table.Delete(t.Context(), items(1)[0].HashKey)
	noticed(err)
	store, err := mes.New(table)
	require.NoError(t, err)
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error {
		t.Error("it was called with a history that is not whole")
		return nil
	}, mes.WithFaultHandler(func(context.Context, mes.Fault) error {
		t.Error("a change was set aside")
		return nil
	}))
	var batch *mes.BatchError
	require.ErrorAs(t, trigger.Handle(t.Context(), []mes.Change{{Kind: mes.Inserted, HashKey: items(1)[0].HashKey, RangeKey: "gone"}}), &batch)
	noticed(batch.Failures[0].Err)

	var wrong *MismatchError
	require.ErrorAs(t, Check(t.Context(), s, name, s.opts...), &wrong)
	require.Contains(t, wrong.Error(), "it has no RANGE key, which should be eventId")
	require.ErrorAs(t, Provision(t.Context(), s, name, s.opts...), &wrong)
}

func TestIntegrationPutIfAbsent(t *testing.T) {
	s := newServer(t)
	table, _ := s.table(t)
	now := time.Now().Unix()
	first := []driver.Item{
		{HashKey: "h", RangeKey: "1", Event: []byte(`{"a":1}`)},
		{HashKey: "h", RangeKey: "2", Event: []byte(`{"a":1}`), TTL: now - 10},
		{HashKey: "h", RangeKey: "3", Event: []byte(`{"a":1}`), TTL: now + 1000},
	}
	require.NoError(t, table.PutIfAbsent(t.Context(), first))
	require.NoError(t, table.PutIfAbsent(t.Context(), first))
	second := []driver.Item{
		{HashKey: "h", RangeKey: "1", Event: []byte(`{"a":2}`)},
		{HashKey: "h", RangeKey: "2", Event: []byte(`{"a":2}`)},
		{HashKey: "h", RangeKey: "3", Event: []byte(`{"a":1}`), TTL: now + 2000},
		{HashKey: "h", RangeKey: "4", Event: []byte(`{"a":2}`)},
	}
	err := table.PutIfAbsent(t.Context(), second)
	var partial *driver.PutError
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Failures, 1)
	require.Zero(t, partial.Failures[0].Index)
	require.ErrorIs(t, err, driver.ErrConflict)
	got, _ := all(t, table, driver.Query{HashKey: "h", Consistent: true})
	require.Len(t, got, 4)
	require.Equal(t, `{"a":1}`, string(got[0].Event))
	require.Equal(t, `{"a":2}`, string(got[1].Event), "an expired item does not count")
	require.Equal(t, now+1000, got[2].TTL, "what is there is left alone")

	// Of many at once, one wins.
	var mu sync.Mutex
	var puts sync.WaitGroup
	won := 0
	for i := range 10 {
		puts.Go(func() {
			err := table.PutIfAbsent(t.Context(), []driver.Item{{HashKey: "h", RangeKey: "5", Event: []byte(fmt.Sprint(i))}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, driver.ErrConflict) {
				t.Error(err)
			}
		})
	}
	puts.Wait()
	require.Equal(t, 1, won)
}

func TestIntegrationPromise11ItemsAtTheLimits(t *testing.T) {
	s := newServer(t)
	s.opts = []Option{WithoutTTL(), WithoutStream()} // dynoxide is slow to write the stream
	table, _ := s.table(t)
	list := make([]driver.Item, 26)
	for i := range list {
		list[i] = driver.Item{HashKey: strings.Repeat("h", driver.MaxHashKeySize), RangeKey: fmt.Sprintf("%0*d", driver.MaxRangeKeySize, i), Type: "t"}
		list[i].Event = []byte(strings.Repeat(`"`, driver.MaxItemSize-list[i].Size()))
		require.NoError(t, list[i].Check())
	}
	list[13].Event = append(list[13].Event, '"')
	err := table.Put(t.Context(), list)
	var partial *driver.PutError
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Failures, 1)
	require.Equal(t, 13, partial.Failures[0].Index)
	require.ErrorIs(t, err, driver.ErrInvalidItem)
	got, _ := all(t, table, driver.Query{HashKey: list[0].HashKey, Consistent: true})
	require.Len(t, got, 25)
}

func TestIntegrationNoTable(t *testing.T) {
	s := newServer(t)
	table := New(s.Client, "mes-no-such-table")
	for name, operation := range operations {
		err := operation(t.Context(), table)
		require.ErrorContains(t, err, "ResourceNotFoundException", name)
		require.NotErrorIs(t, err, driver.ErrInvalidItem)
		leaksNothing(t, err)
	}
}

func TestIntegrationProvisionAndCheck(t *testing.T) {
	s := newServer(t)
	name := s.name(t)
	require.Error(t, Check(t.Context(), s, name, s.opts...))
	require.NoError(t, Provision(t.Context(), s, name, s.opts...))
	require.NoError(t, Check(t.Context(), s, name, s.opts...))
	require.NoError(t, Provision(t.Context(), s, name, s.opts...), "again")
	require.NoError(t, Check(t.Context(), s, name, s.opts...))

	var mismatch *MismatchError
	other := append(s.opts[:len(s.opts):len(s.opts)], WithAttributeNames(AttributeNames{HashKey: "pk", RangeKey: "sk", TTL: "expires"}))
	require.ErrorAs(t, Check(t.Context(), s, name, other...), &mismatch)
	t.Log(mismatch)
	require.ErrorAs(t, Provision(t.Context(), s, name, other...), &mismatch)
	require.NoError(t, Check(t.Context(), s, name, s.opts...), "nothing was changed")

	if s.dynalite {
		require.ErrorContains(t, Provision(t.Context(), s, s.name(t)), "needs WithoutStream")
		require.ErrorContains(t, Provision(t.Context(), s, s.name(t), WithoutStream()), "needs WithoutTTL")
		return
	}
	// Half made: by hand, without a stream and TTL.
	half := s.name(t)
	require.NoError(t, Provision(t.Context(), s, half, WithoutStream(), WithoutTTL()))
	require.ErrorAs(t, Check(t.Context(), s, half), &mismatch)
	require.Len(t, mismatch.Problems, 2, mismatch.Problems)
	require.NoError(t, Provision(t.Context(), s, half, WithStreamView(types.StreamViewTypeNewImage)))
	require.NoError(t, Check(t.Context(), s, half, WithStreamView(types.StreamViewTypeNewImage)))
	require.ErrorAs(t, Check(t.Context(), s, half), &mismatch, "it shows too little")
	require.ErrorAs(t, Provision(t.Context(), s, half), &mismatch, "it would have to be switched off for that")
	require.ErrorAs(t, Check(t.Context(), s, half, WithStreamView(types.StreamViewTypeKeysOnly), WithAttributeNames(AttributeNames{TTL: "x"})), &mismatch)
	t.Log(mismatch)

	// Several at once.
	many := s.name(t)
	var provisions sync.WaitGroup
	for range 5 {
		provisions.Go(func() {
			if err := Provision(t.Context(), s, many); err != nil {
				t.Error(err)
			}
		})
	}
	provisions.Wait()
	require.NoError(t, Check(t.Context(), s, many))
}
