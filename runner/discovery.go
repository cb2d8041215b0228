package runner

import (
	"slices"
	"time"

	mes "github.com/microeventstore/microeventstore"
)

// A discovery is what is known of the shards of a stream.
type discovery struct {
	listed   []mes.Shard
	complete bool      // the last listing was
	next     time.Time // when to list them again
	failures int       // in a row

	missing map[string]bool // shards that the last complete listing lacked
	absent  map[string]bool // parents that are not listed
}

// update takes in a listing. One that failed half way adds to what is known; a
// complete one replaces it, but for shards that it is the first to lack: a
// checkpoint is not to be given up for one answer that is not what it should be.
// update returns which shards have gone. A shard that is listed twice counts once:
// DynamoDB refuses to read one lease twice in a call, and nothing would be read any
// more.
func (d *discovery) update(listing []mes.Shard, complete bool) (gone []string) {
	seen := make(map[string]bool, len(listing))
	listed := make([]mes.Shard, 0, len(listing))
	for _, s := range listing {
		if !seen[s.ID] {
			seen[s.ID] = true
			listed = append(listed, s)
		}
	}
	missing := make(map[string]bool)
	for _, s := range d.listed {
		switch {
		case seen[s.ID]:
		case complete && d.missing[s.ID]:
			gone = append(gone, s.ID)
		default:
			listed = append(listed, s)
			if complete {
				missing[s.ID] = true
			}
		}
	}
	d.listed, d.complete = listed, complete
	if complete {
		d.missing = missing
	}
	return gone
}

// settled says that there is no need to list them again before the next regular
// time.
func (d *discovery) settled() bool {
	return d.complete && !d.next.IsZero()
}

// ready tells whether a shard may be begun: it is there, and its parents have been
// read to their ends. A parent that is not listed is no longer kept; unless the
// listing was cut short, when it may just not have been reached.
func (d *discovery) ready(s *mes.Shard, states map[string]shardState) bool {
	if d.missing[s.ID] { // somebody may have removed its lease: it would seem to be new
		return false
	}
	for _, parent := range s.Parents {
		if state, known := states[parent]; known {
			if !state.ended {
				return false
			}
			continue
		}
		if !d.complete || d.has(parent) {
			return false
		}
	}
	return true
}

func (d *discovery) has(id string) bool {
	return slices.ContainsFunc(d.listed, func(s mes.Shard) bool { return s.ID == id })
}

// hasChild tells whether another shard follows one, which is closed then.
func (d *discovery) hasChild(id string) bool {
	return slices.ContainsFunc(d.listed, func(s mes.Shard) bool { return slices.Contains(s.Parents, id) })
}

// orphaned returns the parents that a complete listing speaks of and does not
// have, once: what is kept of them may go.
func (d *discovery) orphaned() (absent []string) {
	known := make(map[string]bool)
	for i := range d.listed {
		for _, parent := range d.listed[i].Parents {
			if known[parent] || d.has(parent) {
				continue
			}
			known[parent] = true
			if !d.absent[parent] {
				absent = append(absent, parent)
			}
		}
	}
	d.absent = known
	return absent
}
