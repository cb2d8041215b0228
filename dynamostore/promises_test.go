package dynamostore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/internal/fakedynamodb"
)

// These tests look at the promises from above, through a store, a listener and a
// trigger on a DynamoDB that fails on purpose. The oracle is what the server has
// applied.

// shaky fails a fifth of the calls, each in one of the ways in which calls fail.
func shaky(c fakedynamodb.Call) fakedynamodb.Fault {
	wait := time.Duration(rand.IntN(20)) * time.Millisecond
	if rand.IntN(5) > 0 {
		return fakedynamodb.Delay(wait)
	}
	faults := []fakedynamodb.Fault{
		fakedynamodb.Throttle(), fakedynamodb.ThrottleWith("RequestLimitExceeded"), fakedynamodb.InternalError(), fakedynamodb.Unavailable(),
		fakedynamodb.ResetBefore(), fakedynamodb.ResetAfter(), fakedynamodb.CutBody(rand.IntN(200)), fakedynamodb.EmptyBody(),
		fakedynamodb.AlterBody(nil, fakedynamodb.CRCOfOriginal), fakedynamodb.Hang(), fakedynamodb.HangAfter(),
	}
	switch c.Operation {
	case "BatchWriteItem":
		some := func(int) bool { return rand.IntN(2) == 0 }
		faults = append(faults, fakedynamodb.Unprocessed(some), fakedynamodb.UnprocessedSilently(some), fakedynamodb.Unprocessed(nil))
	case "Query":
		faults = append(faults, fakedynamodb.PageCut(1+rand.IntN(3)))
		// Two in a row would go on where they are, which the service does not.
		if !bytes.Contains(c.Body, []byte("ExclusiveStartKey")) {
			faults = append(faults, fakedynamodb.EmptyPage())
		}
	}
	return faults[rand.IntN(len(faults))].After(wait)
}

// A bench is a table on a server that fails, and a look past the failures.
type bench struct {
	server *fakedynamodb.Server
	table  *Table
	sound  *mes.Store
}

func newBench(t testing.TB, transport func(http.RoundTripper) http.RoundTripper, opts ...Option) *bench {
	server := fakedynamodb.New()
	require.NoError(t, Provision(t.Context(), server.Client(), "events", opts...))
	way := allTargets.watch(server.Behind(shaky))
	if transport != nil {
		way = transport(way)
	}
	client := server.Client(func(o *dynamodb.Options) { o.HTTPClient = &http.Client{Transport: way} })
	return &bench{
		server: server,
		table:  New(client, "events", append(opts, WithAttemptTimeout(time.Second))...),
		sound:  newStore(t, New(server.Client(), "events", opts...)),
	}
}

// changed returns how many writes changed something.
func (b *bench) changed() (n int) {
	for _, w := range b.server.Writes() {
		if w.Changed {
			n++
		}
	}
	return n
}

// 2,000 records in 100 batches at once, a fifth of the calls failing, some batches
// with little time: what is acknowledged is stored, filtered out or set aside; what
// is stored is there once; and no goroutine is left, which TestMain sees.
func TestPromise01AcknowledgedMeansStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		var mu sync.Mutex
		setAside := make(map[string]bool)
		listener := mes.NewListener(newStore(t, b.table), mes.TypeMatches(regexp.MustCompile("^thing-")), mes.WithFaultHandler(func(_ context.Context, f mes.Fault) error {
			mu.Lock()
			defer mu.Unlock()
			setAside[string(f.Record.Data)] = true
			return nil
		}))
		acknowledged := make(map[string]bool) // ids; true: it is to be stored
		poison, failed := 0, 0
		var batches sync.WaitGroup
		for i := range 100 {
			batches.Go(func() {
				timeout := time.Hour
				switch i % 8 {
				case 0:
					timeout = 0
				case 4:
					timeout = time.Duration(1+rand.IntN(200)) * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				records := make([]mes.Record, 20)
				for j := range records {
					id, kind := fmt.Sprintf("%02d-%02d", i, j), "thing-created"
					if j == 3 {
						kind = "another"
					}
					records[j].Data = []byte(fmt.Sprintf(`{"id":%q,"type":%q,"partitionKey":"p%d","timestamp":1700000000000}`, id, kind, i%10))
					if j == 7 {
						records[j].Data = []byte("poison " + id)
					}
				}
				err := listener.Handle(ctx, records)
				var partial *mes.BatchError
				again := make(map[int]bool)
				if errors.As(err, &partial) {
					for _, f := range partial.Failures {
						again[f.Index] = true
					}
				} else if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for j := range records {
					switch {
					case again[j]:
						failed++
					case j == 7:
						poison++
					default:
						acknowledged[fmt.Sprintf("%02d-%02d", i, j)] = j != 3
					}
				}
			})
		}
		batches.Wait()
		require.NotZero(t, failed, "some had too little time")
		require.Len(t, setAside, poison)

		stored := make(map[string]bool)
		for i := range 10 {
			m, err := b.sound.GetMicroEventStore(t.Context(), fmt.Sprint("p", i))
			require.NoError(t, err)
			for _, e := range m.Events {
				require.False(t, stored[e.ID], "it is there once")
				stored[e.ID] = true
			}
		}
		require.Len(t, b.server.Items("events"), len(stored))
		require.Equal(t, len(stored), b.changed(), "what was sent again changed nothing")
		for id, kept := range acknowledged {
			require.Equal(t, kept, stored[id], id)
		}
	})
}

