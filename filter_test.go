package microeventstore

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseText(t testing.TB, raw string) Event {
	t.Helper()
	e, err := Parse([]byte(raw))
	require.NoError(t, err)
	return e
}

func TestFilters(t *testing.T) {
	e := parseText(t, `{"id":"1","type":"order-paid","timestamp":1,"tags":{"user":"ann","n":1.0,"b":true,"empty":"","null":null}}`)
	untyped := parseText(t, `{"id":"1","timestamp":1}`)
	yes, no := Types("order-paid"), Types("other")
	for name, c := range map[string]struct {
		filter Filter
		event  Event
		want   bool
	}{
		"nil":                     {nil, e, true},
		"types, none":             {Types(), e, false},
		"types, hit":              {Types("a", "order-paid"), e, true},
		"types, miss":             {Types("a", "order-pai", "order-paid "), e, false},
		"types, case counts":      {Types("Order-Paid"), e, false},
		"types, many, hit":        {Types("a", "b", "c", "d", "e", "order-paid"), e, true},
		"types, many, miss":       {Types("a", "b", "c", "d", "e"), e, false},
		"types, untyped":          {Types("a"), untyped, false},
		"types, untyped is empty": {Types(""), untyped, true},
		"many, untyped is empty":  {Types("", "a", "b", "c", "d"), untyped, true},
		"matches":                 {TypeMatches(regexp.MustCompile(`^order-`)), e, true},
		"matches anywhere":        {TypeMatches(regexp.MustCompile(`paid`)), e, true},
		"matches not":             {TypeMatches(regexp.MustCompile(`^paid`)), e, false},
		"matches nil":             {TypeMatches(nil), e, false},
		"tag":                     {HasTag("user", "ann"), e, true},
		"tag, other value":        {HasTag("user", "bob"), e, false},
		"tag, absent":             {HasTag("nobody", ""), e, false},
		"tag, empty":              {HasTag("empty", ""), e, true},
		"tag, number's text":      {HasTag("n", "1.0"), e, true},
		"tag, number's value":     {HasTag("n", "1"), e, false},
		"tag, boolean":            {HasTag("b", "true"), e, true},
		"tag, none at all":        {HasTag("user", "ann"), untyped, false},
		"all, none":               {All(), e, true},
		"all, of nil":             {All(nil, nil), e, true},
		"all":                     {All(yes, nil, yes), e, true},
		"all but one":             {All(yes, no, yes), e, false},
		"any, none":               {Any(), e, false},
		"any, of nil":             {Any(no, nil), e, true},
		"any":                     {Any(no, yes), e, true},
		"any, all refuse":         {Any(no, no), e, false},
		"not":                     {Not(no), e, true},
		"not, accepted":           {Not(yes), e, false},
		"not nil":                 {Not(nil), e, false},
		"not not nil":             {Not(Not(nil)), e, true},
		"zero event":              {All(Not(HasTag("a", "b")), Types("")), Event{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, c.filter.accepts(c.event))
		})
	}
}

func TestFiltersStopEarly(t *testing.T) {
	never := Filter(func(Event) bool { t.Error("asked for nothing"); return true })
	assert.False(t, All(Types("a"), never)(Event{}))
	assert.True(t, Any(nil, never)(Event{}))
}

// A filter is fixed when it is made, whatever becomes of the caller's slice.
func TestFiltersCopyTheirArguments(t *testing.T) {
	names := []string{"a"}
	filters := []Filter{Types("a")}
	types, all, any := Types(names...), All(filters...), Any(filters...)
	names[0], filters[0] = "b", Not(nil)
	for _, f := range []Filter{types, all, any} {
		assert.True(t, f(Event{Type: "a"}))
	}
}
