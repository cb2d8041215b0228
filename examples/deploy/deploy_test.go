// Package deploy_test reads the templates.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	mes "github.com/microeventstore/microeventstore"
)

// An actions is what a function's role has to allow, of each resource: what the code
// calls (which the tests of the functions hold it to) and what Lambda calls in its
// name.
type actions struct{ Code, Lambda map[string][]string }

func readActions(t *testing.T) (all map[string]actions) {
	t.Helper()
	text, err := os.ReadFile("actions.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 2)
	return all
}

// grants lists actions with their resources, one a line.
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

// A template is one of the two, for the questions of the tests.
type template interface {
	// grants are those of a function's role.
	grants(function string) []string
	// setting is a setting of a function's event source mapping.
	setting(function, name string) string
	// alarms lists the metrics that alarms watch, with what of.
	alarms() []string
	// table are the settings of the table of events.
	table(name string) string
	// function is a setting of a function.
	function(function, name string) string
	// limits are how old a record may become in a mapping, and in the stream; in seconds.
	limits() (mapping, stream string)
}

func templates(t *testing.T) map[string]template {
	return map[string]template{"SAM": readSAM(t, "sam/template.yaml"), "Terraform": readTerraform(t)}
}

func TestRolesGrantWhatIsCalledAndNothingElse(t *testing.T) {
	for name, template := range templates(t) {
		for function, actions := range readActions(t) {
			got := template.grants(function)
			slices.Sort(got)
			require.Equal(t, actions.grants(), got, "%s, %s", name, function)
			for _, grant := range got {
				require.NotRegexp(t, `:\S*\*| on \*`, grant)
			}
		}
	}
}

func TestMappingsHaveWhatTheyNeed(t *testing.T) {
	for name, template := range templates(t) {
		for _, function := range []string{"listener", "trigger"} {
			for setting, want := range map[string]string{
				"responses":   `^ReportBatchItemFailures$`,
				"bisect":      `^true$`,
				"attempts":    `^[1-9][0-9]*$`,
				"age":         `(?i)maximum_?age`,
				"destination": `(?i)failures`,
				"position":    `^TRIM_HORIZON$`,
				"batch":       `^[1-9][0-9]*$`,
			} {
				require.Regexp(t, want, template.setting(function, setting), "%s, %s: %s", name, function, setting)
			}
		}
		require.Regexp(t, `(?i)stream`, template.setting("listener", "source"), name)
		require.Regexp(t, `(?i)events.*stream`, template.setting("trigger", "source"), name)

		filter := template.setting("trigger", "filter")
		require.Contains(t, filter, "INSERT", name)
		require.Regexp(t, `(?is)expiry.*REMOVE.*userIdentity.*Service.*principalId.*dynamodb\.amazonaws\.com`, filter, name)
		require.Empty(t, template.setting("listener", "filter"))
	}
}

// The function has room for what the trigger may read at once; and when the failure
// queue names a record, there is time to look at it.
func TestMemoryAndAges(t *testing.T) {
	for name, template := range templates(t) {
		memory, err := strconv.Atoi(template.function("trigger", "memory"))
		require.NoError(t, err, name)
		require.GreaterOrEqual(t, memory, mes.DefaultConcurrency*mes.DefaultMaxBytes>>20+256, name)
		limit, err := strconv.Atoi(strings.TrimSuffix(template.function("trigger", "limit"), "MiB"))
		require.NoError(t, err, name)
		require.Less(t, limit, memory, name)
		require.Greater(t, limit, mes.DefaultConcurrency*mes.DefaultMaxBytes>>20, name)

		mapping, stream := template.limits()
		age, err := strconv.Atoi(mapping)
		require.NoError(t, err, name)
		hours, err := strconv.Atoi(stream)
		require.NoError(t, err, name)
		require.LessOrEqual(t, age, min(hours, 24)*3600/2, name) // 24 hours is what a table's stream keeps
	}
}

func TestAlarmsAndTable(t *testing.T) {
	for name, template := range templates(t) {
		require.ElementsMatch(t, template.alarms(), []string{
			"IteratorAge of listener", "IteratorAge of trigger", "ApproximateNumberOfMessagesVisible of failures", "ConsumedWriteCapacityUnits of faults",
		}, name)
		require.Equal(t, "ttl", template.table("ttl"), name)
		require.Equal(t, "NEW_AND_OLD_IMAGES", template.table("view"), name)
		require.Equal(t, "partitionKey eventId", template.table("keys"), name)
	}
}

// A sam is a template of AWS SAM: resources and parameters by name.
type sam map[string]*yaml.Node

func readSAM(t *testing.T, file string) sam {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var document struct {
		Parameters map[string]yaml.Node `yaml:"Parameters"`
		Resources  map[string]yaml.Node `yaml:"Resources"`
	}
	require.NoError(t, yaml.Unmarshal(text, &document))
	resources := make(sam)
	for name, node := range document.Resources {
		resources[name] = &node
	}
	require.NotEmpty(t, resources)
	for name, node := range document.Parameters {
		resources[name] = &node
	}
	return resources
}

// at returns the node at a path of names; an empty one if there is none.
func at(node *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var found *yaml.Node
		for i := 0; node != nil && node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				found = node.Content[i+1]
			}
		}
		node = found
	}
	if node == nil {
		return new(yaml.Node)
	}
	return node
}

