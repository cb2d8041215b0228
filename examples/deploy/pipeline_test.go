// Package deploy_test reads the templates.
package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	mes "github.com/microeventstore/microeventstore"
)

// An actions is what a function's role has to allow, of each resource: what the code
// calls (which the tests of the functions hold it to) and what Lambda calls in its
// name.
type actions struct{ Code, Lambda map[string][]string }

// grants lists actions with their resources.
func (a actions) grants() (grants []string) {
	for _, part := range []map[string][]string{a.Code, a.Lambda} {
		for resource, names := range part {
			for _, name := range names {
				grants = append(grants, name+" on "+resource)
			}
		}
	}
	slices.Sort(grants)
	return grants
}

// A pipeline is the files that describe one: the templates and the actions.
type pipeline map[string]string

func readPipeline(t *testing.T) pipeline {
	t.Helper()
	p := make(pipeline)
	for _, pattern := range []string{"actions.json", "sam/*", "terraform/*"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			p[filepath.ToSlash(name)] = string(text)
		}
	}
	return p
}

// check says everything that is wrong with a pipeline. Whatever it does not
// understand is wrong: a setting that nobody has thought of may undo all others.
func (p pipeline) check() error { return errors.Join(p.checkSAM(), p.checkTerraform()) }

func (p pipeline) checkSAM() error {
	roles, err := p.roles()
	if err != nil {
		return err
	}
	tree, err := readSAM(p)
	if err != nil {
		return err
	}
	return report("SAM", tree, false, func(n node) { checkSAM(n, roles) })
}

func (p pipeline) checkTerraform() error {
	roles, err := p.roles()
	if err != nil {
		return err
	}
	tree, err := readTerraform(p)
	if err != nil {
		return err
	}
	return report("Terraform", tree, true, func(n node) { checkTerraform(n, roles) })
}

func (p pipeline) roles() (roles map[string]actions, err error) {
	if err := json.Unmarshal([]byte(p["actions.json"]), &roles); err != nil {
		return nil, err
	}
	if len(roles) != 2 {
		return nil, fmt.Errorf("actions.json has %d functions", len(roles))
	}
	return roles, nil
}

func TestTheTemplatesSayWhatTheyMust(t *testing.T) {
	require.NoError(t, readPipeline(t).check())
}

// functions are those of the pipeline, under the names of their resources.
func functions() map[string]string {
	return map[string]string{"Listener": "listener", "Trigger": "trigger"}
}

// checkTrust reads who may take a role on: Lambda alone.
func checkTrust(n node) {
	n.hcl = false // the names are those of IAM
	n.is("Version", "2012-10-17")
	n.each("Statement", 1, func(_ int, n node) {
		n.is("Effect", "Allow")
		n.in("Principal", func(n node) { n.is("Service", "lambda.amazonaws.com") })
		n.is("Action", "sts:AssumeRole")
	})
}

// checkPolicy compares what a role grants with what is called, no more and no less.
func checkPolicy(n node, want actions) {
	before, after := "", "Logs.Arn" // which ends in :* already
	if n.hcl {
		before, after = "${", "Logs.Arn}:*"
	}
	names := map[expr]string{
		"Events.Arn": "Events", "Faults.Arn": "Faults", "Stream.Arn": "Stream", "Failures.Arn": "Failures",
		"Events.StreamArn": "Events.Stream", "${Events.Arn}/stream/*": "Events/stream/*",
	}
	for function := range functions() {
		names[expr(before+function+after)] = function + "Logs"
	}
	n.hcl = false
	n.is("Version", "2012-10-17")
	var got []string
	n.each("Statement", 0, func(_ int, n node) {
		n.is("Effect", "Allow")
		acts := n.values("Action")
		for _, resource := range n.values("Resource") {
			reference, _ := resource.(expr)
			name, ok := names[reference]
			if !ok {
				n.fail("Resource is %v, which this test does not know", resource)
			}
			for _, action := range acts {
				got = append(got, fmt.Sprint(action, " on ", name))
			}
		}
	})
	slices.Sort(got)
	if !reflect.DeepEqual(got, want.grants()) {
		n.fail("grants %q and not %q", got, want.grants())
	}
}

