package dynamostore

import (
	"github.com/microeventstore/microeventstore/driver"
)

// A requestWriter writes the items of a Put one behind the other, as whole requests of as
// many as one request takes, so that they are sent from where they are: all are there
// before the first is sent. Its memory is not used again: net/http may still read a
// request when the answer has come.
type requestWriter struct {
	items  itemWriter
	before []byte // a request, up to its items
	text   []byte // all requests

	events, besides int // how many bytes the events have, and about how many the rest takes

	begin  int  // of the request that is being written,
	writes int  // how many writes it has,
	broken bool // and whether the SDK is to write any of them
}

// What stands behind the items of a request.
const afterItems = `]},"ReturnConsumedCapacity":"TOTAL"}`

// newRequestWriter returns a writer with room for the requests of some items.
func (t *Table) newRequestWriter(items []driver.Item) *requestWriter {
	w := &requestWriter{items: itemWriter{layout: &t.layout}}
	w.before = append(make([]byte, 0, len(t.name)+32), `{"RequestItems":{`...)
	w.before = append(appendSDKText(w.before, t.name), `:[`...)

	growth := t.growth.Load()
	if growth == 0 {
		growth = usualGrowth
	}
	w.besides = (len(items)/maxChunkWrites + 1) * (len(w.before) + len(afterItems))
	for i := range items {
		w.besides += 256 + len(items[i].HashKey) + len(items[i].RangeKey)
		w.events += len(items[i].Event)
	}
	w.text = make([]byte, 0, w.besides+int(int64(w.events)*growth>>growthBits))
	return w
}

// How many bytes of a request there are for each byte of an event, in 1024ths, depends
// on the layout and on what the events are like. As text it is usualGrowth. What takes
// more than mostGrowth gets its room when it is needed.
const (
	growthBits  = 10
	usualGrowth = 6 << growthBits / 5
	mostGrowth  = 3 << growthBits
)

// grown notes by how much the events have grown, if there was more of them than of what
// is written besides.
func (t *Table) grown(w *requestWriter) {
	if w.events > w.besides {
		t.growth.Store(min(max(0, int64(len(w.text)-w.besides)<<growthBits/int64(w.events))+1, mostGrowth))
	}
}

// put writes the request that puts an item, which is to be the next one of the writes. It
// is false for what it leaves to the SDK.
func (w *requestWriter) put(item *driver.Item, to *write) bool {
	if w.writes == 0 {
		w.begin = len(w.text)
		w.text = append(w.text, w.before...)
	}
	begin := len(w.text)
	text, _, ok := w.items.put(w.text, item)
	if !ok {
		w.text = text[:begin]
		return false
	}
	to.item, to.writer, to.begin, to.end = item, w, begin, len(text)
	to.wire = to.end - to.begin + 1
	w.text = append(text, ',')
	return true
}

// added notes that the last one of the writes was added to them.
func (w *requestWriter) added(writes []write) {
	w.broken = w.broken || writes[len(writes)-1].item == nil
	if w.writes++; w.writes == maxChunkWrites {
		w.finish(writes)
	}
}

// finish ends the request that is being written.
func (w *requestWriter) finish(writes []write) {
	if w.writes > 0 && !w.broken {
		w.text = append(w.text[:len(w.text)-1], afterItems...)
		first := &writes[len(writes)-w.writes]
		first.whole, first.wholeBegin, first.wholeEnd = w.writes, w.begin, len(w.text)
	}
	w.writes, w.broken = 0, false
}

// requestOf returns the request of a chunk. It is nil where the SDK has to write any of
// it.
func (t *Table) requestOf(chunk []write) []byte {
	size := len(t.name) + 100
	for i := range chunk {
		if chunk[i].item == nil {
			return nil
		}
		size += chunk[i].end - chunk[i].begin + 1
	}
	if first := &chunk[0]; first.whole == len(chunk) && chunk[len(chunk)-1].end+len(afterItems) == first.wholeEnd {
		return first.writer.text[first.wholeBegin:first.wholeEnd:first.wholeEnd]
	}
	request := append(make([]byte, 0, size), `{"RequestItems":{`...)
	request = append(appendSDKText(request, t.name), `:[`...)
	for i := range chunk {
		if i > 0 {
			request = append(request, ',')
		}
		request = append(request, chunk[i].writer.text[chunk[i].begin:chunk[i].end]...)
	}
	return append(request, afterItems...)
}
