package dynamostore

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func taken(item string) *http.Response {
	if item != "" {
		item = `,"Item":` + item
	}
	return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed"`+item+`}`)
}

func stored(event string) string {
	return fmt.Sprintf(`{"partitionKey":{"S":"secret-hash"},"eventId":{"S":"secret-0000"},"event":%s}`, event)
}

func TestPutIfAbsentComparesPayloads(t *testing.T) {
	for event, want := range map[string]error{
		`{"S":"{\"secret\":1}"}`:     nil,
		`{"M":{"secret":{"N":"1"}}}`: nil,
		`{"S":"{\"secret\": 1}"}`:    driver.ErrConflict,
		`{"M":{"secret":{"N":"2"}}}`: driver.ErrConflict,
		`{"B":"KLUv/QQAYQAAe30="}`:   ErrUnknownEncoding, // damaged
		`{"NULL":true}`:              ErrUnknownEncoding,
	} {
		for _, sent := range []bool{true, false} { // whether the server sends the item along
			s := &stub{answer: func(c call) (*http.Response, error) {
				switch {
				case c.operation == "Query":
					return answer(200, `{"ConsumedCapacity":{},"Count":1,"Items":[`+stored(event)+`]}`), nil
				case sent:
					return taken(stored(event)), nil
				}
				return taken(""), nil
			}}
			err := s.table().PutIfAbsent(t.Context(), items(1))
			require.ErrorIs(t, err, want, event)
			require.NotErrorIs(t, err, driver.ErrInvalidItem)
			leaksNothing(t, err)
		}
	}
}

func TestPutIfAbsentWhenTheItemGoesInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: func(c call) (*http.Response, error) {
			if c.n == 0 {
				return taken(""), nil
			}
			return success(c)
		}}
		require.NoError(t, s.table().PutIfAbsent(t.Context(), items(1)))
		require.Equal(t, 3, s.count())
	})
}

// An attempt whose answer is lost has stored the item; the next one finds it.
func TestPutIfAbsentAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{answer: func(c call) (*http.Response, error) {
			if c.n == 0 {
				return transient["reset once applied"](c)
			}
			return taken(stored(`{"S":"{\"secret\":1}"}`)), nil
		}}
		require.NoError(t, s.table().PutIfAbsent(t.Context(), items(1)))
	})
}

func TestPutIfAbsentNamesEachItemThatFails(t *testing.T) {
	s := &stub{answer: func(c call) (*http.Response, error) {
		var sent struct {
			Item                      struct{ EventID struct{ S string } }
			ConditionExpression       string
			ExpressionAttributeNames  map[string]string
			ExpressionAttributeValues map[string]struct{ N string }
		}
		require.NoError(t, json.Unmarshal(c.body, &sent))
		require.Equal(t, "attribute_not_exists(#h) OR (#ttl <> :never AND #ttl <= :now)", sent.ConditionExpression)
		require.Equal(t, map[string]string{"#h": "partitionKey", "#ttl": "ttl"}, sent.ExpressionAttributeNames)
		now, err := strconv.ParseInt(sent.ExpressionAttributeValues[":now"].N, 10, 64)
		require.NoError(t, err)
		require.InDelta(t, time.Now().Unix(), now, 2)
		if sent.Item.EventID.S == "secret-0003" {
			return taken(strings.ReplaceAll(stored(`{"S":"other"}`), "secret-0000", "secret-0003")), nil
		}
		return success(c)
	}}
	list := items(10)
	list[7].HashKey = ""
	err := s.table().PutIfAbsent(t.Context(), list)
	var partial *driver.PutError
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Failures, 2)
	require.Equal(t, 3, partial.Failures[0].Index)
	require.ErrorIs(t, partial.Failures[0].Err, driver.ErrConflict)
	require.Equal(t, 7, partial.Failures[1].Index)
	require.ErrorIs(t, partial.Failures[1].Err, driver.ErrInvalidItem)
	require.Equal(t, 9, s.count())
}
