package lambdahandler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

// withoutMould reads a payload one member after the other.
func withoutMould(payload []byte, w *window) ([]mes.Record, error) {
	r := newKinesisReader(payload)
	r.mould = misfit()
	return r.read(w)
}

// misfit is a mould that is never tried.
func misfit() (m jsonscan.Mould) {
	for range 9 {
		m.Fitted(false)
	}
	return m
}

// sameRecords holds what is made of a payload with a mould to what is made of it
// without one, and returns how many records fitted it.
func sameRecords(t testing.TB, payload []byte) (fitted int) {
	t.Helper()
	text := func(records []mes.Record, w window, err error) string {
		return fmt.Sprintf("%+v %+v %v", records, w, err)
	}
	var one, other window
	r := newKinesisReader(payload)
	records, err := r.read(&one)
	want, wantErr := withoutMould(payload, &other)
	require.Equal(t, text(want, other, wantErr), text(records, one, err))
	fitted, _ = r.mould.Counts()
	return fitted
}

func TestMouldsChangeNothing(t *testing.T) {
	usual := string(encode(t, kinesisEvent("a", "bc", "def", strings.Repeat("g", 300), "", "h\xff")))
	require.Equal(t, 4, sameRecords(t, []byte(usual)), "all but two")
	spaced := strings.NewReplacer(`{"awsRegion`, " \n{\"awsRegion", `":`, "\" :\t").Replace(usual)
	require.Equal(t, 4, sameRecords(t, []byte(spaced)), "as long as all are")
	last := `"data":"` + "aP8=" + `"`
	require.Contains(t, usual, last)
	for name, with := range map[string]string{
		"null":             `"data":null`,
		"a number":         `"data":1`,
		"half a group":     `"data":"aP8"`,
		"too much":         `"data":"aP8=="`,
		"padding inside":   `"data":"a=P8"`,
		"a line break":     "\"data\":\"aP8=\n\"",
		"an escaped one":   `"data":"aP8=\n"`,
		"an escape":        `"data":"aP8\u003d"`,
		"no quote":         `"data":"aP8=`,
		"another alphabet": `"data":"aP-_"`,
		"twice":            `"data":"AAAA","data":"aP8="`,
		"one more member":  `"data":"aP8=","x":1`,
		"not UTF-8":        "\"data\":\"\xff\"",
	} {
		require.Equal(t, 3, sameRecords(t, []byte(strings.Replace(usual, last, with, 1))), name)
	}
	for _, value := range []string{"0", "-1", "1.5", "1.25", "1e3", "1545084650.", "1545084650.9871", "01", "123456789012", "1234567890123", `"1"`, "null", "1 "} {
		for _, more := range []string{value, "1545084650.987"} {
			payload := strings.ReplaceAll(usual, "1545084650.987", more)
			sameRecords(t, []byte(strings.Replace(payload, `"approximateArrivalTimestamp":`+more, `"approximateArrivalTimestamp":`+value, 3)))
		}
	}
	for _, key := range []string{`"é"`, `"a\"b"`, `null`, `7`, `""`, "\"\x01\"", `"shardId-000000000006"`, `"shardId-000000000007:1"`} {
		sameRecords(t, []byte(strings.Replace(usual, `"partitionKey":"1"`, `"partitionKey":`+key, 2)))
		sameRecords(t, []byte(strings.Replace(usual, `"eventID":"shardId-000000000006:`+sequence(3)+`"`, `"eventID":`+key, 1)))
	}
	for _, value := range []string{"7", "null", `"a"`, "[]", "{}", `{"kinesis":7}`, `{"eventID":"a:b"}`} {
		for _, other := range []string{value, value + "1", value + " ", "1" + value, `{"eventID":"c"}`} {
			sameRecords(t, []byte(`{"Records":[`+value+`,`+value+`,`+other+`,`+value+`]}`))
		}
	}
	for i := range usual { // broken off anywhere
		sameRecords(t, []byte(usual[:i]))
	}
}

// A mould that hardly anything fits is given up.
func TestMouldsOfNoUse(t *testing.T) {
	payload := string(encode(t, kinesisEvent(strings.Split(strings.Repeat("x,", 200), ",")...)))
	for i := range 200 {
		payload = strings.Replace(payload, `"eventVersion":"1.0"`, fmt.Sprintf(`"eventVersion":"2.%d"`, i), 1)
	}
	r := newKinesisReader([]byte(payload))
	_, err := r.read(new(window))
	require.NoError(t, err)
	fitted, others := r.mould.Counts()
	require.Equal(t, []int{0, 9}, []int{fitted, others})
}

