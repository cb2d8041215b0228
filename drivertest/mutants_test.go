package drivertest

import "github.com/microeventstore/microeventstore/internal/memorytable"

// A mutation is one way of breaking the contract, and the cases that must fail
// for it. Other cases may fail too.
type mutation struct {
	name     string
	opts     memorytable.Options
	breaks   func(m *mutant)
	reopened func(m *mutant) // breaks a table that was opened again, besides
	failing  string          // names of cases
}

func mutants() []mutation {
	var all []mutation
	for _, topic := range [][]mutation{itemMutants(), putMutants(), queryMutants(), cursorMutants(), absentMutants(), lifeMutants()} {
		all = append(all, topic...)
	}
	return all
}
