package dynamostore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// Items of which most are written alike, and some are not, whatever it is in which they
// differ: what is made of them is what the SDK makes of them.
func TestItemsThatAreWrittenAlike(t *testing.T) {
	table := new(stub).table()
	usual := func(i int) string {
		return strings.Replace(itemOf(fmt.Sprintf(`{"S":"{\"id\":\"%d\",\"type\":\"t\"}"}`, i)), `"r"`, fmt.Sprintf(`"r%d"`, i), 1)
	}
	binary := `{"B":"` + packedEvent(`{"a":"`+strings.Repeat("b", 300)+`"}`) + `"}`
	for _, other := range []string{
		itemOf(`{"S":"{\"id\":\"é\"}"}`), itemOf(`{"S":"x"}`), itemOf(`{"S":""}`), itemOf(`{"M":{"b":{"N":"1"},"a":{"S":"x"}}}`), itemOf(`{"M":{}}`), itemOf(binary),
		itemOf(`{"S":"{\"long\":\"` + strings.Repeat("x", 9000) + `\"}"}`), itemOf(` {"S":"{}"}`), itemOf(`{"S" :"{}"}`), itemOf(`{"S":"\ud800"}`), itemOf(`{"S":1}`), itemOf(`{"N":"1"}`), itemOf(`null`),
		`{"partitionKey":{"S":"h"},"eventId":{"S":"r"}}`, `{"partitionKey":{"S":"h"}}`, `{}`, `7`, `null`, `{"partitionKey":{"S":"h"},"eventId":{"N":"1"}}`,
		strings.Replace(usual(7), `"t"}`, `"ué"}`, 1), strings.Replace(usual(7), `{"S":"t"}`, `{"N":"1"}`, 1), strings.Replace(usual(7), `"t"}`, `"t","N":"1"}`, 1),
		strings.Replace(usual(7), `"1700000000123"`, `"1.7e12"`, 1), strings.Replace(usual(7), `"1700000000123"`, `"x"`, 1), strings.Replace(usual(7), `"1800000000"`, `"-1"`, 1),
		strings.Replace(usual(7), `"ttl"`, `"ttm"`, 1), strings.Replace(usual(7), `"ttl"`, `"type"`, 1), strings.Replace(usual(7), `"ttl"`, `"\u0074tl"`, 1),
		strings.Replace(usual(7), `"h"`, `"\u0068"`, 1), strings.Replace(usual(7), `"h"`, "\"h\x01\"", 1), strings.Replace(usual(7), `"r7"`, "\"r\xff\"", 1), strings.Replace(usual(7), `"h"`, `"other"`, 1),
		strings.Replace(usual(7), `{`, `{"more":{"L":[{"N":"1"}]},`, 1), strings.Replace(usual(7), `{`, `{"more":{"X":1},`, 1), usual(7) + " ", usual(7)[1:], usual(7)[:len(usual(7))-1],
	} {
		alone := agreeOnAnswer(t, table, answerOf(other))
		later := agreeOnAnswer(t, table, answerOf(usual(1), usual(2), usual(3), other, usual(4), other, usual(5)))
		require.Equal(t, alone, later, other)
		require.Equal(t, alone, agreeOnAnswer(t, table, answerOf(other, other, other, other)), other)
		require.Equal(t, alone, agreeOnAnswer(t, table, answerOf(other, other, usual(3), other, usual(4), usual(5))), other)
	}
}

// An attribute of somebody else that is a map is no event: it leaves alone what is known of
// the events before and behind it, however they are stored.
func TestPromise14MapsOfOthersAreNoEvents(t *testing.T) {
	table := new(stub).table()
	var items []string
	for _, event := range []string{`{"M":{"id":{"S":"1"},"type":{"S":"t"}}}`, `{"S":"{\"x\":1,\"id\":\"2\",\"type\":\"order-paid\"}"}`, `{"B":"` + packedEvent(`{"id":"3"}`) + `"}`} {
		items = append(items, itemOf(event))
		for _, other := range []string{
			`"owner":{"M":{"id":{"S":"9\",\"type\":\"t"}}}`, `"owner":{"M":{"region":{"S":"eu"},"zone":{"S":"a"}}}`, `"owner":{"M":{"no":{"S":"` + strings.Repeat("x", 48) + `"}}}`,
			`"owner":{"L":[{"M":{"no":{"S":"x"}}}]}`,
		} {
			items = append(items, strings.Replace(itemOf(event), `,"type"`, `,`+other+`,"type"`, 1), strings.Replace(itemOf(event), `{`, `{`+other+`,`, 1))
		}
	}
	for _, first := range items {
		for _, second := range items {
			for _, third := range items[:3] {
				require.True(t, agreeOnAnswer(t, table, answerOf(first, second, third, second)))
			}
		}
	}
}

func TestMostItemsFitTheMould(t *testing.T) {
	for _, event := range []string{`{"S":"{\"id\":\"1\"}"}`, `{"M":{"id":{"S":"1"}}}`, `{"B":"` + packedEvent(`{}`) + `"}`} {
		text := []byte(`[` + strings.Repeat(strings.Replace(itemOf(event), `{`, `{"more":{"L":[{"N":"1"}]},`, 1)+`,`, 10))
		reader := itemReader{layout: &new(stub).table().layout}
		for i := 1; i < len(text); i++ {
			var item driver.Item
			var ok bool
			i, ok = reader.item(&item, text, i)
			require.True(t, ok)
			require.Equal(t, "h", item.HashKey)
		}
		fitted, others := reader.mould.Counts()
		require.Equal(t, []int{8, 0}, []int{fitted, others})
	}
}

// The room that an event needs is not known before it is read.
func TestEventsOfAllSizes(t *testing.T) {
	table := new(stub).table()
	var items []string
	for i := range 60 {
		size := 1 << (i % 15)
		items = append(items, itemOf(`{"S":"{\"x\":\"`+strings.Repeat("y", size)+`\"}"}`), itemOf(`{"S":"`+strings.Repeat("z", size)+`"}`), itemOf(`{"M":{"x":{"S":"`+strings.Repeat("y", size)+`"}}}`))
	}
	require.True(t, agreeOnAnswer(t, table, answerOf(items...)))

	var reader itemReader
	reader.layout = &table.layout
	text := []byte(`{\"x\":\"` + strings.Repeat("y", 10) + `\"}"}`)
	var item driver.Item
	end, ok := reader.eventText(&item, text, 0)
	require.True(t, ok)
	require.Equal(t, len(text)-1, end)
	require.Less(t, cap(reader.events.Reserve(0)), len(text)+jsonscan.InnerRoom, "no more than can be needed")
}
