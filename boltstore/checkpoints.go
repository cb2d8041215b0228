package boltstore

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/microeventstore/microeventstore/driver"
)

// Checkpoint returns what was set last under a name: see [driver.Checkpoints].
func (t *Table) Checkpoint(ctx context.Context, name string) (value string, err error) {
	leave, err := t.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	if err := checkCheckpoint("name of a checkpoint", name); err != nil {
		return "", err
	}
	err = t.view(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(checkpointsBucket)
		if bucket == nil {
			return nil // none was ever set
		}
		record := bucket.Get([]byte(name))
		if record == nil {
			return nil
		}
		body, err := openRecord([]byte(name), record)
		value = string(body)
		return err
	})
	return value, err
}

// SetCheckpoint sets what a name stands for, and returns when that is durable: see
// [driver.Checkpoints].
func (t *Table) SetCheckpoint(ctx context.Context, name, value string) error {
	leave, err := t.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := checkCheckpoint("name of a checkpoint", name); err != nil {
		return err
	}
	if err := checkCheckpoint("checkpoint", value); err != nil {
		return err
	}
	record := append([]byte{recordVersion, 0, 0, 0, 0}, value...)
	sealRecord([]byte(name), record)
	return t.submit(ctx, len(name)+len(record), func(w *writer) error {
		bucket, err := w.tx.CreateBucketIfNotExists(checkpointsBucket)
		if err != nil {
			return err
		}
		w.dirty = true
		return bucket.Put([]byte(name), record)
	})
}

func checkCheckpoint(what, s string) error {
	if err := driver.CheckKey(what, s, driver.MaxRangeKeySize); err != nil {
		return fmt.Errorf("boltstore: %w: %w", driver.ErrInvalidItem, err)
	}
	return nil
}
