package lambdahandler_test

import (
	"context"
	"fmt"
	"os"
	"regexp"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

// A whole listener function. examples/lambda-listener is one with settings, a table
// for faults, and a log.
func ExampleKinesis() {
	main := func() error {
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			return err
		}
		store, err := mes.New(dynamostore.New(dynamodb.NewFromConfig(cfg), os.Getenv("TABLE_NAME")))
		if err != nil {
			return err
		}
		lambda.Start(lambdahandler.Kinesis(mes.NewListener(store, mes.TypeMatches(regexp.MustCompile(`^thing-.+`)))))
		return nil
	}
	_ = main // a function only starts on Lambda
}

// A whole trigger function.
func ExampleDynamoDB() {
	main := func() error {
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			return err
		}
		store, err := mes.New(dynamostore.New(dynamodb.NewFromConfig(cfg), os.Getenv("TABLE_NAME")))
		if err != nil {
			return err
		}
		trigger := mes.NewTrigger(store, func(ctx context.Context, m *mes.MicroEventStore) error {
			if m.Has("order-submitted", "payment-received") {
				fmt.Println("ship", m.HashKey)
			}
			return nil
		})
		lambda.Start(lambdahandler.DynamoDB(trigger))
		return nil
	}
	_ = main // a function only starts on Lambda
}

// The typed way, for those who compose handlers. A record that is not done is named
// in the answer; one without a fault handler for it is one of those.
func ExampleKinesisHandler_Handle() {
	store, err := mes.New(memorytable.New(), mes.WithTTL(mes.NeverExpire())) // any table
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := lambdahandler.Kinesis(mes.NewListener(store, mes.Types("order-submitted")))
	record := func(sequence, data string) events.KinesisEventRecord {
		return events.KinesisEventRecord{Kinesis: events.KinesisRecord{SequenceNumber: sequence, Data: []byte(data)}}
	}
	response, err := handler.Handle(context.Background(), events.KinesisEvent{Records: []events.KinesisEventRecord{
		record("1", `{"id":"a","type":"order-submitted","timestamp":1700000000000,"partitionKey":"order-42"}`),
		record("2", `no JSON`),
		record("3", `{"id":"c","type":"order-submitted","timestamp":1700000000001,"partitionKey":"order-42"}`),
	}})
	fmt.Println(response.BatchItemFailures, err)
	m, err := store.GetMicroEventStore(context.Background(), "order-42")
	fmt.Println(len(m.Events), err)
	// Output:
	// [{2}] <nil>
	// 2 <nil>
}

// A queue names each message that is not done.
func ExampleSQS() {
	store, err := mes.New(memorytable.New(), mes.WithTTL(mes.NeverExpire())) // any table
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := lambdahandler.SQS(mes.NewListener(store, nil))
	response, err := handler.Invoke(context.Background(), []byte(`{"Records":[
		{"messageId":"m1","body":"{\"id\":\"a\",\"timestamp\":1700000000000,\"partitionKey\":\"k\"}"},
		{"messageId":"m2","body":"no JSON"}]}`))
	fmt.Println(string(response), err)
	// Output: {"batchItemFailures":[{"itemIdentifier":"m2"}]} <nil>
}
