package kinesisrecord

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	mes "github.com/microeventstore/microeventstore"
)

// seal makes an aggregate of a message.
func seal(message []byte) []byte {
	sum := md5.Sum(message)
	return append(append(aggregateMagic(), message...), sum[:]...)
}

func field(message []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), value)
}

func numberField(message []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(message, number, protowire.VarintType), value)
}

// user makes a record of an aggregate; hashKey < 0 leaves it out.
func user(partitionKey uint64, hashKey int, data string) []byte {
	record := numberField(nil, fieldPartitionKey, partitionKey)
	if hashKey >= 0 {
		record = numberField(record, fieldHashKey, uint64(hashKey))
	}
	return field(record, fieldData, []byte(data))
}

func gzipped(data []byte) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(data) // a bytes.Buffer takes everything
	_ = w.Close()
	return packed.Bytes()
}

func zstandard(t testing.TB, data []byte) []byte {
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func value(json string) string {
	return `"` + valuePrefix + base64.StdEncoding.EncodeToString(gzipped([]byte(json))) + `"`
}

// unpack takes a whole Kinesis record apart.
func unpack(t require.TestingT, data []byte, meta mes.Meta) []mes.Record {
	var got []mes.Record
	var p Unpacking
	for p.Begin(new(Unpacker), data, meta); !p.Done(); {
		var err error
		got, _, err = p.Next(context.Background(), got, 1<<20)
		require.NoError(t, err)
	}
	return got
}

func one(t testing.TB, data []byte) mes.Record {
	t.Helper()
	got := unpack(t, data, mes.Meta{SequenceNumber: "1"})
	require.Len(t, got, 1)
	return got[0]
}

func TestAPlainRecordIsLeftAlone(t *testing.T) {
	for _, data := range []string{"", "{", `{"id":"1"}`, "\xf3\x89\x9a", "\x1f\x8b", "\x28\xb5\x2f", "COMPRESSED", `{"a":"COMPRESSED"`, `["COMPRESSED AIR"]`} {
		got := one(t, []byte(data))
		require.NoError(t, got.Err)
		require.Equal(t, data, string(got.Data))
		require.Zero(t, got.Meta.SubSequence)
	}
	var u Unpacker
	var p Unpacking
	data, dst := []byte(`{"id":"1","text":"the C in it"}`), make([]mes.Record, 0, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p.Begin(&u, data, mes.Meta{})
		_, _, _ = p.Next(t.Context(), dst, 0) // nothing that could fail
	}))
}

// Aggregates made by hand: tables behind the records, tags, fields of a later
// version, none at all.
func TestAggregatesMadeByHand(t *testing.T) {
	tag := field(field(nil, 1, []byte("k")), 2, []byte("v"))
	message := field(nil, fieldRecords, field(user(1, 0, "first"), 4, tag))
	message = field(message, fieldRecords, numberField(user(0, -1, "second"), 9, 5))
	message = field(message, 15, []byte("later"))
	message = field(message, fieldPartitionKeys, []byte("a"))
	message = field(message, fieldPartitionKeys, []byte("b"))
	message = field(message, fieldHashKeys, []byte("12"))
	got := unpack(t, seal(message), mes.Meta{SequenceNumber: "5", ExplicitHashKey: "x"})
	require.Equal(t, []mes.Record{
		{Data: []byte("first"), Meta: mes.Meta{SequenceNumber: "5", PartitionKey: "b", ExplicitHashKey: "12"}},
		{Data: []byte("second"), Meta: mes.Meta{SequenceNumber: "5", SubSequence: 1, PartitionKey: "a"}},
	}, got)
	require.Empty(t, unpack(t, seal(nil), mes.Meta{}))
}

