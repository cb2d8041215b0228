package lambdahandler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/microeventstore/microeventstore/internal/jsonscan"
)

var errNoRecords = errors.New("lambdahandler: the payload has no Records: the function does not get what it is for")

// A reader reads a payload and holds what its records share. The payload's bytes are
// used again by package lambda after the invocation, so all that a record keeps is
// copied, many strings into one allocation.
type reader struct {
	payload []byte
	cursor  jsonscan.Cursor
	text    strings.Builder
	last    [3]interned
	name    [64]byte
	window  window
}

// A window is what a payload says of the tumbling window of its mapping. Lambda takes
// a response without a state for a failure then ("Implementing stateful Kinesis Data
// Streams processing in Lambda", AWS Lambda Developer Guide), so it is given back the
// one that it sent. It shares the payload's memory.
type window struct {
	open  bool
	state []byte
}

// An interned string is one that most records of a batch have in common.
type interned struct {
	value []byte // of the payload
	text  string
}

// Which of reader.last is which.
const (
	internStream = iota
	internRegion
	internShard
)

func newReader(payload []byte) reader {
	return reader{payload: payload, cursor: jsonscan.NewCursor(payload)}
}

// lenient reads a payload that is not all UTF-8 as encoding/json does: with U+FFFD in
// the place of each byte that is none. One such byte must not fail the whole batch.
func lenient[T any](payload []byte, w *window, read func([]byte, *window) (T, error)) (T, error) {
	result, err := read(payload, w)
	var syntax *jsonscan.SyntaxError
	if errors.As(err, &syntax) && !utf8.Valid(payload) {
		return read([]byte(string([]rune(string(payload)))), w)
	}
	return result, err
}

// longer returns a slice of which nothing was ever cut off with one element more. Where
// there is room it is empty already: to write that again takes a write barrier.
func longer[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var empty T
	return append(s, empty)
}

// mostRecords is how many records an event source mapping delivers at most
// ("CreateEventSourceMapping", AWS Lambda API reference, BatchSize).
const mostRecords = 10_000

// room is how many records there are in the payload, at a guess: most are about as long
// as the first, of which the size is known. It may be null.
func (r *reader) room(size int) int {
	return min(len(r.payload)/max(size, 1)+2, mostRecords)
}

// records calls read for each element of the payload's Records. Whatever read does
// not take of it must be taken by it: see [jsonscan.Cursor].
func (r *reader) records(read func()) error {
	c := &r.cursor
	found := false
	if !c.Enter('{') {
		c.Value()
		if err := c.End(); err != nil {
			return fmt.Errorf("lambdahandler: the payload: %w", err)
		}
		return errNoRecords
	}
	for c.Member() {
		if c.Escaped || string(c.Key) != "Records" {
			r.spelled("Records", "window", "state")
		}
		switch string(c.Key) {
		case "Records":
			if !c.Enter('[') {
				c.Value()
				continue
			}
			found = true
			for c.Element() {
				read()
			}
		case "window":
			r.window.open = jsonscan.KindOf(c.Value()) == jsonscan.Obj
		case "state":
			r.window.state = c.Value()
		default:
			c.Value()
		}
	}
	if err := c.End(); err != nil {
		return fmt.Errorf("lambdahandler: the payload: %w", err)
	}
	if !found {
		return errNoRecords
	}
	return nil
}

// spelled gives the current member the spelling of one of some names, if it has that
// name but for the case or for escapes. encoding/json takes such members for the same.
func (r *reader) spelled(names ...string) bool {
	c := &r.cursor
	name, ok := c.Name(r.name[:])
	if !ok {
		return false
	}
	for _, known := range names {
		if strings.EqualFold(string(name), known) {
			c.Key, c.Escaped = []byte(known), false
			return true
		}
	}
	return false
}

// members calls read for each member of the object that comes next. read tells
// whether it has taken the member, by its exact name; names are those that it knows.
// Any other value than an object is passed over.
func (r *reader) members(read func() bool, names ...string) {
	c := &r.cursor
	if !c.Enter('{') {
		c.Value()
		return
	}
	for c.Member() {
		if !c.Escaped && read() {
			continue
		}
		if !r.spelled(names...) || !read() {
			c.Value()
		}
	}
}

// unquoted returns what a JSON string stands for, nil for any other value. It shares
// the payload's memory where it can.
func unquoted(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	if text, ok := jsonscan.AppendUnquoted(nil, inside); ok {
		return text
	}
	var text string // with half of a surrogate pair, which it replaces
	if json.Unmarshal(value, &text) != nil {
		return nil
	}
	return []byte(text)
}

// keep copies a string of the payload. What has been copied is never written again:
// a Builder that has no room left is left alone.
func (r *reader) keep(value []byte) string {
	text := unquoted(value)
	if len(text) == 0 {
		return ""
	}
	return r.copy(text)
}

func (r *reader) copy(text []byte) string {
	if r.text.Cap()-r.text.Len() < len(text) {
		size := min(max(2*r.text.Cap(), len(r.payload)/32, 1<<8), 64<<10)
		r.text = strings.Builder{}
		r.text.Grow(max(size, len(text)))
	}
	start := r.text.Len()
	r.text.Write(text)
	return r.text.String()[start:]
}

// share is keep for a string that the record before had, too.
func (r *reader) share(which int, value []byte) string {
	last := &r.last[which]
	if last.value == nil || string(last.value) != string(value) {
		*last = interned{value: value, text: r.keep(value)}
	}
	return last.text
}

// seconds reads a number of seconds since 1970 as package events does; the zero
// time, which is that nobody knows, for anything else: see known.
func seconds(value []byte) time.Time {
	if len(value) == 0 || jsonscan.KindOf(value) != jsonscan.Number {
		return time.Time{}
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.Abs(f) >= mostSeconds {
		return time.Time{}
	}
	return timeOf(f)
}

// mostSeconds is what no time of package events is near to that has not overflowed.
const mostSeconds = 1 << 62

// timeOf makes a time of seconds since 1970.
func timeOf(f float64) time.Time {
	whole := int64(f)
	return known(time.Unix(whole, int64((f-float64(whole))*1e9)))
}

// known returns the zero time for one that cannot have been meant: the beginning of
// 1970, which package events makes of null, or what it makes of numbers out of range.
func known(t time.Time) time.Time {
	if s := t.Unix(); s >= mostSeconds || s <= -mostSeconds || s == 0 && t.Nanosecond() == 0 || t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// shortSeconds is seconds for the number at i, and returns the index after it, if it is
// as services write one: of few digits, of which at most three stand behind a point.
// Such a number is a quotient of two integers that a float64 holds exactly, so dividing
// them gives what strconv.ParseFloat does.
func shortSeconds(b []byte, i int) (t time.Time, end int, ok bool) {
	const most = 12
	begin, n := i, int64(0)
	for ; i < len(b) && b[i]-'0' <= 9 && i-begin < most; i++ {
		n = n*10 + int64(b[i]-'0')
	}
	if i == begin || i >= len(b) || b[begin] == '0' && i > begin+1 {
		return t, i, false
	}
	if b[i] != '.' {
		return timeOf(float64(n)), i, endsNumber(b[i])
	}
	scale := 1.0
	for i++; i < len(b) && b[i]-'0' <= 9 && scale < 1e3; i++ {
		n = n*10 + int64(b[i]-'0')
		scale *= 10
	}
	return timeOf(float64(n) / scale), i, scale > 1 && i < len(b) && endsNumber(b[i])
}

// endsNumber tells whether a number of JSON can end before c.
func endsNumber(c byte) bool { return c == ',' || c == '}' }
