package dynamostore

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestPromise14PagesThatDoNotLeadOnAreAnError(t *testing.T) {
	// Neither end: the last key of each page leads to the other one.
	circle := func(c call) (*http.Response, error) {
		if c.operation != "Query" {
			return success(c)
		}
		var sent sentQuery
		if err := json.Unmarshal(c.body, &sent); err != nil {
			return nil, err
		}
		if sent.ExclusiveStartKey["eventId"].S == "a" {
			return pageOf("b"), nil
		}
		return pageOf("a"), nil
	}
	for _, descending := range []bool{false, true} {
		s := &stub{answer: circle}
		table, query := s.table(), driver.Query{HashKey: "h", Descending: descending}
		var err error
		for err == nil {
			var page driver.Page
			page, err = table.Query(t.Context(), query)
			query.Cursor = page.Next
			require.Less(t, s.count(), 5)
		}
		require.ErrorContains(t, err, "does not come after")
	}
	s := &stub{answer: circle}
	_, err := s.table().Delete(t.Context(), "h")
	require.ErrorContains(t, err, "does not come after")
	require.Equal(t, 3, s.count())

	s = &stub{answer: func(c call) (*http.Response, error) {
		r, err := circle(c)
		if err != nil {
			return nil, err
		}
		return renamed(r), nil
	}}
	_, err = s.table(LambdaStreamLayout()).Query(t.Context(), driver.Query{HashKey: "h"})
	require.ErrorContains(t, err, "where it has been before")
}

// renamed gives an answer the names of a LambdaStreamLayout.
func renamed(r *http.Response) *http.Response {
	body := make([]byte, r.ContentLength)
	_, _ = r.Body.Read(body)
	return answer(200, strings.NewReplacer("partitionKey", "pk", "eventId", "sk").Replace(string(body)))
}

func TestPromise14AnAnswerHoldsWhatWasAskedFor(t *testing.T) {
	for name, test := range map[string]struct {
		query driver.Query
		last  string
		items []string
		wrong string
	}{
		"before":  {driver.Query{HashKey: "h", From: "c"}, "", []string{"b", "c"}, "not asked for"},
		"after":   {driver.Query{HashKey: "h", To: "c"}, "", []string{"c", "d"}, "not asked for"},
		"ahead":   {driver.Query{HashKey: "h"}, "z", []string{"a", "b"}, "after its last item"},
		"behind":  {driver.Query{HashKey: "h"}, "a", []string{"a", "b"}, "after its last item"},
		"right":   {driver.Query{HashKey: "h", From: "a", To: "b"}, "b", []string{"a", "b"}, ""},
		"nothing": {driver.Query{HashKey: "h", From: "a"}, "b", nil, ""},
	} {
		for _, codec := range []Codec{CodecOwn, CodecSDK} {
			s := &stub{answer: func(call) (*http.Response, error) { return pageOf(test.last, test.items...), nil }}
			_, err := s.table(WithCodec(codec)).Query(t.Context(), test.query)
			if test.wrong == "" {
				require.NoError(t, err, name)
				continue
			}
			require.ErrorContains(t, err, test.wrong, name)
		}
	}
}

func TestAnItemOfAnotherKeyIsNoConflict(t *testing.T) {
	s := &stub{answer: func(call) (*http.Response, error) {
		return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no",`+
			`"Item":{"partitionKey":{"S":"other"},"eventId":{"S":"r"},"event":{"S":"{}"}}}`), nil
	}}
	err := s.table().PutIfAbsent(t.Context(), items(1))
	require.ErrorContains(t, err, "another key")
	require.NotErrorIs(t, err, driver.ErrConflict)
}