func FuzzMould(f *testing.F) {
	usual := string(encode(f, kinesisEvent("a", "bc", "def")))
	f.Add([]byte(usual))
	f.Add([]byte(strings.ReplaceAll(usual, `"data":"YmM="`, `"data":null`)))
	f.Add([]byte(strings.ReplaceAll(usual, `1545084650.987`, `1545084650`)))
	f.Add([]byte(`{"Records":[{"kinesis":{"data":"AAAA","data":"AAAA"},"eventID":"a:b"},{"kinesis":{"data":"AAA=","data":"AAAA"},"eventID":"a:c"},7]}`))
	f.Fuzz(func(t *testing.T, payload []byte) { sameRecords(t, payload) })
}

func TestShortSeconds(t *testing.T) {
	for _, number := range []string{
		"0", "1", "00", "01", "-1", "1545084650", "1545084650.9", "1545084650.98", "1545084650.987", "1545084650.9876", "1545084650.001",
		"123456789012", "123456789012.999", "1234567890123", "0.5", ".5", "5.", "1e3", "1.5e3", "", "x",
	} {
		for _, behind := range []string{",", "}", " ", "", "x"} {
			got, end, ok := shortSeconds([]byte(number+behind), 0)
			if !ok {
				continue
			}
			require.Equal(t, len(number), end, number+behind)
			require.NoError(t, jsonscan.Check([]byte(number)))
			require.Equal(t, seconds([]byte(number)), got, number)
		}
	}
	_, _, ok := shortSeconds([]byte("1545084650.987,"), 0)
	require.True(t, ok)
	for ms := int64(1); ms < 1<<43; ms = ms*3 + 7 {
		number := fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
		got, _, ok := shortSeconds([]byte(number+","), 0)
		require.True(t, ok)
		require.Equal(t, seconds([]byte(number)), got, number)
	}
}

