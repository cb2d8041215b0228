package fakedynamodb_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func crcOf(b []byte) string { return fmt.Sprint(crc32.ChecksumIEEE(b)) }

func TestCallsAreDescribed(t *testing.T) {
	h := start(t)
	var calls []fakedynamodb.Call
	h.server.Inject(func(c fakedynamodb.Call) fakedynamodb.Fault {
		calls = append(calls, c)
		if c.Attempt == 1 {
			return fakedynamodb.ResetBefore()
		}
		return fakedynamodb.None()
	})
	client := h.server.Client() // retries
	_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", "s")})
	require.NoError(t, err)
	require.Len(t, calls, 2)
	for i, c := range calls {
		assert.Equal(t, "DynamoDB_20120810.PutItem", c.Target)
		assert.Equal(t, "PutItem", c.Operation)
		assert.Equal(t, tableName, c.Table())
		assert.Equal(t, 2+i, c.N)
		assert.Equal(t, 1+i, c.NOfTarget)
		assert.Equal(t, 1+i, c.Attempt)
		assert.Contains(t, string(c.Body), `"pk"`)
	}
	assert.Equal(t, map[string]int{"DynamoDB_20120810.CreateTable": 1, "DynamoDB_20120810.PutItem": 2}, h.server.Targets())
	assert.Equal(t, 3, h.server.Calls())
	assert.Equal(t, []fakedynamodb.Write{{Operation: "PutItem", Table: tableName, Key: `{"pk":{"S":"p"},"sk":{"S":"s"}}`, Item: `{"pk":{"S":"p"},"sk":{"S":"s"}}`, Changed: true, Call: 3}}, h.server.Writes())
	h.server.Inject(func(c fakedynamodb.Call) fakedynamodb.Fault { calls = append(calls, c); return fakedynamodb.None() })
	_, err = h.batch(putRequests(rows(1)...))
	require.NoError(t, err)
	h.follow().all()
	for _, c := range calls[2:] {
		assert.Equal(t, tableName, c.Table(), c.Target)
	}
}

func TestManyAtOnce(t *testing.T) {
	h := start(t)
	h.server.Inject(func(c fakedynamodb.Call) fakedynamodb.Fault {
		switch c.N % 5 {
		case 0:
			return fakedynamodb.ResetAfter()
		case 1:
			return fakedynamodb.Unavailable()
		}
		return fakedynamodb.None()
	})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				_ = h.tryPut(row(fmt.Sprint("p", g%3), fmt.Sprintf("%d-%d", g, i)))
				_, _ = h.client.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String(tableName), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: attributes{":p": text("p1")}})
			}
		})
	}
	wg.Wait()
	assert.Len(t, h.server.Items(tableName), len(h.server.Writes()))
	assert.NotEmpty(t, h.server.Writes())
}

func TestGzip(t *testing.T) {
	h := start(t)
	h.put(row("p", "s", attributes{"v": text(strings.Repeat("v", 5000))}))
	resp, body, err := h.answer(fakedynamodb.None(), "Accept-Encoding", "gzip")
	require.NoError(t, err)
	assert.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	assert.Equal(t, crcOf(body), resp.Header.Get("X-Amz-Crc32"), "of the bytes as sent")
	r, err := gzip.NewReader(bytes.NewReader(body))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Contains(t, string(plain), "vvvv")
	client := h.server.Client(once, func(o *dynamodb.Options) { o.EnableAcceptEncodingGzip = true })
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: row("p", "s")})
	require.NoError(t, err)
	assert.Len(t, out.Item, 3)
}

func TestFrontDoor(t *testing.T) {
	server := fakedynamodb.New()
	for _, h := range []http.Header{
		{}, {"X-Amz-Target": {"DynamoDB_20120810.ListTables"}},
		{"X-Amz-Target": {"DynamoDB_20120810.ListTables"}, "Content-Type": {"application/x-amz-json-1.0"}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://x/", http.NoBody)
		require.NoError(t, err)
		req.Header = h
		resp, err := server.HTTPClient().Do(req)
		require.NoError(t, err)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}

func BenchmarkQuery1000(b *testing.B) {
	server := fakedynamodb.New()
	client := server.Client()
	_, err := client.CreateTable(b.Context(), createInput())
	require.NoError(b, err)
	for i := range 1000 {
		_, err := client.PutItem(b.Context(), &dynamodb.PutItemInput{TableName: aws.String(tableName), Item: row("p", fmt.Sprintf("%04d", i), attributes{"v": text(strings.Repeat("v", 900))})})
		require.NoError(b, err)
	}
	for b.Loop() {
		_, err := client.Query(b.Context(), &dynamodb.QueryInput{TableName: aws.String(tableName), KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: attributes{":p": text("p")}})
		require.NoError(b, err)
	}
}
