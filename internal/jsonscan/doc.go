// Package jsonscan reads JSON in one pass over its bytes, without allocating
// and without reflection: it checks a text, walks the members of an object,
// finds the value at a path, and unquotes strings.
//
// It exists for its speed alone. Every event that arrives is checked once, and
// encoding/json takes most of an event's time for that; the benchmarks of this
// package compare the two. It accepts exactly the texts that are valid both to
// encoding/json and as UTF-8, which a fuzz target holds it to. (encoding/json by
// itself reads invalid UTF-8 as U+FFFD, so that two keys may become one.)
//
// What it returns shares the memory of the text. Its errors hold none of the
// text's content.
package jsonscan
