package dynamostore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// maxDictionary bounds a dictionary, in bytes: the window of what is compressed
// reaches no further.
const maxDictionary = window

// WithDictionaries compresses events with a dictionary, which holds what a table's
// events have in common: alone, an event of 1 KB has little that repeats itself.
// docs/cost.md has figures, and how to train one.
//
// writing is the dictionary for what is put, which takes [WithCompression] as well;
// nil for none. It and the others in reading are for what is read. Each is in zstd's
// own format, as "zstd --train" and klauspost/compress's dict.BuildZstdDict make it,
// of at most 512 KiB, and has an id other than 0, which every event that is
// compressed with it names. No two may have the same.
//
// A dictionary is part of what is stored: without it the events are lost. Keep it
// under version control, and among those in reading for as long as there may be
// events of it; never change one but give the new one another id. An event whose
// dictionary is not given is an error that wraps [ErrUnknownEncoding]: listeners,
// triggers and reads fail and are tried again, and nothing is set aside. So give a
// new dictionary to all programs that read the table or its change stream first, in
// reading, and only then to those that write.
//
// Changing the dictionary makes other items of the same events, as [WithCompression]
// says.
func WithDictionaries(writing []byte, reading ...[]byte) Option {
	return option(func(c *config) error {
		all := make([][]byte, 0, 1+len(reading))
		all = append(all, bytes.Clone(writing))
		for _, dictionary := range reading {
			all = append(all, bytes.Clone(dictionary))
		}
		seen := make(map[uint32]bool)
		for i, dictionary := range all {
			if i == 0 && len(dictionary) == 0 {
				continue
			}
			if len(dictionary) > maxDictionary {
				return fmt.Errorf("WithDictionaries: a dictionary can be at most %d bytes", maxDictionary)
			}
			about, err := zstd.InspectDictionary(dictionary)
			if err != nil {
				return fmt.Errorf("WithDictionaries: dictionary %d is not one: %w", i, err)
			}
			if seen[about.ID()] {
				return errors.New("WithDictionaries: two dictionaries have one id")
			}
			seen[about.ID()] = true
		}
		c.dictionaries = all
		return nil
	})
}
