package deploy_test

import (
	"fmt"
	"regexp"
	"strings"
)

// readTerraform reads every file of the module into one tree, in which the resources
// have the names that they have in the SAM template.
func readTerraform(p pipeline) (map[string]any, error) {
	names := renamer{regexp.MustCompile(`\b(aws_\w+)\.(\w+)\.(\w+)`), regexp.MustCompile(`\bvar\.(\w+)`)}
	tree := make(map[string]any)
	for file, text := range p {
		if !strings.HasPrefix(file, "terraform/") {
			continue
		}
		if !strings.HasSuffix(file, ".tf") {
			return nil, fmt.Errorf("%s: this test does not know it", file)
		}
		body, err := parseHCL(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for name, value := range body {
			if parts := strings.Fields(name); len(parts) == 3 && parts[0] == "resource" {
				name = parts[1] + " " + logical(parts[1], parts[2])
			}
			if _, ok := tree[name]; ok {
				return nil, fmt.Errorf("%s: %s stands twice", file, name)
			}
			tree[name] = names.renamed(value)
		}
	}
	return tree, nil
}

// camel is a name as the SAM template would write it.
func camel(name string) (text string) {
	for part := range strings.SplitSeq(name, "_") {
		text += strings.ToUpper(part[:1]) + part[1:]
	}
	return text
}

// logical is what the SAM template calls a resource.
func logical(kind, name string) string {
	return camel(name) + map[string]string{
		"aws_iam_role": "Role", "aws_iam_role_policy": "Policy", "aws_cloudwatch_log_group": "Logs", "aws_lambda_event_source_mapping": "Mapping",
	}[kind]
}

type renamer struct{ attribute, variable *regexp.Regexp }

// renamed has references as the SAM template would write them.
func (r renamer) renamed(value any) any {
	switch value := value.(type) {
	case expr:
		text := r.attribute.ReplaceAllStringFunc(string(value), func(reference string) string {
			parts := strings.Split(reference, ".")
			kind, attribute := parts[0], parts[2]
			suffix, ok := map[string]string{
				"arn": ".Arn", "aws_dynamodb_table.stream_arn": ".StreamArn", "aws_dynamodb_table.name": "", "aws_kinesis_stream.name": "",
				"aws_lambda_function.function_name": "", "aws_sqs_queue.name": ".QueueName", "aws_sqs_queue.url": "", "aws_iam_role.id": "",
			}[strings.TrimPrefix(kind+"."+attribute, map[bool]string{true: kind + "."}[attribute == "arn"])]
			if !ok {
				return reference
			}
			return logical(kind, parts[1]) + suffix
		})
		return expr(r.variable.ReplaceAllStringFunc(text, func(reference string) string {
			return camel(strings.TrimPrefix(reference, "var."))
		}))
	case choice:
		return choice{r.renamed(value.condition).(expr), r.renamed(value.yes), r.renamed(value.no)}
	case []any:
		list := make([]any, len(value))
		for i := range value {
			list[i] = r.renamed(value[i])
		}
		return list
	case blocks:
		list := make(blocks, len(value))
		for i := range value {
			list[i] = r.renamed(value[i]).(map[string]any)
		}
		return list
	case map[string]any:
		members := make(map[string]any)
		for name, member := range value {
			members[name] = r.renamed(member)
		}
		return members
	}
	return value
}

func checkTerraform(n node, roles map[string]actions) {
	n.in("terraform", func(n node) {
		n.text("required_version")
		n.in("required_providers", func(n node) {
			n.in("aws", func(n node) {
				n.is("source", "hashicorp/aws")
				n.text("version")
			})
		})
	})
	for name, value := range map[string]expr{"stream_name": "Stream", "table_name": "Events", "faults_table_name": "Faults", "failure_queue": "Failures"} {
		n.in("output "+name, func(n node) { n.is("value", value) })
	}
	checkVariables(n)
	checkTerraformResources(n, roles)
}

func checkVariables(n node) {
	for name, want := range map[string]any{
		"name": "micro-event-store", "listener_zip": nil, "trigger_zip": nil, "event_types": "", "wait_for": "", "retention": "792h",
		"on_expiry": "false", "maximum_age": "", "alarm_topic": expr("null"),
	} {
		n.in("variable "+name, func(n node) {
			n.text("description")
			kind := expr("string")
			switch name {
			case "on_expiry":
				kind = "bool"
			case "maximum_age":
				kind = "number"
				n.in("validation", func(inner node) {
					bounds, _ := inner.take("condition").(expr)
					inner.text("error_message")
					match := regexp.MustCompile(`^MaximumAge >= (\d+) && MaximumAge <= (\d+)$`).FindStringSubmatch(string(bounds))
					if match == nil {
						match = make([]string, 3)
					}
					checkAge(n, match[1], match[2])
				})
			}
			n.is("type", kind)
			if want != nil && name != "maximum_age" {
				n.is("default", want)
			}
		})
	}
}

func checkTerraformResources(n node, roles map[string]actions) {
	n.in("aws_kinesis_stream Stream", func(n node) {
		n.is("name", expr("Name"))
		n.in("StreamModeDetails", func(n node) { n.is("StreamMode", "ON_DEMAND") })
		checkStream(n)
		checkEncryption(n)
	})
	for table, name := range map[string]expr{"Events": "Name", "Faults": "${Name}-faults"} {
		n.in("aws_dynamodb_table "+table, func(n node) { checkTerraformTable(n, table, name) })
	}
	n.in("aws_sqs_queue Failures", func(n node) {
		n.is("name", expr("${Name}-failures"))
		checkQueue(n)
	})
	for function, name := range functions() {
		full := expr("${Name}-" + name)
		n.in("aws_cloudwatch_log_group "+function+"Logs", func(n node) {
			n.is("name", "/aws/lambda/"+full)
			n.number("RetentionInDays", 1, 3653)
		})
		n.in("aws_iam_role "+function+"Role", func(n node) {
			n.is("name", full)
			n.in("assume_role_policy", checkTrust)
		})
		n.in("aws_iam_role_policy "+function+"Policy", func(n node) {
			n.is("name", name)
			n.is("role", expr(function+"Role"))
			n.in("policy", func(n node) { checkPolicy(n, roles[name]) })
		})
		n.in("aws_lambda_function "+function, func(n node) { checkTerraformFunction(n, function, name) })
		n.in("aws_lambda_event_source_mapping "+function+"Mapping", func(n node) {
			checkMapping(n, function)
			if function == "Trigger" {
				n.in("FilterCriteria", checkTerraformFilters)
			}
		})
	}
	for _, alarm := range alarms() {
		n.in("aws_cloudwatch_metric_alarm "+alarm, func(n node) {
			n.is("alarm_name", expr("${Name}-"+apart(alarm, '-')))
			dimension, of := checkAlarm(n, alarm)
			n.is("dimensions", map[string]any{dimension: of})
			n.is("AlarmActions", choice{"AlarmTopic == null", []any{}, []any{expr("AlarmTopic")}})
		})
	}
}

func checkTerraformTable(n node, table string, name expr) {
	n.is("name", name)
	n.is("billing_mode", "PAY_PER_REQUEST")
	n.is("hash_key", "partitionKey")
	n.is("range_key", "eventId")
	n.each("attribute", 2, func(i int, n node) {
		n.is("name", []string{"partitionKey", "eventId"}[i])
		n.is("type", "S")
	})
	n.in("TimeToLiveSpecification", checkTTL)
	if table == "Events" {
		n.is("stream_enabled", "true")
		n.is("stream_view_type", "NEW_AND_OLD_IMAGES")
	}
}

func checkTerraformFunction(n node, function, name string) {
	zip := function + "Zip"
	n.is("function_name", expr("${Name}-"+name))
	n.is("filename", expr(zip))
	n.is("source_code_hash", expr("filebase64sha256("+zip+")"))
	n.is("depends_on", []any{expr("aws_cloudwatch_log_group." + name), expr("aws_iam_role_policy." + name)})
	environment := map[string][]any{"TABLE_NAME": {expr("Events")}, "FAULTS_TABLE_NAME": {expr("Faults")}}
	if function == "Listener" {
		environment["EVENT_TYPES"], environment["RETENTION"] = []any{expr("EventTypes")}, []any{expr("Retention")}
	} else {
		environment["EVENT_TYPES"], environment["ON_EXPIRY"] = []any{expr("WaitFor")}, []any{expr("tostring(OnExpiry)")}
	}
	checkFunction(n, function, environment)
}

func checkTerraformFilters(n node) {
	n.in("filter", func(n node) { checkPattern(n, false, n.take("pattern")) })
	n.in("dynamic filter", func(n node) {
		n.is("for_each", choice{"OnExpiry", []any{"1"}, []any{}})
		n.in("content", func(n node) { checkPattern(n, true, n.take("pattern")) })
	})
}