// 2,000 saves at once, a fifth of the calls failing: nothing is lost, nothing is there
// twice, and no goroutine is left, which synctest and TestMain see.
func TestPromise01TwoThousandSavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		store := newStore(t, b.table)
		var saves sync.WaitGroup
		for i := range 2000 {
			e := event(t, i, fmt.Sprint("p", i%10))
			saves.Go(func() {
				if err := store.Save(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
		saves.Wait()
		ids := make(map[string]bool)
		for i := range 10 {
			m, err := b.sound.GetMicroEventStore(t.Context(), fmt.Sprint("p", i))
			require.NoError(t, err)
			for _, e := range m.Events {
				ids[e.ID] = true
			}
		}
		require.Len(t, ids, 2000)
		require.Len(t, b.server.Items("events"), 2000)
		require.Equal(t, 2000, b.changed(), "what was sent again changed nothing")
	})
}

// Whoever saves an event, and however often, there is one change of it.
func TestPromise03SavedAgainNothingChanges(t *testing.T) {
	for name, opts := range map[string][]Option{"text": nil, "compressed": {WithCompression(1)}, "map": {AsMap()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil, opts...)
				events := make([]mes.Event, 60)
				for i := range events {
					events[i] = event(t, i, fmt.Sprint("p", i%3))
				}
				var saves sync.WaitGroup
				for range 5 {
					saves.Go(func() {
						time.Sleep(rand.N(time.Second))
						store, err := mes.New(b.table, mes.WithTTL(mes.ExpireAfter(100*365*24*time.Hour)))
						if err == nil {
							err = store.Save(t.Context(), events...)
						}
						if err != nil {
							t.Error(err)
						}
					})
				}
				saves.Wait()
				require.Equal(t, 60, b.changed())
			})
		})
	}
}

func TestPromise04DuplicateKeysAreOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		store := newStore(t, b.table)
		var events []mes.Event
		for version := range 4 {
			for id := range 30 {
				events = append(events, versionOf(t, id, version))
			}
		}
		require.NoError(t, store.Save(t.Context(), events...))
		m, err := b.sound.GetMicroEventStore(t.Context(), "p")
		require.NoError(t, err)
		require.Len(t, m.Events, 30)
		for _, e := range m.Events {
			version, _ := e.Field("version")
			require.Equal(t, "3", string(version), "the last wins")
		}
		require.Equal(t, 30, b.changed(), "each is written once")
	})
}

func versionOf(t testing.TB, id, version int) mes.Event {
	e, err := mes.Parse([]byte(fmt.Sprintf(`{"id":"%03d","type":"thing","partitionKey":"p","timestamp":1700000000000,"version":%d}`, id, version)))
	require.NoError(t, err)
	return e
}

// overlaps counts the requests that put a key while another one does.
type overlaps struct {
	http.RoundTripper
	mu    sync.Mutex
	busy  map[string]int
	found int
}

func (o *overlaps) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	all, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	text := string(all)
	var keys []string
	for id := range 5 {
		if key := fmt.Sprintf("#%03d", id); strings.Contains(text, key) {
			keys = append(keys, key)
		}
	}
	o.mu.Lock()
	for _, key := range keys {
		if o.busy[key]++; o.busy[key] > 1 {
			o.found++
		}
	}
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, key := range keys {
			o.busy[key]--
		}
	}()
	return o.RoundTripper.RoundTrip(r)
}

