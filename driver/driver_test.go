package driver

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func validItem() Item {
	return Item{HashKey: "p", RangeKey: "r", Event: []byte(`{}`)}
}

func TestPromise11Limits(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Item)
		says   string
	}{
		"valid":          {func(*Item) {}, ""},
		"longest keys":   {func(i *Item) { i.HashKey, i.RangeKey = strings.Repeat("h", 2048), strings.Repeat("r", 1024) }, ""},
		"largest":        {func(i *Item) { i.Event = make([]byte, MaxItemSize-i.Size()+2) }, ""},
		"one over":       {func(i *Item) { i.Event = make([]byte, MaxItemSize-i.Size()+3) }, "409601 bytes"},
		"no hash key":    {func(i *Item) { i.HashKey = "" }, "hash key is empty"},
		"no range key":   {func(i *Item) { i.RangeKey = "" }, "range key is empty"},
		"long hash key":  {func(i *Item) { i.HashKey = strings.Repeat("h", 2049) }, "2049 bytes"},
		"long range key": {func(i *Item) { i.RangeKey = strings.Repeat("r", 1025) }, "1025 bytes"},
		"bad hash key":   {func(i *Item) { i.HashKey = "h\xff" }, "UTF-8"},
		"bad range key":  {func(i *Item) { i.RangeKey = "\xed\xa0\x80" }, "UTF-8"},
		"bad type":       {func(i *Item) { i.Type = "t\xff" }, "UTF-8"},
		"negative TTL":   {func(i *Item) { i.TTL = -1 }, "1970"},
	} {
		t.Run(name, func(t *testing.T) {
			item := validItem()
			test.change(&item)
			err := item.Check()
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrInvalidItem)
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestQueryCheck(t *testing.T) {
	valid := Query{HashKey: "p", From: "a", To: "b", Limit: 1}
	require.NoError(t, valid.Check())
	for _, query := range []Query{{}, {HashKey: "h\xff"}, {HashKey: "p", From: "h\xff"}, {HashKey: "p", To: strings.Repeat("r", 1025)}, {HashKey: "p", Limit: -1}} {
		require.ErrorIs(t, query.Check(), ErrInvalidQuery)
	}
}

// The sizes are worked out by hand, by DynamoDB's rules.
func TestSizeIsThatOfDynamoDB(t *testing.T) {
	item := Item{HashKey: "p", RangeKey: "rr", Event: []byte(`{}`)}
	keys := len("partitionKey") + 1 + len("eventId") + 2 + len("event") + 2
	require.Equal(t, keys, item.Size())
	item.Type = "t"
	item.Timestamp = time.UnixMilli(1_700_000_000_123) // 13 digits: 7 bytes and 1
	item.TTL = 1_700_000_000                           // 10 digits: 5 bytes and 1
	require.Equal(t, keys+len("type")+1+len("timestamp")+8+len("ttl")+6, item.Size())
	item.Timestamp = time.UnixMilli(-12) // 2 digits and a sign
	require.Equal(t, keys+len("type")+1+len("timestamp")+4+len("ttl")+6, item.Size())
}

func TestExpired(t *testing.T) {
	now := time.Unix(1000, 999)
	for ttl, want := range map[int64]bool{0: false, 999: true, 1000: true, 1001: false} {
		item := Item{TTL: ttl}
		require.Equal(t, want, item.Expired(now), "%d", ttl)
	}
}

func TestPutErrorNamesItsItems(t *testing.T) {
	cause := errors.New("throttled")
	err := error(&PutError{Failures: []PutFailure{{3, cause}, {5, ErrConflict}}})
	require.EqualError(t, err, "put: 2 items not stored, the first is item 3: throttled")
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, ErrConflict)
	require.Equal(t, "put: no item failed", new(PutError).Error())
}
