package dynamostore

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/microeventstore/microeventstore/driver"
)

func TestPromise03TheItemFollowsFromEventAndOptions(t *testing.T) {
	item := driver.Item{
		HashKey: "h", RangeKey: "r", Type: "t", Timestamp: time.UnixMilli(1_700_000_000_123).Add(999), TTL: 1_800_000_000,
		ID: "not stored", PartitionKey: "not stored", Complete: true,
		Event: []byte(`{"id":"1", "n": 1.50, "s":"` + strings.Repeat("abc", 500) + `"}`),
	}
	for _, opts := range [][]Option{nil, {WithCompression(100)}, {AsMap()}} {
		first, _, err := (&stub{}).table(opts...).encode(&item)
		require.NoError(t, err)
		table := (&stub{}).table(opts...)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 20 {
					again, _, err := table.encode(&item)
					if err != nil || !bytes.Equal(flat(t, first), flat(t, again)) {
						t.Error("another item")
					}
				}
			})
		}
		all.Wait()
	}
}

// flat makes attributes comparable.
func flat(t *testing.T, item attributes) []byte {
	b, err := appendJSON(nil, &types.AttributeValueMemberM{Value: item}, 0)
	if err != nil {
		t.Error(err)
	}
	return b
}

func TestTheLayout(t *testing.T) {
	item := driver.Item{HashKey: "h", RangeKey: "r", Type: "t", Timestamp: time.UnixMilli(1_700_000_000_123), TTL: 1_800_000_000, Event: []byte(`{"a":1}`)}
	to, _, err := (&stub{}).table().encode(&item)
	require.NoError(t, err)
	require.Equal(t, attributes{
		"partitionKey": text("h"), "eventId": text("r"), "event": text(`{"a":1}`),
		"type": text("t"), "timestamp": number(1_700_000_000_123), "ttl": number(1_800_000_000),
	}, to)

	to, _, err = (&stub{}).table().encode(&driver.Item{HashKey: "h", RangeKey: "r"})
	require.NoError(t, err)
	require.Equal(t, attributes{"partitionKey": text("h"), "eventId": text("r"), "event": text("")}, to)

	to, _, err = (&stub{}).table(WithAttributeNames(AttributeNames{HashKey: "pk", RangeKey: "sk", Event: "e", Type: "y", Timestamp: "s", TTL: "l"})).encode(&item)
	require.NoError(t, err)
	require.Equal(t, attributes{
		"pk": text("h"), "sk": text("r"), "e": text(`{"a":1}`), "y": text("t"), "s": number(1_700_000_000_123), "l": number(1_800_000_000),
	}, to)
}

func TestEveryItemComesBackAsItWas(t *testing.T) {
	tables := []*Table{
		(&stub{}).table(), (&stub{}).table(WithCompression(1)), (&stub{}).table(WithCompression(50)),
		(&stub{}).table(WithAttributeNames(AttributeNames{HashKey: "ttl", TTL: "event", Event: "x"})),
	}
	rapid.Check(t, func(rt *rapid.T) {
		item := driver.Item{
			HashKey:  rapid.StringN(1, 20, -1).Draw(rt, "hash key"),
			RangeKey: rapid.StringN(1, 20, -1).Draw(rt, "range key"),
			Event:    rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "event"),
			Type:     rapid.String().Draw(rt, "type"),
			TTL:      rapid.Int64Min(0).Draw(rt, "TTL"),
		}
		if ms := rapid.Int64Range(-1e15, 1e15).Draw(rt, "timestamp"); ms%3 != 0 {
			item.Timestamp = time.UnixMilli(ms).UTC()
		}
		for _, table := range tables {
			to, wire, err := table.encode(&item)
			require.NoError(rt, err)
			require.Positive(rt, wire)
			got, err := tables[0].layout.decode(to)
			if table == tables[3] {
				got, err = table.layout.decode(to)
			}
			require.NoError(rt, err)
			require.Equal(rt, string(item.Event), string(got.Event))
			got.Event = item.Event
			require.Equal(rt, item, got)
		}
	})
}

