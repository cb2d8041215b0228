package dynamostore

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

type sentQuery struct {
	KeyConditionExpression    string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]struct{ S string }
	ScanIndexForward          bool
	ConsistentRead            bool
	Limit                     int
	ReturnConsumedCapacity    string
	ExclusiveStartKey         map[string]struct{ S string }
	ProjectionExpression      string
	FilterExpression          string
}

func TestTheConditionsOfAQuery(t *testing.T) {
	for _, test := range []struct {
		query     driver.Query
		condition string
		values    string // of :from and :to
	}{
		{driver.Query{HashKey: "h"}, "#h = :h AND #r >= :from", "\x00/"},
		{driver.Query{HashKey: "h", From: "a", Consistent: true}, "#h = :h AND #r >= :from", "a/"},
		{driver.Query{HashKey: "h", To: "b", Descending: true}, "#h = :h AND #r <= :to", "/b"},
		{driver.Query{HashKey: "h", From: "a", To: "b", Limit: 7}, "#h = :h AND #r BETWEEN :from AND :to", "a/b"},
		{driver.Query{HashKey: "h", From: "a", To: "a", Limit: 1 << 40}, "#h = :h AND #r = :from", "a/"},
	} {
		var sent sentQuery
		s := &stub{answer: func(c call) (*http.Response, error) {
			require.NoError(t, json.Unmarshal(c.body, &sent))
			return success(c)
		}}
		page, err := s.table(WithAttributeNames(AttributeNames{HashKey: "my key", RangeKey: "my.range"})).Query(t.Context(), test.query)
		require.NoError(t, err)
		require.Equal(t, driver.Page{Consistent: test.query.Consistent}, page)
		require.Equal(t, test.condition, sent.KeyConditionExpression)
		require.Equal(t, test.values, sent.ExpressionAttributeValues[":from"].S+"/"+sent.ExpressionAttributeValues[":to"].S)
		require.Equal(t, "my key", sent.ExpressionAttributeNames["#h"])
		require.Equal(t, "my.range", sent.ExpressionAttributeNames["#r"])
		require.Equal(t, !test.query.Descending, sent.ScanIndexForward)
		require.Equal(t, test.query.Consistent, sent.ConsistentRead)
		require.Equal(t, min(test.query.Limit, 1<<31-1), sent.Limit)
		require.Equal(t, "TOTAL", sent.ReturnConsumedCapacity)
		require.Empty(t, sent.FilterExpression)
	}
}

func pageOf(last string, rangeKeys ...string) *http.Response {
	list := make([]string, len(rangeKeys))
	for i, key := range rangeKeys {
		list[i] = fmt.Sprintf(`{"partitionKey":{"S":"h"},"eventId":{"S":%q},"event":{"S":"{}"}}`, key)
	}
	if last != "" {
		last = fmt.Sprintf(`,"LastEvaluatedKey":{"partitionKey":{"S":"h"},"eventId":{"S":%q}}`, last)
	}
	return answer(200, fmt.Sprintf(`{"ConsumedCapacity":{"CapacityUnits":1},"Count":%d,"Items":[%s]%s}`, len(list), strings.Join(list, ","), last))
}

func TestEmptyPagesLeadOn(t *testing.T) {
	s := &stub{}
	s.answer = func(c call) (*http.Response, error) {
		var sent sentQuery
		require.NoError(t, json.Unmarshal(c.body, &sent))
		switch sent.ExclusiveStartKey["eventId"].S {
		case "":
			return pageOf("b"), nil
		case "b":
			require.Equal(t, "h", sent.ExclusiveStartKey["partitionKey"].S)
			return pageOf("c", "c"), nil
		}
		return pageOf(""), nil
	}
	table := s.table()
	query := driver.Query{HashKey: "h"}
	var got []string
	for {
		page, err := table.Query(t.Context(), query)
		require.NoError(t, err)
		for i := range page.Items {
			got = append(got, page.Items[i].RangeKey)
		}
		if page.Next == "" {
			break
		}
		query.Cursor = page.Next
		query.Limit = 5 // may change
	}
	require.Equal(t, []string{"c"}, got)
	require.Equal(t, 3, s.count())
}

func TestACursorIsOfItsQueryOnly(t *testing.T) {
	s := &stub{answer: success}
	table := s.table()
	query := driver.Query{HashKey: "secret", From: "a", To: "x"}
	cursor := newCursor(&query, "secret")
	for _, other := range []driver.Query{
		{HashKey: "other", From: "a", To: "x"},
		{HashKey: "secret", From: "b", To: "x"},
		{HashKey: "secret", From: "a", To: "y"},
		{HashKey: "secret", From: "a"},
		{HashKey: "secret", From: "a", To: "x", Descending: true},
	} {
		other.Cursor = cursor
		_, err := table.Query(t.Context(), other)
		require.ErrorIs(t, err, driver.ErrInvalidQuery)
		leaksNothing(t, err)
	}
	for _, cursor := range []string{"x", "%", cursor + "=", cursor[:10], newCursor(&query, ""), newCursor(&query, "\xff"), newCursor(&query, strings.Repeat("r", 1025))} {
		query.Cursor = cursor
		_, err := table.Query(t.Context(), query)
		require.ErrorIs(t, err, driver.ErrInvalidQuery)
		leaksNothing(t, err)
	}
	require.Zero(t, s.count())
}

