package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nobody builds the image here, so at least what it is made of has to be right.

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
}

func TestTheImageIsBuiltWithTheGoOfTheModule(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))
	require.NotNil(t, version)
	dockerfile := read(t, "Dockerfile")
	// The official images do not fetch a newer one: they set GOTOOLCHAIN=local.
	require.Contains(t, dockerfile, "FROM golang:"+version[1]+" AS build")
	require.Regexp(t, `(?m)^RUN CGO_ENABLED=0 go build .* -o /container \./examples/container$`, dockerfile)
	require.Regexp(t, `(?m)^FROM gcr\.io/distroless/static-debian12:nonroot$`, dockerfile, "certificates, and a user who is not root")
	require.Contains(t, dockerfile, `COPY --from=build /container /container`)
	require.Contains(t, dockerfile, `ENTRYPOINT ["/container"]`)
	require.DirExists(t, "../../examples/container")
}

func TestTheComposeFileSetsWhatTheProgramReads(t *testing.T) {
	compose := read(t, "compose.yaml")
	_, rest, _ := strings.Cut(compose, "x-environment: &environment\n")
	block, _, found := strings.Cut(rest, "\n\n")
	require.True(t, found)
	set := make(map[string]string)
	for line := range strings.Lines(block) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		require.True(t, ok, line)
		set[name] = value
	}
	program := read(t, "main.go")
	for _, name := range []string{"STREAM", "TABLE", "LEASES"} {
		require.Contains(t, program, `getenv("`+name+`")`)
		require.NotEmpty(t, set[name])
	}
	// The port that does not speak TLS, by default (README of kinesis-mock).
	require.Equal(t, "http://kinesis:4568", set["AWS_ENDPOINT_URL_KINESIS"])
	require.Equal(t, "http://dynamodb:8000", set["AWS_ENDPOINT_URL_DYNAMODB"])
	for _, service := range []string{"kinesis", "dynamodb", "demo", "replica"} {
		require.Contains(t, compose, "\n  "+service+":")
	}
	require.Equal(t, 2, strings.Count(compose, "{context: ../.., dockerfile: examples/container/Dockerfile}"))
	require.FileExists(t, "../../examples/container/Dockerfile")
	require.Contains(t, compose, `command: ["-demo"]`)
	require.Contains(t, program, `flags.Bool("demo"`)
}