func TestCompressionOnlyWhereItHelps(t *testing.T) {
	table := (&stub{}).table(WithCompression(100))
	for _, test := range []struct {
		event string
		want  types.AttributeValue
	}{
		{strings.Repeat("a", 99), &types.AttributeValueMemberS{}},
		{strings.Repeat("a", 100), &types.AttributeValueMemberB{}},
		{"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'()*+,-./:;<=>?@[]^_`{|}~ äöüßéèêëàáâ", &types.AttributeValueMemberS{}},
	} {
		value, err := table.layout.encodeEvent([]byte(test.event))
		require.NoError(t, err)
		require.IsType(t, test.want, value)
	}
	// The limit is that of what is stored.
	item := driver.Item{HashKey: "h", RangeKey: "r", Event: []byte(strings.Repeat("large ", 1_000_000))}
	require.ErrorIs(t, item.Check(), driver.ErrInvalidItem)
	_, _, err := table.encode(&item)
	require.NoError(t, err)
	item.Event = make([]byte, maxEvent+1)
	_, _, err = table.encode(&item)
	require.ErrorIs(t, err, driver.ErrInvalidItem)
}

func TestPromise16ADecompressionBombStopsEarly(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	bomb := encoder.EncodeAll(make([]byte, 64<<20), nil)
	require.Less(t, len(bomb), driver.MaxItemSize)
	var streamed bytes.Buffer // without its size in the header
	w, err := zstd.NewWriter(&streamed)
	require.NoError(t, err)
	for range 20 {
		_, err = w.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	two := append(encoder.EncodeAll(make([]byte, 12<<20), nil), encoder.EncodeAll(make([]byte, 12<<20), nil)...)

	table := (&stub{}).table()
	for name, packed := range map[string][]byte{
		"bomb": bomb, "streamed": streamed.Bytes(), "two frames": two,
		"cut": bomb[:len(bomb)-3], "empty": {}, "not zstd": []byte(`{"a":1}`), "magic alone": []byte(zstdMagic),
	} {
		event, err := table.layout.decodeEvent(&types.AttributeValueMemberB{Value: packed})
		if name == "magic alone" && err == nil {
			continue
		}
		require.ErrorIs(t, err, ErrUnknownEncoding, name)
		require.NotErrorIs(t, err, driver.ErrInvalidItem)
		require.Empty(t, event)
	}
}

func TestPromise10DecodeNeverPanics(t *testing.T) {
	table := (&stub{}).table()
	rapid.Check(t, func(rt *rapid.T) {
		_, _ = table.layout.decodeEvent(&types.AttributeValueMemberB{
			Value: append([]byte(zstdMagic), rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes")...),
		})
		_, _ = appendNumber(nil, rapid.StringMatching(`[+-]?[0-9.eE+-]*`).Draw(rt, "number"))
		_, _ = mapOf([]byte(rapid.String().Draw(rt, "JSON")))
	})
}

func TestWhatOthersWroteIsReadAsFarAsItGoes(t *testing.T) {
	l := &(&stub{}).table().layout
	base := func() attributes { return attributes{"partitionKey": text("h"), "eventId": text("r")} }
	item, err := l.decode(base())
	require.NoError(t, err)
	require.Equal(t, driver.Item{HashKey: "h", RangeKey: "r"}, item)

	from := base()
	from["type"], from["timestamp"], from["ttl"], from["other"] = number(1), text("2020"), text("soon"), text("x")
	item, err = l.decode(from)
	require.NoError(t, err)
	require.Equal(t, driver.Item{HashKey: "h", RangeKey: "r"}, item)

	for n, want := range map[string]int64{"1.9": 1, "-1.5": -2, "1e3": 1000, "1e30": 1<<63 - 1, "-1e30": -1 << 63} {
		from["ttl"] = &types.AttributeValueMemberN{Value: n}
		item, err = l.decode(from)
		require.NoError(t, err)
		require.Equal(t, want, item.TTL, n)
	}
	for _, value := range []types.AttributeValue{
		number(1), &types.AttributeValueMemberL{}, &types.AttributeValueMemberNULL{}, &types.UnknownUnionMember{},
	} {
		from["event"] = value
		_, err = l.decode(from)
		require.ErrorIs(t, err, ErrUnknownEncoding)
	}
	_, err = l.decode(attributes{"partitionKey": text("h")})
	require.Error(t, err)
	_, err = l.decode(attributes{"partitionKey": number(1), "eventId": text("r")})
	require.Error(t, err)
}
