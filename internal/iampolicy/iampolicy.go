// Package iampolicy holds what a package calls in its tests to the IAM policies
// that its documentation publishes. It is for tests.
package iampolicy

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// Read returns the actions of each policy in a file, in the file's order, those of
// a policy sorted: what stands behind "Action" in JSON, in a comment of Go too. A
// file without any is an error, since it would allow whatever is never called.
func Read(file string) ([][]string, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text := regexp.MustCompile(`(?m)^//`).ReplaceAll(source, nil)
	var policies [][]string
	for _, match := range regexp.MustCompile(`"Action": (\[[^\]]*\])`).FindAllSubmatch(text, -1) {
		var actions []string
		if err := json.Unmarshal(match[1], &actions); err != nil {
			return nil, fmt.Errorf("%s: policy %d is no JSON: %w", file, len(policies), err)
		}
		slices.Sort(actions)
		policies = append(policies, actions)
	}
	if len(policies) == 0 {
		return nil, fmt.Errorf("%s publishes no policy", file)
	}
	return policies, nil
}

// ReadAll returns all actions of the policies in some files: what a program may call
// that does all that these allow.
func ReadAll(files ...string) ([]string, error) {
	var all []string
	for _, file := range files {
		policies, err := Read(file)
		if err != nil {
			return nil, err
		}
		all = Union(all, Union(policies...))
	}
	return all, nil
}

// Union returns all actions of some policies, sorted, each once.
func Union(policies ...[]string) []string {
	all := slices.Concat(policies...)
	slices.Sort(all)
	return slices.Compact(all)
}

// Compare returns an error that names what is called and not listed and, where all
// that can be called has been, what is listed and not called.
func Compare(listed, called []string, all bool) error {
	var unlisted, idle []string
	for _, action := range called {
		if !slices.Contains(listed, action) {
			unlisted = append(unlisted, action)
		}
	}
	for _, action := range listed {
		if all && !slices.Contains(called, action) {
			idle = append(idle, action)
		}
	}
	switch {
	case len(unlisted) > 0:
		return fmt.Errorf("%q are called, and the policy lists %q", unlisted, listed)
	case len(idle) > 0:
		return fmt.Errorf("the policy lists %q, and nothing calls them", idle)
	}
	return nil
}
