package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/driver"
)

// A whole file, and what is in it.
type sample struct {
	content []byte
	used    []int // the pages that are in use
	items   map[string][]driver.Item
	changes []mes.Change
}

func makeSample(t *testing.T) sample {
	t.Helper()
	clock, path := newClock(), tempPath(t)
	table := openTable(t, path, withNow(clock.now), withoutSync())
	s := sample{items: map[string][]driver.Item{}}
	for n := range 60 {
		for h := range 4 {
			put(t, table, crashItem(fmt.Sprintf("saver-%d", h), n))
		}
	}
	_, err := table.Delete(context.Background(), "saver-3")
	require.NoError(t, err)
	for h := range 3 {
		hashKey := fmt.Sprintf("saver-%d", h)
		s.items[hashKey] = readAll(t, table, driver.Query{HashKey: hashKey})
		require.Len(t, s.items[hashKey], 60)
	}
	// bbolt may go back by one transaction when its newest root page is damaged.
	// The last two change nothing that is compared.
	feed := table.Changes("c")
	require.NoError(t, feed.SetCheckpoint(context.Background(), "0", position(1)))
	require.NoError(t, feed.SetCheckpoint(context.Background(), "0", position(2)))
	s.changes, err = allChanges(feed)
	require.NoError(t, err)
	require.NoError(t, table.Close())
	s.content, err = os.ReadFile(path)
	require.NoError(t, err)
	s.used = usedPages(t, path)
	return s
}

// usedPages lists the pages of a file that are not free.
func usedPages(t *testing.T, path string) (used []int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		for id := 0; ; id++ {
			page, err := tx.Page(id)
			if err != nil || page == nil {
				return err
			}
			if page.Type != "free" {
				used = append(used, id)
			}
		}
	}))
	return used
}

// use does everything that can be done with a table, and fails the test when
// something that is read is wrong. It returns the first error.
func (s *sample) use(t *testing.T, path string, opts ...Option) error {
	table, err := Open(path, append(opts, WithSweepInterval(0), withoutSync())...)
	if err != nil {
		return err
	}
	return errors.Join(s.useTable(t, table, true), table.Close())
}

func (s *sample) useTable(t *testing.T, table *Table, complete bool) error {
	ctx := context.Background()
	var errs []error
	for hashKey, want := range s.items {
		items, err := readPages(table, driver.Query{HashKey: hashKey})
		errs = append(errs, err)
		if err == nil && complete {
			assert.Equal(t, want, items)
		}
		for _, item := range items {
			assert.Contains(t, want, item)
		}
		_, err = readPages(table, driver.Query{HashKey: hashKey, Descending: true, Limit: 3})
		errs = append(errs, err)
	}
	changes, err := allChanges(table.Changes("c"))
	errs = append(errs, err)
	if err == nil && complete {
		assert.Equal(t, s.changes, changes)
	}
	for i, change := range changes {
		want := s.changes[i]
		if !complete && change.New == nil {
			want.New = nil // bbolt was led astray and did not find the item
		}
		assert.Equal(t, want, change)
	}
	errs = append(errs, table.Changes("d").SetCheckpoint(ctx, "0", position(3)))
	for n := range 20 {
		errs = append(errs, table.Put(ctx, []driver.Item{testItem(fmt.Sprintf("saver-%d", n%4), fmt.Sprint("new", n)), testItem(fmt.Sprint(n), "new")}))
	}
	for hashKey := range s.items {
		_, err := table.Delete(ctx, hashKey)
		errs = append(errs, err)
	}
	_, err = table.Sweep(ctx)
	return errors.Join(append(errs, err)...)
}

// mutations of a file's content. What is copied are pages that are in use: the page that
// was the root some transactions ago is whole, and so may be all that it leads to. In the
// place of the root it makes an older file, not a damaged one.
func (s *sample) mutate(random *rand.Rand) (_ []byte, what string) {
	content := bytes.Clone(s.content)
	const page = 4096
	pages := len(content) / page
	at := random.IntN(len(content))
	start := random.IntN(pages) * page
	switch random.IntN(9) {
	case 0, 1:
		content[at] ^= 1 << random.IntN(8)
		return content, fmt.Sprintf("a bit of byte %d", at)
	case 2:
		at = start + random.IntN(64) // heads of pages and of elements
		content[at] ^= 1 << random.IntN(8)
		return content, fmt.Sprintf("a bit of byte %d", at)
	case 3:
		end := min(at+1+random.IntN(600), len(content))
		clear(content[at:end])
		return content, fmt.Sprintf("zeros from %d to %d", at, end)
	case 4:
		clear(content[start : start+page])
		return content, fmt.Sprintf("zeros at page %d", start/page)
	case 5:
		for i := range page {
			content[start+i] = byte(random.Uint32())
		}
		return content, fmt.Sprintf("noise at page %d", start/page)
	case 6:
		from := s.used[random.IntN(len(s.used))] * page
		copy(content[start:start+page], content[from:from+page])
		return content, fmt.Sprintf("page %d at page %d", from/page, start/page)
	case 7: // with the right number at its head
		from := s.used[random.IntN(len(s.used))] * page
		copy(content[start+8:start+page], content[from+8:from+page])
		return content, fmt.Sprintf("page %d disguised as page %d", from/page, start/page)
	default:
		return content[:at], fmt.Sprintf("cut at %d", at)
	}
}

