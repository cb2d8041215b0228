package lambdaways

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

func eventJSON(id, key string) string {
	return fmt.Sprintf(`{"id":%q,"type":"thing","timestamp":1700000000000,"partitionKey":%q}`, id, key)
}

// record makes a record of a payload.
func record(sequence int, data []byte) string {
	return fmt.Sprintf(`{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":"%d","data":%q,"approximateArrivalTimestamp":1545084650.987},`+
		`"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:%d","eventName":"aws:kinesis:record",`+
		`"invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"eu-west-1","eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/events"}`,
		sequence, base64.StdEncoding.EncodeToString(data), sequence)
}

func payload(records ...string) []byte {
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

// aggregate makes an aggregate of the Kinesis Producer Library.
func aggregate(parts ...string) []byte {
	message := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "p")
	for _, part := range parts {
		record := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
		record = protowire.AppendString(protowire.AppendTag(record, 3, protowire.BytesType), part)
		message = protowire.AppendBytes(protowire.AppendTag(message, 3, protowire.BytesType), record)
	}
	sum := md5.Sum(message)
	return slices.Concat([]byte("\xf3\x89\x9a\xc2"), message, sum[:])
}

// samples are the payloads that aws-lambda-go tests itself with: see their README.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../../lambdahandler/testdata/kinesis-*.json")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	found := make(map[string][]byte)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		found[filepath.Base(name)] = text
	}
	return found
}
