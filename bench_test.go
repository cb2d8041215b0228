package microeventstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/boltstore"
)

// The benchmarks do the same work in the plain way within the same loop, turn by
// turn, since the machine's noise is larger than what is compared. Their figure
// is the metric "ratio".

// benchEvents makes events of about a kilobyte.
func benchEvents(b *testing.B, n int, hashKey func(i int) string) []mes.Event {
	b.Helper()
	events := make([]mes.Event, n)
	for i := range events {
		raw, err := json.Marshal(map[string]any{
			"id": fmt.Sprintf("f53d4304-7724-11e9-81fd-%012d", i), "type": "thing-created",
			"timestamp": 1_700_000_000_000 + i, "partitionKey": hashKey(i), "tags": map[string]string{"source": "bench"},
			"thing": strings.Repeat("abcdefg ", 100),
		})
		require.NoError(b, err)
		events[i], err = mes.Parse(raw)
		require.NoError(b, err)
	}
	return events
}

func benchStore(b *testing.B) *mes.Store {
	b.Helper()
	table, err := boltstore.Open(filepath.Join(b.TempDir(), "events.db"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = table.Close() })
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	require.NoError(b, err)
	return store
}

func plainBolt(b *testing.B) *bolt.DB {
	b.Helper()
	db, err := bolt.Open(filepath.Join(b.TempDir(), "plain.db"), 0o600, nil)
	require.NoError(b, err)
	b.Cleanup(func() { _ = db.Close() })
	require.NoError(b, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("items"))
		return err
	}))
	return db
}

func plainKey(e *mes.Event) []byte {
	return fmt.Appendf(nil, "%s|%016d#%s", e.PartitionKey, e.Timestamp.UnixMilli(), e.ID)
}

func plainPut(db *bolt.DB, events []mes.Event) error {
	return db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("items"))
		for i := range events {
			if err := bucket.Put(plainKey(&events[i]), events[i].Raw); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkSave25 saves 25 new events of one hash key, against the same bytes put
// by plain bbolt in one transaction.
func BenchmarkSave25(b *testing.B) {
	store, db := benchStore(b), plainBolt(b)
	ctx := context.Background()
	var ours, plain time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		events := benchEvents(b, 25, func(int) string { return fmt.Sprint("order-", i%7) })
		for j := range events {
			e := &events[j]
			raw := strings.Replace(string(e.Raw), `"timestamp":17`, fmt.Sprintf(`"batch":%d,"timestamp":17`, i), 1)
			raw = strings.Replace(raw, "f53d4304", fmt.Sprintf("%08d", i), 1)
			parsed, err := mes.Parse([]byte(raw))
			require.NoError(b, err)
			*e = parsed
		}
		b.StartTimer()
		began := time.Now()
		if err := store.Save(ctx, events...); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)
		b.StopTimer()
		began = time.Now()
		if err := plainPut(db, events); err != nil {
			b.Fatal(err)
		}
		plain += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(float64(plain)/float64(ours), "ratio")
}

// BenchmarkGetMicroEventStore1000 reads a history of 1,000 events, against a plain
// cursor that copies the values. Stopping the timer would cost more than a scan.
func BenchmarkGetMicroEventStore1000(b *testing.B) {
	store, db := benchStore(b), plainBolt(b)
	ctx := context.Background()
	events := benchEvents(b, 1000, func(int) string { return "order-42" })
	require.NoError(b, store.Save(ctx, events...))
	require.NoError(b, plainPut(db, events))
	read := func() {
		if m, err := store.GetMicroEventStore(ctx, "order-42"); err != nil || len(m.Events) != 1000 {
			b.Fatal(err)
		}
	}
	scan := func() {
		values := make([][]byte, 0, 1000)
		err := db.View(func(tx *bolt.Tx) error {
			cursor := tx.Bucket([]byte("items")).Cursor()
			for key, value := cursor.Seek([]byte("order-42|")); strings.HasPrefix(string(key), "order-42|"); key, value = cursor.Next() {
				values = append(values, append([]byte(nil), value...))
			}
			return nil
		})
		if err != nil || len(values) != 1000 {
			b.Fatal(err)
		}
	}
	var ours, plain time.Duration
	for b.Loop() {
		began := time.Now()
		read()
		middle := time.Now()
		scan()
		ours += middle.Sub(began)
		plain += time.Since(middle)
	}
	b.ReportMetric(float64(ours)/float64(plain), "times-the-plain-scan")
	b.ReportMetric(testing.AllocsPerRun(10, read)/1000, "allocs/event")
}

// BenchmarkTriggerOnAHotKey handles 100 changes of a hash key with 1,000 events,
// against a read for each change.
func BenchmarkTriggerOnAHotKey(b *testing.B) {
	store := benchStore(b)
	ctx := context.Background()
	events := benchEvents(b, 1000, func(int) string { return "order-42" })
	require.NoError(b, store.Save(ctx, events...))
	m, err := store.GetMicroEventStore(ctx, "order-42")
	require.NoError(b, err)
	var changes []mes.Change
	for _, e := range m.Events[900:] {
		changes = append(changes, mes.Change{Kind: mes.Inserted, HashKey: "order-42", RangeKey: e.RangeKey})
	}
	handle := func(_ context.Context, m *mes.MicroEventStore) error {
		if len(m.Events) != 1000 {
			b.Error("the history is not complete")
		}
		return nil
	}
	trigger := mes.NewTrigger(store, handle)
	var ours, plain time.Duration
	for b.Loop() {
		began := time.Now()
		if err := trigger.Handle(ctx, changes); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)
		began = time.Now()
		for range changes {
			m, err := store.GetMicroEventStore(ctx, "order-42")
			if err != nil || handle(ctx, m) != nil {
				b.Fatal(err)
			}
		}
		plain += time.Since(began)
	}
	b.ReportMetric(float64(plain)/float64(ours), "ratio")
}
