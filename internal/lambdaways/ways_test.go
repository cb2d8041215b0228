package lambdaways

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
	"github.com/microeventstore/microeventstore/internal/memorytable"
	"github.com/microeventstore/microeventstore/lambdahandler"
)

// An answer is all that a listener's handler does with a payload.
type answer struct {
	Response, Err string
	Saved, Faults []string
	Metas         []mes.Meta
}

// answerOf runs a payload through a handler of either way.
func answerOf(t testing.TB, invoke func(*lambdahandler.KinesisHandler) ([]byte, error)) answer {
	var a answer
	table := memorytable.NewWith(memorytable.Options{OnPut: failBad})
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()), mes.WithHashKey(func(e mes.Event) (string, error) {
		a.Metas = append(a.Metas, e.Meta)
		if e.PartitionKey == "" {
			return "none", nil
		}
		return e.PartitionKey, nil
	}))
	require.NoError(t, err)
	h := lambdahandler.Kinesis(mes.NewListener(store, nil, mes.WithFaultHandler(func(_ context.Context, fault mes.Fault) error {
		a.Metas = append(a.Metas, fault.Record.Meta)
		a.Faults = append(a.Faults, string(fault.Record.Data))
		return nil
	})))
	response, err := invoke(h)
	a.Response = string(response)
	if err != nil {
		a.Err = err.Error()
	}
	for _, key := range []string{"good", "bad", "none"} {
		for _, item := range table.Items(key) {
			a.Saved = append(a.Saved, string(item.Event))
		}
	}
	return a
}

// compareWays says what is wrong with the answer of Invoke to a payload, and in what
// Handle differs from it if both can read that.
func compareWays(t testing.TB, payload []byte) string {
	one := answerOf(t, func(h *lambdahandler.KinesisHandler) ([]byte, error) {
		response, err := h.Invoke(t.Context(), payload)
		checkAnswer(t, payload, response, err)
		return stateless(response), err
	})
	var typed events.KinesisEvent
	if json.Unmarshal(payload, &typed) != nil || namedTwice(payload) {
		return ""
	}
	other := answerOf(t, func(h *lambdahandler.KinesisHandler) ([]byte, error) {
		response, err := h.Handle(t.Context(), typed)
		if err != nil {
			return nil, err
		}
		return json.Marshal(response)
	})
	if a, b := fmt.Sprintf("%+v", one), fmt.Sprintf("%+v", other); a != b {
		return "Invoke: " + a + "\nHandle: " + b
	}
	return ""
}

// stateless takes the state of a tumbling window out of a response, which only Invoke
// knows of.
func stateless(response []byte) []byte {
	if _, is := jsonscan.Member(response, "state"); !is {
		return response
	}
	failures, _ := jsonscan.Member(response, "batchItemFailures")
	return fmt.Appendf(nil, `{"batchItemFailures":%s}`, failures)
}

// namedTwice tells whether an object names a member twice, but for the case: there
// encoding/json makes one value of both, which no service relies on.
func namedTwice(text []byte) bool {
	var walk func(c *jsonscan.Cursor) bool
	walk = func(c *jsonscan.Cursor) bool {
		twice := false
		switch {
		case c.Enter('{'):
			var names []string
			for c.Member() {
				name, _ := c.Name(nil)
				for _, other := range names {
					twice = twice || strings.EqualFold(other, string(name))
				}
				names = append(names, string(name))
				twice = walk(c) || twice
			}
		case c.Enter('['):
			for c.Element() {
				twice = walk(c) || twice
			}
		default:
			c.Value()
		}
		return twice
	}
	c := jsonscan.NewCursor(text)
	return walk(&c)
}

// failBad fails to store what is under the hash key "bad".
func failBad(_ context.Context, items []driver.Item) error {
	var failures []driver.PutFailure
	for i := range items {
		if items[i].HashKey == "bad" {
			failures = append(failures, driver.PutFailure{Index: i, Err: errors.New("no answer")})
		}
	}
	if failures == nil {
		return nil
	}
	return &driver.PutError{Failures: failures}
}

// checkAnswer sees that an answer is one that Lambda takes.
func checkAnswer(t testing.TB, payload, response []byte, err error) {
	if err != nil {
		return
	}
	if !json.Valid(payload) {
		t.Fatal("what is no JSON was acknowledged")
	}
	var answer struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if err := json.Unmarshal(response, &answer); err != nil || answer.BatchItemFailures == nil || len(answer.BatchItemFailures) > 1 {
		t.Fatalf("the response is wrong: %s", response)
	}
	if len(answer.BatchItemFailures) == 1 && answer.BatchItemFailures[0].ItemIdentifier == "" {
		t.Fatal("an empty identifier")
	}
}