// Many versions of a few events at once: a key has one write at a time, so no save
// that began after another one had returned is lost to it.
func TestPromise05AnOldPayloadNeverOvertakesANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watch := &overlaps{busy: make(map[string]int)}
		b := newBench(t, func(next http.RoundTripper) http.RoundTripper {
			watch.RoundTripper = next
			return watch
		})
		store := newStore(t, b.table)
		var clock atomic.Int64
		var began, returned [200]int64 // of each version
		var saves sync.WaitGroup
		for version := range 200 {
			saves.Go(func() {
				time.Sleep(rand.N(2 * time.Second))
				began[version] = clock.Add(1)
				if err := store.Save(t.Context(), versionOf(t, version%5, version)); err != nil {
					t.Error(err)
				}
				returned[version] = clock.Add(1)
			})
		}
		saves.Wait()
		require.Zero(t, watch.found, "writes of one key at the same time")
		m, err := b.sound.GetMicroEventStore(t.Context(), "p")
		require.NoError(t, err)
		require.Len(t, m.Events, 5)
		for id, e := range m.Events {
			field, _ := e.Field("version")
			stored, err := strconv.Atoi(string(field))
			require.NoError(t, err)
			require.Equal(t, id, stored%5)
			for version := id; version < 200; version += 5 {
				require.LessOrEqual(t, began[version], returned[stored], "version %d is later than %d", version, stored)
			}
		}
	})
}

func TestPromise06ATriggerGetsTheWholeHistoryOrFails(t *testing.T) {
	for name, opts := range map[string][]Option{"consistent": nil, "through an index": {LambdaStreamLayout()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil, opts...)
				handled, failed := 0, 0
				for round := range 100 {
					key := fmt.Sprint("p", round)
					events := make([]mes.Event, 1+rand.IntN(30))
					for i := range events {
						events[i] = event(t, round*100+i, key)
					}
					require.NoError(t, b.sound.Save(t.Context(), events...))
					// What was saved long ago the index shows; of what has just been
					// saved it may show nothing yet.
					newest := event(t, round*100+50, key)
					require.NoError(t, b.sound.Save(t.Context(), newest))
					b.server.SetLag(rand.IntN(2))
					timeout := time.Duration(rand.IntN(3000)) * time.Millisecond
					if round%20 == 0 {
						timeout = 0
					}
					ctx, cancel := context.WithTimeout(t.Context(), timeout)
					trigger := mes.NewTrigger(newStore(t, b.table), func(_ context.Context, m *mes.MicroEventStore) error {
						handled++
						require.Equal(t, ids(append(slices.Clone(events), newest)), ids(m.Events))
						require.Equal(t, newest.ID, m.Current.ID)
						return nil
					})
					err := trigger.Handle(ctx, []mes.Change{{Kind: mes.Inserted, HashKey: key, RangeKey: streamKey(newest.ID, newest.Timestamp)}})
					cancel()
					b.server.SetLag(0)
					if err != nil {
						failed++
					}
				}
				require.GreaterOrEqual(t, handled+failed, 100)
				require.NotZero(t, handled)
				require.NotZero(t, failed)
			})
		})
	}
}

func TestPromise15WhatHasExpiredIsNeverHandedOver(t *testing.T) {
	for name, opts := range map[string][]Option{"text": nil, "lambda stream": {LambdaStreamLayout()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil, opts...)
				store, err := mes.New(b.table, mes.WithTTL(mes.ByType(map[string]mes.TTLPolicy{"short": mes.ExpireAfter(time.Hour)}, mes.NeverExpire())))
				require.NoError(t, err)
				var changes []mes.Change
				for i, kind := range []string{"short", "long", "short"} {
					e, err := mes.Parse([]byte(fmt.Sprintf(`{"id":"%d","type":%q,"partitionKey":"p","timestamp":%d}`, i, kind, time.Now().UnixMilli())))
					require.NoError(t, err)
					require.NoError(t, store.Save(t.Context(), e))
					changes = append(changes, mes.Change{Kind: mes.Inserted, HashKey: "p", RangeKey: streamKey(e.ID, e.Timestamp)})
				}
				time.Sleep(2 * time.Hour)
				require.Len(t, b.server.Items("events"), 3, "DynamoDB has not deleted them yet")
				m, err := store.GetMicroEventStore(t.Context(), "p")
				require.NoError(t, err)
				require.Equal(t, []string{"1"}, ids(m.Events))
				var fired []string
				require.NoError(t, mes.NewTrigger(store, func(_ context.Context, m *mes.MicroEventStore) error {
					fired = append(fired, m.Current.ID)
					require.Equal(t, []string{"1"}, ids(m.Events))
					return nil
				}).Handle(t.Context(), changes))
				require.Equal(t, []string{"1"}, fired)
			})
		})
	}
}