func TestPromise14DamagedFile(t *testing.T) {
	s := makeSample(t)
	folder := t.TempDir()
	whole := filepath.Join(folder, "whole")
	require.NoError(t, os.WriteFile(whole, s.content, 0o600))
	require.NoError(t, s.use(t, whole))

	random := rand.New(rand.NewPCG(3, 4))
	noticed := 0
	rounds := 200 * effort
	for n := range rounds {
		content, what := s.mutate(random)
		path := filepath.Join(folder, fmt.Sprint(n))
		require.NoError(t, os.WriteFile(path, content, 0o600))
		within(t, func() {
			if err := s.use(t, path); err != nil {
				noticed++
				assert.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat), "%s: %v", what, err)
				assert.Contains(t, err.Error(), path)
			}
		})
		require.False(t, t.Failed(), "damage: %s", what)
		require.NoError(t, os.Remove(path))
	}
	t.Logf("%d of %d damages were of consequence, and noticed", noticed, rounds)
	assert.Greater(t, noticed, rounds/4)
}

// Whichever page is damaged: it is an error, or nothing that is read is wrong.
func TestPromise14EveryPage(t *testing.T) {
	s := makeSample(t)
	path := filepath.Join(t.TempDir(), "damaged")
	const page = 4096
	noticed, pages := 0, 0
	step := 8 * page // with MES_TEST_EFFORT, all
	if effort > 1 {
		step = page
	}
	for start := rand.IntN(step/page) * page; start+page <= len(s.content); start += step {
		pages++
		for what, damage := range map[string]func([]byte){
			"zeros":         func(b []byte) { clear(b) },
			"a bit":         func(b []byte) { b[page/2+start%97] ^= 4 },
			"another page":  func(b []byte) { copy(b, s.content[(start+3*page)%(len(s.content)-page):][:page]) },
			"its head lost": func(b []byte) { clear(b[:16]) },
		} {
			content := append([]byte(nil), s.content...)
			damage(content[start : start+page])
			require.NoError(t, os.WriteFile(path, content, 0o600))
			within(t, func() {
				if err := s.use(t, path); err != nil {
					noticed++
					assert.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat), "%s at page %d: %v", what, start/page, err)
				}
			})
			require.False(t, t.Failed(), "%s at page %d", what, start/page)
		}
	}
	t.Logf("%d damages of %d pages were of consequence, and noticed", noticed, pages)
	assert.Greater(t, noticed, pages/2)
}

// Damage that comes while the file is open is not found by Open.
func TestPromise10DamageWhileOpen(t *testing.T) {
	s := makeSample(t)
	folder := t.TempDir()
	random := rand.New(rand.NewPCG(5, 6))
	noticed := 0
	const page = 4096
	rounds := 150 * effort
	for n := range rounds {
		path := filepath.Join(folder, fmt.Sprint(n))
		require.NoError(t, os.WriteFile(path, s.content, 0o600))
		table, err := Open(path, WithSweepInterval(0), withoutSync())
		require.NoError(t, err)
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		for range 1 + random.IntN(4) {
			damage := make([]byte, 1+random.IntN(page))
			if random.IntN(2) == 0 {
				for i := range damage {
					damage[i] = byte(random.Uint32())
				}
			}
			offset := 2*page + random.IntN(len(s.content)-4*page)
			for i := range damage {
				// The heads of pages and the branches of the tree are left alone.
				// bbolt counts up to the length that a page says it has, for minutes
				// where it is wrong, and its Prev goes down a branch without end
				// where a child's number became that of a root page.
				at := (offset + i) / page * page
				if offset+i < at+pageHeaderSize || s.content[at+8] == branchFlag {
					damage[i] = s.content[offset+i]
				}
			}
			_, err = file.WriteAt(damage, int64(offset))
			require.NoError(t, err)
		}
		if random.IntN(4) == 0 { // pages that are gone fault when they are touched
			require.NoError(t, file.Truncate(int64(page*(2+random.IntN(len(s.content)/page-2)))))
		}
		require.NoError(t, file.Close())
		within(t, func() {
			if err := s.useTable(t, table, false); err != nil {
				noticed++
				assert.ErrorIs(t, err, ErrDamaged)
			}
			_ = table.Close()
		})
		require.False(t, t.Failed(), "round %d", n)
		reopened, err := Open(path, WithSweepInterval(0)) // the lock has been released
		require.NotErrorIs(t, err, ErrInUse)
		if err == nil {
			require.NoError(t, reopened.Close())
		}
		require.NoError(t, os.Remove(path))
	}
	t.Logf("%d of %d damages were noticed", noticed, rounds)
	assert.Greater(t, noticed, rounds/3)
}

func TestPromise20DamageQuotesNothing(t *testing.T) {
	path := tempPath(t)
	table := openTable(t, path)
	item := testItem("secret-hash", "secret-range")
	item.Event = []byte("secret-payload-secret-payload")
	put(t, table, item)
	require.NoError(t, table.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range content {
		content[i] ^= byte(i / 4096 % 2 * 4) // pages 1, 3, 5 ...
	}
	require.NoError(t, os.WriteFile(path, content, 0o600))
	_, err = Open(path)
	require.ErrorIs(t, err, ErrDamaged)
	assert.NotContains(t, err.Error(), "secret")
}
