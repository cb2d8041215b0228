package lambdahandler

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/memorytable"
)

// batches is how many random batches are tried: a few, or as many as MES_BATCHES
// says ("make batches" tries a million).
func batches(t *testing.T, few int) int {
	n, err := strconv.Atoi(os.Getenv("MES_BATCHES"))
	if err != nil {
		return few
	}
	t.Logf("%d batches", n)
	return n
}

// What a record of a random batch is, and what has to become of it.
type sort int

const (
	good sort = iota
	filteredOut
	poison    // for ever
	transient // this time
	aggregated
	sorts
)

// A modelRecord is a record as the model knows it.
type modelRecord struct {
	sequence *big.Int
	text     string // the sequence number as it is written
	data     string // base64, or what stands there
	done     bool   // what the model expects
	saves    []string
}

func randomRecord(random *rand.Rand, i int, accepting bool) modelRecord {
	r := modelRecord{done: true}
	id := fmt.Sprint("e", i)
	encoded := func(data string) string {
		return strings.Trim(string(mustEncode([]byte(data))), `"`)
	}
	switch s := sort(random.IntN(int(sorts))); s {
	case good:
		r.data, r.saves = encoded(eventJSON(id, "good")), []string{id}
	case filteredOut:
		r.data = encoded(event(id, "other", "good"))
	case poison:
		r.data = [...]string{"%", encoded("{"), encoded(`{"type":"thing"}`), encoded("\x1f\x8b\x08"), encoded("\xf3\x89\x9a\xc2"), encoded(`{"id":[]}`), ""}[random.IntN(7)]
		r.done = accepting
	case transient:
		r.data, r.done = encoded(eventJSON(id, "bad")), false
	case aggregated:
		var parts []string
		for j := range random.IntN(4) {
			sub := fmt.Sprint(id, "-", j)
			switch random.IntN(4) {
			case 0:
				parts = append(parts, eventJSON(sub, "bad"))
				r.done = false
			case 1:
				parts = append(parts, "poison")
				r.done = r.done && accepting
			default:
				parts = append(parts, eventJSON(sub, "good"))
				r.saves = append(r.saves, sub)
			}
		}
		r.data = encoded(string(aggregate(parts...)))
	}
	return r
}

// number gives a record a sequence number of any length, now and then the one of
// another record, or one with leading zeros.
func (r *modelRecord) number(random *rand.Rand, before []modelRecord) {
	digits := 1 + random.IntN(60)
	var text strings.Builder
	for range digits {
		text.WriteByte(byte('0' + random.IntN(10)))
	}
	r.text = text.String()
	if len(before) > 0 && random.IntN(8) == 0 {
		r.text = strings.Repeat("0", random.IntN(2)) + before[random.IntN(len(before))].text
	}
	r.sequence, _ = new(big.Int).SetString(r.text, 10)
}

// Lambda's rules, as the developer guide has them: null and no failures are success;
// an empty identifier, one that the batch does not have, and an error fail the batch;
// otherwise what is not below the lowest identifier is delivered again.
func redelivered(batch []modelRecord, ids []string, failed bool) (which []bool, lowest *big.Int, wrong string) {
	which = make([]bool, len(batch))
	if failed {
		for i := range which {
			which[i] = true
		}
		return which, nil, ""
	}
	for _, id := range ids {
		number, ok := new(big.Int).SetString(id, 10)
		known := false
		for i := range batch {
			known = known || batch[i].text == id
		}
		if !ok || !known {
			return which, nil, "an identifier that the batch does not have"
		}
		if lowest == nil || number.Cmp(lowest) < 0 {
			lowest = number
		}
	}
	for i := range batch {
		which[i] = lowest != nil && batch[i].sequence.Cmp(lowest) >= 0
	}
	return which, lowest, ""
}

func TestPromise08NoWrongResponseToRandomBatches(t *testing.T) {
	var failures []string
	n := batches(t, 3000)
	seed := uint64(rand.Int64())
	for i := range n {
		if wrong := tryBatch(t, rand.New(rand.NewPCG(seed, uint64(i)))); wrong != "" {
			failures = append(failures, fmt.Sprintf("seed %d, batch %d: %s", seed, i, wrong))
			if len(failures) > 5 {
				break
			}
		}
	}
	for _, failure := range failures {
		t.Error(failure)
	}
}

