package iampolicy

import (
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

type code int

func (c code) Run() int { return int(c) }

func TestPromise19ASuiteFailsForWhatItsTestsHaveCalled(t *testing.T) {
	var asked []bool
	suite := func(code code, err error) Suite {
		return Suite{Tests: code, Check: func(all bool) error {
			asked = append(asked, all)
			return err
		}}
	}
	run := flag.Lookup("test.run").Value
	before := run.String()
	defer func() { require.NoError(t, run.Set(before)) }()
	require.NoError(t, run.Set(""))
	require.Zero(t, suite(0, nil).Run())
	require.Equal(t, 1, suite(0, errors.New("it calls Scan")).Run())
	require.Equal(t, 2, suite(2, errors.New("not asked")).Run())
	require.NoError(t, run.Set("One"))
	require.Zero(t, suite(0, nil).Run())
	require.Equal(t, []bool{true, true, false}, asked)
}
