// Package linearizability checks that a store on each of the tables behaves like
// one that does one thing at a time: whoever reads after a save has returned sees
// what was saved, and nobody sees an older version after a newer one. It has tests
// and nothing else.
package linearizability
