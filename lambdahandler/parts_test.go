package lambdahandler

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// What is far larger when it is unpacked is handled in several parts, and the answer
// is the same as if it were not.
func TestPromise16LargeBatchesAreHandledInParts(t *testing.T) {
	large := strings.Repeat("x", 300_000)
	var data []string
	for i := range 40 { // 12 MB of them
		key := "good"
		if i == 7 || i == 30 {
			key = "bad"
		}
		data = append(data, gzipped(t, strings.Replace(eventJSON(fmt.Sprint(i), key), "{", `{"x":"`+large+`",`, 1)))
	}
	table := memorytable.NewWith(failing("bad"))
	got, err := both(t, func() *KinesisHandler { return Kinesis(mes.NewListener(newStore(t, table), nil)) }, kinesisEvent(data...))
	require.NoError(t, err)
	require.Equal(t, []string{sequence(8)}, got)
	require.Len(t, table.Items("good"), 38)
	require.GreaterOrEqual(t, table.Counts().Puts, 2*3)

	table = memorytable.New()
	response, err := SQS(mes.NewListener(newStore(t, table), nil)).Invoke(t.Context(), encode(t, sqsEvent(queueARN, eventJSON("1", "k"), eventJSON("2", "k"))))
	require.NoError(t, err)
	require.Empty(t, identifiers(t, response))
	require.Equal(t, 1, table.Counts().Puts, "small ones all at once")
}

// Behind a change that failed no change of its key is handled, in later parts either.
func TestPromise07InLaterPartsToo(t *testing.T) {
	large := strings.Repeat("x", 300_000)
	var rows []row
	for i := range 16 {
		key, id := [...]string{"k", "j"}[i%2], fmt.Sprint(i/2)
		r := inserted(t, key, id)
		r.new = image(t, key, id, strings.Replace(eventJSON(id, key), "{", `{"x":"`+large+`",`, 1))
		rows = append(rows, r)
	}
	ids := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	c := calls{fail: map[string]error{"1": errTransient}}
	store := stored(t, ids...)
	got, err := ways()["stream"](t, DynamoDB(mes.NewTrigger(store, c.handle)), rows...)
	require.NoError(t, err)
	require.Equal(t, []string{"3"}, got)
	require.ElementsMatch(t, []string{"k 0 of 8", "j 0 of 8", "k 1 of 8", "j 1 of 8"}, c.all)

	_, err = ways()["stream"](t, DynamoDB(mes.NewTrigger(store, c.handle), WholeBatch()), rows...)
	require.ErrorContains(t, err, "14 of 16")
	require.ErrorIs(t, err, errTransient, "the first failure is named")
}

// A first record of no size does not make all others look as small.
func TestPromise16ASmallFirstRecordTakesNoRoom(t *testing.T) {
	rest := strings.Repeat(" ", 5<<20)
	for _, first := range []string{"null", "{}", `{"kinesis":{},"dynamodb":{}}`} {
		payload := []byte(`{"Records":[` + first + `,{},{}` + rest + `]}`)
		for name, read := range map[string]func() error{
			"Kinesis": func() error { _, err := readKinesis(payload, new(window)); return err },
			"changes": func() error { _, err := readDynamoDB(payload, new(window), nil); return err },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := read()
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "%s behind %s", name, first)
		}
	}
}
