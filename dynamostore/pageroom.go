package dynamostore

import (
	"sync"
	"sync/atomic"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// A pageRoom is what the items of a page lie in, and what is known of their events: nearly
// a fifth of the memory that a Query takes, and of no use once the store has made events
// of them. The next page has it again, so that there is less for the garbage collector.
type pageRoom struct {
	items    []driver.Item
	outlines []jsonscan.Outline
	places   []jsonscan.Place
}

// mostRoomItems bounds the pages of which the room is kept, in items; each takes some 350
// bytes. DynamoDB's 1 MB are 1,000 events of 1 KB.
const mostRoomItems = 4096

// roomOf returns room for a page.
func roomOf(rooms *sync.Pool) *pageRoom {
	if room, ok := rooms.Get().(*pageRoom); ok {
		return room
	}
	return new(pageRoom)
}

// A takenRoom is the room that a page is in, until it is given back. A page that is given
// back twice must not take the room of another.
type takenRoom struct{ room atomic.Pointer[pageRoom] }

func take(room *pageRoom) *takenRoom {
	taken := new(takenRoom)
	taken.room.Store(room)
	return taken
}

// Release takes back a page that [Table.Query] returned and that nobody will look at
// again, to make another one of it: see [driver.Releaser].
func (t *Table) Release(page driver.Page) {
	if taken, ok := page.Room.(*takenRoom); ok && taken != nil {
		if room := taken.room.Swap(nil); room != nil {
			room.release(t.caller.rooms)
		}
	}
}

func (r *pageRoom) release(rooms *sync.Pool) {
	if cap(r.items) > mostRoomItems {
		return
	}
	clear(r.items) // or it would keep their events
	clear(r.outlines)
	r.items, r.outlines, r.places = r.items[:0], r.outlines[:0], r.places[:0]
	rooms.Put(r)
}