// words are the scalars under a node.
func words(node *yaml.Node) (found []string) {
	if node.Kind == yaml.ScalarNode {
		return []string{node.Value}
	}
	for _, child := range node.Content {
		found = append(found, words(child)...)
	}
	return found
}

func capital(function string) string { return strings.ToUpper(function[:1]) + function[1:] }

func (s sam) grants(function string) (grants []string) {
	for _, policy := range at(s[capital(function)+"Role"], "Properties", "Policies").Content {
		for _, statement := range at(policy, "PolicyDocument", "Statement").Content {
			for _, resource := range words(at(statement, "Resource")) {
				resource = strings.NewReplacer(".StreamArn", ".Stream", ".Arn", "", "${", "", "}", "").Replace(resource)
				for _, action := range words(at(statement, "Action")) {
					grants = append(grants, action+" on "+resource)
				}
			}
		}
	}
	return grants
}

func (s sam) setting(function, name string) string {
	path := map[string]string{
		"responses": "FunctionResponseTypes", "bisect": "BisectBatchOnFunctionError", "attempts": "MaximumRetryAttempts",
		"age": "MaximumRecordAgeInSeconds", "destination": "DestinationConfig.OnFailure.Destination", "position": "StartingPosition",
		"batch": "BatchSize", "source": "EventSourceArn", "filter": "FilterCriteria.Filters",
	}[name]
	node := at(s[capital(function)+"Mapping"], append([]string{"Properties"}, strings.Split(path, ".")...)...)
	return strings.Join(words(node), " ")
}

func (s sam) alarms() (found []string) {
	for _, resource := range s {
		if at(resource, "Type").Value == "AWS::CloudWatch::Alarm" {
			properties := at(resource, "Properties")
			of := words(at(properties, "Dimensions"))
			resource, _, _ := strings.Cut(strings.ToLower(of[len(of)-1]), ".")
			found = append(found, at(properties, "MetricName").Value+" of "+resource)
		}
	}
	return found
}

func (s sam) table(name string) string {
	properties := at(s["Events"], "Properties")
	switch name {
	case "ttl":
		if at(properties, "TimeToLiveSpecification", "Enabled").Value != "true" {
			return ""
		}
		return at(properties, "TimeToLiveSpecification", "AttributeName").Value
	case "view":
		return at(properties, "StreamSpecification", "StreamViewType").Value
	}
	keys := words(at(properties, "KeySchema"))
	return fmt.Sprint(keys[1], " ", keys[5])
}

func (s sam) function(function, name string) string {
	properties := at(s[capital(function)], "Properties")
	if name == "memory" {
		return at(properties, "MemorySize").Value
	}
	return at(properties, "Environment", "Variables", "GOMEMLIMIT").Value
}

func (s sam) limits() (mapping, stream string) {
	return at(s["MaximumAge"], "Default").Value, at(s["Stream"], "Properties", "RetentionPeriodHours").Value
}