func TestInvalidQueriesAreNotSent(t *testing.T) {
	s := &stub{answer: success}
	for _, query := range []driver.Query{
		{}, {HashKey: "secret\xff"}, {HashKey: "h", Limit: -1}, {HashKey: "h", From: strings.Repeat("secret", 1000)},
	} {
		_, err := s.table().Query(t.Context(), query)
		require.ErrorIs(t, err, driver.ErrInvalidQuery)
		leaksNothing(t, err)
	}
	page, err := s.table().Query(t.Context(), driver.Query{HashKey: "h", From: "b", To: "a", Consistent: true})
	require.NoError(t, err)
	require.Equal(t, driver.Page{Consistent: true}, page)
	_, err = s.table().Delete(t.Context(), "")
	require.ErrorIs(t, err, driver.ErrInvalidQuery)
	require.Zero(t, s.count())
}

func TestPromise14AnAnswerOfAnotherQueryIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"goes on elsewhere":   `{"ConsumedCapacity":{},"Count":0,"Items":[],"LastEvaluatedKey":{"partitionKey":{"S":"secret"},"eventId":{"S":"r"}}}`,
		"goes on with no key": `{"ConsumedCapacity":{},"Count":0,"Items":[],"LastEvaluatedKey":{"partitionKey":{"S":"h"}}}`,
		"counts wrongly":      `{"ConsumedCapacity":{},"Count":2,"Items":[]}`,
		"item without keys":   `{"ConsumedCapacity":{},"Count":1,"Items":[{"event":{"S":"secret"}}]}`,
	} {
		s := &stub{answer: func(call) (*http.Response, error) { return answer(200, body), nil }}
		_, err := s.table(WithMaxAttempts(1)).Query(t.Context(), driver.Query{HashKey: "h"})
		require.Error(t, err, name)
		leaksNothing(t, err)
	}
}

func TestPromise16APageIsCutWhereItWouldTakeTooMuchMemory(t *testing.T) {
	// Events of 3 MiB, and one of 12 MiB, in few bytes.
	var list []string
	l := (&stub{}).table().layout
	for i, size := range []int{3, 3, 3, 12, 3} {
		packed, err := l.pack(make([]byte, size<<20))
		require.NoError(t, err)
		b, err := json.Marshal(packed)
		require.NoError(t, err)
		list = append(list, fmt.Sprintf(`{"partitionKey":{"S":"h"},"eventId":{"S":"%d"},"event":{"B":%s}}`, i, b))
	}
	s := &stub{}
	s.answer = func(c call) (*http.Response, error) {
		var sent sentQuery
		require.NoError(t, json.Unmarshal(c.body, &sent))
		left := list
		if after := sent.ExclusiveStartKey["eventId"].S; after != "" {
			left = list[after[0]-'0'+1:]
		}
		return answer(200, fmt.Sprintf(`{"ConsumedCapacity":{},"Count":%d,"Items":[%s]}`, len(left), strings.Join(left, ","))), nil
	}
	var pages []string
	query := driver.Query{HashKey: "h"}
	for {
		page, err := s.table().Query(t.Context(), query)
		require.NoError(t, err)
		keys := ""
		for i := range page.Items {
			keys += page.Items[i].RangeKey
		}
		pages = append(pages, keys)
		if page.Next == "" {
			break
		}
		query.Cursor = page.Next
	}
	require.Equal(t, []string{"01", "2", "3", "4"}, pages)
}

func TestDelete(t *testing.T) {
	var deleted []string
	s := &stub{}
	s.answer = func(c call) (*http.Response, error) {
		if c.operation == "BatchWriteItem" {
			keys, _ := keysOf(t, c.body)
			deleted = append(deleted, keys...)
			return success(c)
		}
		var sent sentQuery
		require.NoError(t, json.Unmarshal(c.body, &sent))
		require.Equal(t, "#h, #r", sent.ProjectionExpression)
		require.True(t, sent.ConsistentRead)
		if len(sent.ExclusiveStartKey) == 0 {
			return pageOf("b", "a", "b"), nil
		}
		return pageOf("", "c"), nil
	}
	n, err := s.table().Delete(t.Context(), "h")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []string{"a", "b", "c"}, deleted)

	s.answer = func(c call) (*http.Response, error) {
		if c.operation == "BatchWriteItem" {
			return refusal("AccessDeniedException", "no"), nil
		}
		return pageOf("", "secret", "b"), nil
	}
	n, err = s.table().Delete(t.Context(), "h")
	require.ErrorContains(t, err, "AccessDenied")
	require.Zero(t, n)
	leaksNothing(t, err)
}
