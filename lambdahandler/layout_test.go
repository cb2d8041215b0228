package lambdahandler

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/dynamostore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// imageJSON makes DynamoDB JSON of the attributes of an image.
func imageJSON(image map[string]types.AttributeValue) map[string]any {
	members := make(map[string]any)
	for name, value := range image {
		members[name] = attributeJSON(value)
	}
	return members
}

func attributeJSON(value types.AttributeValue) any {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return map[string]string{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]string{"N": v.Value}
	case *types.AttributeValueMemberB:
		return map[string][]byte{"B": v.Value}
	case *types.AttributeValueMemberBOOL:
		return map[string]bool{"BOOL": v.Value}
	case *types.AttributeValueMemberM:
		return map[string]any{"M": imageJSON(v.Value)}
	case *types.AttributeValueMemberL:
		list := []any{}
		for _, element := range v.Value {
			list = append(list, attributeJSON(element))
		}
		return map[string]any{"L": list}
	}
	return map[string]bool{"NULL": true}
}

// Whatever layout the table has, its stream's images become the events that were
// saved: as a stream of its own and by way of Kinesis, typed and not.
func TestImagesOfEveryLayout(t *testing.T) {
	raw := `{"id":"1","type":"thing","timestamp":1700000000000,"partitionKey":"k","list":[1,null,true,{"a":"b"}],"text":"` + strings.Repeat("x", 2000) + `"}`
	for name, opts := range map[string][]dynamostore.Option{
		"text":              nil,
		"compressed":        {dynamostore.WithCompression(100)},
		"map":               {dynamostore.AsMap()},
		"aws-lambda-stream": {dynamostore.LambdaStreamLayout()},
		"other names":       {dynamostore.WithAttributeNames(dynamostore.AttributeNames{HashKey: "pk", RangeKey: "sk", Event: "e"})},
	} {
		t.Run(name, func(t *testing.T) {
			service := fakedynamodb.New()
			p := &pipeline{dynamo: service.Client(), streams: service.StreamsClient(), table: "events"}
			require.NoError(t, dynamostore.Provision(t.Context(), watchedClient(service, &called.table), p.table, opts...))
			saves := newStore(t, watchedTable(service, &called.listener, opts...))
			store := newStore(t, watchedTable(service, &called.trigger, opts...))
			e, err := mes.Parse([]byte(raw))
			require.NoError(t, err)
			require.NoError(t, saves.Save(t.Context(), e))
			var records []string
			for _, shard := range p.tableShards(t) {
				page, err := shard.Read(t.Context(), "", 10)
				require.NoError(t, err)
				for _, record := range page {
					records = append(records, string(record.JSON))
				}
			}
			require.Len(t, records, 1)

			var typed events.DynamoDBEvent
			payload := []byte(`{"Records":[` + records[0] + `]}`)
			require.NoError(t, json.Unmarshal(payload, &typed))
			for way, invoke := range map[string]func(*DynamoDBHandler) (any, error){
				"stream": func(h *DynamoDBHandler) (any, error) { return h.Invoke(t.Context(), payload) },
				"typed":  func(h *DynamoDBHandler) (any, error) { return h.Handle(t.Context(), typed) },
				"by Kinesis": func(h *DynamoDBHandler) (any, error) {
					return h.Invoke(t.Context(), encode(t, kinesisEvent(records...)))
				},
				"by Kinesis, typed": func(h *DynamoDBHandler) (any, error) { return h.HandleKinesis(t.Context(), kinesisEvent(records...)) },
			} {
				var c calls
				var set faultSink // is given the change, and with it the event of its image
				h := DynamoDB(mes.NewTrigger(store, func(ctx context.Context, m *mes.MicroEventStore) error {
					_ = c.handle(ctx, m) // notes the call
					return mes.Permanent(errTransient)
				}, mes.WithFaultHandler(set.handle)))
				_, err := invoke(h)
				require.NoError(t, err, way)
				require.Equal(t, []string{"k 1 of 1"}, c.all, way)
				require.Len(t, set.all, 1)
				require.NotNil(t, set.all[0].Change.New, way)
				require.JSONEq(t, raw, string(set.all[0].Change.New.Raw), way)
			}
		})
	}
}
