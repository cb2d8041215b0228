package microeventstore

import (
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// The fields are found by reflection, so that one that is added later is looked
// at too.
func TestCloneSharesNoMemory(t *testing.T) {
	var e Event
	var fill func(v reflect.Value, name string)
	fill = func(v reflect.Value, name string) {
		for i := range v.NumField() {
			switch f := v.Field(i); {
			case f.Type() == reflect.TypeFor[time.Time]():
				f.Set(reflect.ValueOf(time.UnixMilli(1)))
			case f.Kind() == reflect.Struct:
				fill(f, name+v.Type().Field(i).Name)
			case f.Kind() == reflect.String:
				f.SetString(string([]byte(name + v.Type().Field(i).Name)))
			case f.Kind() == reflect.Int64:
				f.SetInt(7)
			default:
				f.SetBytes([]byte(`{"a":1}`))
			}
		}
	}
	fill(reflect.ValueOf(&e).Elem(), "a ")

	clone := e.Clone()
	assert.Equal(t, e, clone)
	for n := range 100 {
		raw := Event{Raw: make([]byte, n)}.Clone().Raw
		assert.Equal(t, n, cap(raw), "what is appended to it must not lie in it")
	}
	var differ func(a, b reflect.Value)
	differ = func(a, b reflect.Value) {
		for i := range a.NumField() {
			switch fa, fb := a.Field(i), b.Field(i); {
			case fa.Type() == reflect.TypeFor[time.Time]():
			case fa.Kind() == reflect.Struct:
				differ(fa, fb)
			case fa.Kind() == reflect.String:
				assert.NotSame(t, unsafe.StringData(fa.String()), unsafe.StringData(fb.String()), a.Type().Field(i).Name)
			case fa.Kind() == reflect.Slice:
				assert.NotEqual(t, fa.Pointer(), fb.Pointer(), a.Type().Field(i).Name)
			}
		}
	}
	differ(reflect.ValueOf(e), reflect.ValueOf(clone))
}
