package jsonscan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMould(t *testing.T) {
	text := []byte(` {"a":"1","b":2} {"a":"34","b":5} {"a":"6","c":7}`)
	var m Mould
	require.False(t, m.Usable())
	m.Open(1)
	m.Hole(text, 7, 7, 8)
	m.Close(text, 16)
	require.False(t, m.Usable(), "there may be no more than one")
	m.Open(1)
	m.Hole(text, 7, 7, 8)
	m.Hole(text, 8, 14, 15)
	m.Close(text, 16)
	require.True(t, m.Usable())
	require.Equal(t, []uint8{7, 8}, m.Holes())

	i, ok := m.Piece(0, text, 17)
	require.True(t, ok)
	require.Equal(t, `34","b`, string(text[i:i+6]))
	i, ok = m.Piece(1, text, i+2)
	require.True(t, ok)
	require.Equal(t, byte('5'), text[i])
	i, ok = m.Piece(2, text, i+1)
	require.True(t, ok)
	require.Equal(t, byte(' '), text[i])

	i, ok = m.Piece(0, text, i+1)
	require.True(t, ok)
	_, ok = m.Piece(1, text, i+1)
	require.False(t, ok, "another name")
	for _, i := range []int{-1, len(text) - 2, len(text), len(text) + 1} {
		_, ok = m.Piece(2, text, i)
		require.False(t, ok, i)
	}
}

func TestMouldsThatAreNone(t *testing.T) {
	text := []byte(`{"a":"1"}`)
	for name, make := range map[string]func(m *Mould){
		"unfit":            func(m *Mould) { m.Unfit(); m.Close(text, 9) },
		"not in order":     func(m *Mould) { m.Hole(text, 0, 6, 7); m.Hole(text, 0, 6, 7); m.Close(text, 9) },
		"before it begins": func(m *Mould) { m.Open(3); m.Hole(text, 0, 2, 3); m.Close(text, 9) },
		"backwards":        func(m *Mould) { m.Hole(text, 0, 7, 6); m.Close(text, 9) },
		"outside":          func(m *Mould) { m.Hole(text, 0, 7, 10); m.Close(text, 9) },
		"ends too early":   func(m *Mould) { m.Hole(text, 0, 6, 7); m.Close(text, 6) },
		"too many holes": func(m *Mould) {
			for range 25 {
				m.Hole(text, 0, 6, 6)
			}
			m.Close(text, 9)
		},
		"no object":    func(m *Mould) { m.Close(text, 8) },
		"ends outside": func(m *Mould) { m.Hole(text, 0, 6, 7); m.Close(text, 10) },
		"nothing fits, ever": func(m *Mould) {
			m.Close(text, 9)
			for range 9 {
				m.Fitted(false)
			}
		},
	} {
		var m Mould
		m.Open(0)
		m.Open(0)
		make(&m)
		require.False(t, m.Usable(), name)
	}
	var m Mould
	m.Open(0)
	m.Open(0)
	m.Close(text, 9)
	for range 9 {
		for range 4 {
			m.Fitted(true)
		}
		m.Fitted(false)
	}
	require.True(t, m.Usable(), "many fit")
	fitted, others := m.Counts()
	require.Equal(t, []int{36, 9}, []int{fitted, others})
}