func TestMouldsOfChangesChangeNothing(t *testing.T) {
	store := stored(t, "1")
	rows := func(with func(i int, r *row)) string {
		var all []row
		for i := range 6 {
			id := fmt.Sprint(i)
			r := row{name: [...]string{"INSERT", "MODIFY"}[i%2], keys: image(t, "k", id, ""), new: image(t, "k"+id, id, eventJSON(id, "k"+id)), old: image(t, "k", id, eventJSON(id, "old"))}
			with(i, &r)
			all = append(all, r)
		}
		return dynamoPayload(all...)
	}
	same := func(want int, payload string, name string) {
		t.Helper()
		// The members of a record are in some order, now and then in one of their own.
		require.GreaterOrEqual(t, want, agreeOnChanges(t, store, []byte(payload)), name)
	}
	usual := rows(func(int, *row) {})
	ordered := orderedChanges(usual)
	require.Equal(t, 4, agreeOnChanges(t, store, []byte(ordered)), "all but two")
	same(4, usual, "usual")
	for name, change := range map[string]func(i int, r *row){
		"no old image":    func(i int, r *row) { r.old = "" },
		"now and then":    func(i int, r *row) { r.old = [...]string{r.old, ""}[i/3] },
		"null":            func(i int, r *row) { r.old = "null" },
		"later null":      func(i int, r *row) { r.new = [...]string{r.new, "null"}[i/3] },
		"keys alone":      func(i int, r *row) { r.new, r.old = "", "" },
		"keys null":       func(i int, r *row) { r.keys = "null" },
		"other keys":      func(i int, r *row) { r.keys = [...]string{r.keys, `{"x":{"N":"1"}}`}[i/3] },
		"keys of numbers": func(i int, r *row) { r.keys = `{"partitionKey":{"S":"k"},"eventId":{"N":"1"},"l":[1]}` },
		"no event":        func(i int, r *row) { r.new = r.keys },
		"a marker":        func(i int, r *row) { r.new = `{"partitionKey":{"S":"k"},"eventId":{"S":"\u0001mark"}}` },
		"an identity":     func(i int, r *row) { r.identity = `{"type":"Service","principalId":"dynamodb.amazonaws.com"}` },
		"some": func(i int, r *row) {
			r.identity = [...]string{"", `{"type":"Service","principalId":"dynamodb.amazonaws.com"}`}[i/3]
		},
		"other attribute": func(i int, r *row) {
			r.new = strings.Replace(r.new, "{", fmt.Sprintf(`{"x":{"L":[{"N":"%d"}]},`, i), 1)
		},
		"type a number": func(i int, r *row) {
			r.new = strings.Replace(r.new, `"thing"`, [...]string{`"thing"`, `"thing","N":"1"`}[i/3], 1)
		},
		"of other types": func(i int, r *row) {
			r.new = strings.Replace(r.new, `{"S":"thing"}`, [...]string{`{"N":"1"}`, `{"S":"thing"}`}[i/3], 1)
		},
		"escapes": func(i int, r *row) { r.new = strings.Replace(r.new, `"thing"`, `"th\u0069ng"`, 1) },
		"not UTF-8": func(i int, r *row) {
			r.new = strings.Replace(r.new, `"thing"`, [...]string{`"thing"`, "\"\xff\""}[i/5], 1)
		},
		"maps": func(i int, r *row) {
			r.new = image(t, "k", "1", "")
			r.new = r.new[:len(r.new)-1] + fmt.Sprintf(`,"event":{"M":{"id":{"S":"%d"}}}}`, i)
		},
		"compressed": func(i int, r *row) {
			r.new = image(t, "k", "1", "")
			r.new = r.new[:len(r.new)-1] + `,"event":{"B":"AAEC"}}`
		},
		"deep":     func(i int, r *row) { r.old = strings.Repeat("[", 9_996) + strings.Repeat("]", 9_996) },
		"too deep": func(i int, r *row) { r.old = strings.Repeat("[", 9_996+i/4) + strings.Repeat("]", 9_996+i/4) },
	} {
		same(4, rows(change), name)
		same(4, orderedChanges(rows(change)), name)
	}
	for _, replace := range [][2]string{
		{`"SequenceNumber":"4"`, `"SequenceNumber":null`}, {`"SequenceNumber":"4"`, `"SequenceNumber":"\u0034"`}, {`"SequenceNumber":"4"`, `"SequenceNumber":"4","SequenceNumber":"5"`},
		{`"eventName":"MODIFY"`, `"eventName":"REMOVE"`}, {`"eventName":"MODIFY"`, `"eventName":"?"`}, {`"eventName":"MODIFY"`, `"EVENTNAME":"INSERT"`},
		{`1480642020.5`, `1480642020`}, {`1480642020.5`, `"x"`}, {`"SizeBytes":59`, `"SizeBytes":600`}, {`"SizeBytes":59`, `"SizeBytes":1e3`},
		{`"ApproximateCreationDateTime"`, `"ApproximateCreationDateTimePrecision":"MICROSECOND","ApproximateCreationDateTime"`},
		{`"awsRegion":"eu-west-1"`, `"awsRegion":"eu-west-2"`}, {`"eventID"`, `"kinesis":{"data":"e30="},"eventID"`},
	} {
		for _, n := range []int{1, 3, -1} {
			same(4, strings.Replace(ordered, replace[0], replace[1], n), replace[1])
		}
	}
	for i := 0; i < len(ordered); i += 7 {
		same(4, ordered[:i], "broken off")
	}
}

// orderedChanges puts the members of each change into one order, which those of a map do
// not have.
func orderedChanges(payload string) string {
	for _, name := range []string{"OldImage", "NewImage", "Keys", "SizeBytes", "ApproximateCreationDateTime"} {
		parts := strings.Split(payload, `"dynamodb":{`)
		for i := range parts[1:] {
			change := `{` + parts[1+i]
			c := jsonscan.NewCursor([]byte(change))
			for c.Enter('{'); ; {
				before := c.Offset()
				if !c.Member() {
					break
				}
				value := c.Value()
				if string(c.Key) != name {
					continue
				}
				member, end := strings.TrimPrefix(change[before:c.Offset()], ","), c.Offset()
				rest := strings.TrimPrefix(change[1:before]+change[end:], ",")
				if len(value) > 0 && rest != "" {
					parts[1+i] = member + "," + rest
				}
				break
			}
		}
		payload = strings.Join(parts, `"dynamodb":{`)
	}
	return payload
}
