package boltstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// benchItems makes batches of items with events of 1 KB, as the store would.
func benchItem(hashKey string, n int) driver.Item {
	id := fmt.Sprintf("0190b8f2-7c1e-7000-8000-%012d", n)
	event := fmt.Appendf(nil, `{"id":%q,"type":"thing-updated","timestamp":%d,"partitionKey":%q,"thing":{"text":"`, id, 1_700_000_000_000+int64(n), hashKey)
	for len(event) < 1021 {
		event = append(event, byte('a'+len(event)%26))
	}
	event = append(event, `"}}`...)
	return driver.Item{
		HashKey: hashKey, RangeKey: fmt.Sprintf("%019d#%s", 1_700_000_000_000+int64(n), id),
		Event: event, Type: "thing-updated", Timestamp: time.UnixMilli(1_700_000_000_000 + int64(n)).UTC(),
		ID: id, PartitionKey: hashKey, TTL: 1_700_000_000 + int64(n)/1000 + 33*24*3600, Complete: true,
	}
}

// BenchmarkPut25 puts 25 events of 1 KB in one call, and the same keys and
// events by plain bbolt in one transaction, in turns. The ratio is bbolt's time
// by ours: 1 would be no overhead at all.
func BenchmarkPut25(b *testing.B) {
	for name, hashKey := range map[string]func(n int) string{
		"append": func(int) string { return "order-4711" },
		"random": func(int) string { return fmt.Sprintf("order-%08x", rand.Uint32()) },
	} {
		b.Run(name, func(b *testing.B) {
			table := openTable(b, tempPath(b))
			plain, err := bbolt.Open(filepath.Join(b.TempDir(), "plain.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoStatistics: true})
			require.NoError(b, err)
			defer func() { require.NoError(b, plain.Close()) }()
			require.NoError(b, plain.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket(itemsBucket)
				return err
			}))
			var ours, theirs time.Duration
			n := 0
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				items := make([]driver.Item, 25)
				for i := range items {
					items[i] = benchItem(hashKey(n), n)
					n++
				}
				b.StartTimer()
				begun := time.Now()
				if err := table.Put(context.Background(), items); err != nil {
					b.Fatal(err)
				}
				put := time.Now()
				if err := plain.Update(func(tx *bbolt.Tx) error { return putPlain(tx, items) }); err != nil {
					b.Fatal(err)
				}
				ours += put.Sub(begun)
				theirs += time.Since(put)
			}
			b.ReportMetric(float64(theirs)/float64(ours), "ratio")
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "ours-µs")
		})
	}
}

func putPlain(tx *bbolt.Tx, items []driver.Item) error {
	bucket := tx.Bucket(itemsBucket)
	for i := range items {
		item := &items[i]
		key := appendItemKey(nil, item.HashKey, item.RangeKey)
		if err := bucket.Put(key, item.Event); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkQuery1000 reads 1,000 events of 1 KB under one hash key, page by
// page, and by a plain cursor that copies each value, in turns. The ratio is our
// time by the cursor's.
func BenchmarkQuery1000(b *testing.B) {
	table := openTable(b, tempPath(b))
	items := make([]driver.Item, 1000)
	for i := range items {
		items[i] = benchItem("order-4711", i)
	}
	put(b, table, items...)
	prefix := appendItemKey(nil, "order-4711", "")
	read := func() {
		query, n := driver.Query{HashKey: "order-4711"}, 0
		for {
			page, err := table.Query(context.Background(), query)
			if err != nil {
				b.Fatal(err)
			}
			n += len(page.Items)
			if query.Cursor = page.Next; query.Cursor == "" {
				break
			}
		}
		if n != len(items) {
			b.Fatal(n)
		}
	}
	scan := func() {
		copies := make([][]byte, 0, len(items))
		if err := table.db.View(func(tx *bbolt.Tx) error {
			cursor := tx.Bucket(itemsBucket).Cursor()
			for key, value := cursor.Seek(prefix); key != nil; key, value = cursor.Next() {
				copies = append(copies, append([]byte(nil), value...))
			}
			return nil
		}); err != nil || len(copies) != len(items) {
			b.Fatal(err)
		}
	}
	var ours, theirs time.Duration
	b.ResetTimer()
	for range b.N { // no stopping of the timer in here: it costs more than a scan
		begun := time.Now()
		read()
		middle := time.Now()
		scan()
		ours += middle.Sub(begun)
		theirs += time.Since(middle)
	}
	b.StopTimer()
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "ours-µs")
	b.ReportMetric(testing.AllocsPerRun(10, read)/float64(len(items)), "allocs/event")
}
