package dynamostore

import (
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// leastItem is how many bytes an item takes in an answer, at the least:
// {"a":{"S":"x"},"b":{"S":"y"}}
const leastItem = 29

// readAnswerPage reads the answer to a Query: its items into a room, and into output all
// the rest. It is false for what it leaves to the SDK: then output is as it was, and the
// room is of no more use.
func (l *layout) readAnswerPage(b []byte, hashKey string, room *pageRoom, output *dynamodb.QueryOutput) bool {
	var read dynamodb.QueryOutput
	var seen [5]bool // an answer that has a member twice is the SDK's to understand
	i := jsonscan.Space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	for {
		name, at, ok := memberName(b, jsonscan.Space(b, i+1))
		if !ok {
			return false
		}
		i = jsonscan.Space(b, at)
		member := 0
		switch string(name) {
		case "ConsumedCapacity":
			read.ConsumedCapacity, i, ok = readCapacity(b, i)
		case "Count":
			member = 1
			read.Count, i, ok = readCount(b, i)
		case "ScannedCount":
			member = 2
			read.ScannedCount, i, ok = readCount(b, i)
		case "LastEvaluatedKey":
			member = 3
			read.LastEvaluatedKey, i, ok = readKey(b, i)
		case "Items":
			member = 4
			i, ok = l.readItems(b, i, hashKey, room, int(read.Count))
		default:
			return false
		}
		if !ok || seen[member] {
			return false
		}
		seen[member] = true
		if i = jsonscan.Space(b, i); i >= len(b) {
			return false
		}
		if b[i] == '}' {
			break
		}
		if b[i] != ',' {
			return false
		}
	}
	if jsonscan.Space(b, i+1) != len(b) || int(read.Count) != len(room.items) || !seen[4] {
		return false
	}
	read.ResultMetadata = output.ResultMetadata
	*output = read
	return true
}

// readItems reads the items of a page.
func (l *layout) readItems(b []byte, i int, hashKey string, room *pageRoom, count int) (end int, ok bool) {
	if i >= len(b) || b[i] != '[' {
		return i, false
	}
	if i = jsonscan.Space(b, i+1); i < len(b) && b[i] == ']' {
		room.items = room.items[:0]
		return i + 1, true
	}
	reader := itemReader{layout: l, hashKey: hashKey, outlines: room.outlines[:0], places: room.places[:0]}
	items := slices.Grow(room.items[:0], min(count, (len(b)-i)/leastItem))
	size := 0
	for {
		if len(items) == cap(items) {
			items = growItems(items, b, i)
		}
		items = items[:len(items)+1]
		item := &items[len(items)-1]
		if i, ok = reader.item(item, b, i); !ok {
			return i, false
		}
		if size += len(item.Event); size > maxPage && len(items) > 1 {
			return i, false // see page
		}
		if i = jsonscan.Space(b, i); i >= len(b) {
			return i, false
		}
		switch b[i] {
		case ',':
			i++
		case ']':
			room.items, room.outlines, room.places = items, reader.outlines, reader.places
			return i + 1, true
		default:
			return i, false
		}
	}
}

// growItems makes room for items where their number was not said before them.
func growItems(items []driver.Item, b []byte, i int) []driver.Item {
	n := min(max(2*len(items), 16), len(items)+(len(b)-i)/leastItem+1)
	grown := make([]driver.Item, len(items), n)
	copy(grown, items)
	return grown
}

// readCount reads a number of items.
func readCount(b []byte, i int) (int32, int, bool) {
	begin := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	if i == begin || b[begin] == '0' && i > begin+1 || i-begin > 9 {
		return 0, i, false
	}
	n, err := strconv.ParseInt(string(b[begin:i]), 10, 32)
	return int32(n), i, err == nil
}

// readCapacity reads what a request has consumed, in total.
func readCapacity(b []byte, i int) (*types.ConsumedCapacity, int, bool) {
	begin := i
	i, ok := jsonscan.Skip(b, i)
	if !ok {
		return nil, i, false
	}
	capacity := new(types.ConsumedCapacity)
	members := jsonscan.Members(b[begin:i])
	for members.Next() {
		switch string(members.Key) {
		case "CapacityUnits":
			units, err := strconv.ParseFloat(string(members.Value), 64)
			if err != nil || capacity.CapacityUnits != nil {
				return nil, i, false
			}
			capacity.CapacityUnits = &units
		case "TableName":
			name, ok := jsonscan.String(members.Value)
			if !ok || capacity.TableName != nil {
				return nil, i, false
			}
			capacity.TableName = &name
		default:
			return nil, i, false
		}
	}
	return capacity, i, members.Err() == nil
}

// readKey reads the keys of an item: attributes that are strings.
func readKey(b []byte, i int) (attributes, int, bool) {
	begin := i
	i, ok := jsonscan.Skip(b, i)
	if !ok {
		return nil, i, false
	}
	var walker wireWalker
	key := make(attributes, 2)
	members := jsonscan.Members(b[begin:i])
	for members.Next() {
		kind, at, ok := walker.open(members.Value, 0)
		if _, twice := key[string(members.Key)]; !ok || kind != "S" || members.Escaped || twice {
			return nil, i, false
		}
		value := members.Value
		if at, ok = quoted(value, at); !ok {
			return nil, i, false
		}
		unquoted, at, ok := jsonscan.AppendText(nil, value, at)
		if !ok {
			return nil, i, false
		}
		if at, ok = closed(value, at); !ok || at != len(value) {
			return nil, i, false
		}
		key[string(members.Key)] = text(string(unquoted))
	}
	return key, i, members.Err() == nil
}