// tryBatch says what is wrong with the answer to a random batch.
func tryBatch(t *testing.T, random *rand.Rand) string {
	accepting, wholeBatch := random.IntN(2) == 0, random.IntN(4) == 0
	batch := make([]modelRecord, random.IntN(12))
	var payload strings.Builder
	payload.WriteString(`{"Records":[`)
	finished := true
	for i := range batch {
		batch[i] = randomRecord(random, i, accepting)
		batch[i].number(random, batch[:i])
		finished = finished && batch[i].done
		if i > 0 {
			payload.WriteByte(',')
		}
		fmt.Fprintf(&payload, `{"kinesis":{"partitionKey":"p","sequenceNumber":%q,"data":%q},"eventID":"shardId-000000000000:%s","eventSourceARN":%q}`,
			batch[i].text, batch[i].data, batch[i].text, streamARN)
	}
	payload.WriteString(`]}`)

	table := memorytable.NewWith(failing("bad"))
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		return err.Error()
	}
	var opts []mes.ListenerOption
	if accepting {
		opts = append(opts, mes.WithFaultHandler(func(context.Context, mes.Fault) error { return nil }))
	}
	var handlerOpts []ListenerOption
	if wholeBatch {
		handlerOpts = append(handlerOpts, WholeBatch())
	}
	response, err := Kinesis(mes.NewListener(store, mes.Types("thing"), opts...), handlerOpts...).Invoke(t.Context(), []byte(payload.String()))
	var ids []string
	if err == nil {
		ids = identifiers(t, response)
	}
	again, lowest, wrong := redelivered(batch, ids, err != nil)
	switch {
	case wrong != "":
		return wrong
	case finished && (err != nil || len(ids) > 0):
		return "all is done, and yet something is to be delivered again"
	case wholeBatch && !finished && err == nil:
		return "a mapping without ReportBatchItemFailures would take it for success"
	case !wholeBatch && err != nil:
		return "an answer was possible: " + err.Error()
	case len(ids) > 1:
		return "more than one identifier"
	}
	first := false
	stored := make(map[string]bool)
	for _, item := range table.Items("good") {
		stored[idOf(item)] = true
	}
	for i := range batch {
		if !batch[i].done && !again[i] {
			return fmt.Sprintf("record %d is not done, and acknowledged", i)
		}
		first = first || !batch[i].done && lowest != nil && batch[i].sequence.Cmp(lowest) == 0
		for _, id := range batch[i].saves {
			if !stored[id] {
				return fmt.Sprintf("event %s is not saved", id)
			}
			delete(stored, id)
		}
	}
	if lowest != nil && !first {
		return "it goes on before the first record that is not done"
	}
	if len(stored) > 0 {
		return fmt.Sprintf("%v should not have been saved", stored)
	}
	return ""
}

func idOf(item driver.Item) string {
	e, err := mes.Parse(item.Event)
	if err != nil {
		return err.Error()
	}
	return e.ID
}

// Handle and Invoke of a trigger, against the rules: what failed is delivered again,
// nothing of a key is handled behind a failure of it, and all others are.
func TestPromise07RandomChanges(t *testing.T) {
	seed := uint64(rand.Int64())
	for i := range batches(t, 300) / 10 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		n := random.IntN(10)
		rows := make([]row, n)
		fail := make(map[string]error)
		var want []string
		lowest := 0
		broken := make(map[string]bool)
		history := make(map[string]int)
		var ids []string
		for j := range rows {
			id := fmt.Sprint(j)
			ids = append(ids, id)
			key := [...]string{"k", "j"}[random.IntN(2)]
			rows[j] = inserted(t, key, id)
			history[key] = n
			if random.IntN(3) == 0 {
				fail[id] = errTransient
			}
			if !broken[key] {
				want = append(want, fmt.Sprintf("%s %s of %d", key, id, n))
			}
			broken[key] = broken[key] || fail[id] != nil
			if broken[key] && lowest == 0 {
				lowest = j + 1
			}
		}
		c := calls{fail: fail}
		got, err := ways()[[...]string{"stream", "typed", "by Kinesis"}[random.IntN(3)]](t, DynamoDB(mes.NewTrigger(stored(t, ids...), c.handle)), rows...)
		if err != nil {
			t.Fatal(err)
		}
		expected := []string{}
		if lowest > 0 {
			expected = append(expected, fmt.Sprint(lowest))
		}
		if fmt.Sprint(got) != fmt.Sprint(expected) || fmt.Sprint(sorted(c.all)) != fmt.Sprint(sorted(want)) {
			t.Fatalf("seed %d, batch %d: response %v, want %v; calls %v, want %v", seed, i, got, expected, c.all, want)
		}
	}
}
