package dynamostore

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/microeventstore/microeventstore/driver"
	"github.com/microeventstore/microeventstore/internal/iampolicy"
)

func TestPromise19ThePoliciesListWhatIsCalled(t *testing.T) {
	synctest.Test(t, testPolicies)
}

func testPolicies(t *testing.T) {
	want, err := iampolicy.Read("doc.go")
	require.NoError(t, err)
	require.Len(t, want, 5)
	seen := new(iampolicy.Watch)
	called := func() []string { // since it was asked last
		actions := seen.Called()
		seen = new(iampolicy.Watch)
		return actions
	}
	plane := &control{}
	s := &stub{}
	s.answer = func(c call) (*http.Response, error) {
		seen.NoteAction("dynamodb:" + c.operation)
		switch c.operation {
		case "PutItem":
			return taken(""), nil
		case "Query":
			return pageOf("", "secret-0000"), nil
		case "BatchWriteItem":
			return success(c)
		}
		return plane.answer(c)
	}
	table := s.table()

	require.NoError(t, table.Put(t.Context(), items(30)))
	_, err = table.Query(t.Context(), driver.Query{HashKey: "h"})
	require.NoError(t, err)
	require.Equal(t, want[0], called())

	require.Error(t, table.PutIfAbsent(t.Context(), items(1)))
	require.Equal(t, want[1], called())

	_, err = table.Delete(t.Context(), "h")
	require.NoError(t, err)
	require.Equal(t, want[2], called())

	plane.created, plane.keys, plane.status = true, goodKeys, "DISABLED"
	require.Error(t, Check(t.Context(), s.client(), "events"))
	require.Equal(t, want[3], called())

	*plane = control{status: "DISABLED"}
	require.NoError(t, Provision(t.Context(), s.client(), "events", WithoutStream(), WithoutTTL()))
	plane.ready = plane.ready.AddDate(-1, 0, 0)
	require.NoError(t, Provision(t.Context(), s.client(), "events", WithoutTTL()))
	plane.ready = plane.ready.AddDate(-1, 0, 0)
	require.NoError(t, Provision(t.Context(), s.client(), "events"))
	require.Equal(t, want[4], called())
}
