package dynamostore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

func TestPromise02UnprocessedItemsAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		stored := map[string]int{}
		s := &stub{answer: func(c call) (*http.Response, error) {
			keys, requests := keysOf(t, c.body)
			var left []json.RawMessage
			mu.Lock()
			defer mu.Unlock()
			for _, key := range keys {
				if rand.N(3) == 0 {
					stored[key]++
				} else {
					left = append(left, requests[key])
				}
			}
			rand.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
			return unprocessed(left...), nil
		}}
		require.NoError(t, s.table(WithMaxAttempts(30)).Put(t.Context(), items(110)))
		require.Len(t, stored, 110)
		for key, n := range stored {
			require.Equal(t, 1, n, key)
		}
	})
}

func TestPromise02WhatStaysUnprocessedIsNamed(t *testing.T) {
	for name, deadline := range map[string]time.Duration{"cap": 0, "deadline": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, deadline)
					defer cancel()
				}
				s := &stub{answer: func(c call) (*http.Response, error) {
					keys, requests := keysOf(t, c.body)
					var left []json.RawMessage
					for _, key := range keys {
						if key == "secret-0007" || key == "secret-0031" {
							left = append(left, requests[key])
						}
					}
					return unprocessed(left...), nil
				}}
				err := s.table().Put(ctx, items(60))
				var partial *driver.PutError
				require.ErrorAs(t, err, &partial)
				require.Len(t, partial.Failures, 2)
				require.Equal(t, 7, partial.Failures[0].Index)
				require.Equal(t, 31, partial.Failures[1].Index)
				require.NotErrorIs(t, err, driver.ErrInvalidItem)
				require.NoError(t, ctx.Err())
				leaksNothing(t, err)
			})
		})
	}
}

func TestPromise14AnAnswerAboutOtherItemsIsNotBelieved(t *testing.T) {
	for name, raw := range map[string]string{
		"another item": `{"PutRequest":{"Item":{"partitionKey":{"S":"a"},"eventId":{"S":"secret"}}}}`,
		"no keys":      `{"PutRequest":{"Item":{}}}`,
		"nothing":      `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stub{answer: func(c call) (*http.Response, error) {
					if c.n == 0 {
						return unprocessed(json.RawMessage(raw)), nil
					}
					keys, _ := keysOf(t, c.body)
					require.Len(t, keys, 3, "nothing is known of any of them")
					return success(c)
				}}
				require.NoError(t, s.table().Put(t.Context(), items(3)))
				require.Equal(t, 2, s.count())
			})
		})
	}
}

func TestPromise11OneInvalidItemNeverKeepsTheOthersFromBeingStored(t *testing.T) {
	list := items(60)
	list[0].HashKey = ""
	list[10].HashKey = strings.Repeat("h", driver.MaxHashKeySize+1)
	list[20].HashKey = "h\xff"
	list[30].RangeKey = ""
	list[40].RangeKey = strings.Repeat("r", driver.MaxRangeKeySize+1)
	list[50].Event = []byte(strings.Repeat("e", driver.MaxItemSize))
	list[59].TTL = -1
	stored := 0
	var mu sync.Mutex
	s := &stub{answer: func(c call) (*http.Response, error) {
		keys, _ := keysOf(t, c.body)
		mu.Lock()
		defer mu.Unlock()
		stored += len(keys)
		return success(c)
	}}
	err := s.table().Put(t.Context(), list)
	var partial *driver.PutError
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Failures, 7)
	for i, failure := range partial.Failures {
		require.ErrorIs(t, failure.Err, driver.ErrInvalidItem)
		require.Equal(t, []int{0, 10, 20, 30, 40, 50, 59}[i], failure.Index)
	}
	require.Equal(t, 53, stored)
	err = s.table().PutIfAbsent(t.Context(), list[50:51])
	require.ErrorIs(t, err, driver.ErrInvalidItem)
}

func TestPromise11SizesAreThoseOfTheContract(t *testing.T) {
	item := driver.Item{
		HashKey: "h", RangeKey: "r", Type: "t", TTL: 1_700_000_000, Timestamp: time.UnixMilli(-1_700_000_000_001),
	}
	for _, size := range []int{0, 10, driver.MaxItemSize - item.Size(), driver.MaxItemSize - item.Size() + 1} {
		item.Event = []byte(strings.Repeat("e", size))
		to, _, err := (&stub{}).table().encode(&item)
		if item.Check() != nil {
			require.ErrorIs(t, err, driver.ErrInvalidItem)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, item.Size(), itemSize(to))
	}
}

func TestPromise11ChunksStayWithinTheLimits(t *testing.T) {
	for name, event := range map[string]string{
		"small":         "{}",
		"large":         strings.Repeat("e", 400_000),
		"large, quotes": strings.Repeat(`"`, 400_000),
		"large, escape": strings.Repeat("\x01", 400_000),
		"large, angles": strings.Repeat("<", 400_000),
		"large, lines":  strings.Repeat("\u2028", 400_000/3),
		"large, binary": strings.Repeat("\xff\xfe", 10) + noise(390_000),
	} {
		for _, opts := range [][]Option{nil, {WithCompression(1)}} {
			if opts != nil && !strings.HasSuffix(name, "binary") {
				continue
			}
			list := items(40)
			for i := range list {
				list[i].Event = []byte(event)
			}
			var mu sync.Mutex
			stored := 0
			s := &stub{answer: func(c call) (*http.Response, error) {
				n := bytes.Count(c.body, []byte(`"PutRequest":`)) // JSON of this size takes long to parse
				mu.Lock()
				defer mu.Unlock()
				require.LessOrEqual(t, n, 25)
				require.LessOrEqual(t, len(c.body), 16_000_000, name)
				stored += n
				return success(c)
			}}
			require.NoError(t, s.table(opts...).Put(t.Context(), list), name)
			require.Equal(t, 40, stored)
		}
	}
}

