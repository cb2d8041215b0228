package microeventstore

import (
	"context"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
)

// Nobody looked at the error of Open or of New: what has no store says so, whatever
// it is asked, and panics nowhere. The methods are found, so that one that is new
// is among them.
func TestPromise10WhatHasNoStoreSaysSo(t *testing.T) {
	for name, holder := range map[string]struct {
		of   any
		says string
	}{
		"nil store":          {(*Store)(nil), "the store is nil or empty"},
		"empty store":        {new(Store), "the store is nil or empty"},
		"nil listener":       {(*Listener)(nil), "the listener is nil"},
		"empty listener":     {new(Listener), "the listener is empty"},
		"listener, no store": {NewListener(nil, nil), "new listener: the store is nil or empty"},
		"listener, empty":    {NewListener(new(Store), nil), "new listener: the store is nil or empty"},
		"nil trigger":        {(*Trigger)(nil), "the trigger is nil"},
		"empty trigger":      {new(Trigger), "the trigger is empty"},
		"trigger, no store":  {NewTrigger(nil, ignoreHistory), "new trigger: the store is nil or empty"},
		"trigger, empty":     {NewTrigger(new(Store), ignoreHistory), "new trigger: the store is nil or empty"},
		"no handler":         {NewTrigger(newTestStore(t, newSpy()), nil), "new trigger: the handler is nil"},
		"neither":            {NewTrigger(nil, nil), "the handler is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			value := reflect.ValueOf(holder.of)
			errs := 0
			for i := range value.NumMethod() {
				for _, n := range []int{0, 2} {
					method := value.Type().Method(i)
					for _, result := range callEmpty(t.Context(), value.Method(i), n) {
						if err, ok := result.(error); ok {
							require.ErrorContains(t, err, holder.says, method.Name)
							errs++
						}
					}
				}
			}
			require.GreaterOrEqual(t, errs, 2, "Handle at the least")
		})
	}
	for _, store := range []*Store{nil, new(Store)} {
		events := 0
		for _, err := range store.Events(t.Context(), "p") {
			require.ErrorIs(t, err, errNoStore)
			events++
		}
		require.Equal(t, 1, events)
		_, err := store.ItemDecoder()(driver.Item{Event: []byte(`{}`)})
		require.ErrorIs(t, err, errNoStore)
		require.Equal(t, []int{0, 1}, failedIndexes(t, store.Save(t.Context(), Event{}, Event{})))
		require.Equal(t, []int{0}, failedIndexes(t, store.Correlate(t.Context(), "p", Event{})))
		require.False(t, IsPermanent(store.Save(t.Context(), Event{})), "it says nothing about the event")
	}
}

func ignoreHistory(context.Context, *MicroEventStore) error { return nil }

// callEmpty calls a method with empty arguments, and n of what it takes a list of.
func callEmpty(ctx context.Context, method reflect.Value, n int) (results []any) {
	var in []reflect.Value
	for i := range method.Type().NumIn() {
		switch of := method.Type().In(i); {
		case of == reflect.TypeFor[context.Context]():
			in = append(in, reflect.ValueOf(ctx))
		case of == reflect.TypeFor[[]ReadOption]():
			in = append(in, reflect.Zero(of)) // a nil one has an error of its own
		case of.Kind() == reflect.Slice:
			in = append(in, reflect.MakeSlice(of, n, n))
		default:
			in = append(in, reflect.Zero(of))
		}
	}
	out := method.Call
	if method.Type().IsVariadic() {
		out = method.CallSlice
	}
	for _, value := range out(in) {
		results = append(results, value.Interface())
	}
	return results
}

func TestPromise10ATableThatIsANilPointerIsRefused(t *testing.T) {
	for _, table := range []driver.Table{nil, (*spyTable)(nil), (*foreignNil)(nil)} {
		store, err := New(table, InsertOnce())
		require.ErrorContains(t, err, "new store: the table is nil")
		require.Nil(t, store)
	}
	_, err := New(smallPages{newSpy(), 1})
	require.NoError(t, err, "no pointer at all")
}

// A foreignNil would panic if it was asked anything.
type foreignNil struct {
	driver.Table
	foreign bool
}

func (f *foreignNil) ForeignLayout() bool { return f.foreign }