// checkFunction reads a function but for where its code is.
func checkFunction(n node, function string, environment map[string][]any) {
	n.is("Role", expr(function+"Role.Arn"))
	n.is("Runtime", "provided.al2023")
	n.is("Handler", "bootstrap")
	n.is("Architectures", []any{"arm64"})
	memory := n.number("MemorySize", 128, 10240)
	n.number("Timeout", 2, 900)
	least := 0
	if function == "Trigger" { // room for what it may read at once
		least = mes.DefaultConcurrency * mes.DefaultMaxBytes >> 20
		if memory < least+256 {
			n.fail("memory of %d MB has no room for %d MiB of histories", memory, least)
		}
	}
	n.in("Environment", func(n node) {
		n.in("Variables", func(n node) {
			n.hcl = false
			for name, want := range environment {
				n.is(name, want...)
			}
			if _, ok := n.members["GOMEMLIMIT"]; ok || least > 0 {
				limit, err := strconv.Atoi(strings.TrimSuffix(n.text("GOMEMLIMIT"), "MiB"))
				if err != nil || limit <= least || limit >= memory {
					n.fail("GOMEMLIMIT is %d of %d MB", limit, memory)
				}
			}
		})
	})
}

// checkMapping reads an event source mapping but for its filter.
func checkMapping(n node, function string) {
	n.is("FunctionName", expr(function), expr(function+".Arn"))
	source := expr("Stream.Arn")
	if function == "Trigger" {
		source = "Events.StreamArn"
	} else {
		n.number("MaximumBatchingWindowInSeconds", 0, 300)
	}
	n.is("EventSourceArn", source)
	n.is("StartingPosition", "TRIM_HORIZON")
	n.number("BatchSize", 1, 10000)
	n.is("FunctionResponseTypes", []any{"ReportBatchItemFailures"})
	n.is("BisectBatchOnFunctionError", "true")
	n.number("MaximumRetryAttempts", 10, 1000) // soon a minute apart: a short outage, and less than a day
	n.is("MaximumRecordAgeInSeconds", expr("MaximumAge"))
	n.in("DestinationConfig", func(n node) {
		n.in("OnFailure", func(n node) { n.is("Destination", expr("Failures.Arn")) })
	})
}

// checkAge reads the bounds of a record's age. What the failure queue names has to be
// in its stream for as long again; a table's stream keeps it for 24 hours. Lambda
// takes no less than a minute, and -1 for no bound at all.
func checkAge(n node, least, most string) {
	n.number("Default", 60, 24*3600/2)
	low, _ := strconv.Atoi(least)
	high, _ := strconv.Atoi(most)
	if low != 60 || high != 24*3600 {
		n.fail("the age can be from %s to %s", least, most)
	}
}

// checkPattern compares a filter with what it must be: what was inserted, or what the
// TTL has removed.
func checkPattern(n node, expired bool, pattern any) {
	want := `{"eventName":["INSERT"]}`
	if expired {
		want = `{"eventName":["REMOVE"],"userIdentity":{"principalId":["dynamodb.amazonaws.com"],"type":["Service"]}}`
	}
	if got, err := json.Marshal(pattern); err != nil || string(got) != want {
		n.fail("the filter is %s and not %s", got, want)
	}
}

// checkAlarm reads an alarm but for what it is of and whom it tells.
func checkAlarm(n node, name string) (dimension string, of expr) {
	want, ok := map[string][5]any{
		"ListenerIsBehind":     {"AWS/Lambda", "IteratorAge", "Maximum", "FunctionName", expr("Listener")},
		"TriggerIsBehind":      {"AWS/Lambda", "IteratorAge", "Maximum", "FunctionName", expr("Trigger")},
		"SomethingWasGivenUp":  {"AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "QueueName", expr("Failures.QueueName")},
		"SomethingWasSetAside": {"AWS/DynamoDB", "ConsumedWriteCapacityUnits", "Sum", "TableName", expr("Faults")},
	}[name]
	if !ok {
		n.fail("is an alarm that this test does not know")
		return "", ""
	}
	n.is("Namespace", want[0])
	n.is("MetricName", want[1])
	n.is("Statistic", want[2])
	n.number("Period", 60, 300)
	n.number("EvaluationPeriods", 1, 15)
	most := 0
	if want[1] == "IteratorAge" { // in milliseconds
		most = 3600_000
	}
	n.number("Threshold", 0, most)
	n.is("ComparisonOperator", "GreaterThanThreshold")
	n.is("TreatMissingData", "notBreaching")
	return want[3].(string), want[4].(expr)
}

// alarms are the names of those that there must be.
func alarms() []string {
	return []string{"ListenerIsBehind", "TriggerIsBehind", "SomethingWasGivenUp", "SomethingWasSetAside"}
}
