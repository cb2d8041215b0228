package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

// lookAlikes are keys that are easily taken for one another, or for the end of
// something.
func lookAlikes() []string {
	return []string{
		"a", "A", "\u0430", "\uff41", "a ", " a", "a\x00", "a\x00b", "\x00a", "a\n", "a\r\n", "\na", "a\tb", "a\u00a0", "a\u200b", "a\u200d", "\ufeffa",
		"\u00e1", "a\u0301", "\u1ea1", "\u00c5", "\u212b", "\ufb01", "fi", "\u00df", "ss", "i", "\u0131", "\u0130", "K", "\u212a", "a\u202eb", "b\u202ea", "\U0001F600", "\U0001F601",
		"a/b", "a\\b", "a%2Fb", "a#b", "a\"b", "a'b", "a`b", "{}", "null", "0", "00", "0.0", "1e0", "1", "true", "level=ERROR msg=\"all is lost\"",
		"a\x01", "\x01a", "\x7f", "a\u2028b", "a\u0085b", "a\x1b[31mb", strings.Repeat("k", 2048), strings.Repeat("k", 2047),
	}
}

func TestPromise06LookAlikesNeverMeet(t *testing.T) {
	onFile, err := boltstore.Open(filepath.Join(t.TempDir(), "events.db"))
	require.NoError(t, err)
	defer onFile.Close()
	file, err := mes.New(onFile, mes.WithTTL(mes.NeverExpire()), mes.WithRangeKey(mes.EventID()))
	require.NoError(t, err)
	dynamo := newStore(t, mes.WithRangeKey(mes.EventID()))
	for name, store := range map[string]*mes.Store{"one file": file, "DynamoDB": dynamo} {
		var events []mes.Event
		for i, key := range lookAlikes() {
			e, err := mes.NewEvent(map[string]any{"id": fmt.Sprint("id", i), "type": "t", "timestamp": 1_700_000_000_000, "partitionKey": key})
			require.NoError(t, err)
			events = append(events, e)
			// The same for ids, under one hash key.
			if len(key) <= 1024 && key[0] != '\x01' {
				e, err = mes.NewEvent(map[string]any{"id": key, "type": "t", "timestamp": 1_700_000_000_000, "partitionKey": "ids"})
				require.NoError(t, err)
				events = append(events, e)
			}
		}
		require.NoError(t, store.Save(t.Context(), events...), name)
		for i, key := range lookAlikes() {
			m, err := store.GetMicroEventStore(t.Context(), key)
			require.NoError(t, err)
			require.Len(t, m.Events, 1, "%s: %q", name, key)
			require.Equal(t, fmt.Sprint("id", i), m.Events[0].ID)
			require.Equal(t, key, m.Events[0].PartitionKey)
		}
		m, err := store.GetMicroEventStore(t.Context(), "ids")
		require.NoError(t, err)
		require.Len(t, m.Events, len(events)-len(lookAlikes()), name)
		for i := range m.Events {
			require.Equal(t, m.Events[i].ID, m.Events[i].RangeKey)
			if i > 0 {
				require.Less(t, m.Events[i-1].RangeKey, m.Events[i].RangeKey)
			}
		}
	}
}

// Whatever stands in a key, a log line is one line, and does not hold it.
func TestPromise20NoKeyBreaksALogLine(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store := newStore(t, mes.WithLogger(logger))
	trigger := mes.NewTrigger(store, func(context.Context, *mes.MicroEventStore) error { return errors.New("no") })
	handler := lambdahandler.DynamoDB(trigger, lambdahandler.WithLogger(logger))
	listener := lambdahandler.Kinesis(mes.NewListener(store, nil), lambdahandler.WithLogger(logger))
	lines := 0
	for i, key := range lookAlikes() {
		key += "CANARY\nlevel=ERROR"
		if len(key) > 2048 {
			continue
		}
		require.NoError(t, store.Save(t.Context(), newEvent(t, fmt.Sprint(i), key)))
		quoted, err := json.Marshal(key)
		require.NoError(t, err)
		_, err = handler.Invoke(t.Context(), fmt.Appendf(nil, `{"Records":[{"eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{"SequenceNumber":"%d","Keys":{"partitionKey":{"S":%s},"eventId":{"S":"%s"}}}}]}`,
			i+1, quoted, fmt.Sprintf("%016d#%d", 1_700_000_000_000, i)))
		require.NoError(t, err)
		_, err = listener.Invoke(t.Context(), fmt.Appendf(nil, `{"Records":[{"kinesis":{"partitionKey":%s,"sequenceNumber":"%d","data":"eyJ9"},"eventID":"shardId-000000000000:%d","eventSource":"aws:kinesis"}]}`, quoted, i+1, i+1))
		require.NoError(t, err)
		lines += 2
	}
	require.Equal(t, lines, strings.Count(log.String(), "\n"), log.String())
	require.NotContains(t, log.String(), "CANARY")
}

func newEvent(t *testing.T, id, key string) mes.Event {
	t.Helper()
	e, err := mes.NewEvent(map[string]any{"id": id, "type": "t", "timestamp": 1_700_000_000_000, "partitionKey": key})
	require.NoError(t, err)
	return e
}
