package dynamostore

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
)

// Limits of one BatchWriteItem. Source: "BatchWriteItem", Amazon DynamoDB API
// Reference: 25 requests, 16 MB in all. What counts as the size of a request is
// not said there, so it is taken to be that of its JSON.
const (
	maxChunkWrites = 25
	maxChunkSize   = 16_000_000
)

// fastEnough is the size of a request, in bytes, that is not at fault where there was
// no answer in time: 5 s for it are 160 kbit/s.
const fastEnough = 100_000

// A write is one put or delete of a batch.
type write struct {
	index   int // of the item, in what the caller gave
	key     itemKey
	request types.WriteRequest // for the SDK; none where there is item
	wire    int                // the most bytes that it takes in a request

	item       *driver.Item   // what is put, if the codec has written it:
	writer     *requestWriter // in its text
	begin, end int            // at these bytes

	whole                int // how many writes the request has that begins with this one; 0 for none,
	wholeBegin, wholeEnd int // and where it stands
}

// forSDK returns the request for the SDK to write.
func (t *Table) forSDK(w *write) (types.WriteRequest, error) {
	if w.item == nil {
		return w.request, nil
	}
	item, _, err := t.encode(w.item)
	return types.WriteRequest{PutRequest: &types.PutRequest{Item: item}}, err
}

type itemKey struct{ hashKey, rangeKey string }

// nextChunk cuts the writes that go into one request off the front.
func nextChunk(writes []write) (chunk, rest []write) {
	size := 0
	for i := range writes {
		size += writes[i].wire
		// One item always goes: 400 KiB are far from 16 MB, however written.
		if i == maxChunkWrites || i > 0 && size > maxChunkSize {
			return writes[:i], writes[i:]
		}
	}
	return writes, nil
}

func sizeOf(writes []write) (size int) {
	for i := range writes {
		size += writes[i].wire
	}
	return size
}

func chunksOf(writes []write) [][]write {
	chunks := make([][]write, 0, len(writes)/maxChunkWrites+1)
	for len(writes) > 0 {
		var chunk []write
		chunk, writes = nextChunk(writes)
		chunks = append(chunks, chunk)
	}
	return chunks
}

// eachKeyOnce puts off the writes whose key an earlier one has.
func eachKeyOnce(writes []write) (once, again []write) {
	seen := make(map[itemKey]bool, len(writes))
	once = writes[:0]
	for i := range writes {
		if seen[writes[i].key] {
			again = append(again, writes[i])
			continue
		}
		seen[writes[i].key] = true
		once = append(once, writes[i])
	}
	return once, again
}

// keyOf returns the keys in an item or in what a batch returns of one.
func (l *layout) keyOf(from attributes) (itemKey, bool) {
	hashKey, ok := from[l.names.HashKey].(*types.AttributeValueMemberS)
	if !ok || hashKey == nil {
		return itemKey{}, false
	}
	rangeKey, ok := from[l.names.RangeKey].(*types.AttributeValueMemberS)
	if !ok || rangeKey == nil {
		return itemKey{}, false
	}
	return itemKey{hashKey.Value, rangeKey.Value}, true
}
