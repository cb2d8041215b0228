package dynamostore

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

func TestDecodeImage(t *testing.T) {
	table := New(fakedynamodb.New().Client(), "events")
	for name, test := range map[string]struct {
		image string
		want  driver.Item
		err   error
	}{
		"text": {
			`{"partitionKey":{"S":"order-1"},"eventId":{"S":"r"},"event":{"S":"{\"id\":\"1\"}"},"type":{"S":"t"},"timestamp":{"N":"1700000000123"},"ttl":{"N":"1800000000"},"other":{"SS":["a"]}}`,
			driver.Item{HashKey: "order-1", RangeKey: "r", Event: []byte(`{"id":"1"}`), Type: "t", Timestamp: time.UnixMilli(1_700_000_000_123).UTC(), TTL: 1_800_000_000}, nil,
		},
		"map":         {`{"partitionKey":{"S":"p"},"eventId":{"S":"r"},"event":{"M":{"id":{"S":"1"},"l":{"L":[{"N":"1"},{"BOOL":true},{"NULL":true}]}}}}`, driver.Item{HashKey: "p", RangeKey: "r", Event: []byte(`{"id":"1","l":[1,true,null]}`)}, nil},
		"keys alone":  {`{"partitionKey":{"S":"p"},"eventId":{"S":"r"}}`, driver.Item{HashKey: "p", RangeKey: "r"}, nil},
		"no key":      {`{"partitionKey":{"S":"p"}}`, driver.Item{}, driver.ErrInvalidItem},
		"wrong type":  {`{"partitionKey":{"S":"p"},"eventId":{"N":"1"}}`, driver.Item{}, driver.ErrInvalidItem},
		"not JSON":    {`{"partitionKey"`, driver.Item{}, driver.ErrInvalidItem},
		"no image":    {``, driver.Item{}, driver.ErrInvalidItem},
		"null":        {`null`, driver.Item{}, driver.ErrInvalidItem},
		"S a number":  {`{"partitionKey":{"S":1},"eventId":{"S":"r"}}`, driver.Item{}, driver.ErrInvalidItem},
		"newer event": {`{"partitionKey":{"S":"p"},"eventId":{"S":"r"},"event":{"B":"KLUv/QQAYQAAe30="}}`, driver.Item{}, driver.ErrUnknownEncoding},
	} {
		t.Run(name, func(t *testing.T) {
			item, err := table.DecodeImage([]byte(test.image))
			if test.err != nil {
				require.ErrorIs(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, withoutOutline(t, table, item))
		})
	}
}

// An image is an item of an answer, so the two codecs must agree on it as well, in
// one batch and alone.
func FuzzDecodeImage(f *testing.F) {
	for _, event := range []string{`{"S":"{\"id\":\"1\"}"}`, `{"M":{"b":{"N":"1"},"a":{"S":"x"}}}`, `{"B":"` + packedEvent(`{}`) + `"}`, `{"N":"1"}`, `{"B":"AAEC"}`} {
		f.Add([]byte(itemOf(event)))
	}
	f.Add([]byte(`{"partitionKey":{"S":"p"},"eventId":{"S":"r"}}`))
	f.Add([]byte(`{"partitionKey":{"S":"p"},"eventId":{"N":"r"}} x`))
	own, sdk := new(stub).table(), new(stub).table(WithCodec(CodecSDK))
	f.Fuzz(func(t *testing.T, image []byte) {
		want, wantErr := sdk.DecodeImage(image)
		decode := own.NewImageDecoder()
		for range 3 {
			got, err := decode(image)
			require.Equal(t, wantErr != nil, err != nil)
			if err != nil {
				require.Equal(t, wantErr.Error(), err.Error())
			}
			got = withoutOutline(t, own, got)
			require.Equal(t, string(want.Event), string(got.Event))
			require.Equal(t, want.Event == nil, got.Event == nil)
			got.Event = want.Event
			require.Equal(t, want, got)
		}

		// As a part of a text: it ends where it ends, or is left to DecodeImage.
		scan := own.NewImageScanner()
		for _, text := range []string{string(image), string(image) + `,"x":{"S":"\u`, string(image) + "\xff"} {
			got, size, ok := scan([]byte(text))
			if !ok {
				continue
			}
			got = withoutOutline(t, own, got)
			want, err := sdk.DecodeImage([]byte(text[:size]))
			require.NoError(t, err)
			require.True(t, json.Valid([]byte(text[:size])) && utf8.ValidString(text[:size]))
			require.Equal(t, string(want.Event), string(got.Event))
			got.Event = want.Event
			require.Equal(t, want, got)
		}
	})
}

func TestImagesOfABatchKeepApart(t *testing.T) {
	table := new(stub).table()
	decode := table.NewImageDecoder()
	var got, want []string
	for i := range 500 {
		event := fmt.Sprintf(`{"id":"%d","text":"%s"}`, i, strings.Repeat("x", i))
		quoted, err := json.Marshal(event)
		require.NoError(t, err)
		image := fmt.Appendf(nil, `{"partitionKey":{"S":"p%d"},"eventId":{"S":"r%d"},"event":{"S":%s},"type":{"S":"t%d"}}`, i, i, quoted, i%7)
		item, err := decode(image)
		require.NoError(t, err)
		clear(image)
		want = append(want, fmt.Sprintf("p%d r%d t%d %s", i, i, i%7, event))
		got = append(got, item.HashKey+" "+item.RangeKey+" "+item.Type+" "+string(item.Event))
	}
	require.Equal(t, want, got)
}

func TestImagesAreCounted(t *testing.T) {
	table := new(stub).table()
	_, err := table.DecodeImage([]byte(itemOf(`{"S":"{}"}`)))
	require.NoError(t, err)
	_, err = table.DecodeImage([]byte(itemOf(`{"N":"1"}`)))
	require.Error(t, err)
	require.Equal(t, CodecCounts{OwnImages: 1, SDKImages: 1}, table.CodecCounts())
	_, _, ok := table.NewImageScanner()([]byte(itemOf(`{"S":"{}"}`)))
	require.True(t, ok)
	require.Equal(t, CodecCounts{OwnImages: 2, SDKImages: 1}, table.CodecCounts(), "whichever way a host takes")
}
