package main

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/boltstore"

	mes "github.com/microeventstore/microeventstore"
)

// bolt reads n events from a file.
func (b *bencher) bolt(family string, n int) (benchCase, error) {
	list, err := eventsOf(family, n)
	if err != nil {
		return benchCase{}, err
	}
	directory, err := os.MkdirTemp("", "bench-bolt")
	if err != nil {
		return benchCase{}, err
	}
	table, err := boltstore.Open(filepath.Join(directory, "ours.db"))
	if err != nil {
		return benchCase{}, err
	}
	store, err := mes.New(table, mes.WithTTL(mes.NeverExpire()))
	if err != nil {
		return benchCase{}, err
	}
	if err := store.Save(b.ctx, list...); err != nil {
		return benchCase{}, err
	}
	db, err := bbolt.Open(filepath.Join(directory, "theirs.db"), 0o600, nil)
	if err != nil {
		return benchCase{}, err
	}
	key := []byte("key")
	if err := db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucket(key)
		for i := range list {
			err = errors.Join(err, bucket.Put([]byte(rangeKeyOf(&list[i])), list[i].Raw))
		}
		return err
	}); err != nil {
		return benchCase{}, err
	}
	return benchCase{
		events:  n,
		against: []string{"bbolt, encoding/json"},
		limit:   "a bare cursor",
		limiting: func(runs int) error {
			for range runs {
				got := 0
				if err := db.View(func(tx *bbolt.Tx) error {
					cursor := tx.Bucket(key).Cursor()
					for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
						got++
					}
					return nil
				}); err != nil || got != n {
					return errors.Join(err, errors.New("another history"))
				}
			}
			return nil
		},
		done: func() { _ = errors.Join(store.Close(), db.Close(), os.RemoveAll(directory)) },
		sides: []side{
			func(runs int) error {
				for range runs {
					m, err := store.GetMicroEventStore(b.ctx, "key")
					if err != nil || len(m.Events) != n || m.Events[n-1].ID != list[n-1].ID {
						return errors.Join(err, errors.New("another history"))
					}
				}
				return nil
			},
			func(runs int) error {
				for range runs {
					got, err := plainBolt(db, key)
					if err != nil || len(got) != n || got[n-1].ID != list[n-1].ID {
						return errors.Join(err, errors.New("another history"))
					}
				}
				return nil
			},
		},
	}, nil
}

// plainBolt reads the events of a bucket, which outlive the transaction.
func plainBolt(db *bbolt.DB, key []byte) (list []plainEvent, err error) {
	return list, db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(key).Cursor()
		for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
			var e plainEvent
			if err := e.parse(append([]byte(nil), v...)); err != nil {
				return err
			}
			list = append(list, e)
		}
		return nil
	})
}
