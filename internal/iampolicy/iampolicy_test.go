package iampolicy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPoliciesAreReadInTheirOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.go")
	require.NoError(t, os.WriteFile(file, []byte("// Package p\n//\n//\t\"Action\": [\"s:B\", \"s:A\"],\n//\t\"Resource\": \"R\"\n//\n//\t\"Action\": [\"s:C\",\n//\t           \"s:A\"]\npackage p\n"), 0o600))
	policies, err := Read(file)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"s:A", "s:B"}, {"s:A", "s:C"}}, policies)
	require.Equal(t, []string{"s:A", "s:B", "s:C"}, Union(policies...))
	all, err := ReadAll(file, file)
	require.NoError(t, err)
	require.Equal(t, []string{"s:A", "s:B", "s:C"}, all)

	require.NoError(t, os.WriteFile(file, []byte("package p"), 0o600))
	_, err = Read(file)
	require.ErrorContains(t, err, "publishes no policy")
	require.NoError(t, os.WriteFile(file, []byte(`"Action": [a]`), 0o600))
	_, err = Read(file)
	require.ErrorContains(t, err, "policy 0 is no JSON")
	_, err = Read(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = ReadAll(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPromise19WhatDiffersIsNamed(t *testing.T) {
	listed := []string{"s:A", "s:B"}
	require.NoError(t, Compare(listed, []string{"s:B", "s:A"}, true))
	require.NoError(t, Compare(listed, []string{"s:B"}, false))
	require.EqualError(t, Compare(listed, []string{"s:B"}, true), `the policy lists ["s:A"], and nothing calls them`)
	for _, all := range []bool{false, true} {
		require.EqualError(t, Compare(listed, []string{"s:B", "s:Scan"}, all), `["s:Scan"] are called, and the policy lists ["s:A" "s:B"]`)
	}
}
