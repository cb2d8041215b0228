package dynamostore

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// A Codec says who writes a table's requests and reads its answers: see
// [WithCodec].
type Codec int

const (
	// CodecAuto is CodecOwn for a [*dynamodb.Client] to which no middleware and
	// no interceptor was added, and CodecSDK for every other client. It is the
	// default.
	CodecAuto Codec = iota

	// CodecOwn leaves the values of items to this package, which is several times
	// faster: it writes BatchWriteItem requests straight to JSON, and reads the
	// answers to Query straight from it. Endpoints, signatures, credentials and
	// errors stay the SDK's, and so do answers that are not what DynamoDB
	// usually writes. What middleware and interceptors meet then is a request
	// that names the table and holds one item without attributes, and an answer
	// without items: for tracing and metrics that is enough. Middleware that
	// looks at items or changes them, such as client-side encryption, needs
	// CodecSDK. A LambdaStreamLayout always has that.
	CodecOwn

	// CodecSDK leaves all to the SDK.
	CodecSDK
)

// WithCodec sets who writes a table's requests and reads its answers; the
// default is [CodecAuto]. [LambdaStreamLayout] always has the SDK's. What is
// stored and what is read is the same with each.
func WithCodec(codec Codec) Option {
	return option(func(c *config) error {
		if codec < CodecAuto || codec > CodecSDK {
			return errors.New("WithCodec: there is no such codec")
		}
		c.codec = codec
		return nil
	})
}

// CodecCounts says how often each codec was at work in a table, in numbers of
// answers to Query, of BatchWriteItem requests, and of the images that a host has
// decoded (see DecodeImage; those that are not left to the SDK's values are Own). A
// table that should be fast, and often leaves its answers to the SDK, is worth an
// issue.
type CodecCounts struct {
	OwnAnswers, SDKAnswers   int64
	OwnRequests, SDKRequests int64
	OwnImages, SDKImages     int64
}

// CodecCounts returns what has been counted since the table was made.
func (t *Table) CodecCounts() CodecCounts {
	return CodecCounts{
		OwnAnswers: t.counts.ownAnswers.Load(), SDKAnswers: t.counts.sdkAnswers.Load(),
		OwnRequests: t.counts.ownRequests.Load(), SDKRequests: t.counts.sdkRequests.Load(),
		OwnImages: t.counts.ownImages.Load(), SDKImages: t.counts.sdkImages.Load(),
	}
}

type codecCounts struct {
	ownAnswers, sdkAnswers, ownRequests, sdkRequests, ownImages, sdkImages atomic.Int64
}

// ownCodec tells whether requests are written and answers are read here.
func ownCodec(c *config, api API) bool {
	if c.lambdaStream {
		return false // what it knows are the six attributes of our own layout
	}
	switch c.codec {
	case CodecOwn:
		return true
	case CodecSDK:
		return false
	}
	client, ok := api.(*dynamodb.Client)
	if !ok {
		return false
	}
	options := client.Options()
	if len(options.APIOptions) > 0 {
		return false
	}
	interceptors := reflect.ValueOf(options.Interceptors)
	for i := range interceptors.NumField() {
		if interceptors.Field(i).Len() > 0 {
			return false
		}
	}
	return true
}

// A queryCodec takes the place of the SDK's protocol during one Query, and reads
// its answer. An answer that it leaves to the SDK, or that never gets here, is in
// the SDK's output.
type queryCodec struct {
	smithyhttp.ClientProtocol // the SDK's

	layout  *layout
	hashKey string
	bodies  *sync.Pool
	rooms   *sync.Pool

	room *pageRoom // holds what the answer holds; nil if it was not read
}

// install is an option of one call, to be applied after the link's. A protocol that is
// not the one that the codec speaks stays.
func (c *queryCodec) install(o *dynamodb.Options) {
	if link, ok := o.HTTPClient.(*link); ok {
		link.bodies = c.bodies
	}
	if protocol, ok := o.Protocol.(*awsjson.Protocol); ok {
		c.ClientProtocol = protocol
		o.Protocol = c
	}
}

// DeserializeResponse reads the answer.
func (c *queryCodec) DeserializeResponse(ctx context.Context, schema *smithy.OperationSchema, registry *smithy.TypeRegistry, response *smithyhttp.Response, out smithy.Deserializable) error {
	output, isQuery := out.(*dynamodb.QueryOutput)
	body, fromLink := response.Body.(*memoryBody)
	if isQuery && fromLink && response.StatusCode == 200 && response.Header.Get("Content-Encoding") == "" {
		if room := roomOf(c.rooms); c.layout.readAnswerPage(body.all, c.hashKey, room, output) {
			c.room = room
			body.release(c.bodies) // the items share no memory with it
			return nil
		}
	}
	return c.ClientProtocol.DeserializeResponse(ctx, schema, registry, response, out)
}