func TestPromise09ABrokenAggregateIsOneFault(t *testing.T) {
	table := field(nil, fieldPartitionKeys, []byte("a"))
	good := field(table, fieldRecords, user(0, -1, "{}"))
	sealed := seal(good)
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	keys := func(field byte) []byte { return bytes.Repeat([]byte{field<<3 | 2, 0}, maxRecords+1) }
	many := bytes.Clone(table)
	for range maxRecords + 1 {
		many = field(many, fieldRecords, user(0, -1, ""))
	}
	for name, test := range map[string]struct {
		data []byte
		err  error
	}{
		"only the magic":         {aggregateMagic(), errShort},
		"no room for the MD5":    {sealed[:4+15], errShort},
		"another MD5":            {flipped, errMD5},
		"cut":                    {sealed[:len(sealed)-1], errMD5},
		"cut inside":             {seal(good[:len(good)-1]), errWire},
		"not a message":          {seal([]byte("\xff\xff\xff")), errWire},
		"field 0":                {seal([]byte("\x00\x01")), errWire},
		"a number as a table":    {seal(numberField(bytes.Clone(good), fieldPartitionKeys, 1)), errWire},
		"bytes as an index":      {seal(field(table, fieldRecords, field(nil, fieldPartitionKey, []byte("0")))), errWire},
		"a cut unknown field":    {seal(append(bytes.Clone(good), 0x7a, 0x05, 'x')), errWire},
		"second record is cut":   {seal(field(bytes.Clone(good), fieldRecords, []byte("\x08"))), errWire},
		"partition key index":    {seal(field(table, fieldRecords, user(1, -1, "{}"))), errIndex},
		"huge index":             {seal(field(table, fieldRecords, user(1<<63, -1, "{}"))), errIndex},
		"hash key index":         {seal(field(table, fieldRecords, user(0, 0, "{}"))), errIndex},
		"no partition key index": {seal(field(table, fieldRecords, field(nil, fieldData, []byte("{}")))), errRequired},
		"no data":                {seal(field(table, fieldRecords, numberField(nil, fieldPartitionKey, 0))), errRequired},
		"second has no data":     {seal(field(bytes.Clone(good), fieldRecords, numberField(nil, fieldPartitionKey, 0))), errRequired},
		"too many":               {seal(many), nil},
		"too many keys":          {seal(append(keys(fieldPartitionKeys), good...)), nil},
		"too many hash keys":     {seal(append(keys(fieldHashKeys), good...)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := one(t, test.data)
			require.Error(t, got.Err)
			if test.err != nil {
				require.ErrorIs(t, got.Err, test.err)
			}
			require.Equal(t, test.data, got.Data, "for the fault handler")
			require.Equal(t, mes.Meta{SequenceNumber: "1"}, got.Meta)
		})
	}
}

func TestCompressedRecordsAreOpened(t *testing.T) {
	event := []byte(`{"id":"1","text":"` + strings.Repeat("x", 1000) + `"}`)
	for name, packed := range map[string][]byte{
		"gzip":               gzipped(event),
		"gzip of two halves": append(gzipped(event[:10]), gzipped(event[10:])...),
		"zstd":               zstandard(t, event),
		"a value inside":     gzipped([]byte(`{"id":"1","text":` + value(`"`+strings.Repeat("x", 1000)+`"`) + `}`)),
	} {
		t.Run(name, func(t *testing.T) {
			got := one(t, packed)
			require.NoError(t, got.Err)
			require.Equal(t, string(event), string(got.Data))
		})
	}
	t.Run("in an aggregate", func(t *testing.T) {
		message := field(nil, fieldPartitionKeys, []byte("a"))
		for _, data := range []string{string(gzipped(event)), "plain", "\x1f\x8b\x08broken", string(zstandard(t, event))} {
			message = field(message, fieldRecords, user(0, -1, data))
		}
		got := unpack(t, seal(message), mes.Meta{})
		require.Len(t, got, 4)
		require.Equal(t, string(event), string(got[0].Data))
		require.Equal(t, "plain", string(got[1].Data))
		require.ErrorContains(t, got[2].Err, "gzip")
		require.Equal(t, "\x1f\x8b\x08broken", string(got[2].Data))
		require.Equal(t, string(event), string(got[3].Data))
		require.EqualValues(t, 3, got[3].Meta.SubSequence)
	})
}

