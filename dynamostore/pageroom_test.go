package dynamostore

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// usedRoom is the room of a page that holds what no page should.
func usedRoom() *pageRoom {
	other := []byte(`{"id":"other"}`)
	room := &pageRoom{places: make([]jsonscan.Place, 3, 1000)}
	for range 5 {
		room.outlines = append(room.outlines, jsonscan.NewOutline(other, []jsonscan.Place{{}}))
		room.items = append(room.items, driver.Item{HashKey: "other", RangeKey: "other", Event: other, Type: "other", TTL: 1, Outline: &room.outlines[0]})
	}
	rooms := new(sync.Pool)
	room.release(rooms)
	return room
}

func answerOfMany(n int) []byte {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"partitionKey":{"S":"h"},"eventId":{"S":"r%04d"},"event":{"S":"{\"id\":\"%d\",\"n\":%d}"}}`, i, i, n))
	}
	return fmt.Appendf(nil, `{"ConsumedCapacity":{},"Count":%d,"Items":[%s]}`, n, strings.Join(items, ","))
}

// What a page was made of keeps no event alive, and what its items said does not change
// when the next page is made of it.
func TestARoomIsUsedAgain(t *testing.T) {
	table := new(stub).table()
	rooms := new(sync.Pool)
	room := new(pageRoom)
	for _, n := range []int{3, 2000, 1, 700} {
		require.True(t, table.layout.readAnswerPage(answerOfMany(n), "h", room, new(dynamodb.QueryOutput)))
		items := room.items
		require.Len(t, items, n)
		kept := append([]driver.Item(nil), items...)
		room.release(rooms)
		for _, item := range items[:cap(items)] {
			require.Equal(t, driver.Item{}, item)
		}
		for _, outline := range room.outlines[:cap(room.outlines)] {
			require.Equal(t, jsonscan.Outline{}, outline)
		}
		require.True(t, table.layout.readAnswerPage(answerOfMany(1), "h", room, new(dynamodb.QueryOutput)))
		require.Len(t, room.items, 1)
		require.Same(t, &items[0], &room.items[0], "the room is not used again")
		for i := range kept {
			require.Equal(t, fmt.Sprintf("r%04d", i), kept[i].RangeKey)
			require.Equal(t, fmt.Sprintf(`{"id":"%d","n":%d}`, i, n), string(kept[i].Event))
		}
		room.release(rooms)
	}
}

func TestPromise16TheRoomOfAHugePageIsNotKept(t *testing.T) {
	table := new(stub).table()
	room, rooms := new(pageRoom), new(sync.Pool)
	require.True(t, table.layout.readAnswerPage(answerOfMany(mostRoomItems+1), "h", room, new(dynamodb.QueryOutput)))
	room.release(rooms)
	require.Nil(t, rooms.Get())
	table.Release(driver.Page{})
	table.Release(driver.Page{Room: (*takenRoom)(nil)})
	table.Release(driver.Page{Room: "another's"})
}
