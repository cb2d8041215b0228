// Mutants proves that the tests have teeth: it spoils the library in one place,
// as each of the files beside it says, and sees that a test fails.
//
//	go run ./.ci/mutants             all of them
//	go run ./.ci/mutants -n 3        three, others each day
//	go run ./.ci/mutants NAME...     those whose file's name begins so
//
// A mutant is a text file, NAME.mutant:
//
//	what goes wrong, in a line
//	file: dynamostore/put.go
//	test: ./internal/simulation ./dynamostore
//	--- old
//	text that stands in the file exactly once
//	--- new
//	what stands there instead
//
// There may be several pairs of old and new. The tests are run in their order
// until one fails; without a test line, the simulation and then everything. No
// file of the tree is changed: the compiler is told to read another one in its
// place (go build -overlay).
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const folder = ".ci/mutants"

type mutant struct {
	name, what, file string
	tests            []string
	pairs            [][2]string
}

func main() {
	n := flag.Int("n", 0, "how many, others each day; 0 is all")
	flag.Parse()
	if err := run(*n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(n int, names []string) error {
	mutants, err := load(names)
	if err != nil {
		return err
	}
	if n > 0 && n < len(mutants) {
		// The days go round all of them.
		first := int(time.Now().Unix()/86400) * n
		chosen := make([]mutant, n)
		for i := range chosen {
			chosen[i] = mutants[(first+i)%len(mutants)]
		}
		mutants = chosen
	}
	survivors := 0
	for i := range mutants {
		m := &mutants[i]
		began := time.Now()
		killer, err := m.hunt()
		switch {
		case err != nil:
			survivors++
			killer = err.Error()
		case killer == "":
			survivors++
			killer = "SURVIVED: " + m.what
		}
		fmt.Fprintf(os.Stdout, "%-44s %4.0f s  %s\n", m.name, time.Since(began).Seconds(), killer)
	}
	if survivors > 0 {
		return fmt.Errorf("%d of %d mutants survived", survivors, len(mutants))
	}
	fmt.Fprintf(os.Stdout, "all of %d mutants were killed\n", len(mutants))
	return nil
}

func load(names []string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.mutant"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("there is no mutant here; run it at the root of the module"))
	}
	var mutants []mutant
	for _, file := range files {
		m, err := parse(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(m.name, name) }) {
			mutants = append(mutants, m)
		}
	}
	if len(mutants) == 0 {
		return nil, errors.New("there is no mutant of that name")
	}
	return mutants, nil
}

func parse(file string) (m mutant, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return m, err
	}
	m.name = strings.TrimSuffix(filepath.Base(file), ".mutant")
	head, rest, _ := strings.Cut(string(text), "--- old\n")
	for i, line := range strings.Split(strings.TrimSpace(head), "\n") {
		switch {
		case i == 0:
			m.what = line
		case strings.HasPrefix(line, "file: "):
			m.file = strings.TrimPrefix(line, "file: ")
		case strings.HasPrefix(line, "test: "):
			m.tests = strings.Fields(strings.TrimPrefix(line, "test: "))
		default:
			return m, fmt.Errorf("what is %q?", line)
		}
	}
	if len(m.tests) == 0 {
		m.tests = []string{"./internal/simulation", "./..."}
	}
	for pair := range strings.SplitSeq(rest, "--- old\n") {
		old, changed, ok := strings.Cut(pair, "--- new\n")
		if !ok || m.file == "" || old == "" {
			return m, errors.New(`it needs "file: ", "--- old" and "--- new"`)
		}
		m.pairs = append(m.pairs, [2]string{old, changed})
	}
	return m, nil
}

// hunt returns what killed the mutant, "" if nothing did.
func (m *mutant) hunt() (killer string, err error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	spoiled := string(source)
	for _, pair := range m.pairs {
		old := strings.TrimRight(pair[0], "\n")
		if strings.Count(spoiled, old) != 1 {
			return "", fmt.Errorf("the old text stands in %s %d times: bring the mutant up to date", m.file, strings.Count(spoiled, old))
		}
		spoiled = strings.Replace(spoiled, old, strings.TrimRight(pair[1], "\n"), 1)
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	replacement := filepath.Join(dir, "spoiled.go")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: replacement}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(replacement, []byte(spoiled), 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "./"+filepath.Dir(m.file)).CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %s", out)
	}
	for _, pkg := range m.tests {
		// A new seed each time would kill one day and not the other.
		cmd := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-vet=off", "-failfast", "-timeout", "20m", pkg)
		cmd.Env = append(os.Environ(), "MES_SIMULATION_EVENTS=20000", "MES_SIMULATION_WORLD=1000", "MES_SIMULATION_SEED=1", "MES_SIMULATION_REPLAYS=0", "GOGC=400")
		out, err := cmd.CombinedOutput()
		if err == nil {
			continue
		}
		if bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")) {
			return "", fmt.Errorf("the tests do not compile: %s", out)
		}
		return pkg + ": " + reason(out), nil
	}
	return "", nil
}

// reason finds a line that says what failed.
func reason(out []byte) string {
	first := ""
	for line := range bytes.Lines(out) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "simulation_test.go") && strings.Contains(text, ": 0") {
			return text
		}
		if first == "" && (strings.HasPrefix(text, "--- FAIL") || strings.HasPrefix(text, "panic:")) {
			first = text
		}
	}
	return first
}
