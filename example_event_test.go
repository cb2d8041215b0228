package microeventstore_test

import (
	"fmt"

	mes "github.com/microeventstore/microeventstore"
)

func ExampleParse() {
	e, err := mes.Parse([]byte(`{
		"id": "7f3c", "type": "order-submitted", "timestamp": 1557933622847,
		"partitionKey": "order-42", "tags": {"user": "ada"}, "total": 1999
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.ID, e.Type, e.PartitionKey)
	fmt.Println(e.Timestamp)
	// Output:
	// 7f3c order-submitted order-42
	// 2019-05-15 15:20:22.847 +0000 UTC
}

func ExampleParse_cloudEvents() {
	e, err := mes.Parse([]byte(`{
		"specversion": "1.0", "id": "7f3c", "source": "/shop", "type": "order-submitted",
		"time": "2019-05-15T15:20:22.847Z", "partitionkey": "order-42", "data": {"total": 1999}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.ID)
	fmt.Println(e.PartitionKey)
	fmt.Println(string(e.Data()))
	// Output:
	// /shop 7f3c
	// order-42
	// {"total": 1999}
}

func ExampleParse_eventBridge() {
	e, err := mes.Parse([]byte(`{
		"version": "0", "id": "7f3c", "detail-type": "order-submitted", "source": "shop",
		"time": "2019-05-15T15:20:22Z", "detail": {"partitionKey": "order-42", "total": 1999}
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Type, e.PartitionKey)
	// Output: order-submitted order-42
}

func ExampleParse_refused() {
	_, err := mes.Parse([]byte(`{"id": 42, "type": "order-submitted"}`))
	fmt.Println(err)
	_, err = mes.Parse([]byte(`{"id": "42", "type": order-submitted}`))
	fmt.Println(err)
	// Output:
	// parse event: id is a number, not a string
	// parse event: invalid JSON: no value at byte 21
}

func ExampleNewEvent() {
	e, err := mes.NewEvent(map[string]any{
		"id":           "7f3c",
		"type":         "order-shipped",
		"timestamp":    1557933622847,
		"partitionKey": "order-42",
	})
	fmt.Println(e.Type, e.Timestamp.UnixMilli(), err)
	// Output: order-shipped 1557933622847 <nil>
}

func ExampleEvent_Field() {
	e, _ := mes.Parse([]byte(`{"id": "7f3c", "thing": {"group": "g1", "serial": 9007199254740993}}`))
	serial, ok := e.Field("thing.serial")
	fmt.Println(string(serial), ok)
	_, ok = e.Field("thing.color")
	fmt.Println(ok)
	// Output:
	// 9007199254740993 true
	// false
}

func ExampleEvent_Tag() {
	e, _ := mes.Parse([]byte(`{"id": "7f3c", "tags": {"user": "ada", "retries": 3}}`))
	fmt.Println(e.Tag("user"))
	fmt.Println(e.Tag("retries"))
	// Output:
	// ada true
	// 3 true
}

func ExampleDecodeAs() {
	type order struct {
		Total int
	}
	e, _ := mes.Parse([]byte(`{"id": "7f3c", "type": "order-submitted", "total": 1999}`))
	o, err := mes.DecodeAs[order](e)
	fmt.Println(o.Total, err)

	e, _ = mes.Parse([]byte(`{"id": "7f3d", "type": "order-submitted", "total": "a lot"}`))
	_, err = mes.DecodeAs[order](e)
	fmt.Println(err)
	// Output:
	// 1999 <nil>
	// decode event into microeventstore_test.order: a JSON string does not fit the Go type int of the field Total
}
