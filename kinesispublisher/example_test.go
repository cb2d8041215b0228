package kinesispublisher_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/kinesispublisher"
)

func ExampleNew() {
	// In your program: kinesis.NewFromConfig(cfg).
	client := kinesis.New(kinesis.Options{Region: "eu-west-1"})
	publisher := kinesispublisher.New(client, "events", kinesispublisher.WithMaxRecordSize(20))
	err := publisher.Publish(context.Background(), mes.Event{ID: "1", PartitionKey: "p", Raw: []byte(`{"id":"1","type":"too-large"}`)})
	var partial *mes.PublishError
	if errors.As(err, &partial) {
		fmt.Println(partial.Failures[0].Index, mes.IsPermanent(err))
	}
	// Output: 0 true
}