func TestCompressedValuesInOddPlaces(t *testing.T) {
	compound := value(value(value(`{"a":1}`)))
	deep := value(`1`)
	for range maxCompound {
		deep = value(deep)
	}
	for name, test := range map[string]struct{ data, want string }{
		"the whole event":       {value(`{"a":1}`), `{"a":1}`},
		"nested":                {`{"a":[1,{"b":` + value(`[true]`) + `}]}`, `{"a":[1,{"b":[true]}]}`},
		"two":                   {`{"a":` + value(`1`) + `, "b" : ` + value(`null`) + ` }`, `{"a":1, "b" : null }`},
		"white space inside":    {`[` + value(" {} \n") + `]`, `[{}]`},
		"escaped slashes":       {`[` + strings.ReplaceAll(value(`"é?>é?>é"`), "/", `\/`) + `]`, `["é?>é?>é"]`},
		"compound":              {`[` + compound + `]`, `[{"a":1}]`},
		"a string like one":     {`[` + value(`"COMPRESSED air"`) + `]`, `["COMPRESSED air"]`},
		"a name":                {`{` + value(`1`) + ` : 2}`, `{` + value(`1`) + ` : 2}`},
		"an escaped quote":      {`{"\"COMPRESSED":"\\"}`, `{"\"COMPRESSED":"\\"}`},
		"not base64":            {`["COMPRESSEDH4sI!"]`, `["COMPRESSEDH4sI!"]`},
		"base64 of other bytes": {`["COMPRESSEDaGVsbG8="]`, `["COMPRESSEDaGVsbG8="]`},
		"half a surrogate":      {`["COMPRESSED\ud800"]`, `["COMPRESSED\ud800"]`},
		"inside an opened one":  {`[` + value(`{"a":`+value(`1`)+`}`) + `]`, `[{"a":` + value(`1`) + `}]`},
		"broken gzip":           {`["COMPRESSED` + base64.StdEncoding.EncodeToString(gzipped([]byte("123456"))[:16]) + `"]`, ""},
		"not JSON":              {`[` + value(`{`) + `]`, ""},
		"nothing":               {`[` + value(``) + `]`, ""},
		"over and over":         {`[` + deep + `]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := one(t, []byte(test.data))
			if test.want == "" {
				require.Error(t, got.Err)
				require.Equal(t, test.data, string(got.Data))
				return
			}
			require.NoError(t, got.Err)
			require.Equal(t, test.want, string(got.Data))
		})
	}
}

func TestPromise16BombsStopEarly(t *testing.T) {
	bomb := make([]byte, MaxOpened+1)
	for name, packed := range map[string][]byte{
		"gzip":  gzipped(bomb),
		"zstd":  zstandard(t, bomb),
		"value": []byte(`{"a":` + value(`"`+strings.Repeat("x", MaxOpened)+`"`) + `}`),
	} {
		t.Run(name, func(t *testing.T) {
			require.Less(t, len(packed), 1<<20)
			got := one(t, packed)
			require.ErrorIs(t, got.Err, errTooLarge)
			require.Equal(t, packed, got.Data)
		})
	}
	t.Run("exactly the limit", func(t *testing.T) {
		require.NoError(t, one(t, gzipped(bomb[:MaxOpened])).Err)
		require.NoError(t, one(t, zstandard(t, bomb[:MaxOpened])).Err)
	})
}

// What goes into an aggregate comes out of it, whatever it is.
func TestAggregatesOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitionKeys := rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "partition keys")
		hashKeys := rapid.SliceOfN(rapid.StringMatching(`[0-9]{1,39}`), 1, 3).Draw(t, "hash keys")
		count := rapid.IntRange(0, 20).Draw(t, "records")
		var records []byte
		var want []mes.Record
		for i := range count {
			key := rapid.IntRange(0, len(partitionKeys)-1).Draw(t, "partition key")
			hash := rapid.IntRange(-1, len(hashKeys)-1).Draw(t, "hash key")
			data := fmt.Sprint(rapid.Int().Draw(t, "data"))
			records = field(records, fieldRecords, user(uint64(key), hash, data))
			meta := mes.Meta{SequenceNumber: "1", SubSequence: int64(i), PartitionKey: partitionKeys[key]}
			if hash >= 0 {
				meta.ExplicitHashKey = hashKeys[hash]
			}
			want = append(want, mes.Record{Data: []byte(data), Meta: meta})
		}
		var tables []byte
		for _, key := range partitionKeys {
			tables = field(tables, fieldPartitionKeys, []byte(key))
		}
		for _, key := range hashKeys {
			tables = field(tables, fieldHashKeys, []byte(key))
		}
		message := append(tables, records...)
		if rapid.Bool().Draw(t, "tables last") {
			message = append(records, tables...)
		}
		require.Equal(t, want, unpack(t, seal(message), mes.Meta{SequenceNumber: "1"}))
	})
}
