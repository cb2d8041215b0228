package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readSAM reads the one file of the SAM template.
func readSAM(p pipeline) (map[string]any, error) {
	for name := range p {
		if strings.HasPrefix(name, "sam/") && name != "sam/template.yaml" {
			return nil, fmt.Errorf("%s: this test does not know it", name)
		}
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(p["sam/template.yaml"]), &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 {
		return nil, errors.New("SAM: there is no document")
	}
	tree, err := fromYAML(document.Content[0])
	members, ok := tree.(map[string]any)
	if err == nil && !ok {
		err = errors.New("SAM: it is no object")
	}
	return members, err
}

// fromYAML makes a tree, with CloudFormation's functions in it; and fails at those that
// the template does not use, at aliases, and at names that stand twice.
func fromYAML(node *yaml.Node) (any, error) {
	children := make([]any, len(node.Content))
	for i, child := range node.Content {
		var err error
		if children[i], err = fromYAML(child); err != nil {
			return nil, err
		}
	}
	tag := node.Tag
	switch {
	case node.Kind == yaml.ScalarNode && (tag == "!Ref" || tag == "!GetAtt" || tag == "!Sub" && strings.Contains(node.Value, "${")):
		return expr(node.Value), nil
	case node.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!int" || tag == "!!bool"):
		return node.Value, nil
	case node.Kind == yaml.SequenceNode && tag == "!!seq":
		return children, nil
	case node.Kind == yaml.SequenceNode && tag == "!If" && len(children) == 3:
		return choice{expr(fmt.Sprint(children[0])), children[1], children[2]}, nil
	case node.Kind == yaml.SequenceNode && (tag == "!Equals" || tag == "!Not"):
		return expr(fmt.Sprintf("%s%q", tag[1:], children)), nil
	case node.Kind == yaml.MappingNode && tag == "!!map":
		members := make(map[string]any)
		for i := 0; i+1 < len(children); i += 2 {
			name := node.Content[i].Value
			if _, ok := members[name]; ok || node.Content[i].Tag != "!!str" {
				return nil, fmt.Errorf("SAM: line %d: %s stands twice, or is no name", node.Line, name)
			}
			members[name] = children[i+1]
		}
		return members, nil
	}
	return nil, fmt.Errorf("SAM: line %d: %s is not understood", node.Line, tag)
}

func checkSAM(n node, roles map[string]actions) {
	n.is("AWSTemplateFormatVersion", "2010-09-09")
	n.is("Transform", "AWS::Serverless-2016-10-31")
	n.text("Description")
	n.in("Parameters", func(n node) {
		for name, want := range map[string]string{"EventTypes": "", "WaitFor": "", "Retention": "792h", "OnExpiry": "false", "AlarmTopic": ""} {
			n.in(name, func(n node) {
				n.is("Type", "String")
				n.is("Default", want)
				n.text("Description")
				if name == "OnExpiry" {
					n.is("AllowedValues", []any{"true", "false"})
				}
			})
		}
		n.in("MaximumAge", func(n node) {
			n.is("Type", "Number")
			n.text("Description")
			checkAge(n, n.text("MinValue"), n.text("MaxValue"))
		})
	})
	n.in("Conditions", func(n node) {
		n.is("WithExpiry", expr(`Equals["OnExpiry" "true"]`))
		n.is("WithAlarmTopic", expr(`Not["Equals[\"AlarmTopic\" \"\"]"]`))
	})
	var globals map[string]any
	n.in("Globals", func(n node) { globals, _ = n.take("Function").(map[string]any) })
	n.in("Resources", func(n node) { checkSAMResources(n, roles, globals) })
	n.in("Outputs", func(n node) {
		for name, value := range map[string]expr{"StreamName": "Stream", "TableName": "Events", "FaultsTableName": "Faults", "FailureQueue": "Failures"} {
			n.in(name, func(n node) { n.is("Value", value) })
		}
	})
}

func checkSAMResources(n node, roles map[string]actions, globals map[string]any) {
	resource := func(name, kind string, look func(node)) {
		n.in(name, func(n node) {
			n.is("Type", "AWS::"+kind)
			n.in("Properties", look)
		})
	}
	resource("Stream", "Kinesis::Stream", func(n node) {
		n.in("StreamModeDetails", func(n node) { n.is("StreamMode", "ON_DEMAND") })
		checkStream(n)
		n.in("StreamEncryption", checkEncryption)
	})
	for _, table := range []string{"Events", "Faults"} {
		resource(table, "DynamoDB::Table", func(n node) { checkSAMTable(n, table) })
	}
	resource("Failures", "SQS::Queue", checkQueue)
	for function, name := range functions() {
		resource(function+"Logs", "Logs::LogGroup", func(n node) { n.number("RetentionInDays", 1, 3653) })
		resource(function+"Role", "IAM::Role", func(n node) {
			n.in("AssumeRolePolicyDocument", checkTrust)
			n.each("Policies", 1, func(_ int, n node) {
				n.is("PolicyName", name)
				n.in("PolicyDocument", func(n node) { checkPolicy(n, roles[name]) })
			})
		})
		resource(function, "Serverless::Function", func(n node) {
			for setting, value := range globals {
				_, own := n.members[setting]
				if _, scalar := value.(string); own && !scalar {
					n.fail("has %s, and so have all functions: SAM would put them together", setting)
				} else if !own {
					n.members[setting] = value
				}
			}
			n.is("CodeUri", "../build/lambda-"+name)
			n.in("LoggingConfig", func(n node) { n.is("LogGroup", expr(function+"Logs")) })
			environment := map[string][]any{"TABLE_NAME": {expr("Events")}, "FAULTS_TABLE_NAME": {expr("Faults")}}
			if function == "Listener" {
				environment["EVENT_TYPES"], environment["RETENTION"] = []any{expr("EventTypes")}, []any{expr("Retention")}
			} else {
				environment["EVENT_TYPES"], environment["ON_EXPIRY"] = []any{expr("WaitFor")}, []any{expr("OnExpiry")}
			}
			checkFunction(n, function, environment)
		})
		resource(function+"Mapping", "Lambda::EventSourceMapping", func(n node) {
			checkMapping(n, function)
			if function == "Trigger" {
				n.in("FilterCriteria", checkSAMFilters)
			}
		})
	}
	for _, alarm := range alarms() {
		resource(alarm, "CloudWatch::Alarm", func(n node) {
			dimension, of := checkAlarm(n, alarm)
			n.each("Dimensions", 1, func(_ int, n node) {
				n.is("Name", dimension)
				n.is("Value", of)
			})
			n.is("AlarmActions", choice{"WithAlarmTopic", []any{expr("AlarmTopic")}, expr("AWS::NoValue")})
		})
	}
}

func checkSAMTable(n node, table string) {
	n.is("BillingMode", "PAY_PER_REQUEST")
	names, roles := []string{"partitionKey", "eventId"}, []string{"HASH", "RANGE"}
	n.each("AttributeDefinitions", 2, func(i int, n node) {
		n.is("AttributeName", names[i])
		n.is("AttributeType", "S")
	})
	n.each("KeySchema", 2, func(i int, n node) {
		n.is("AttributeName", names[i])
		n.is("KeyType", roles[i])
	})
	n.in("TimeToLiveSpecification", checkTTL)
	if table == "Events" {
		n.in("StreamSpecification", func(n node) { n.is("StreamViewType", "NEW_AND_OLD_IMAGES") })
	}
}

func checkSAMFilters(n node) {
	filters := n.values("Filters")
	if len(filters) != 2 {
		n.fail("has %d filters", len(filters))
		return
	}
	look := func(expired bool, filter any) {
		n.inside("Filters", filter, func(n node) {
			var pattern any
			if err := json.Unmarshal([]byte(n.text("Pattern")), &pattern); err != nil {
				n.fail("the pattern is no JSON: %v", err)
			}
			checkPattern(n, expired, pattern)
		})
	}
	look(false, filters[0])
	removed, _ := filters[1].(choice)
	if removed.condition != "WithExpiry" || removed.no != expr("AWS::NoValue") {
		n.fail("the second filter is not there just with WithExpiry")
	}
	look(true, removed.yes)
}

// checkStream reads how long a stream keeps its records.
func checkStream(n node) { n.number("RetentionPeriodHours", 24, 8760) }

func checkEncryption(n node) {
	n.is("EncryptionType", "KMS")
	n.is("KeyId", "alias/aws/kinesis")
}

func checkTTL(n node) {
	n.is("AttributeName", "ttl")
	n.is("Enabled", "true")
}

func checkQueue(n node) {
	n.number("MessageRetentionPeriod", 4*24*3600, 14*24*3600)
	n.is("SqsManagedSseEnabled", "true")
}
