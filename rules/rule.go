package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	mes "github.com/microeventstore/microeventstore"
)

// A Rule says what to do when something is added to a history. It is declared as
// a value; its functions are called from several goroutines at once, must follow
// from what they are given alone, and must not change it.
type Rule struct {
	// ID is the rule's name, unique among those of all evaluators that share the
	// table. It is part of the ids of what the rule emits and of its markers, so it
	// stays the same for good. It has 1 to 128 bytes, neither a dot nor a control character, and not
	// only digits.
	ID string

	// Types and Filter say which events wake the rule: those of one of the types,
	// which the filter accepts too. None and nil let all through.
	Types  []string
	Filter mes.Filter

	// KeyPrefix and KeySuffix are the kind of key: the rule wakes under hash keys
	// that have both. Where an event is stored under several keys, a rule without
	// them wakes under each, and emits events with the same id.
	KeyPrefix, KeySuffix string

	// OnExpiry makes the expiry of an event wake the rule, and nothing else: not
	// its arrival, nor a removal by hand or of a replica. See [OnExpired]. A rule
	// with When sees what is left of the history then.
	OnExpiry bool

	// Last and Within bound what the rule sees of the history, and so what it
	// costs: the n latest events, and those that happened up to that long before
	// or after the event that fired, which is always among them. 0 and 0 are the
	// whole history. The latest are those at the time of the read, which all changes
	// of a batch share: delivered in another batch, a change may see others.
	Last   int
	Within time.Duration

	// When is the condition. A rule without one holds for every event that wakes
	// it, and sees nothing but that event: Events has it alone, and nothing is
	// read for the rule, unless it has Correlate or Once: then the event is looked
	// for, so that one that was deleted meanwhile is not put back. A rule that
	// reads nothing emits for such an event too, unless the event wakes another
	// rule as well, for which something is read: then it is seen to be gone.
	When Condition

	// Emit makes the events to publish; none is no error.
	Emit Emit

	// Correlate gives another hash key, one that only the history reveals: the
	// causes are stored under it as well, see [mes.Store.Correlate]. "" stores
	// them nowhere. A rule has Emit or Correlate.
	Correlate func(m *mes.MicroEventStore, causes []mes.Event) (hashKey string, err error)

	// Once lets the rule emit only once for a collation, in all no more than fits
	// into an item (409,600 bytes); see the package comment. The table must be one
	// that can put an item only if it is absent, and has a place for markers:
	// dynamostore.LambdaStreamLayout has none.
	//
	// What the publisher refuses for good ([mes.Permanent]) stays claimed: each later
	// change of the collation that wakes the rule tries the same bytes again, and is
	// a fault, even once Emit has been mended. The way out is a publisher around
	// yours, which sets aside each event whose [mes.Failure] is permanent and returns
	// an error for the others alone: what it does not name counts as published, and
	// the rule as done. A rule with another ID begins anew, in every collation.
	Once bool
}

// A Condition returns the events of a history that make a rule's condition true,
// its causes; none says that it does not hold.
type Condition func(m *mes.MicroEventStore) (causes []mes.Event, err error)

// Have holds when there is an event of each of the types, in whatever order they
// came; the causes are the first of each. It does not hold for no types at all.
func Have(types ...string) Condition {
	types = slices.Clone(types)
	return func(m *mes.MicroEventStore) ([]mes.Event, error) {
		if len(types) == 0 || !m.Has(types...) {
			return nil, nil
		}
		causes := make([]mes.Event, 0, len(types))
		for i := range m.Events {
			e := &m.Events[i]
			if !slices.Contains(types, e.Type) || slices.ContainsFunc(causes, func(c mes.Event) bool { return c.Type == e.Type }) {
				continue
			}
			if causes = append(causes, *e); len(causes) == len(types) {
				break
			}
		}
		return causes, nil
	}
}

// check says what is wrong with a rule by itself.
func (r *Rule) check() error {
	var errs []error
	wrong := func(text string) { errs = append(errs, fmt.Errorf("rule %q: %s", r.ID, text)) }
	switch {
	case r.ID == "" || len(r.ID) > maxID || !utf8.ValidString(r.ID):
		wrong("its ID must have 1 to 128 bytes of UTF-8")
	case strings.ContainsFunc(r.ID, func(c rune) bool { return c == '.' || c < ' ' || c == 0x7f }):
		wrong("its ID must hold neither a dot nor a control character")
	case strings.Trim(r.ID, "0123456789") == "":
		wrong("its ID must not be a number")
	}
	if (r.Emit == nil) == (r.Correlate == nil) {
		wrong("it must have either Emit or Correlate, and not both")
	}
	if r.Once && r.Emit == nil {
		wrong("Once is for rules with Emit; putting an event under another key again changes nothing")
	}
	if r.OnExpiry && r.Correlate != nil {
		wrong("OnExpiry and Correlate: an event that has expired cannot be put under another key")
	}
	if r.Last < 0 || r.Within < 0 {
		wrong("Last and Within must not be negative")
	}
	if r.When == nil && (r.Last != 0 || r.Within != 0) {
		wrong("Last and Within are for rules with When; one without sees the event alone")
	}
	return errors.Join(errs...)
}

const maxID = 128

// window is what the rule has to see.
func (r *Rule) window() mes.Window {
	if r.When == nil {
		return mes.Window{Alone: true}
	}
	return mes.Window{Last: r.Last, Within: r.Within}
}

// reads is what has to be read for the rule.
func (r *Rule) reads() mes.Window {
	w := r.window()
	if w.Alone && !r.OnExpiry && (r.Correlate != nil || r.Once) {
		// As little as shows whether the event is still there: what has been deleted
		// must not be put back, under another key or as what is to be published.
		return mes.Window{Within: 1}
	}
	return w
}

// isFor tells whether a hash key is of the rule's kind.
func (r *Rule) isFor(hashKey string) bool {
	return strings.HasPrefix(hashKey, r.KeyPrefix) && strings.HasSuffix(hashKey, r.KeySuffix) &&
		len(hashKey) > len(r.KeyPrefix)+len(r.KeySuffix)
}

// wakes tells whether an event wakes the rule. A filter that panics is an error.
func (r *Rule) wakes(hashKey string, e *mes.Event, expired bool) (awake bool, err error) {
	if r.OnExpiry != expired || !r.isFor(hashKey) || len(r.Types) > 0 && !slices.Contains(r.Types, e.Type) {
		return false, nil
	}
	if r.Filter == nil {
		return true, nil
	}
	// A goroutine of its own: a filter that ends it must not end the batch.
	err = errGoexit
	var running sync.WaitGroup
	running.Go(func() {
		err = guard(func() error {
			awake = r.Filter(*e)
			return nil
		})
	})
	running.Wait()
	if err != nil {
		return true, fmt.Errorf("filter: %w", err)
	}
	return awake, nil
}

// bareKey is a hash key without the rule's prefix and suffix.
func (r *Rule) bareKey(hashKey string) string {
	return strings.TrimSuffix(strings.TrimPrefix(hashKey, r.KeyPrefix), r.KeySuffix)
}
