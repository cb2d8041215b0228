package drivertest

import (
	"fmt"
	"math"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func fieldCases() []testCase {
	return []testCase{
		{name: "Fields", rule: "What was put is returned: HashKey, RangeKey, Event, Type, Timestamp and TTL, and ID and PartitionKey too if the table says Complete.", run: testFields},
		{name: "EventBytes", rule: "Event is given back byte for byte: nothing is re-marshalled, compacted, sorted or rounded.", run: testEventBytes},
		{name: "OddPayloads", rule: "A table stores an Event or Type unaltered or refuses it with ErrInvalidItem; it never stores something else in its place.", run: testOddPayloads},
		{name: "Timestamps", rule: "Timestamp is kept with millisecond resolution, before 1970 too.", run: testTimestamps},
		{name: "ZeroTimestamp", rule: "The zero Timestamp means that the event has none, and is returned as the zero time; 1970-01-01 is another time.", run: testZeroTimestamp},
		{name: "TTL", rule: "TTL is in seconds, exact, and 0 means never.", run: testTTL},
		{name: "ExpiredItems", rule: "A table may delete an item whose TTL has been reached; until then it returns it like any other.", run: testExpired},
		{name: "Complete", rule: "Complete says that ID and PartitionKey are those that were put, not guessed from the keys, and the newest after a replacement.", run: testComplete},
	}
}

func testFields(s *suite) {
	t := s.open()
	items := newItems("fields", 50)
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "fields"}, items...)

	bare := driver.Item{HashKey: "bare", RangeKey: "r", Event: []byte(`{}`)}
	s.put(t, bare)
	s.want(t, driver.Query{HashKey: "bare"}, bare)
}

func testEventBytes(s *suite) {
	t := s.open()
	var items []driver.Item
	for i, event := range []string{
		`{"b":1,"a":2}`,
		`{"a":1,"a":2}`,
		"  {\n\t\"a\" : 1 }\r\n",
		`{"n":9007199254740993,"x":1.0,"y":1e2,"z":-0}`,
		`{"n":123456789012345678901234567890.12345678901234567890}`,
		`{"a":"\u0000\u00e9\ud83d\ude00\/<>&"}`,
		"{\"a\":\"é\u2028\u2029<>&\x7f\uFEFF\uFFFD\uFFFF\U0010FFFF\"}",
		`{"lone surrogate":"\ud800"}`,
		`{"$ref":"#/a","__proto__":{},"":"","event":{"S":"x"}}`,
		`[]`, `null`, `0`, `""`, `true`,
	} {
		item := newItem("bytes", text(i), i)
		item.Event = []byte(event)
		items = append(items, item)
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "bytes"}, items...)
}

func testOddPayloads(s *suite) {
	t := s.open()
	odd := map[string]func(*driver.Item){
		"Event nil":                   func(i *driver.Item) { i.Event = nil },
		"Event empty":                 func(i *driver.Item) { i.Event = []byte{} },
		"Event not UTF-8":             func(i *driver.Item) { i.Event = []byte("{\"a\":\"x\xff\xfe\xc0\x80\xed\xa0\x80\"}") },
		"Event not JSON, NULs":        func(i *driver.Item) { i.Event = []byte("\x00\x01\x00") },
		"Event a magic number (zstd)": func(i *driver.Item) { i.Event = []byte("\x28\xb5\x2f\xfd\x00") },
		"Event a magic number (gzip)": func(i *driver.Item) { i.Event = []byte("\x1f\x8b\x08\x00") },
		"Type not UTF-8":              func(i *driver.Item) { i.Type = "x\xff" },
		"Type with NUL and newline":   func(i *driver.Item) { i.Type = "a\x00b\n\uFFFF\U0001F600" },
	}
	for name, change := range odd {
		item := newItem("odd: "+name, "r", 0)
		change(&item)
		if s.mayPut(t, item) {
			s.want(t, driver.Query{HashKey: item.HashKey}, item)
		} else {
			s.want(t, driver.Query{HashKey: item.HashKey})
		}
	}
}

