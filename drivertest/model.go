package drivertest

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/microeventstore/microeventstore/driver"
)

func modelCases() []testCase {
	return []testCase{
		{name: "RandomOperations", rule: "After any sequence of calls the table answers as the simplest model does: a map from two keys to an item.", run: testRandomOperations},
		{name: "RandomOperationsAndReopen", rule: "After any sequence of calls, and of closing and opening again, the table answers as the simplest model does.", run: testRandomOperationsAndReopen, needsReopen: true},
	}
}

func testRandomOperations(s *suite)          { s.randomOperations(false) }
func testRandomOperationsAndReopen(s *suite) { s.randomOperations(true) }

// newSeed returns the seed of a random case and prints it, so that the run can be
// repeated. The log is shown only when the case fails.
func (s *suite) newSeed() uint64 {
	seed := s.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	s.Logf("to repeat this run set Harness.Seed to %d", seed)
	return seed
}

// model is what a table should be: hash key to range key to item.
type model map[string]map[string]driver.Item

func (m model) query(q driver.Query) []driver.Item {
	var items []driver.Item
	for rng, item := range m[q.HashKey] {
		if rng >= q.From && (q.To == "" || rng <= q.To) {
			items = append(items, item)
		}
	}
	sort.Slice(items, func(i, j int) bool { return (items[i].RangeKey < items[j].RangeKey) != q.Descending })
	return items
}

// randomKey returns one of a few keys that are close to each other: prefixes, the
// same letters, both sides of the surrogates.
func randomKey(random *rand.Rand) string {
	alphabet := []string{"a", "b", "\x00", "\x01", "é", "～", "😀", "\uffff", "\U0010ffff", "/", "A"}
	key := ""
	for range 1 + random.IntN(3) {
		key += alphabet[random.IntN(len(alphabet))]
	}
	return key
}

// randomBound returns no bound, any key, or one that an item has.
func (m model) randomBound(random *rand.Rand, hash string) string {
	switch random.IntN(3) {
	case 0:
		return ""
	case 1:
		return randomKey(random)
	}
	items := m.query(driver.Query{HashKey: hash}) // in order, so that the seed decides
	if len(items) == 0 {
		return ""
	}
	return items[random.IntN(len(items))].RangeKey
}

func (s *suite) randomOperations(reopens bool) {
	random := rand.New(rand.NewPCG(s.newSeed(), 0))
	t := s.open()
	_, deletes := t.Table.(driver.Deleter)
	m := make(model)
	hashes := make([]string, 6)
	for i := range hashes {
		hashes[i] = randomKey(random)
	}
	for step := range s.fewer(400, 40) {
		hash := hashes[random.IntN(len(hashes))]
		operation := ""
		ok := true
		switch n := random.IntN(100); {
		case n < 45:
			operation = "Put"
			ok = s.randomPut(t, m, random, hashes, step)
		case n < 92:
			q := driver.Query{HashKey: hash, Descending: random.IntN(2) == 0}
			q.From, q.To = m.randomBound(random, hash), m.randomBound(random, hash)
			if random.IntN(2) == 0 {
				q.Limit = 1 + random.IntN(12)
			}
			operation = "Query"
			ok = s.want(t, q, m.query(q)...)
		case n < 96:
			if !deletes {
				continue
			}
			operation = "Delete"
			if got, err := t.Delete(s.ctx, hash); err != nil || got != len(m[hash]) {
				s.failf("Delete of %s: %d, %v; want %d, nil", short(hash), got, err, len(m[hash]))
				ok = false
			}
			delete(m, hash)
		default:
			if !reopens {
				continue
			}
			operation = "reopen"
			t = s.reopen(t)
		}
		if !ok {
			s.fatalf("step %d, a %s, went wrong", step, operation)
		}
	}
	for _, hash := range hashes {
		s.want(t, driver.Query{HashKey: hash}, m.query(driver.Query{HashKey: hash})...)
	}
}

// randomPut puts a few items, invalid ones among them, and items that are there
// already.
func (s *suite) randomPut(t *watched, m model, random *rand.Rand, hashes []string, step int) bool {
	var (
		items   []driver.Item
		invalid []int
		given   = make(map[string]bool)
	)
	for range 1 + random.IntN(30) {
		hash, rng := hashes[random.IntN(len(hashes))], randomKey(random)
		id := fmt.Sprintf("%q %q", hash, rng)
		if given[id] {
			continue
		}
		given[id] = true
		item := newItem(hash, rng, step)
		if old, ok := m[hash][rng]; ok && random.IntN(3) == 0 {
			item = old
		}
		if random.IntN(25) == 0 {
			item.RangeKey = "" // its keys are no longer those of a valid item
			invalid = append(invalid, len(items))
		} else {
			if m[hash] == nil {
				m[hash] = make(map[string]driver.Item)
			}
			m[hash][rng] = item
		}
		items = append(items, item)
	}
	err := t.Put(s.ctx, items)
	if len(invalid) > 0 {
		s.failsOnly("a random Put", err, invalid...)
		return true
	}
	if err != nil {
		s.failf("Put of %d items: %v; want nil", len(items), err)
	}
	return err == nil
}
