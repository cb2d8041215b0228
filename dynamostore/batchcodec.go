package dynamostore

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// errNotReached says that a request came to be sent that the codec has not
// written. It was not sent.
var errNotReached = errors.New("the client does not use the codec that it was given")

// A batchCodec takes the place of the SDK's protocol during one BatchWriteItem. It
// puts the request that it has into the place of a stand-in, before the SDK signs
// it. As the client's HTTP client it sees that the stand-in is never sent.
type batchCodec struct {
	smithyhttp.ClientProtocol // the SDK's

	input   *dynamodb.BatchWriteItemInput // the stand-in
	table   string
	body    []byte
	next    dynamodb.HTTPClient
	written bool // the request has the body
}

// batchCodec returns a codec for a batch, or nil where the SDK has to write it.
func (t *Table) batchCodec(chunk []write) *batchCodec {
	if !t.own || t.deaf.Load() {
		return nil
	}
	body := t.requestOf(chunk)
	if body == nil {
		return nil
	}
	return &batchCodec{
		table: t.name,
		body:  body,
		input: &dynamodb.BatchWriteItemInput{
			// An item without keys: should it ever be sent, no table takes it.
			RequestItems: map[string][]types.WriteRequest{
				t.name: {{PutRequest: &types.PutRequest{Item: attributes{}}}},
			},
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		},
	}
}

// install is an option of one call, to be applied after the link's.
func (c *batchCodec) install(o *dynamodb.Options) {
	c.next = o.HTTPClient
	if link, ok := c.next.(*link); ok {
		link.body = c.body
	}
	o.HTTPClient = c
	if protocol, ok := o.Protocol.(*awsjson.Protocol); ok {
		c.ClientProtocol = protocol
		o.Protocol = c
	}
}

// SerializeRequest has the SDK prepare the request and gives it the body.
func (c *batchCodec) SerializeRequest(ctx context.Context, schema *smithy.OperationSchema, in smithy.Serializable, request *smithyhttp.Request) error {
	if err := c.ClientProtocol.SerializeRequest(ctx, schema, in, request); err != nil {
		return err
	}
	if in != smithy.Serializable(c.input) || !c.untouched() {
		return nil // it is not what stands for the body
	}
	withBody, err := request.SetStream(bytes.NewReader(c.body))
	if err != nil {
		return err
	}
	*request = *withBody
	c.written = true
	return nil
}

// untouched tells whether the stand-in is as it was.
func (c *batchCodec) untouched() bool {
	if len(c.input.RequestItems) != 1 || c.input.ReturnItemCollectionMetrics != "" || c.input.ReturnConsumedCapacity != types.ReturnConsumedCapacityTotal {
		return false
	}
	for table, requests := range c.input.RequestItems {
		if table != c.table || len(requests) != 1 || requests[0].DeleteRequest != nil || requests[0].PutRequest == nil || len(requests[0].PutRequest.Item) > 0 {
			return false
		}
	}
	return true
}

// Do sends the request, if it is the one that the codec has written.
func (c *batchCodec) Do(request *http.Request) (*http.Response, error) {
	if !c.written {
		return nil, errNotReached
	}
	if c.next == nil {
		return http.DefaultClient.Do(request)
	}
	return c.next.Do(request)
}
