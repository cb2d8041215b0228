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
	for range 9 {
		r.mould.Fitted(false)
	}
	return r.read(w)
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
