package faults_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/faults"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

func ExampleResubmit() {
	ctx := context.Background()
	table := memorytable.New() // in your program: boltstore.Open or dynamostore.New
	set, _ := faults.NewStore(table)

	broken, _ := mes.New(table, mes.WithHashKey(func(mes.Event) (string, error) { return "", errors.New("a bug") }))
	listener := mes.NewListener(broken, nil, mes.WithFaultHandler(faults.Save(set, "orders", faults.WithPayload())))
	data := fmt.Appendf(nil, `{"id":"1","type":"order-submitted","partitionKey":"order-42","timestamp":%d}`, time.Now().UnixMilli())
	fmt.Println(listener.Handle(ctx, []mes.Record{{Data: data}}))

	mended, _ := mes.New(table)
	var list []mes.Event
	for fault, err := range set.Events(ctx, faults.HashKey("orders")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		list = append(list, fault)
	}
	fmt.Println(len(list), faults.Resubmit(ctx, mes.NewListener(mended, nil), nil, list...))
	m, _ := mended.GetMicroEventStore(ctx, "order-42")
	fmt.Println(m.Has("order-submitted"))
	// Output:
	// <nil>
	// 1 <nil>
	// true
}
