package jsonscan

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// into walks everything that can be entered, down to a depth, and rebuilds it.
func into(c *Cursor, out *bytes.Buffer, depth int) {
	switch {
	case depth > 0 && c.Enter('{'):
		out.WriteByte('{')
		for first := true; c.Member(); first = false {
			if !first {
				out.WriteByte(',')
			}
			out.WriteString(`"` + string(c.Key) + `":`)
			into(c, out, depth-1)
		}
		out.WriteByte('}')
	case depth > 0 && c.Enter('['):
		out.WriteByte('[')
		for first := true; c.Element(); first = false {
			if !first {
				out.WriteByte(',')
			}
			into(c, out, depth-1)
		}
		out.WriteByte(']')
	default:
		out.Write(c.Value())
	}
}

func TestCursorShowsEverything(t *testing.T) {
	text := "\n{ \"a\" : [ 1 , {\"b\\\"c\" :{} }, [] ], \"d\":\t\"x\", \"e\" :{\"f\":null,\"f\":true} } "
	var out bytes.Buffer
	c := NewCursor([]byte(text))
	into(&c, &out, 100)
	require.NoError(t, c.End())
	require.Equal(t, `{"a":[1,{"b\"c":{}},[]],"d":"x","e":{"f":null,"f":true}}`, out.String())
}

func TestCursorKeys(t *testing.T) {
	c := NewCursor([]byte(`{"a":1, "b\u0063" : 2}`))
	require.True(t, c.Enter('{'))
	require.False(t, c.Enter('['))
	require.True(t, c.Member())
	require.Equal(t, "a", string(c.Key))
	require.False(t, c.Escaped)
	require.Equal(t, "1", string(c.Value()))
	require.True(t, c.Member())
	require.True(t, c.Escaped)
	name, ok := c.Name(nil)
	require.True(t, ok)
	require.Equal(t, "bc", string(name))
	require.Equal(t, "2", string(c.Value()))
	require.False(t, c.Member())
	require.NoError(t, c.End())
}

func TestCursorStopsForGood(t *testing.T) {
	c := NewCursor([]byte(`{"a" 1}`))
	require.True(t, c.Enter('{'))
	require.False(t, c.Member())
	require.False(t, c.Member())
	require.False(t, c.Element())
	require.False(t, c.Enter('{'))
	require.Nil(t, c.Value())
	require.Error(t, c.End())

	deep := NewCursor([]byte(strings.Repeat("[", MaxDepth+1)))
	depth := 0
	for deep.Enter('[') {
		depth++
		deep.Element()
	}
	require.Equal(t, MaxDepth, depth)
	require.ErrorContains(t, deep.End(), "nested")
}

// Whichever way a text is walked, it is valid exactly if Check says so.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{`{"a":[1,{"b":2}],"c":{}}`, `[[],[1,2]]`, `{"a":1,}`, `[1 2]`, `{,}`, `[`, `{"a"`, `1 2`, `{"a":"\ud800"}`} {
		f.Add([]byte(text), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, depth uint8) {
		c := NewCursor(text)
		var out bytes.Buffer
		into(&c, &out, int(depth))
		err := c.End()
		if want := Check(text); (err == nil) != (want == nil) {
			t.Fatalf("the cursor says %v, Check %v", err, want)
		}
		if err == nil && Check(out.Bytes()) != nil {
			t.Fatal("what it has shown is not valid")
		}
	})
}
