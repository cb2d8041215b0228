package boltstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A process saves and says what it has acknowledged, while every write and sync
// that it asks of the operating system is recorded. Then the power is cut, on
// paper, at many points of the record: the file is rebuilt as a disk may hold it
// that has all that was synced and, of what was not, nothing, all, some, or torn
// pieces. Whatever had been acknowledged by then must be there.
func TestPromise17AcknowledgedIsDurableThroughPowerLoss(t *testing.T) {
	// MES_CRASH_IMAGES says how many images there are to be at least.
	wanted, every := setting(t, "MES_CRASH_IMAGES", 0), 4
	if wanted > 0 {
		every = 1
	}
	for total := 0; total == 0 || total < wanted; {
		total += powerLoss(t, every)
		if t.Failed() {
			return
		}
		t.Logf("%d images in all", total)
	}
}

func powerLoss(t *testing.T, every int) (images int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	events := trace(t, child(t, "save a little", path), path)
	syncs, created, folder := 0, false, false
	for _, e := range events {
		switch e.kind {
		case eventSync:
			syncs++
		case eventCreate:
			created = true
		case eventSyncFolder:
			folder = true
		}
	}
	require.True(t, created && folder, "the creation of the file was not seen")
	require.Greater(t, syncs, 20)
	failures, images := checkImages(t, events, every)
	t.Logf("%d system calls, %d images", len(events), images)
	require.Greater(t, images, 300)
	for _, failure := range failures {
		assert.NoError(t, failure)
	}
	return images
}

// The test above is worth something only if it fails when the sync is missing.
func TestPowerLossIsNoticedWithoutSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	events := trace(t, child(t, "save a little, not synced", path), path)
	failures, images := checkImages(t, events, 5)
	t.Logf("%d of %d images have lost something", len(failures), images)
	require.Greater(t, len(failures), images/10)
}

// It must be noticed as well when only the folder is not synced.
func TestPowerLossIsNoticedWithoutSyncOfTheFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	events := trace(t, child(t, "save a little", path), path)
	for i := range events {
		if events[i].kind == eventSyncFolder {
			events[i].kind = 0
		}
	}
	failures, _ := checkImages(t, events, 5)
	require.NotEmpty(t, failures)
}

// checkImages opens images of the file as of many points of a trace, after each
// so many system calls, and returns what was lost.
func checkImages(t *testing.T, events []event, every int) (failures []error, images int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	folder := t.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if memory, err := os.MkdirTemp("/dev/shm", "boltstore"); err == nil { //nolint:usetesting // in memory
			folder = memory // thousands of syncs are free there
			t.Cleanup(func() { _ = os.RemoveAll(memory) })
		}
	}
	acknowledged := acks{}
	for i, e := range events {
		if e.kind == eventAck {
			for line := range strings.Lines(e.line) {
				acknowledged.add(line)
			}
		}
		if i%every != 0 {
			continue
		}
		for _, fate := range []string{"dropped", "kept", "some", "torn", "reordered"} {
			path := filepath.Join(folder, fmt.Sprint(images))
			images++
			if err := acknowledged.survives(path, events[:i+1], fate, random); err != nil {
				failures = append(failures, fmt.Errorf("after system call %d of %d, what was not synced was %s: %w", i+1, len(events), fate, err))
			}
			_ = os.Remove(path)
		}
	}
	return failures, images
}

func (a acks) survives(path string, events []event, fate string, random *rand.Rand) error {
	image, exists := rebuild(events, fate, random)
	if !exists {
		if len(a) > 0 {
			return errors.New("the file is gone")
		}
		return nil
	}
	if err := os.WriteFile(path, image, 0o600); err != nil {
		return err
	}
	return a.missing(path, withoutSync())
}

// rebuild makes the file as a disk may hold it after the events.
func rebuild(events []event, fate string, random *rand.Rand) (image []byte, exists bool) {
	synced := 0
	for _, e := range events {
		switch e.kind {
		case eventSync:
			synced = e.entered
		case eventSyncFolder:
			exists = true
		}
	}
	if fate != "dropped" && random.IntN(2) == 0 {
		exists = true // the folder may be written at any time
	}
	write := func(data []byte, offset int64) {
		if end := int(offset) + len(data); end > len(image) {
			image = append(image, make([]byte, end-len(image))...)
		}
		copy(image[offset:], data)
	}
	if fate == "reordered" {
		events = reordered(events, synced, random)
	}
	const sector = 512
	for i, e := range events {
		keep := i < synced || fate == "kept" || fate != "dropped" && random.IntN(2) == 0
		switch {
		case e.kind == eventSize && keep:
			if int(e.size) < len(image) {
				image = image[:e.size]
			}
			write(nil, e.size)
		case e.kind == eventWrite && keep && (i < synced || fate != "torn"):
			write(e.data, e.offset)
		case e.kind == eventWrite && keep: // torn
			for at := 0; at < len(e.data); at += sector {
				if random.IntN(2) == 0 {
					write(e.data[at:min(at+sector, len(e.data))], e.offset+int64(at))
				}
			}
		}
	}
	return image, exists
}

// reordered changes the order of what was not synced.
func reordered(events []event, synced int, random *rand.Rand) []event {
	events = slices.Clone(events)
	rest := events[min(synced, len(events)):]
	random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return events
}
