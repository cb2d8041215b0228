package dynamostore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

func orderEvent(i int) []byte {
	return fmt.Appendf(nil, `{"id":"order-%d","type":"order-submitted","timestamp":%d,"partitionKey":"customer-%d","tags":{"account":"123456789012","region":"eu-west-1","source":"order-service"},"order":{"currency":"EUR","total":%d.50,"note":%q}}`,
		i, 1_700_000_000_000+i*977, i%7, i*31%1000, strings.Repeat("x", i%5))
}

// trained returns a dictionary for orders.
func trained(t testing.TB, id uint32) []byte {
	t.Helper()
	samples := make([][]byte, 100)
	for i := range samples {
		samples[i] = orderEvent(1000 + i)
	}
	dictionary, err := dict.BuildZstdDict(samples, dict.Options{MaxDictSize: 8 << 10, HashBytes: 6, ZstdDictID: id, ZstdLevel: zstd.SpeedDefault})
	require.NoError(t, err)
	return dictionary
}

// packedWith is the event's attribute as a table with these options writes it.
func packedWith(t testing.TB, event []byte, opts ...Option) types.AttributeValue {
	t.Helper()
	table := new(stub).table(append([]Option{WithCompression(1)}, opts...)...)
	require.NoError(t, table.wrong)
	value, err := table.layout.encodeEvent(event)
	require.NoError(t, err)
	return value
}

func TestADictionaryMakesShortEventsSmall(t *testing.T) {
	event := orderEvent(1)
	alone := packedWith(t, event).(*types.AttributeValueMemberB).Value
	with := packedWith(t, event, WithDictionaries(trained(t, 7))).(*types.AttributeValueMemberB).Value
	require.Less(t, 2*len(with), len(alone))
	var header zstd.Header
	require.NoError(t, header.Decode(with))
	require.Equal(t, uint32(7), header.DictionaryID, "the event names its dictionary")
}

// What was written with one dictionary is read when another one has taken its place,
// and next to what was written with none.
func TestEventsOfEveryDictionaryAreRead(t *testing.T) {
	first, second := trained(t, 1), trained(t, 2)
	stored := []types.AttributeValue{
		text(string(orderEvent(0))), packedWith(t, orderEvent(1)),
		packedWith(t, orderEvent(2), WithDictionaries(first)), packedWith(t, orderEvent(3), WithDictionaries(second, first)),
	}
	for name, opts := range map[string][]Option{
		"the second writes":   {WithCompression(1), WithDictionaries(second, first)},
		"the first writes":    {WithCompression(1), WithDictionaries(first, second)},
		"none writes":         {WithDictionaries(nil, first, second)},
		"maps are written":    {AsMap(), WithDictionaries(nil, second, first)},
		"the SDK reads":       {WithCodec(CodecSDK), WithDictionaries(nil, first, second)},
		"with compression":    {WithCompression(1), WithDictionaries(nil, first, second)},
		"aws-lambda-stream's": {LambdaStreamLayout(), WithDictionaries(nil, first, second)},
	} {
		table := new(stub).table(opts...)
		require.NoError(t, table.wrong, name)
		for i, value := range stored {
			event, err := table.layout.decodeEvent(value)
			require.NoError(t, err, name)
			require.Equal(t, string(orderEvent(i)), string(event), name)
		}
	}
}

// An answer and an image with an event whose dictionary is missing may be read by
// another version of the program: they are no fault.
func TestAnUnknownDictionaryIsRetryable(t *testing.T) {
	known, unknown := trained(t, 1), trained(t, 2)
	about, err := zstd.InspectDictionary(known)
	require.NoError(t, err)
	head, content := known[:len(known)-about.ContentSize()], about.Content()
	other := slices.Concat(head, content[100:], content[:100])
	for name, dictionary := range map[string][]byte{"unknown": unknown, "another of the same id": other} {
		packed := packedWith(t, orderEvent(5), WithDictionaries(dictionary)).(*types.AttributeValueMemberB).Value
		for _, opts := range [][]Option{nil, {WithDictionaries(nil, known)}, {WithCompression(1), WithDictionaries(known)}, {WithCodec(CodecSDK), WithDictionaries(nil, known)}} {
			table := new(stub).table(opts...)
			_, err := table.layout.decodeEvent(&types.AttributeValueMemberB{Value: packed})
			require.ErrorIs(t, err, ErrUnknownEncoding, name)
			require.NotErrorIs(t, err, driver.ErrInvalidItem)
			leaksNothing(t, err)

			image := `{"partitionKey":{"S":"p"},"eventId":{"S":"r"},"event":{"B":"` + base64.StdEncoding.EncodeToString(packed) + `"}}`
			_, err = table.DecodeImage([]byte(image))
			require.ErrorIs(t, err, ErrUnknownEncoding, name)
			agreeOnAnswer(t, table, answerOf(image))
		}
	}
}

func TestImagesWithADictionary(t *testing.T) {
	dictionary := trained(t, 3)
	table := new(stub).table(WithDictionaries(nil, dictionary))
	decode := table.NewImageDecoder()
	for i := range 50 {
		packed := packedWith(t, orderEvent(i), WithDictionaries(dictionary)).(*types.AttributeValueMemberB).Value
		image := []byte(itemOf(`{"B":"` + base64.StdEncoding.EncodeToString(packed) + `"}`))
		item, err := decode(image)
		require.NoError(t, err)
		require.Equal(t, string(orderEvent(i)), string(item.Event))
		require.True(t, agreeOnAnswer(t, table, answerOf(string(image))), "the codec leaves it to the SDK")
	}
}

