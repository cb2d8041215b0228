// Package hostile feeds the library what nobody should ever send: bombs, histories
// without end, JSON without bottom, keys that look alike. It has tests and nothing
// else.
package hostile
