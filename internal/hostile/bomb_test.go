package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

const (
	bombSize = 390 << 20
	opened   = 16 << 20 // the most that is opened of an event
)

// zeros writes a bomb's worth of them.
func zeros(t *testing.T, w io.WriteCloser) {
	t.Helper()
	block := make([]byte, 1<<20)
	for range bombSize / len(block) {
		_, err := w.Write(block)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
}

func gzipBomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	zeros(t, w)
	return b.Bytes()
}

func zstdBomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	zeros(t, w)
	return b.Bytes()
}

// A bomb is stopped when as much is opened as an event may have (16 MiB). The process
// collects its garbage all the time, so what it takes is what it needs at once.
func TestPromise16ABombStopsEarly(t *testing.T) {
	measures(t)
	for form, bomb := range map[string][]byte{"zstd": zstdBomb(t), "gzip": gzipBomb(t)} {
		path := filepath.Join(t.TempDir(), form)
		require.NoError(t, os.WriteFile(path, bomb, 0o600))
		t.Logf("%s: %d bytes of zeros in %d", form, bombSize, len(bomb))
		play(t, "bomb in the stream", path, "GOGC=5")
		if form == "zstd" { // the table knows no other
			play(t, "bomb in the table", path, "GOGC=5")
		}
	}
}

// openBomb is what the child does.
func openBomb(name string) int {
	bomb, err := os.ReadFile(os.Args[len(os.Args)-1])
	if err != nil {
		return failed(err)
	}
	store, server, err := makeStore()
	if err != nil {
		return failed(err)
	}
	ctx := context.Background()
	do := func() error {
		_, err := store.GetMicroEventStore(ctx, "h")
		if err == nil {
			return errors.New("it was opened")
		}
		return nil
	}
	if name == "bomb in the table" {
		_, err = server.Client().PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("events"), Item: map[string]types.AttributeValue{
			"partitionKey": &types.AttributeValueMemberS{Value: "h"},
			"eventId":      &types.AttributeValueMemberS{Value: "1"},
			"event":        &types.AttributeValueMemberB{Value: bomb},
		}})
		if err != nil {
			return failed(err)
		}
	} else {
		faults := 0
		handler := lambdahandler.Kinesis(mes.NewListener(store, nil, mes.WithFaultHandler(func(context.Context, mes.Fault) error {
			faults++
			return nil
		})))
		payload := fmt.Appendf(nil, `{"Records":[{"kinesis":{"partitionKey":"p","sequenceNumber":"1","data":%q},"eventID":"shardId-000000000000:1","eventSource":"aws:kinesis"}]}`,
			base64.StdEncoding.EncodeToString(bomb))
		do = func() error {
			answer, err := handler.Invoke(ctx, payload)
			if err == nil && (faults != 1 || string(answer) != `{"batchItemFailures":[]}`) {
				err = fmt.Errorf("%d faults, %s", faults, answer)
			}
			return err
		}
	}
	debug.FreeOSMemory()
	before, err := resident()
	if err != nil {
		return failed(err)
	}
	if err := do(); err != nil {
		return failed(err)
	}
	return within(before, 2*opened)
}
