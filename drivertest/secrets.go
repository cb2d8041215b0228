package drivertest

import (
	"context"
	"fmt"
	"strings"

	"github.com/microeventstore/microeventstore/driver"
)

func secretCases() []testCase {
	return []testCase{
		{name: "ErrorsKeepSecrets", rule: "No error text contains a key or a payload: they are the user's secrets.", run: testErrorsKeepSecrets},
	}
}

func testErrorsKeepSecrets(s *suite) {
	t := s.open()
	const canary = "canary7f3a91"
	checked := 0
	check := func(where string, err error) {
		if err == nil {
			return
		}
		checked++
		for _, format := range []string{"%v", "%+v", "%q"} {
			if text := fmt.Sprintf(format, err); strings.Contains(strings.ToLower(text), canary[:8]) {
				s.failf("the error of %s contains what is the user's: %s", where, short(text))
				return
			}
		}
	}
	secret := driver.Item{
		HashKey: canary + " hash", RangeKey: canary + " range",
		Event: []byte(`{"secret":"` + canary + `"}`), Type: canary, ID: canary, PartitionKey: canary,
	}
	long := strings.Repeat(canary, 1000)
	put := func(ctx context.Context, where string, change func(*driver.Item)) {
		item := secret
		change(&item)
		check("Put, "+where, t.Put(ctx, []driver.Item{item}))
	}
	put(s.ctx, "range key empty", func(i *driver.Item) { i.RangeKey = "" })
	put(s.ctx, "hash key empty", func(i *driver.Item) { i.HashKey = "" })
	put(s.ctx, "hash key too long", func(i *driver.Item) { i.HashKey = long })
	put(s.ctx, "range key too long", func(i *driver.Item) { i.RangeKey = long })
	put(s.ctx, "hash key not UTF-8", func(i *driver.Item) { i.HashKey += "\xff" })
	put(s.ctx, "range key not UTF-8", func(i *driver.Item) { i.RangeKey += "\xff" })
	put(s.ctx, "too large", func(i *driver.Item) { i.Event = []byte(`"` + strings.Repeat(canary, 400_000) + `"`) })
	put(s.ctx, "negative TTL", func(i *driver.Item) { i.TTL = -1 })
	put(s.ctx, "type too long", func(i *driver.Item) { i.Type = strings.Repeat(canary, 400_000) })
	put(s.ctx, "not UTF-8", func(i *driver.Item) { i.Event = append([]byte(canary), 0xff) })
	s.put(t, secret)

	for where, q := range map[string]driver.Query{
		"hash key too long":   {HashKey: long},
		"hash key not UTF-8":  {HashKey: canary + "\xff"},
		"From too long":       {HashKey: canary, From: long},
		"To not UTF-8":        {HashKey: canary, To: canary + "\xff"},
		"negative limit":      {HashKey: canary, From: canary, To: canary, Limit: -1},
		"cursor garbage":      {HashKey: canary, Cursor: canary},
		"cursor long garbage": {HashKey: canary, Cursor: long},
	} {
		_, err := t.Query(s.ctx, q)
		check("Query, "+where, err)
	}
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	put(ended, "context ended", func(*driver.Item) {})
	_, err := t.Query(ended, driver.Query{HashKey: secret.HashKey})
	check("Query, context ended", err)
	_, isDeleter := t.Table.(driver.Deleter)
	if isDeleter {
		for _, key := range []string{long, canary + "\xff"} {
			_, err := t.Delete(s.ctx, key)
			check("Delete of an invalid key", err)
		}
		_, err := t.Delete(ended, secret.HashKey)
		check("Delete, context ended", err)
	}
	check("Close", t.Close())
	put(s.ctx, "closed", func(*driver.Item) {})
	_, err = t.Query(s.ctx, driver.Query{HashKey: secret.HashKey})
	check("Query, closed", err)
	if checked == 0 {
		s.failf("none of the calls that must fail did")
	}
}
