package fakedynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tableName = "events"

type attributes = map[string]types.AttributeValue

func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func num(s string) types.AttributeValue    { return &types.AttributeValueMemberN{Value: s} }
func binary(s string) types.AttributeValue { return &types.AttributeValueMemberB{Value: []byte(s)} }

// once is a client that does not retry.
func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// harness is a server with the table "events" (pk, sk; both strings), a stream
// of both images and TTL on "ttl".
type harness struct {
	*testing.T
	server *fakedynamodb.Server
	client *dynamodb.Client
}

func start(t *testing.T, opts ...fakedynamodb.Option) *harness {
	t.Helper()
	server := fakedynamodb.New(opts...)
	h := &harness{t, server, server.Client(once)}
	_, err := h.client.CreateTable(t.Context(), createInput())
	require.NoError(t, err)
	return h
}

func createInput() *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:   aws.String(tableName),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("group"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange},
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String("by-group"),
			KeySchema:  []types.KeySchemaElement{{AttributeName: aws.String("group"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	}
}

func row(pk, sk string, more ...attributes) attributes {
	it := attributes{"pk": text(pk), "sk": text(sk)}
	for _, m := range more {
		maps.Copy(it, m)
	}
	return it
}

func (h *harness) put(it attributes) {
	h.Helper()
	require.NoError(h, h.tryPut(it))
}

func (h *harness) tryPut(it attributes) error {
	_, err := h.client.PutItem(h.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: it})
	return err
}

func (h *harness) get(pk, sk string) attributes {
	h.Helper()
	out, err := h.client.GetItem(h.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: row(pk, sk), ConsistentRead: aws.Bool(true)})
	require.NoError(h, err)
	return out.Item
}

// fill puts n items under the hash key: sk 0000, 0001, ...
func (h *harness) fill(pk string, n int, more ...attributes) {
	h.Helper()
	for i := range n {
		h.put(row(pk, fmt.Sprintf("%04d", i), more...))
	}
}

// queryAll reads all pages of "pk = :pk" and returns the range keys.
func (h *harness) queryAll(ctx context.Context, pk string, change ...func(*dynamodb.QueryInput)) (sks []string, pages int) {
	h.Helper()
	in := &dynamodb.QueryInput{
		TableName:                 aws.String(tableName),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: attributes{":pk": text(pk)},
		ConsistentRead:            aws.Bool(true),
	}
	for _, c := range change {
		c(in)
	}
	for {
		out, err := h.client.Query(ctx, in)
		require.NoError(h, err)
		pages++
		for _, it := range out.Items {
			sks = append(sks, it["sk"].(*types.AttributeValueMemberS).Value)
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return sks, pages
		}
	}
}

// onWire is an answer as it came.
type onWire struct {
	StatusCode    int
	ContentLength int64
	Header        http.Header
}

// post sends a call as it is, without the SDK. headers are names and values.
func (h *harness) post(operation, body string, headers ...string) (onWire, []byte, error) {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "https://x/", strings.NewReader(body))
	require.NoError(h, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
	resp, err := h.server.HTTPClient().Do(req)
	require.NoError(h, err)
	defer func() { assert.NoError(h, resp.Body.Close()) }()
	out, err := io.ReadAll(resp.Body)
	return onWire{resp.StatusCode, resp.ContentLength, resp.Header}, out, err
}

// refused asserts an error's code and a part of its message.
func refused(t testing.TB, err error, code, part string) {
	t.Helper()
	var api smithy.APIError
	if assert.True(t, errors.As(err, &api), "want %s, got %v", code, err) {
		assert.Equal(t, code, api.ErrorCode())
		assert.Contains(t, api.ErrorMessage(), part)
	}
}

func invalid(t testing.TB, err error, part string) {
	t.Helper()
	refused(t, err, "ValidationException", part)
}
