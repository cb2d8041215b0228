package microeventstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// parse reads an event of an example.
func parse(raw string) mes.Event {
	e, err := mes.Parse([]byte(raw))
	if err != nil {
		fmt.Println(err)
	}
	return e
}

func ExampleTypeMatches() {
	things := mes.TypeMatches(regexp.MustCompile(`^thing-.+`))

	fmt.Println(things(parse(`{"id":"1","type":"thing-created"}`)))
	fmt.Println(things(parse(`{"id":"2","type":"nothing-created"}`)))
	// Output:
	// true
	// false
}

func ExampleAll() {
	wanted := mes.All(
		mes.Types("order-submitted", "payment-received"),
		mes.Not(mes.HasTag("test", "true")))

	fmt.Println(wanted(parse(`{"id":"1","type":"order-submitted"}`)))
	fmt.Println(wanted(parse(`{"id":"2","type":"order-submitted","tags":{"test":true}}`)))
	// Output:
	// true
	// false
}

func ExampleField() {
	event := parse(`{"id":"1","thing":{"group":"blue","id":9007199254740993}}`)

	fmt.Println(mes.Field("thing.group")(event))
	fmt.Println(mes.Field("thing.id")(event)) // every digit as it was sent
	fmt.Println(mes.Field("thing")(event))
	// Output:
	// blue <nil>
	// 9007199254740993 <nil>
	//  hash key Field("thing"): the value is an object; choose one that is a string or a number
}

// One event, collated by its order and by its user: the prefixes keep an order
// and a user of the same name apart.
func ExamplePrefix() {
	byOrder := mes.Prefix("order-", mes.PartitionKey())
	byUser := mes.Prefix("user-", mes.Tag("user"))
	event := parse(`{"id":"1","partitionKey":"42","tags":{"user":"42"}}`)

	fmt.Println(byOrder(event))
	fmt.Println(byUser(event))
	// Output:
	// order-42 <nil>
	// user-42 <nil>
}

func ExampleJoin() {
	key := mes.Join("#", mes.Tag("region"), mes.PartitionKey())

	fmt.Println(key(parse(`{"id":"1","partitionKey":"42","tags":{"region":"north"}}`)))
	fmt.Println(key(parse(`{"id":"2","partitionKey":"4#2","tags":{"region":"north"}}`)))
	// Output:
	// north#42 <nil>
	//  hash key Join: part 2 holds the separator "#"; choose one that no part holds
}

func ExampleTimeAndID() {
	event := parse(`{"id":"a1","timestamp":1735689600123}`)

	key, err := mes.TimeAndID().AppendRangeKey(nil, &event)
	fmt.Println(string(key), err)
	// Output: 0001735689600123#a1 <nil>
}

// The text of two UUIDs of version 1, a second apart, is in the wrong order;
// their keys are not.
func ExampleTimeUUID() {
	first := parse(`{"id":"ffffab00-9414-11ec-b3c8-9f6bdeced846"}`)
	second := parse(`{"id":"00984180-9415-11ec-b3c8-9f6bdeced846"}`)

	for _, event := range []mes.Event{first, second} {
		key, err := mes.TimeUUID().AppendRangeKey(nil, &event)
		fmt.Println(string(key), err)
	}
	// Output:
	// 1ec9414f-fffa-6b00-b3c8-9f6bdeced846 <nil>
	// 1ec94150-0984-6180-b3c8-9f6bdeced846 <nil>
}

func ExampleSequenceNumber() {
	event := parse(`{"id":"a1"}`)
	event.Meta = mes.Meta{SequenceNumber: "21267647932558653966460912964485513216", SubSequence: 3}

	key, err := mes.SequenceNumber().AppendRangeKey(nil, &event)
	fmt.Println(string(key), err)
	// Output: 00000000000000000021267647932558653966460912964485513216.0000000000000000003 <nil>
}

// A range key of one's own: by version, which must be padded to sort as text.
func ExampleRangeKeyFunc() {
	byVersion := mes.RangeKeyFunc(func(e mes.Event) (string, error) {
		var body struct{ Version uint32 }
		if err := json.Unmarshal(e.Raw, &body); err != nil {
			return "", errors.New("the event has no version")
		}
		return fmt.Sprintf("%010d#%s", body.Version, e.ID), nil
	})
	event := parse(`{"id":"a1","version":7}`)

	key, err := byVersion.AppendRangeKey(nil, &event)
	fmt.Println(string(key), err)
	// Output: 0000000007#a1 <nil>
}

func ExampleExpireAfter() {
	policy := mes.ExpireAfter(33 * 24 * time.Hour)

	fmt.Println(policy(parse(`{"id":"1","timestamp":"2025-01-01T00:00:00Z"}`)))
	// Output: 2025-02-03 00:00:00 +0000 UTC true
}

// The event says itself until when it counts; those that do not say are kept
// for a day.
func ExampleExpireAt() {
	policy := mes.ExpireAt("offer.until", mes.ExpireAfter(24*time.Hour))

	fmt.Println(policy(parse(`{"id":"1","offer":{"until":"2025-06-30T22:00:00Z"}}`)))
	fmt.Println(policy(parse(`{"id":"2","offer":{"until":1751320800000}}`)))
	fmt.Println(policy(parse(`{"id":"3","timestamp":"2025-01-01T00:00:00Z"}`)))
	// Output:
	// 2025-06-30 22:00:00 +0000 UTC true
	// 2025-06-30 22:00:00 +0000 UTC true
	// 2025-01-02 00:00:00 +0000 UTC true
}

func ExampleByType() {
	policy := mes.ByType(map[string]mes.TTLPolicy{
		"order-submitted": mes.NeverExpire(),
		"page-viewed":     mes.ExpireAfter(time.Hour),
	}, mes.ExpireAfter(24*time.Hour))

	_, expires := policy(parse(`{"id":"1","type":"order-submitted","timestamp":1735689600000}`))
	fmt.Println(expires)
	fmt.Println(policy(parse(`{"id":"2","type":"page-viewed","timestamp":1735689600000}`)))
	// Output:
	// false
	// 2025-01-01 01:00:00 +0000 UTC true
}
