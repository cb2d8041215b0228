package microeventstore

import (
	"regexp"
	"slices"
)

// A Filter says whether an event is wanted. A nil Filter accepts every event,
// wherever one is taken.
//
// A Filter is called from many goroutines at once. The same event must always
// get the same answer, since a stream delivers it more than once.
type Filter func(Event) bool

// accepts calls f; a nil Filter accepts everything.
func (f Filter) accepts(e Event) bool {
	return f == nil || f(e)
}

// Types accepts events whose type is one of names, compared byte for byte. With
// no names it accepts nothing. The name "" stands for events without a type.
func Types(names ...string) Filter {
	// A short list is searched faster than a map.
	if len(names) <= 4 {
		names = slices.Clone(names)
		return func(e Event) bool { return slices.Contains(names, e.Type) }
	}
	set := make(map[string]struct{}, len(names))
	for _, name := range names {
		set[name] = struct{}{}
	}
	return func(e Event) bool {
		_, ok := set[e.Type]
		return ok
	}
}

// TypeMatches accepts events in whose type the expression is found. It may be
// found anywhere: write ^ and $ to match the whole type. A nil expression
// accepts nothing.
//
// Use [Types] for a fixed list: it is much faster.
func TypeMatches(re *regexp.Regexp) Filter {
	return func(e Event) bool { return re != nil && re.MatchString(e.Type) }
}

// HasTag accepts events that have a tag with this value, as [Event.Tag] reads
// it: a number or a boolean is compared by the text in the event, so 1 and 1.0
// differ. An event without the tag is refused, also when value is "".
func HasTag(name, value string) Filter {
	return func(e Event) bool {
		v, ok := e.Tag(name)
		return ok && v == value
	}
}

// NotFrom is a guard against echoes: it refuses the events that one of the
// sources has emitted, such as this service itself, as their tag "source" says.
func NotFrom(sources ...string) Filter {
	sources = slices.Clone(sources)
	return func(e Event) bool {
		source, ok := e.Tag("source")
		return !ok || !slices.Contains(sources, source)
	}
}

// NotSkipped refuses test traffic: events whose tag "skip" is anything but false,
// 0 or empty.
func NotSkipped() Filter {
	return func(e Event) bool {
		switch skip, _ := e.Tag("skip"); skip {
		case "", "false", "0":
			return true
		}
		return false
	}
}

// All accepts events that every filter accepts. With no filters it accepts
// every event. Filters are asked in order, up to the first that refuses.
func All(f ...Filter) Filter {
	f = slices.Clone(f)
	return func(e Event) bool {
		for _, f := range f {
			if !f.accepts(e) {
				return false
			}
		}
		return true
	}
}

// Any accepts events that at least one filter accepts. With no filters it
// accepts nothing. Filters are asked in order, up to the first that accepts.
func Any(f ...Filter) Filter {
	f = slices.Clone(f)
	return func(e Event) bool {
		for _, f := range f {
			if f.accepts(e) {
				return true
			}
		}
		return false
	}
}

// Not accepts the events that f refuses. Not(nil) accepts nothing, since a nil
// Filter accepts everything.
func Not(f Filter) Filter {
	return func(e Event) bool { return !f.accepts(e) }
}