// The bytes of an item follow from the event and the dictionary, whoever writes it and
// after whatever else.
func TestPromise03ADictionaryMakesTheSameItem(t *testing.T) {
	dictionary := trained(t, 1)
	event := orderEvent(1)
	want := packedWith(t, event, WithDictionaries(dictionary))
	rapid.Check(t, func(t *rapid.T) {
		c := newCompressor(dictionary)
		var wait sync.WaitGroup
		for _, before := range rapid.SliceOfN(rapid.IntRange(0, 300_000), 0, 6).Draw(t, "before") {
			wait.Go(func() {
				_, _ = c.pack(bytes.Repeat(orderEvent(before), 1+before/1000))
				packed, err := c.pack(event)
				if err != nil || !bytes.Equal(packed, want.(*types.AttributeValueMemberB).Value) {
					t.Errorf("another item: %v", err)
				}
			})
		}
		wait.Wait()
		packed, err := c.pack(event)
		require.NoError(t, err)
		require.Equal(t, want.(*types.AttributeValueMemberB).Value, packed)
	})
}

// A dictionary adds nothing to what an event may become when it is unpacked.
func TestPromise16ABombWithADictionaryStopsEarly(t *testing.T) {
	dictionary := trained(t, 1)
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderDict(dictionary))
	require.NoError(t, err)
	bomb := encoder.EncodeAll(make([]byte, 64<<20), nil)
	require.Less(t, len(bomb), driver.MaxItemSize)
	event, err := new(stub).table(WithDictionaries(nil, dictionary)).layout.decodeEvent(&types.AttributeValueMemberB{Value: bomb})
	require.ErrorIs(t, err, ErrUnknownEncoding)
	require.Empty(t, event)
}

func TestDictionariesThatCannotBe(t *testing.T) {
	dictionary := trained(t, 1)
	for name, opts := range map[string][]Option{
		"no dictionary":            {WithCompression(1), WithDictionaries([]byte("raw content is no dictionary"))},
		"cut":                      {WithCompression(1), WithDictionaries(dictionary[:100])},
		"an empty one for reading": {WithDictionaries(nil, nil)},
		"an id twice":              {WithCompression(1), WithDictionaries(dictionary, dictionary)},
		"an id twice, reading":     {WithDictionaries(nil, dictionary, trained(t, 1))},
		"too large":                {WithDictionaries(nil, append(bytes.Clone(dictionary), make([]byte, maxDictionary)...))},
		"no compression":           {WithDictionaries(dictionary)},
		"a map":                    {AsMap(), WithDictionaries(dictionary)},
		"a map, compressed":        {AsMap(), WithCompression(1), WithDictionaries(dictionary)},
		"aws-lambda-stream's":      {LambdaStreamLayout(), WithDictionaries(dictionary)},
	} {
		require.Error(t, new(stub).table(opts...).Put(t.Context(), nil), name)
	}
	// The option keeps a copy.
	c := &config{}
	mine := bytes.Clone(dictionary)
	option := WithDictionaries(mine)
	require.NoError(t, option.apply(c))
	clear(mine)
	require.Equal(t, dictionary, c.dictionaries[0])
}

func TestTheCodecWritesWithADictionary(t *testing.T) {
	table := new(stub).table(WithCompression(1), WithDictionaries(trained(t, 9)))
	sample, err := os.ReadFile("../testdata/events.ndjson")
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSpace(sample), []byte("\n"))
	for i := range 20 {
		lines = append(lines, orderEvent(i))
	}
	for _, line := range lines {
		e, err := mes.Parse(line)
		require.NoError(t, err)
		item := driver.Item{HashKey: "h", RangeKey: e.ID, Event: e.Raw, Type: e.Type, Timestamp: e.Timestamp}
		require.True(t, agreeOnItem(t, table, &item), "the codec leaves it to the SDK")
	}
}

// Whatever an event is, it comes back; and whatever is stored, reading it neither
// panics nor gives more than is allowed.
func FuzzDictionary(f *testing.F) {
	dictionary := trained(f, 1)
	table := new(stub).table(WithCompression(1), WithDictionaries(dictionary))
	f.Add(orderEvent(1))
	f.Add([]byte("\xff"))
	f.Add(packedWith(f, orderEvent(2), WithDictionaries(dictionary)).(*types.AttributeValueMemberB).Value)
	f.Fuzz(func(t *testing.T, data []byte) {
		value, err := table.layout.encodeEvent(data)
		require.NoError(t, err)
		again, err := new(stub).table(WithCompression(1), WithDictionaries(dictionary)).layout.encodeEvent(data)
		require.NoError(t, err)
		require.Equal(t, value, again)
		event, err := table.layout.decodeEvent(value)
		require.NoError(t, err)
		require.Equal(t, string(data), string(event))

		event, err = table.layout.decodeEvent(&types.AttributeValueMemberB{Value: data})
		require.LessOrEqual(t, len(event), maxEvent)
		if err != nil {
			require.ErrorIs(t, err, ErrUnknownEncoding)
		}
		quoted, err := json.Marshal(data)
		require.NoError(t, err)
		agreeOnAnswer(t, table, answerOf(itemOf(`{"B":`+string(quoted)+`}`)))
		_ = WithDictionaries(nil, data).apply(&config{}) // a dictionary may be anything, too
	})
}

func BenchmarkDictionary(b *testing.B) {
	event := orderEvent(1)
	for name, c := range map[string]compressor{"none": newCompressor(), "8KiB": newCompressor(trained(b, 1))} {
		packed, err := c.pack(event)
		require.NoError(b, err)
		b.Run("pack/"+name, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]byte, 0, 1<<10)
			for b.Loop() {
				if _, err := c.packTo(room, event); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(packed))/float64(len(event)), "size")
		})
		b.Run("unpack/"+name, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]byte, 0, 1<<10)
			for b.Loop() {
				if _, err := c.unpackTo(room, packed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
