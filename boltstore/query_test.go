package boltstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestQueryBoundsAndOrder(t *testing.T) {
	table := openTable(t, tempPath(t))
	put(t, table, testItem("g", "z"), testItem("h", "b"), testItem("h", "d"), testItem("h", "d\x00"), testItem("h", "f"), testItem("i", "a"))
	for _, test := range []struct {
		from, to string
		want     []string
	}{
		{"", "", []string{"b", "d", "d\x00", "f"}},
		{"b", "f", []string{"b", "d", "d\x00", "f"}},
		{"d", "d", []string{"d"}},
		{"d", "", []string{"d", "d\x00", "f"}},
		{"", "d\x00", []string{"b", "d", "d\x00"}},
		{"c", "e", []string{"d", "d\x00"}},
		{"a", "a", []string{}},
		{"g", "", []string{}},
		{"e", "c", []string{}},
		{"x", "z", []string{}},
		{"\U0010FFFF", "\U0010FFFF", []string{}},
	} {
		for _, limit := range []int{0, 1, 2, 3, 100} {
			query := driver.Query{HashKey: "h", From: test.from, To: test.to, Limit: limit}
			assert.Equal(t, test.want, rangeKeys(readAll(t, table, query)), "%+v", query)
			query.Descending = true
			backwards := slices.Clone(test.want)
			slices.Reverse(backwards)
			assert.Equal(t, backwards, rangeKeys(readAll(t, table, query)), "%+v", query)
		}
	}
	page, err := table.Query(context.Background(), driver.Query{HashKey: "nobody"})
	require.NoError(t, err)
	assert.Equal(t, driver.Page{Consistent: true}, page)
	last, err := table.Query(context.Background(), driver.Query{HashKey: "h", Limit: 4})
	require.NoError(t, err)
	assert.Empty(t, last.Next, "nothing follows a page that is full by chance")
}

func TestQueryReadsOnlyWhatItReturns(t *testing.T) {
	table := openTable(t, tempPath(t), withoutSync())
	items := make([]driver.Item, 20_000)
	for n := range items {
		items[n] = testItem("h", fmt.Sprintf("%06d", n))
	}
	put(t, table, items...)
	read := func(query driver.Query) (found []driver.Item, values int64) {
		before := table.reads.Load()
		found = readAll(t, table, query)
		return found, table.reads.Load() - before
	}
	before := table.reads.Load()
	page, err := table.Query(context.Background(), driver.Query{HashKey: "h", Limit: 3, Descending: true})
	require.NoError(t, err)
	assert.Equal(t, []string{"019999", "019998", "019997"}, rangeKeys(page.Items))
	assert.LessOrEqual(t, table.reads.Load()-before, int64(4))

	found, values := read(driver.Query{HashKey: "h", From: "010000", To: "010099"})
	assert.Len(t, found, 100)
	assert.Equal(t, int64(100), values)
	found, values = read(driver.Query{HashKey: "h", To: "000009", Descending: true})
	assert.Len(t, found, 10)
	assert.Equal(t, int64(10), values)
}

func TestQueryPagesAreBoundedAndSmallInAllocations(t *testing.T) {
	table := openTable(t, tempPath(t), withoutSync())
	items := make([]driver.Item, 9000)
	for n := range items {
		items[n] = benchItem("h", n)
	}
	put(t, table, items...)
	page, err := table.Query(context.Background(), driver.Query{HashKey: "h"})
	require.NoError(t, err)
	assert.Less(t, len(page.Items), 4*1024)
	assert.Greater(t, len(page.Items), 4*700)
	assert.Equal(t, items, readAll(t, table, driver.Query{HashKey: "h"}))
	allocations := testing.AllocsPerRun(10, func() {
		if _, err := table.Query(context.Background(), driver.Query{HashKey: "h"}); err != nil {
			panic(err)
		}
	})
	assert.Less(t, allocations, 400.0)
	// Appending to one event does not write into the next.
	_ = append(page.Items[0].Event, "xxxxxxxx"...)
	assert.Equal(t, items[1].Event, page.Items[1].Event)
}

func TestQueryRefusesBadArguments(t *testing.T) {
	table := openTable(t, tempPath(t))
	put(t, table, testItem("h", "secret1"), testItem("h", "secret2"), testItem("h", "secret3"))
	page, err := table.Query(context.Background(), driver.Query{HashKey: "h", Limit: 1})
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	for _, query := range []driver.Query{
		{},
		{HashKey: "\xff"},
		{HashKey: "h", From: "\xff"},
		{HashKey: "h", Limit: -1},
		{HashKey: "h", Cursor: "x"},
		{HashKey: "h", Cursor: strings.TrimSuffix(page.Next, "secret1")},
		{HashKey: "h", Cursor: page.Next + "\xff"},
		{HashKey: "i", Cursor: page.Next},
		{HashKey: "h", Cursor: page.Next, Descending: true},
		{HashKey: "h", Cursor: page.Next, From: "secret1"},
	} {
		_, err := table.Query(context.Background(), query)
		require.ErrorIs(t, err, driver.ErrInvalidQuery, "%+v", query)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestCursorOutlivesItsItem(t *testing.T) {
	table := openTable(t, tempPath(t))
	for _, descending := range []bool{false, true} {
		put(t, table, testItem("h", "1"), testItem("h", "2"), testItem("h", "3"))
		query := driver.Query{HashKey: "h", Limit: 2, Descending: descending}
		page, err := table.Query(context.Background(), query)
		require.NoError(t, err)
		_, err = table.Delete(context.Background(), "h")
		require.NoError(t, err)
		put(t, table, testItem("h", "1"), testItem("h", "3"))
		query.Cursor = page.Next
		rest := readAll(t, table, query)
		require.Len(t, rest, 1)
		assert.Equal(t, map[bool]string{false: "3", true: "1"}[descending], rest[0].RangeKey)
	}
}
