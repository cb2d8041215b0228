// Package steady lets the whole library work for as long as it is told to, and
// sees that it takes no more at the end than at the beginning: memory, goroutines,
// files, connections. It has tests and nothing else.
package steady
