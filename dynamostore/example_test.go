package dynamostore_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
)

// A store on a table in DynamoDB.
func ExampleNew() {
	ctx := context.Background()
	cfg, err := loadConfig(ctx) // config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg)
	if err := dynamostore.Provision(ctx, client, "events"); err != nil { // or with the rest of the infrastructure
		log.Fatal(err)
	}
	table := dynamostore.New(client, "events",
		dynamostore.WithCompression(2048)) // events of 2 KiB and more
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close() }()

	for _, event := range []string{
		`{"id":"2","type":"payment-received","timestamp":1700000000500,"partitionKey":"order-42"}`,
		`{"id":"1","type":"order-submitted","timestamp":1700000000000,"partitionKey":"order-42"}`,
	} {
		e, err := mes.Parse([]byte(event))
		if err != nil {
			log.Fatal(err)
		}
		if err := store.Save(ctx, e); err != nil {
			log.Fatal(err)
		}
	}
	m, err := store.GetMicroEventStore(ctx, "order-42")
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range m.Events {
		fmt.Println(e.Type)
	}
	// Output:
	// order-submitted
	// payment-received
}

// A dictionary that is trained with events makes those like them small. It is made
// once and kept next to the program, where "go:embed" finds it.
func ExampleWithDictionaries() {
	var samples [][]byte // thousands of your own are better
	for i := range 50 {
		samples = append(samples, fmt.Appendf(nil, `{"id":"%d","type":"order-submitted","timestamp":17000000%02d000,"partitionKey":"order-%d","order":{"currency":"EUR"}}`, i, i, i))
	}
	dictionary, err := dict.BuildZstdDict(samples, dict.Options{
		MaxDictSize: 16 << 10, HashBytes: 8,
		ZstdDictID: 1, // the next one's is 2
		ZstdLevel:  zstd.SpeedDefault,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	cfg, err := loadConfig(ctx) // config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg)
	options := []dynamostore.Option{dynamostore.WithCompression(1), dynamostore.WithDictionaries(dictionary)}
	if err := dynamostore.Provision(ctx, client, "small-events", options...); err != nil {
		log.Fatal(err)
	}
	store, err := mes.New(dynamostore.New(client, "small-events", options...), mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	e, err := mes.Parse(samples[7])
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, e); err != nil {
		log.Fatal(err)
	}
	m, err := store.GetMicroEventStore(ctx, "order-7")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Events), string(m.Events[0].Data()) == string(samples[7]))
	// Output: 1 true
}

// A deployment makes the table. Running it again does nothing.
func ExampleProvision() {
	ctx := context.Background()
	cfg, err := loadConfig(ctx) // config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg)
	for range 2 {
		if err := dynamostore.Provision(ctx, client, "events"); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(dynamostore.Check(ctx, client, "events"))
	// Output: <nil>
}

// A Go service beside one in JavaScript, on the table of aws-lambda-stream.
func ExampleLambdaStreamLayout() {
	ctx := context.Background()
	cfg, err := loadConfig(ctx) // config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg)
	layout := dynamostore.LambdaStreamLayout()
	if err := dynamostore.Provision(ctx, client, "events", layout); err != nil {
		log.Fatal(err)
	}
	store, err := mes.New(dynamostore.New(client, "events", layout), mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		log.Fatal(err)
	}
	e, err := mes.Parse([]byte(`{"id":"1","type":"order-submitted","timestamp":1700000000000,"partitionKey":"order-42"}`))
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save(ctx, e); err != nil {
		log.Fatal(err)
	}
	m, err := store.GetMicroEventStore(ctx, "order-42")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Events), m.Has("order-submitted"))
	// Output: 1 true
}

// A program that starts makes sure that the table is as it expects.
func ExampleCheck() {
	err := dynamostore.Check(context.Background(), tableByHand{}, "events")
	var mismatch *dynamostore.MismatchError
	if errors.As(err, &mismatch) {
		for _, problem := range mismatch.Problems {
			fmt.Println(problem)
		}
	}
	// Output:
	// its RANGE key is id and not eventId
	// its stream is off
	// its TTL looks at the attribute expires and not ttl
}

// tableByHand answers as DynamoDB does for a table that somebody has made by hand.
type tableByHand struct{}

func (tableByHand) DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return &dynamodb.DescribeTableOutput{Table: &types.TableDescription{
		TableStatus: types.TableStatusActive,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("partitionKey"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("partitionKey"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("id"), KeyType: types.KeyTypeRange},
		},
	}}, nil
}

func (tableByHand) DescribeTimeToLive(context.Context, *dynamodb.DescribeTimeToLiveInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTimeToLiveOutput, error) {
	return &dynamodb.DescribeTimeToLiveOutput{TimeToLiveDescription: &types.TimeToLiveDescription{
		TimeToLiveStatus: types.TimeToLiveStatusEnabled,
		AttributeName:    aws.String("expires"),
	}}, nil
}
