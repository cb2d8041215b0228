package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
)

// A node is the peer's process. It does what it is told, a scenario at a time, so
// that the two sides can take turns.
type node struct {
	command *exec.Cmd
	input   io.WriteCloser
	lines   *bufio.Scanner

	versions map[string]string
}

// startNode starts it in a directory of payloads and a plan.
func startNode(ctx context.Context, endpoint, directory string) (*node, error) {
	manifest, err := os.ReadFile("bench/peer/node_modules/aws-lambda-stream/package.json")
	if err != nil {
		return nil, fmt.Errorf("aws-lambda-stream is not installed: make bench-peer does that: %w", err)
	}
	var about struct{ Version string }
	if err := json.Unmarshal(manifest, &about); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "node", "bench/peer/peer.cjs", directory)
	command.Env = append(os.Environ(), "AWS_ENDPOINT_URL_DYNAMODB="+endpoint, "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=SECRET", "NODE_ENV=production", "NODE_NO_WARNINGS=1", "TIMEOUT=60000")
	command.Stderr = os.Stderr
	n := &node{command: command, versions: map[string]string{"aws-lambda-stream": about.Version}}
	if n.input, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	n.lines = bufio.NewScanner(output)
	if err := command.Start(); err != nil {
		return nil, err
	}
	var versions map[string]string
	if err := n.answer(&versions); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	maps.Copy(n.versions, versions)
	return n, nil
}

// answer reads the next line that is one: what the peer logs is not.
func (n *node) answer(to any) error {
	for n.lines.Scan() {
		if json.Unmarshal(n.lines.Bytes(), to) == nil {
			return nil
		}
	}
	return errors.Join(errors.New("the peer has ended"), n.lines.Err())
}

// run does the i-th step of the plan, to warm up or to be measured.
func (n *node) run(i int, warm bool) (c cost, err error) {
	if _, err := fmt.Fprintf(n.input, "{\"step\":%d,\"warm\":%v}\n", i, warm); err != nil {
		return c, err
	}
	return c, n.answer(&c)
}

func (n *node) stop() error {
	return errors.Join(n.input.Close(), n.command.Wait())
}