// A terraform is the text of each resource of a module, by its type and name.
type terraform map[string]string

func readTerraform(t *testing.T) terraform {
	t.Helper()
	resources := make(terraform)
	for _, name := range []string{"main", "listener", "trigger", "variables"} {
		text, err := os.ReadFile("terraform/" + name + ".tf")
		require.NoError(t, err)
		// terraform fmt puts the brace that ends a resource at the beginning of a line.
		for _, match := range regexp.MustCompile(`(?ms)^resource "(\w+)" "(\w+)" \{\n(.*?)^\}`).FindAllStringSubmatch(string(text), -1) {
			resources[match[1]+"."+match[2]] = match[3]
		}
		for _, match := range regexp.MustCompile(`(?ms)^variable "(\w+)" \{\n(.*?)^\}`).FindAllStringSubmatch(string(text), -1) {
			resources["var."+match[1]] = match[2]
		}
	}
	require.NotEmpty(t, resources)
	return resources
}

func (r terraform) grants(function string) (grants []string) {
	names := strings.NewReplacer(
		"aws_dynamodb_table.events.stream_arn", "Events.Stream", "aws_dynamodb_table.events.arn", "Events",
		"aws_dynamodb_table.faults.arn", "Faults", "aws_kinesis_stream.stream.arn", "Stream", "aws_sqs_queue.failures.arn", "Failures",
		"aws_cloudwatch_log_group.listener.arn}:*", "ListenerLogs", "aws_cloudwatch_log_group.trigger.arn}:*", "TriggerLogs",
		`"`, "", "${", "", "}", "")
	for _, statement := range regexp.MustCompile(`Action\s*= \[(.*)\]\s*Resource\s*= \[(.*)\]`).FindAllStringSubmatch(r["aws_iam_role_policy."+function], -1) {
		for resource := range strings.SplitSeq(statement[2], ", ") {
			for action := range strings.SplitSeq(statement[1], ", ") {
				grants = append(grants, strings.Trim(action, `"`)+" on "+names.Replace(resource))
			}
		}
	}
	return grants
}

func (r terraform) attribute(resource, name string) string {
	match := regexp.MustCompile(`(?m)^\s*` + name + `\s*= (.*?)(?: #.*)?$`).FindStringSubmatch(r[resource])
	if match == nil {
		return ""
	}
	return strings.Trim(match[1], `"[]`)
}

func (r terraform) setting(function, name string) string {
	resource := "aws_lambda_event_source_mapping." + function
	if name == "filter" {
		_, filter, _ := strings.Cut(r[resource], "filter_criteria")
		return filter
	}
	return r.attribute(resource, map[string]string{
		"responses": "function_response_types", "bisect": "bisect_batch_on_function_error", "attempts": "maximum_retry_attempts",
		"age": "maximum_record_age_in_seconds", "destination": "destination_arn", "position": "starting_position",
		"batch": "batch_size", "source": "event_source_arn",
	}[name])
}

func (r terraform) alarms() (found []string) {
	for resource, text := range r {
		if strings.HasPrefix(resource, "aws_cloudwatch_metric_alarm.") {
			of := regexp.MustCompile(`aws_\w+\.(\w+)\.`).FindStringSubmatch(text)[1]
			found = append(found, r.attribute(resource, "metric_name")+" of "+of)
		}
	}
	return found
}

func (r terraform) table(name string) string {
	const events = "aws_dynamodb_table.events"
	switch name {
	case "ttl":
		if r.attribute(events, "enabled") != "true" {
			return ""
		}
		return r.attribute(events, "attribute_name")
	case "view":
		if r.attribute(events, "stream_enabled") != "true" {
			return ""
		}
		return r.attribute(events, "stream_view_type")
	}
	return r.attribute(events, "hash_key") + " " + r.attribute(events, "range_key")
}

func (r terraform) function(function, name string) string {
	return r.attribute("aws_lambda_function."+function, map[string]string{"memory": "memory_size", "limit": "GOMEMLIMIT"}[name])
}

func (r terraform) limits() (mapping, stream string) {
	return r.attribute("var.maximum_age", "default"), r.attribute("aws_kinesis_stream.stream", "retention_period")
}
