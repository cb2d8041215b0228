// Package memorytable is a table in memory, for tests. It keeps the contract of
// package driver, as package drivertest proves, and lets a test break it on
// purpose: hooks fail or delay calls before or after they take effect, pages can
// be made small or empty, reads can be made stale, and it counts what it was
// asked.
//
// Reading the source: table.go has Put and Close, page.go Query, delete.go what
// removes items, changes.go the log of changes, counts.go what is counted.
package memorytable
