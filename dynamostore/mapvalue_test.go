package dynamostore

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestMapKeepsTheValue(t *testing.T) {
	for event, want := range map[string]string{
		`{}`:                             `{}`,
		` {"b" : 1 , "a":[ ]} `:          `{"a":[],"b":1}`,
		`{"a":1,"a":2}`:                  `{"a":2}`,
		`{"n":9007199254740993}`:         `{"n":9007199254740993}`,
		`{"n":-0.000000000000000000012}`: `{"n":-0.000000000000000000012}`,
		`{"n":12345678901234567890123456789012345678}`:  `{"n":12345678901234567890123456789012345678}`,
		`{"n":123456789012345678901234567890123456780}`: `{"n":123456789012345678901234567890123456780}`,
		`{"n":1e125}`:                   `{"n":1e125}`,
		`{"n":1e-130}`:                  `{"n":1e-130}`,
		`{"n":0e999999999999}`:          `{"n":0e999999999999}`,
		`{"t":true,"f":false,"z":null}`: `{"f":false,"t":true,"z":null}`,
		`{"s":"\u0000\b\f\n\r\t\"\\\/<&>\u2028é😀"}`: `{"s":"\u0000\u0008\u000c\n\r\t\"\\/<&>` + "\u2028é😀" + `"}`,
		`{"e":""}`:          `{"e":""}`,
		`{"half":"\ud83d"}`: `{"half":"` + "\uFFFD" + `"}`,
	} {
		value, err := mapOf([]byte(event))
		require.NoError(t, err, event)
		got, err := appendJSON(nil, value, 1)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.True(t, json.Valid(got))
		require.True(t, equalValues(value, value))
	}
}

func TestAMapRefusesWhatItCannotHold(t *testing.T) {
	nested := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}" }
	deep := func(n int, in string) string { return strings.Repeat(`{"a":`, n) + in + strings.Repeat("}", n) }
	for _, event := range []string{nested(32), deep(31, "1"), deep(31, "[]")} {
		_, err := mapOf([]byte(event))
		require.NoError(t, err)
	}
	for _, event := range []string{
		``, `[]`, `"a"`, `1`, `null`, `{`, `{} {}`, `{"a":}`, "{\"a\":\"\xff\"}", nested(33), nested(9000), deep(32, `"s"`), deep(32, "null"),
		`{"":1}`, `{"n":123456789012345678901234567890123456789}`, `{"n":0.123456789012345678901234567890123456789}`,
		`{"n":1e126}`, `{"n":1e-131}`, `{"n":1e99999999999999999999}`, `{"n":-1e999}`,
	} {
		item := driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(event)}
		_, _, err := (&stub{}).table(AsMap()).encode(&item)
		require.ErrorIs(t, err, driver.ErrInvalidItem, event)
		for _, codec := range []Codec{CodecOwn, CodecSDK} {
			asked := &stub{answer: func(call) (*http.Response, error) { return nil, errors.New("it was sent") }}
			var failed *driver.PutError
			require.ErrorAs(t, asked.table(AsMap(), WithCodec(codec)).Put(t.Context(), []driver.Item{item}), &failed)
			require.ErrorIs(t, failed.Failures[0].Err, driver.ErrInvalidItem, event)
		}
	}
}

func TestNumbersAsOtherServersWriteThem(t *testing.T) {
	for n, want := range map[string]string{
		"1": "1", "+1": "1", "-1": "-1", "007": "7", ".5": "0.5", "-.5": "-0.5", "5.": "5", "1E+20": "1e+20", "1E-7": "1e-7", "0": "0", "-0": "-0", "0.0": "0.0",
	} {
		got, err := appendNumber(nil, n)
		require.NoError(t, err, n)
		require.Equal(t, want, string(got))
		require.True(t, json.Valid(got), n)
	}
	for _, n := range []string{"", "-", "NaN", "Infinity", "1e", "e1", "1e+-1", "0x10", "--1", "1.2.3", " 1", "."} {
		_, err := appendNumber(nil, n)
		require.Error(t, err, n)
	}
}

func TestNumbersAreComparedByValue(t *testing.T) {
	for _, same := range [][]string{
		{"1", "1.0", "1e0", "0.1e1", "10E-1"}, {"0", "-0", "0.00", "0e5"}, {"-1200", "-1.2e3", "-12E+2"}, {"9007199254740993", "9007199254740993.0"},
	} {
		for _, n := range same {
			require.Equal(t, canonicalNumber(same[0]), canonicalNumber(n))
		}
	}
	require.NotEqual(t, canonicalNumber("9007199254740993"), canonicalNumber("9007199254740992"))
	require.NotEqual(t, canonicalNumber("1"), canonicalNumber("-1"))
	require.NotEqual(t, canonicalNumber("1"), canonicalNumber("10"))
}

func TestSetsAndBinaryAreRead(t *testing.T) {
	got, err := appendJSON(nil, &types.AttributeValueMemberM{Value: attributes{
		"a": &types.AttributeValueMemberSS{Value: []string{"x", "y"}},
		"b": &types.AttributeValueMemberNS{Value: []string{"1", ".5"}},
		"c": &types.AttributeValueMemberBS{Value: [][]byte{{1}}},
		"d": &types.AttributeValueMemberB{Value: []byte{1, 2}},
	}}, 1)
	require.NoError(t, err)
	require.Equal(t, `{"a":["x","y"],"b":[1,0.5],"c":["AQ=="],"d":"AQI="}`, string(got))
}

func TestSameEvent(t *testing.T) {
	l := &(&stub{}).table().layout
	stored, err := mapOf([]byte(`{"a":[1.0,"x",true,null],"b":{"c":2}}`))
	require.NoError(t, err)
	for event, want := range map[string]bool{
		`{"b":{"c":2.0}, "a":[1,"x",true,null]}`: true,
		`{"b":{"c":2.0}, "a":[1,"x",true]}`:      false,
		`{"b":{"d":2}, "a":[1,"x",true,null]}`:   false,
		`{"b":{"c":2}, "a":[1,"y",true,null]}`:   false,
		`{"b":{"c":2}, "a":[1,"x",false,null]}`:  false,
		`{"b":{"c":2}, "a":[1,"x",true,0]}`:      false,
		`not JSON`:                               false,
	} {
		same, err := l.sameEvent([]byte(event), stored)
		require.NoError(t, err)
		require.Equal(t, want, same, event)
	}
	same, err := l.sameEvent([]byte(`{"a":1}`), text(`{"a": 1}`))
	require.NoError(t, err)
	require.False(t, same, "its bytes are compared")
}

// What is appended as it is, is what appendNumber makes of it.
func TestDecimalsAreWrittenAsTheyAre(t *testing.T) {
	for number, plain := range map[string]bool{
		"0": true, "-0": true, "12": true, "-12.50": true, "0.5": true, "123456789012345678901234567890.1": true,
		"": false, "-": false, "00": false, "01": false, "-01.5": false, ".5": false, "1.": false, "1e3": false, "1.5E-3": false, "+1": false, "x": false, "1x": false, "--1": false,
	} {
		end := decimal([]byte(number+`"`), 0)
		require.Equal(t, plain, end > 0, number)
		require.Zero(t, decimal([]byte(number), 0), "nothing ends it")
		if plain {
			require.Equal(t, len(number), end)
			written, err := appendNumber(nil, number)
			require.NoError(t, err)
			require.Equal(t, number, string(written))
		}
	}
}