func testTimestamps(s *suite) {
	t := s.open()
	var items []driver.Item
	for i, ts := range []time.Time{
		time.UnixMilli(1), time.UnixMilli(-1), time.UnixMilli(999), time.UnixMilli(-999), time.UnixMilli(-1000), time.UnixMilli(-1001),
		time.UnixMilli(1_700_000_000_123), time.UnixMilli(1_700_000_000_000), time.UnixMilli(-62_135_596_799_999),
		time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		time.Date(1582, 10, 4, 0, 0, 0, 0, time.UTC),
		time.Date(2024, 2, 29, 12, 0, 0, 5e6, time.FixedZone("+05:45", 5*3600+45*60)),
		time.Date(2024, 2, 29, 12, 0, 0, 123_999_999, time.UTC), // becomes .123
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.UnixMilli(1 << 53), time.UnixMilli(1<<53 + 1), // a float64 cannot tell these apart
	} {
		item := newItem("timestamps", text(i), i)
		item.Timestamp = ts
		items = append(items, item)
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "timestamps"}, items...)
}

func testZeroTimestamp(s *suite) {
	t := s.open()
	none, epoch := newItem("zero", "none", 0), newItem("zero", "epoch", 0)
	none.Timestamp, epoch.Timestamp = time.Time{}, time.UnixMilli(0)
	s.put(t, none, epoch)
	s.want(t, driver.Query{HashKey: "zero"}, epoch, none)
	for _, item := range s.read(t, driver.Query{HashKey: "zero", Consistent: true}).items {
		if item.Timestamp.IsZero() != (item.RangeKey == "none") {
			s.failf("%s: Timestamp is %v", item.RangeKey, item.Timestamp)
		}
	}
}

func testTTL(s *suite) {
	t := s.open()
	var items []driver.Item
	for i, ttl := range []int64{0, 4_102_444_800, 4_102_444_801, 253_402_300_799, 4_102_444_800_000, 1<<53 + 1, math.MaxInt64} {
		item := newItem("ttl", text(i), i)
		item.TTL = ttl
		items = append(items, item)
	}
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "ttl"}, items...)

	for i := range items {
		items[i].TTL = 4_200_000_000
	}
	items[1].TTL = 0
	s.put(t, items...)
	s.want(t, driver.Query{HashKey: "ttl"}, items...)
}

func testExpired(s *suite) {
	t := s.open()
	// One second past 1970, and one that expired just now.
	for i, ttl := range []int64{1, time.Now().Unix() - 1} {
		item := newItem(fmt.Sprintf("expired %d", i), "r", 0)
		item.TTL = ttl
		living := newItem(item.HashKey, "s", 0)
		s.put(t, item, living)
		got := s.read(t, driver.Query{HashKey: item.HashKey, Consistent: true}).items
		if len(got) == 2 {
			s.want(t, driver.Query{HashKey: item.HashKey, To: "r"}, got[0])
			if d := diffItem(got[0], item); d != "" {
				s.failf("an expired item: %s", d)
			}
		}
		s.want(t, driver.Query{HashKey: item.HashKey, From: "s"}, living)
	}
}

func testComplete(s *suite) {
	t := s.open()
	item := newItem("complete", "r", 0)
	item.ID, item.PartitionKey = "an id", "another hash key"
	item.Event = eventOf(item, "")
	same := newItem("complete", "s", 0)
	same.ID, same.PartitionKey = same.RangeKey, same.HashKey
	same.Event = eventOf(same, "")
	without := newItem("complete", "t", 0)
	without.PartitionKey = ""
	without.Event = eventOf(without, "")
	s.put(t, item, same, without)
	s.want(t, driver.Query{HashKey: "complete"}, item, same, without)

	item.ID, item.PartitionKey = "its new id", "its new partition key"
	item.Event = eventOf(item, "")
	s.put(t, item)
	s.want(t, driver.Query{HashKey: "complete"}, item, same, without)

	// An item of a table that does not keep them is put again in one that may.
	unknown := same
	unknown.ID, unknown.PartitionKey, unknown.Complete = "", "", false
	s.put(t, unknown)
	for _, got := range s.read(t, driver.Query{HashKey: "complete", From: "s", To: "s", Consistent: true}).items {
		if got.Complete {
			s.failf("an item that was put without ID and PartitionKey, and not as Complete, is returned as Complete")
		}
	}
}
