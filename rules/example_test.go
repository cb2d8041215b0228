package rules_test

import (
	"fmt"
	"time"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/rules"
)

// The absence of an event within a time, acted on as soon as it is noticed.
func ExampleOnExpired() {
	timedOut := rules.OnExpired("payment-requested")
	timedOut.ID = "timed-out"
	timedOut.When = func(m *mes.MicroEventStore) ([]mes.Event, error) {
		if m.Has("payment-received") {
			return nil, nil
		}
		return []mes.Event{m.Current}, nil
	}
	timedOut.Emit = rules.Copy("payment-timed-out")
	fmt.Println(timedOut.OnExpiry, timedOut.Types)
	// Output: true [payment-requested]
}

// Five card events of one user within ten minutes.
func ExampleRule_window() {
	fraud := rules.Rule{
		ID:        "fraud",
		KeyPrefix: "user#",
		Types:     []string{"card-charged"},
		Within:    10 * time.Minute,
		When: func(m *mes.MicroEventStore) ([]mes.Event, error) {
			for i := 4; i < len(m.Events); i++ {
				if m.Events[i].Timestamp.Sub(m.Events[i-4].Timestamp) <= 10*time.Minute {
					return m.Events[i-4 : i+1], nil
				}
			}
			return nil, nil
		},
		Emit: rules.One("fraud-suspected"),
		Once: true,
	}
	fmt.Println(fraud.ID, fraud.Within)
	// Output: fraud 10m0s
}
