package rules

import (
	"strings"

	mes "github.com/microeventstore/microeventstore"
)

// OnExpired is a rule that emits an event when one of the types has expired: when
// DynamoDB's TTL, or the sweep of the table in one file, has removed it. With no
// types it is for all events. The emitted event says what the expired one said,
// its timestamp is the expiry, its partition key that of the expired event, its
// type that of the expired event with -expired behind it, or .expired where that
// has a dot in it; its id ends in .expired.
//
// So the absence of an event within a time becomes an event, which the listener
// collects like any other. DynamoDB deletes within a few days of the expiry, not
// at once. The table's change stream must carry old images. An event that has no
// data, such as a CloudEvent with data_base64, gives one that says nothing; see
// [Copy] for data that is not a JSON object.
//
// The rule that is returned can be changed: its ID, and, for a type of your
// choice, Emit: [Copy]("payment-timed-out"); with When it can act on what is left
// of the history itself.
func OnExpired(types ...string) Rule {
	return Rule{
		ID:       "expired",
		Types:    types,
		OnExpiry: true,
		Emit: func(m *mes.MicroEventStore, causes []mes.Event) ([]Emission, error) {
			return Copy(expiredType(m.Current.Type))(m, causes)
		},
	}
}

func expiredType(eventType string) string {
	if strings.Contains(eventType, ".") {
		return eventType + ".expired"
	}
	return eventType + "-expired"
}
