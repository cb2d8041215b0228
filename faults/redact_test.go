package faults_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
	"github.com/microeventstore/microeventstore/faults"
)

func TestNothingThatIsToBeRedactedGetsOut(t *testing.T) {
	for name, data := range map[string]string{
		"more behind":          `{"a":1}}{"card":{"number":"SECRET"}}`,
		"two members":          `{"card":{"number":"SECRET"},"card":{"number":"SECRET"}}`,
		"hidden by a later":    `{"card":{"number":"SECRET"},"card":{"other":1}}`,
		"hidden deeper":        `{"card":{"number":"SECRET","number":[]},"card":1}`,
		"hidden in a list":     `{"list":[{"card":1}],"card":[{"number":"SECRET"}],"card":[]}`,
		"escaped name":         `{"c\u0061rd":{"number":"SECRET"},"card":2}`,
		"invalid UTF-8 behind": "{\"card\":{\"number\":\"SECRET\"}}\xff",
	} {
		t.Run(name, func(t *testing.T) {
			e, err := publish(t, mes.Fault{Err: errBad, Record: record(data)}, faults.WithPayload("card.number"))
			require.NoError(t, err)
			require.NotContains(t, string(e.Raw), "SECRET")
		})
	}
	e, err := publish(t, mes.Fault{Err: errBad, Record: record(`{"a":{"x":1},"b":{"x":1}}`)}, faults.WithPayload("card.number"))
	require.NoError(t, err)
	require.NotContains(t, string(e.Raw), `"redacted":true`, "what lost nothing stays as it is")
}
