package fakedynamodb_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"
)

func TestKeysOfItems(t *testing.T) {
	h := start(t)
	long := func(n int) string { return strings.Repeat("k", n) }
	require.NoError(t, h.tryPut(row(long(2048), long(1024))))
	invalid(t, h.tryPut(row(long(2049), "s")), "Size of hashkey has exceeded the maximum size limit of2048 bytes")
	invalid(t, h.tryPut(row("p", long(1025))), "Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	invalid(t, h.tryPut(row("", "s")), "cannot contain an empty string value. Key: pk")
	invalid(t, h.tryPut(row("p", "")), "cannot contain an empty string value. Key: sk")
	invalid(t, h.tryPut(attributes{"pk": text("p")}), "Missing the key sk in the item")
	invalid(t, h.tryPut(row("p", "s", attributes{"sk": num("1")})), "Type mismatch for key sk expected: S actual: N")
	invalid(t, h.tryPut(row("p", "s", attributes{"group": num("1")})), "Type mismatch for Index Key group Expected: S Actual: N IndexName: by-group")
	invalid(t, h.tryPut(row("p", "s", attributes{"group": text("")})), "IndexName: by-group, IndexKey: group")
}

func TestKeysOfCalls(t *testing.T) {
	h := start(t)
	get := func(k attributes) error {
		_, err := h.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: k})
		return err
	}
	const mismatch = "The provided key element does not match the schema"
	invalid(t, get(attributes{"pk": text("p")}), mismatch)
	invalid(t, get(row("p", "s", attributes{"x": text("y")})), mismatch)
	invalid(t, get(row("p", "s", attributes{"sk": num("1")})), mismatch)
	invalid(t, get(attributes{"pk": text("p"), "x": text("s")}), mismatch)
	invalid(t, get(row("p", "")), "cannot contain an empty string value. Key: sk")
	invalid(t, get(row("p", strings.Repeat("k", 1025))), "1024 bytes")
}