func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func TestParallelismIsBounded(t *testing.T) {
	for _, n := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			now, most := 0, 0
			s := &stub{answer: func(c call) (*http.Response, error) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				now--
				mu.Unlock()
				return success(c)
			}}
			require.NoError(t, s.table(WithParallelism(n)).Put(t.Context(), items(25*9)))
			require.Equal(t, n, most)
			most = 0
			require.NoError(t, s.table(WithParallelism(n)).PutIfAbsent(t.Context(), items(9)))
			require.Equal(t, n, most)
		})
	}
}

func TestAnItemThatDynamoDBRefusesIsFoundOut(t *testing.T) {
	stored := map[string]bool{}
	s := &stub{answer: func(c call) (*http.Response, error) {
		keys, _ := keysOf(t, c.body)
		for _, key := range keys {
			if key == "secret-0013" {
				return refusal("ValidationException", "Size of hashkey has exceeded the maximum size limit of 2048 bytes: secret"), nil
			}
		}
		for _, key := range keys {
			stored[key] = true
		}
		return success(c)
	}}
	err := s.table().Put(t.Context(), items(25))
	var partial *driver.PutError
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Failures, 1)
	require.Equal(t, 13, partial.Failures[0].Index)
	require.NotErrorIs(t, err, driver.ErrInvalidItem, "why it was refused is not known for sure")
	require.Len(t, stored, 24)
	leaksNothing(t, err)
}

func TestNoAccessIsNotAskedForAgainByEveryChunk(t *testing.T) {
	s := &stub{answer: func(call) (*http.Response, error) { return refusal("AccessDeniedException", "no"), nil }}
	err := s.table(WithParallelism(2)).Put(t.Context(), items(25*40))
	var partial *driver.PutError
	require.ErrorAs(t, err, &partial)
	require.Len(t, partial.Failures, 1000)
	require.Less(t, s.count(), 10)
}

// A batch that is refused for one item is sent in parts. Where the first part is
// refused for what every other request would be as well, the rest is not sent:
// it has to be named along with the part.
func TestPromise01WhatIsNotSentAfterASplitIsNamed(t *testing.T) {
	for _, n := range []int{2, 5, 25} {
		s := &stub{answer: func(c call) (*http.Response, error) {
			if c.n == 0 {
				return refusal("ValidationException", "One or more parameter values are not valid. Type mismatch for Index Key"), nil
			}
			return refusal("AccessDeniedException", "no"), nil
		}}
		err := s.table().Put(t.Context(), items(n))
		var partial *driver.PutError
		require.ErrorAs(t, err, &partial)
		require.Len(t, partial.Failures, n, "nothing is stored")
		for i, failure := range partial.Failures {
			require.Equal(t, i, failure.Index)
			require.NotErrorIs(t, failure.Err, driver.ErrInvalidItem)
		}
		require.Equal(t, 2, s.count())
	}
}

// 2,000 saves, a fifth of the calls failing: nothing lost, nothing doubled.
func TestPromise02ManyPutsWithFaultsLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := make([]func(call) (*http.Response, error), 0, len(transient))
		for _, fault := range transient {
			faults = append(faults, fault) //nolint:bodyclose // it is in memory
		}
		var mu sync.Mutex
		stored := map[string]bool{}
		s := &stub{answer: func(c call) (*http.Response, error) {
			time.Sleep(rand.N(20 * time.Millisecond))
			keys, requests := keysOf(t, c.body)
			fault := rand.N(5) == 0
			if fault && rand.N(2) == 0 {
				return faults[rand.N(len(faults))](c)
			}
			mu.Lock()
			defer mu.Unlock()
			var left []json.RawMessage
			for _, key := range keys {
				if fault && rand.N(2) == 0 {
					left = append(left, requests[key])
				} else {
					stored[key] = true
				}
			}
			return unprocessed(left...), nil
		}}
		table := s.table()
		acknowledged := map[string]bool{}
		var puts sync.WaitGroup
		for i := range 200 {
			puts.Go(func() {
				list := items(10)
				for j := range list {
					list[j].RangeKey = fmt.Sprintf("%d-%d", i, j)
				}
				err := table.Put(t.Context(), list)
				mu.Lock()
				defer mu.Unlock()
				require.NoError(t, err)
				for j := range list {
					acknowledged[list[j].RangeKey] = true
				}
			})
		}
		puts.Wait()
		require.Len(t, acknowledged, 2000)
		require.Equal(t, acknowledged, stored)
	})
}