func TestBothWaysAgreeOnTheSamples(t *testing.T) {
	for name, payload := range samples(t) {
		require.Empty(t, compareWays(t, payload), name)
		a := answerOf(t, func(h *lambdahandler.KinesisHandler) ([]byte, error) { return h.Invoke(t.Context(), payload) })
		require.NotEmpty(t, a.Faults, "%s holds no events of ours", name)
		require.NotEmpty(t, a.Metas[0].SequenceNumber)
		require.NotEmpty(t, a.Metas[0].Shard)
	}
}

// One broken record more or less changes nothing for its neighbours, and both ways
// of an event agree.
func TestTypedAndUntypedAgreeOnRandomBatches(t *testing.T) {
	seed := uint64(rand.Int64())
	few := 300
	if n, err := strconv.Atoi(os.Getenv("MES_BATCHES")); err == nil {
		few = n / 10
	}
	for i := range few {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		var records []string
		for j := range random.IntN(6) {
			data := []byte(eventJSON(fmt.Sprint(j), [...]string{"good", "bad"}[random.IntN(2)]))
			if random.IntN(4) == 0 {
				data[random.IntN(len(data))] ^= byte(1 << random.IntN(8))
			}
			records = append(records, record(random.IntN(20), data))
		}
		if wrong := compareWays(t, payload(records...)); wrong != "" {
			t.Fatalf("seed %d, batch %d: %s", seed, i, wrong)
		}
	}
}

// What encoding/json takes, too, and what package events makes of a time that is none.
func TestBothWaysAgreeOnOddMembers(t *testing.T) {
	usual := string(payload(record(1, []byte(eventJSON("1", "good"))), record(2, []byte(eventJSON("2", "good")))))
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprintf("%d", []byte(eventJSON("1", "good"))), " ", ", "), "[]")
	data, arrived := regexp.MustCompile(`"data":"[^"]*"`), regexp.MustCompile(`1545084650\.987`)
	for name, test := range map[string]struct {
		payload string
		fails   bool // to be read by encoding/json, so that only Invoke has an answer
		saved   int  // or all are faults
	}{
		"a list of bytes":         {payload: data.ReplaceAllString(usual, `"data":[`+numbers+`]`), saved: 1},
		"an empty list":           {payload: data.ReplaceAllString(usual, `"data":[ ]`)},
		"null in a list":          {payload: data.ReplaceAllString(usual, `"data":[null]`)},
		"a list of larger ones":   {payload: data.ReplaceAllString(usual, `"data":[256]`), fails: true},
		"a list of others":        {payload: data.ReplaceAllString(usual, `"data":["a"]`), fails: true},
		"no time":                 {payload: arrived.ReplaceAllString(usual, `null`), saved: 2},
		"the beginning of time":   {payload: arrived.ReplaceAllString(usual, `0`), saved: 2},
		"nothing behind it":       {payload: arrived.ReplaceAllString(usual, `0.0`), saved: 2},
		"hardly anything":         {payload: arrived.ReplaceAllString(usual, `1e-12`), saved: 2},
		"before it":               {payload: arrived.ReplaceAllString(usual, `-0.5`), saved: 2},
		"the year 1":              {payload: arrived.ReplaceAllString(usual, `-62135596800`), saved: 2},
		"a large number":          {payload: arrived.ReplaceAllString(usual, `4611686018427387903`), saved: 2},
		"2 to the power of 62":    {payload: arrived.ReplaceAllString(usual, `4611686018427387904`), saved: 2},
		"2 to the power of 63":    {payload: arrived.ReplaceAllString(usual, `9223372036854775808`), saved: 2},
		"the largest number":      {payload: arrived.ReplaceAllString(usual, `1e308`), saved: 2},
		"the lowest number":       {payload: arrived.ReplaceAllString(usual, `-1e308`), saved: 2},
		"just before the largest": {payload: arrived.ReplaceAllString(usual, `4.611686018427387e18`), saved: 2},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, usual, test.payload)
			require.Empty(t, compareWays(t, []byte(test.payload)))
			require.Equal(t, test.fails, json.Unmarshal([]byte(test.payload), new(events.KinesisEvent)) != nil)
			a := answerOf(t, func(h *lambdahandler.KinesisHandler) ([]byte, error) {
				return h.Invoke(t.Context(), []byte(test.payload))
			})
			require.Len(t, a.Saved, test.saved)
			if test.saved == 0 {
				require.Len(t, a.Faults, 2)
			}
		})
	}
}

func FuzzKinesis(f *testing.F) {
	for _, sample := range samples(f) {
		f.Add(sample)
	}
	f.Add(payload(record(1, []byte(eventJSON("1", "good"))), record(2, []byte(eventJSON("2", "bad"))), record(3, []byte("poison")), record(4, aggregate(eventJSON("3", "good"), "{"))))
	f.Add(payload(record(1, []byte("\x1f\x8b\x08")), record(2, []byte(`{"id":"1","type":"COMPRESSEDH4sIAAAAAAAA"}`))))
	f.Add([]byte(`{"records":[{"Kinesis":{"data":null},"eventID":null},null]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if wrong := compareWays(t, payload); wrong != "" {
			t.Fatal(wrong)
		}
	})
}
